"""Bearing, distance, side and part of a street: what a Chinese text says behind its anchor."""

from __future__ import annotations

import re

from grid.geocode import words as w
from grid.geocode.numbers import number
from grid.geocode.parsed import Parsed


def _metres(said: str) -> float | None:
    if said.startswith("半"):
        return 500.0 if "公里" in said else 250.0
    m = re.match(
        r"([0-9.]+|[^0-9.多余来公千米里k ]+(?=[多余来]?\s*(?:公里|千米|km|米|m|里))|.+?)\s*[多余来]?\s*(公里|千米|km|米|m|里)",
        said,
    )
    if m is None:
        return None
    digits = m.group(1)
    value = float(digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else number(digits)
    if value is None:
        return None
    return float(value) * {"公里": 1000, "千米": 1000, "km": 1000, "里": 500}.get(m.group(2), 1)


def relate(rest: str, parsed: Parsed) -> None:
    """Bearing, distance, side and part of a street, taken from what follows the anchor."""
    heading = w.HEADING_RE.search(rest)
    if heading:
        parsed.direction = w.DIRECTIONS[heading.group(2)]
        rest = rest[: heading.start()] + w.GONE + rest[heading.end() :]
    toward = w.TOWARD_RE.search(rest) or w.BEARING_DIST_RE.search(rest)
    if toward and not heading:
        parsed.direction = {"上游": "upstream", "下游": "downstream"}.get(
            toward.group(1)
        ) or w.DIRECTIONS[toward.group(1)]
        parsed.offset_m = _metres(toward.group(2)) if toward.group(2) else None
        rest = rest[: toward.start()] + w.GONE + rest[toward.end() :]
    if parsed.offset_m is None and (far := w.DIST_RE.search(rest)):
        parsed.offset_m = _metres(far.group(0))
        rest = rest[: far.start()] + w.GONE + rest[far.end() :]
    only_street = parsed.street is not None and not (
        parsed.cross
        or parsed.house
        or parsed.landmark
        or parsed.facility
        or parsed.km_m is not None
    )
    if only_street and not parsed.span:
        part = w.PART_RE.match(rest)
        if part:
            parsed.part = w.DIRECTIONS.get(part.group(1), "middle")
            rest = rest[part.end() :]
        elif w.WHOLE_RE.match(rest):
            parsed.part = "whole"
    parsed.counted = w.COUNTED_RE.search(rest) is not None
    under = w.UNDER_RE.match(rest)
    if under and parsed.landmark and re.search("桥墩?$|高架$|天桥$|隧道$", parsed.landmark.text):
        parsed.side = "under"
        return
    # "东南角往南约80米路西": the side is what is said last, after the bearing.
    compass = None
    for compass in w.SIDE_RE.finditer(rest):
        if toward and compass.end() <= toward.start():
            continue
        break
    fixed = next((name for pattern, name in w.FIXED_SIDES if pattern.search(rest)), "")
    if fixed in ("opposite", "both", "left", "right"):
        parsed.side = fixed
    elif compass:
        parsed.side = w.DIRECTIONS[compass.group(1) or compass.group(2)]
    else:
        parsed.side = fixed
