"""Door plates from OSM address tags: one per number, and those drawn only as an interpolation line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from grid.house_numbers import leading_number

Tags = dict[str, str]
COMMUNITY_TAGS = ("addr:neighbourhood", "addr:hamlet", "addr:quarter", "addr:suburb")
_SEVERAL = re.compile(r"\s*[;,，；、]\s*")
_STEPS = {"odd": 2, "even": 2, "all": 1}
_MOST_BETWEEN = 200
"""An interpolation line that would make more plates than this is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A house number as written on a street, at lon/lat degrees in WGS 84."""

    street: str
    house_number: str
    community: str | None
    lon: float
    lat: float


def plates_of(tags: Tags, at: tuple[float, float]) -> list[Plate]:
    """One plate per number ("12;14" has two); none without a street."""
    street = " ".join(tags.get("addr:street", "").split())
    community = next((tags[key] for key in COMMUNITY_TAGS if tags.get(key)), None)
    numbers = [one for one in _SEVERAL.split(tags["addr:housenumber"].strip()) if one]
    return [Plate(street, number, community, *at) for number in numbers] if street else []


def between_ends(
    tags: Tags,
    numbered: list[tuple[Tags, int]],
    line: list[tuple[int, float, float]],
) -> list[Plate]:
    """The numbers between each two consecutive numbered nodes of an addr:interpolation way.

    numbered: (tags, node id) in the order of the way; line: (node id, lon, lat). Spaced
    evenly along the way; the street is the way's own or the nodes'.
    """
    rule = tags["addr:interpolation"]
    step = _STEPS.get(rule, int(rule) if rule.isdigit() and int(rule) > 0 else 0)
    refs = [ref for ref, _, _ in line]
    plates: list[Plate] = []
    for (tags_a, ref_a), (tags_b, ref_b) in pairwise(numbered):
        first = leading_number(tags_a["addr:housenumber"])
        last = leading_number(tags_b["addr:housenumber"])
        street = tags.get("addr:street") or tags_a.get("addr:street") or tags_b.get("addr:street")
        if not step or first is None or last is None or not street:
            continue
        numbers = list(range(min(first, last) + step, max(first, last), step))
        if not numbers or len(numbers) > _MOST_BETWEEN or ref_a not in refs or ref_b not in refs:
            continue
        run = np.array([place[1:] for place in line[refs.index(ref_a) : refs.index(ref_b) + 1]])
        if len(run) < 2:
            continue
        flat = np.diff(run, axis=0) * [np.cos(np.radians(run[0, 1])), 1.0]
        along = np.r_[0.0, np.cumsum(np.hypot(flat[:, 0], flat[:, 1]))]
        share = (np.array(numbers) - first) / (last - first)
        lon = np.interp(share * along[-1], along, run[:, 0]).tolist()
        lat = np.interp(share * along[-1], along, run[:, 1]).tolist()
        plates += [
            Plate(street, str(number), None, x, y)
            for number, x, y in zip(numbers, lon, lat, strict=True)
        ]
    return plates
