"""Datums of incoming points: GCJ-02, BD-09, CGCS2000 (geographic and projected) and WGS 84, vectorised.

GCJ-02 and BD-09 are the published formulas (domain notes 6.3); GCJ-02 has no published inverse, so the forward
formula is iterated four times (0.1 mm after three). CGCS2000 and WGS 84 are taken as equal (domain notes 6.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from grid.core.crs import Floats, transformer
from grid.core.errors import BadInput

DATUMS = ("wgs84", "cgcs2000", "gcj02", "bd09")
_AXIS_M = 6378245.0
_ECCENTRICITY2 = 0.00669342162296594323
_BD_PI = np.pi * 3000.0 / 180.0
_ROUNDS = 4

Bools = NDArray[np.bool_]
Inside = Callable[[Floats, Floats], Bools] | tuple[float, float, float, float]


def to_wgs84(lon: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Floats, Floats]:
    """Points of a datum as WGS 84 degrees (lon, lat); for "epsg:NNNN" give (x, y) or (lon, lat) in its units.

    datum: wgs84, cgcs2000, gcj02, bd09 or "epsg:NNNN" (any case). Projected x is east and y north whatever axis order
    the register states. Raises BadInput `datum.unknown`, and `datum.coordinates` for non-finite results.
    """
    x, y = _floats(lon, lat)
    name = known_datum(datum)
    if name in ("wgs84", "cgcs2000"):
        return x, y
    if name == "gcj02":
        return gcj02_to_wgs84(x, y)
    if name == "bd09":
        return gcj02_to_wgs84(*bd09_to_gcj02(x, y))
    return _finite(*transformer(int(name[5:]), 4326).transform(x, y), datum=name)


def from_wgs84(lon: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Floats, Floats]:
    """WGS 84 degrees as points of a datum: (lon, lat), or (x, y) for a projected "epsg:NNNN". Raises like `to_wgs84`."""
    x, y = _floats(lon, lat)
    name = known_datum(datum)
    if name in ("wgs84", "cgcs2000"):
        return x, y
    if name == "gcj02":
        return wgs84_to_gcj02(x, y)
    if name == "bd09":
        return gcj02_to_bd09(*wgs84_to_gcj02(x, y))
    return _finite(*transformer(4326, int(name[5:])).transform(x, y), datum=name)


def known_datum(datum: str) -> str:
    """The datum in its one spelling; EPSG:4326 and 4490 become wgs84 and cgcs2000. Raises BadInput `datum.unknown`."""
    name = str(datum).strip().lower().replace("-", "")
    if name in DATUMS:
        return name
    if name.startswith("epsg:") and name[5:].isdigit():
        code = int(name[5:])
        if code in (4326, 4490):
            return "wgs84" if code == 4326 else "cgcs2000"
        try:
            CRS.from_epsg(code)
        except CRSError:
            raise BadInput("datum.unknown", field="datum", datum=str(datum)) from None
        return f"epsg:{code}"
    raise BadInput("datum.unknown", field="datum", datum=str(datum))


def zone_epsg(lon: float, *, prefix: bool = False) -> int:
    """EPSG code of the CGCS2000 3-degree zone at a longitude, with or without the zone number before the easting."""
    n = round(lon / 3)
    if not 25 <= n <= 45:
        raise BadInput("datum.no_zone", field="lon", lon=lon)
    return (4488 if prefix else 4509) + n


def in_china(lon: ArrayLike, lat: ArrayLike) -> Bools:
    """True inside the box where GCJ-02 shifts points; outside it nothing is changed."""
    x, y = _floats(lon, lat)
    return np.asarray((x >= 72.004) & (x <= 137.8347) & (y >= 0.8293) & (y <= 55.8271))


def wgs84_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """WGS 84 to GCJ-02 degrees; points outside China's box are unchanged."""
    x, y = _floats(lon, lat)
    dx, dy = _shift(x, y)
    inside = in_china(x, y)
    return np.where(inside, x + dx, x), np.where(inside, y + dy, y)


def gcj02_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 to WGS 84 degrees by iteration (exact to below a millimetre); outside China's box unchanged."""
    x, y = _floats(lon, lat)
    guess_x, guess_y = x.copy(), y.copy()
    for _ in range(_ROUNDS):
        dx, dy = _shift(guess_x, guess_y)
        guess_x, guess_y = x - dx, y - dy
    inside = in_china(x, y)
    return np.where(inside, guess_x, x), np.where(inside, guess_y, y)


def gcj02_to_bd09(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 to BD-09 degrees; outside China's box unchanged."""
    x, y = _floats(lon, lat)
    far = np.hypot(x, y) + 0.00002 * np.sin(y * _BD_PI)
    angle = np.arctan2(y, x) + 0.000003 * np.cos(x * _BD_PI)
    inside = in_china(x, y)
    return np.where(inside, far * np.cos(angle) + 0.0065, x), np.where(
        inside, far * np.sin(angle) + 0.006, y
    )


def bd09_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """BD-09 to GCJ-02 degrees by iteration of the forward formula; outside China's box unchanged."""
    x, y = _floats(lon, lat)
    guess_x, guess_y = x - 0.0065, y - 0.006
    for _ in range(_ROUNDS):
        forward_x, forward_y = gcj02_to_bd09(guess_x, guess_y)
        guess_x, guess_y = guess_x + (x - forward_x), guess_y + (y - forward_y)
    inside = in_china(x, y)
    return np.where(inside, guess_x, x), np.where(inside, guess_y, y)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A reading of a point that would put it inside the town: datum, whether lon and lat are swapped, WGS 84 degrees."""

    datum: str
    swapped: bool
    lon: float
    lat: float


def suspect_datum(
    lon: float, lat: float, inside: Inside, said: str = "wgs84", extra: tuple[str, ...] = ()
) -> list[Suspect]:
    """Which other datum, or swapped axes, would put a point inside the town that lies outside it as said.

    inside: (west, south, east, north) in WGS 84 degrees, or a function of (lon, lat) arrays. extra: further datums to try,
    such as the town's "epsg:NNNN". Likeliest first: swapped axes before another datum. Empty when the point lies inside
    as said, or when nothing brings it in.
    """
    if said in (*DATUMS, *extra) or said.lower().startswith("epsg:"):
        as_said = _try(lon, lat, said)
        if as_said is not None and _is_inside(inside, *as_said):
            return []
    found = []
    others = [d for d in (*DATUMS, *extra) if d != said and not {d, said} <= {"wgs84", "cgcs2000"}]
    for swapped, datum in [
        (True, said),
        *((False, d) for d in others),
        *((True, d) for d in others),
    ]:
        a, b = (lat, lon) if swapped else (lon, lat)
        point = _try(a, b, datum)
        if point is not None and _is_inside(inside, *point):
            found.append(Suspect(datum, swapped, *point))
    return found


def _try(lon: float, lat: float, datum: str) -> tuple[float, float] | None:
    try:
        x, y = to_wgs84(lon, lat, datum)
    except BadInput:
        return None
    return float(x), float(y)


def _is_inside(inside: Inside, lon: float, lat: float) -> bool:
    if isinstance(inside, tuple):
        west, south, east, north = inside
        return west <= lon <= east and south <= lat <= north
    return bool(np.all(inside(np.asarray([lon]), np.asarray([lat]))))


def _shift(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """The GCJ-02 shift in degrees at WGS 84 points."""
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    wave = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    north += (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    north += (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    east += (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    east += (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    radians = lat / 180.0 * np.pi
    magic = 1.0 - _ECCENTRICITY2 * np.sin(radians) ** 2
    meridian = _AXIS_M * (1.0 - _ECCENTRICITY2) / (magic * np.sqrt(magic))
    parallel = _AXIS_M / np.sqrt(magic) * np.cos(radians)
    return east * 180.0 / (parallel * np.pi), north * 180.0 / (meridian * np.pi)


def _floats(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def _finite(x: ArrayLike, y: ArrayLike, *, datum: str) -> tuple[Floats, Floats]:
    a, b = _floats(x, y)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise BadInput("datum.coordinates", field="location", datum=datum)
    return a, b
