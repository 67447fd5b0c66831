"""What every source of ground data shares: the row that was not taken as it came, and the words for classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int], None]
"""Called as progress(stage, done) while a long file is read; stage is "objects", "streets", "areas" …"""

RANGE_COLUMNS = ("left_from", "left_to", "right_from", "right_to")
# Under this key of a frame's `attrs`: the fields that its file has no column for (frozenset).
ABSENT = "absent"
STREET_COLUMNS = (
    "source_key",
    "name",
    "names",
    "class_",
    "oneway",
    "level",
    "form",
    *RANGE_COLUMNS,
    "node_ids",
    "geometry",
)
STREET_CLASSES = (
    "trunk",
    "primary",
    "secondary",
    "tertiary",
    "residential",
    "service",
    "pedestrian",
    "path",
)
FORMS = ("single", "dual", "roundabout", "ramp")
BOUNDARY_LEVELS = ("town", "township", "community")


@dataclass(frozen=True, slots=True)
class Refused:
    """A source row that was not taken as it came.

    row: 1-based row of the file (header not counted), or a key such as "way/123".
    code: why, with `values` for its sentence. kept: True when the row was loaded after a repair,
    False when it was left out.
    """

    row: int | str
    code: str
    values: dict[str, object] = field(default_factory=dict)
    kept: bool = False
