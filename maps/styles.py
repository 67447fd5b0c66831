"""How things look on a map: one place for the colours, widths and shapes that pages and layers share.

Every colour stands on its own against the light and the dark ground; a lamp's colour is always joined by a shape
(the state) or by words, so that nothing hangs on telling red from green.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

# Neighbouring positions differ in hue and in lightness, so grids named one after the other are told apart.
GRID_COLOURS = (
    "#2f7ed8",
    "#d9822b",
    "#3f9c5a",
    "#a854b8",
    "#b8860b",
    "#1f9e9e",
    "#d1495b",
    "#5b6ee1",
    "#7a8f2a",
    "#8d5a3c",
    "#3d8bb3",
    "#c2529a",
)
NO_GRID_COLOUR = "#8a93a3"

LAMP_COLOURS: Mapping[str, str] = {"green": "#1f8a4c", "amber": "#d98a00", "red": "#cc2936"}
WAITING_COLOUR = "#3566c0"
ENDED_COLOUR = "#6b7686"

# State → shape of the incident's mark.
STATUS_SHAPES: Mapping[str, str] = {
    "reported": "circle",
    "verifying": "circle",
    "accepted": "circle",
    "filed": "circle",
    "dispatched": "square",
    "in_disposal": "diamond",
    "disposed": "triangle",
    "checking": "triangle",
    "pending_close": "triangle",
    "suspended": "pause",
    "closed": "tick",
    "refused": "cross",
    "declined": "cross",
    "voided": "cross",
    "merged": "cross",
    "fixed_on_spot": "tick",
}

# Class of street → width in pixels at zoom 15.
STREET_WIDTHS_PX: Mapping[str, float] = {
    "trunk": 5.0,
    "primary": 4.5,
    "secondary": 4.0,
    "tertiary": 3.5,
    "residential": 3.0,
    "service": 2.0,
    "pedestrian": 2.0,
    "path": 1.5,
}


def grid_colour(code: str) -> str:
    """The colour of a grid, always the same for its code; codes that follow one another differ."""
    digits = re.findall(r"\d+", code)
    position = int(digits[-1]) if digits else zlib.crc32(code.encode())
    return GRID_COLOURS[position % len(GRID_COLOURS)]


def for_scripts() -> dict[str, Any]:
    """All of the above as one JSON-ready object for the map scripts."""
    return {
        "grid": list(GRID_COLOURS),
        "no_grid": NO_GRID_COLOUR,
        "lamp": dict(LAMP_COLOURS),
        "ended": ENDED_COLOUR,
        "waiting": WAITING_COLOUR,
        "shape": dict(STATUS_SHAPES),
        "width": dict(STREET_WIDTHS_PX),
    }
