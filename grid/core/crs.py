"""The plane of a town: one metric CRS for lengths, areas and distances, x east and y north, always in metres.

Stored geometry is EPSG:4326, lon/lat. Every step between the two goes through this file, so that
the single path (SQL on stored plane geometry) and the bulk path (numpy) see the same doubles.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError

from grid.core.errors import BadInput

WGS84 = 4326
GEOD = Geod(ellps="WGS84")

Floats = NDArray[np.float64]


def plane_for(lon: float, lat: float) -> int:
    """EPSG code of the plane for a town at lon/lat degrees.

    Inside China's box the 3-degree Gauss-Kruger zone of CGCS2000 without prefix, 4509 + n with
    n = round(lon / 3) (domain notes 6.1); elsewhere the UTM zone of WGS 84.
    """
    if 73.5 <= lon <= 135.0 and 18.0 <= lat <= 54.0:
        return 4509 + round(lon / 3)
    zone = int((lon + 180.0) // 6) % 60 + 1
    return (32600 if lat >= 0 else 32700) + zone


@lru_cache(maxsize=64)
def transformer(source: int, target: int) -> Transformer:
    """A cached pyproj transformer between two EPSG codes in x, y (lon, lat) order; BadInput `crs.unknown`."""
    try:
        found = Transformer.from_crs(CRS.from_epsg(source), CRS.from_epsg(target), always_xy=True)
    except CRSError as error:
        raise BadInput("crs.unknown", field="crs", crs=f"EPSG:{source}/{target}") from error
    if not _is_plane(source, target):
        return found
    # Each thread opens its own copy. Looked up in the EPSG tables that takes up to 80 ms, from the steps found once
    # 0.3 ms; the numbers are the same to the last bit.
    return Transformer.from_pipeline(found.definition)


def _is_plane(source: int, target: int) -> bool:
    """Whether one side is WGS 84 and the other a plane that `plane_for` may choose."""
    epsg = target if source == WGS84 else source
    known = 4509 + 24 < epsg <= 4509 + 45 or 32601 <= epsg <= 32660 or 32701 <= epsg <= 32760
    return known and WGS84 in (source, target)


def to_plane(lon: ArrayLike, lat: ArrayLike, epsg: int) -> tuple[Floats, Floats]:
    """Degrees to plane metres, vectorised: (lon, lat) -> (x_m, y_m)."""
    x, y = transformer(WGS84, epsg).transform(
        np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    )
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def from_plane(x_m: ArrayLike, y_m: ArrayLike, epsg: int) -> tuple[Floats, Floats]:
    """Plane metres to degrees, vectorised: (x_m, y_m) -> (lon, lat)."""
    lon, lat = transformer(epsg, WGS84).transform(
        np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
    )
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def geometries_to_plane(geometries: ArrayLike, epsg: int) -> NDArray[np.object_]:
    """Shapely geometries in EPSG:4326 as geometries in the plane, vectorised."""
    change = transformer(WGS84, epsg).transform
    return np.asarray(
        shapely.transform(
            np.asarray(geometries, dtype=object),
            lambda xy: np.column_stack(change(xy[:, 0], xy[:, 1])),
        )
    )


def geometries_from_plane(geometries: ArrayLike, epsg: int) -> NDArray[np.object_]:
    """Shapely geometries in the plane as geometries in EPSG:4326, vectorised."""
    change = transformer(epsg, WGS84).transform
    return np.asarray(
        shapely.transform(
            np.asarray(geometries, dtype=object),
            lambda xy: np.column_stack(change(xy[:, 0], xy[:, 1])),
        )
    )
