"""The reference system of a file: an EPSG code, or GCJ-02 and BD-09, which the file names as what they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from grid.core.datums import from_wgs84
from grid.core.errors import BadInput

# No register knows the shifted datums: a reader that takes them for WGS 84 is hundreds of metres off.
_SHIFTED = """GEOGCRS["{name} (shifted for maps, not WGS 84)",
DATUM["{name}",ELLIPSOID["WGS 84",6378137,298.257223563]],CS[ellipsoidal,2],
AXIS["longitude",east],AXIS["latitude",north],ANGLEUNIT["degree",0.0174532925199433]]"""
_NAMES = {"gcj02": "GCJ-02", "bd09": "BD-09"}


@dataclass(frozen=True, slots=True)
class Target:
    """The system of a file: its name, its definition, and the datum the points are brought to (None: they stay)."""

    name: str
    wkt: str
    datum: str | None
    degrees: bool

    @property
    def is_wgs84(self) -> bool:
        """Whether the points are stored as they are, as EPSG:4326."""
        return self.name == "EPSG:4326"

    def projjson(self) -> dict[str, Any]:
        """The definition as PROJJSON."""
        found: dict[str, Any] = CRS.from_user_input(self.wkt).to_json_dict()
        return found

    def of_wgs84(self, geometries: NDArray[np.object_]) -> NDArray[np.object_]:
        """Shapely geometries in WGS 84 as this system's, x east and y north, vectorised."""
        if self.datum is None:
            return geometries
        datum = self.datum
        return np.asarray(
            shapely.transform(
                geometries, lambda xy: np.column_stack(from_wgs84(xy[:, 0], xy[:, 1], datum))
            )
        )


@lru_cache(maxsize=64)
def target_crs(written: str | None) -> Target:
    """The system of "EPSG:4547", "4547", "wgs84", "cgcs2000", "gcj02" or "bd09". Raises BadInput `export.crs_unknown`."""
    name = (written or "EPSG:4326").strip().lower().replace("-", "")
    name = {"wgs84": "4326", "crs84": "4326", "cgcs2000": "4490"}.get(name, name)
    if name in _NAMES:
        wkt = CRS.from_wkt(_SHIFTED.format(name=_NAMES[name])).to_wkt()
        return Target(_NAMES[name], wkt, name, degrees=True)
    digits = name.removeprefix("epsg:")
    if not digits.isdecimal() or len(digits) > 6:
        raise BadInput("export.crs_unknown", field="crs", crs=str(written)[:40])
    try:
        crs = CRS.from_epsg(int(digits))
    except CRSError as error:
        raise BadInput("export.crs_unknown", field="crs", crs=str(written)[:40]) from error
    if not (crs.is_projected or crs.is_geographic) or len(crs.axis_info) != 2:
        raise BadInput("export.crs_unknown", field="crs", crs=str(written)[:40])
    same = int(digits) in (4326, 4490)
    code = f"EPSG:{int(digits)}"
    return Target(code, crs.to_wkt(), None if same else code.lower(), bool(crs.is_geographic))
