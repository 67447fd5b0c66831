"""Kilometre posts: `K4+350`, `45公里600米`; places between two posts and along the road's line."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grid.geocode.lines import Point

_CODE = re.compile(r"k\s*(\d{1,5})(?:\s*\+\s*(\d{1,3}))?", re.I)


def km_metres(code: str) -> int | None:
    """Metres from kilometre 0 of `K4+350` or `k45`; None when it is no kilometre post."""
    m = _CODE.fullmatch(code.strip())
    if m is None:
        return None
    return int(m.group(1)) * 1000 + int((m.group(2) or "0").ljust(3, "0"))


def km_code(metres: int) -> str:
    """`K4+350` for 4350."""
    return f"K{metres // 1000}+{metres % 1000:03d}"


@dataclass(slots=True)
class KmPosts:
    """Posts by street: metres (sorted) with their points."""

    metres: dict[int, list[int]] = field(default_factory=dict)
    points: dict[int, list[Point]] = field(default_factory=dict)


def build_km_posts(
    streets: Sequence[int], codes: Sequence[str], x_m: Iterable[float], y_m: Iterable[float]
) -> KmPosts:
    """Posts of known streets, sorted by kilometre; posts whose code cannot be read are left out."""
    rows: dict[int, list[tuple[int, Point]]] = {}
    for street, code, x, y in zip(streets, codes, x_m, y_m, strict=True):
        metres = km_metres(code)
        if street >= 0 and metres is not None:
            rows.setdefault(street, []).append((metres, (float(x), float(y))))
    posts = KmPosts()
    for street, found in rows.items():
        found.sort()
        posts.metres[street] = [m for m, _ in found]
        posts.points[street] = [p for _, p in found]
    return posts


def at_km(posts: KmPosts, street: int, metres: int) -> tuple[Point, float, float] | None:
    """(point, sureness, spread_m) of a kilometre on a street: a post, between two posts, or up to 1 km beyond one."""
    known = posts.metres.get(street)
    if not known:
        return None
    points = posts.points[street]
    i = bisect_left(known, metres)
    if i < len(known) and known[i] == metres:
        return points[i], 0.95, 20.0
    if 0 < i < len(known):
        (x0, y0), (x1, y1) = points[i - 1], points[i]
        share = (metres - known[i - 1]) / (known[i] - known[i - 1])
        gap = known[i] - known[i - 1]
        return (
            (x0 + share * (x1 - x0), y0 + share * (y1 - y0)),
            0.9 if gap <= 1000 else 0.7,
            max(20.0, gap / 10),
        )
    if len(known) < 2:
        return None
    (near, before) = (0, 1) if i == 0 else (len(known) - 1, len(known) - 2)
    beyond = abs(metres - known[near])
    if beyond > 1000:
        return None
    (x0, y0), (x1, y1) = points[before], points[near]
    size = math.hypot(x1 - x0, y1 - y0) or 1.0
    return (
        (x1 + (x1 - x0) / size * beyond, y1 + (y1 - y0) / size * beyond),
        0.6,
        max(50.0, beyond / 3),
    )
