"""Opening foreign files: anything GDAL reads, and csv or xlsx tables with points, as one raw frame in EPSG:4326."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from grid.core.crs import WGS84
from grid.core.errors import BadInput, NotFound
from grid.sources.base import Refused

Floats = NDArray[np.float64]
DatumChange = Callable[[Floats, Floats, str], tuple[Floats, Floats]]
"""Called as change(lon, lat, datum) -> (lon, lat) in WGS 84; raises BadInput for an unknown datum."""

PLAIN_DATUMS = frozenset({"", "wgs84", "wgs-84", "cgcs2000", "epsg:4326", "epsg:4490"})
"""Datums whose longitude and latitude are stored as they come (CGCS2000 differs by decimetres)."""
SHIFTED_DATUMS = frozenset({"gcj02", "bd09"})
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".xlsx")
LON_NAMES = ("lon", "lng", "longitude", "x")
LAT_NAMES = ("lat", "latitude", "y")


def open_frame(
    path: Path,
    layer: str | None,
    crs: str | None,
    to_wgs84: DatumChange | None,
    mapping: dict[str, str],
) -> tuple[gpd.GeoDataFrame, list[Refused]]:
    """The rows of a file as a raw frame in EPSG:4326 with index 1, 2, … and rows whose point is unusable.

    path: a file GDAL reads (also .gz), or a table with lon, lat and optional datum (or no point at
    all: geometry None). crs: any CRS pyproj knows, or "gcj02"/"bd09"; it wins over the file's own.
    Raises NotFound `import.file_missing`; BadInput `import.unreadable`, `import.layer_missing`,
    `import.crs_missing`, `crs.unknown`.
    """
    if not path.exists():
        raise NotFound("import.file_missing", field="file", path=str(path))
    if path.name.lower().endswith(TABLES):
        return _from_table(path, layer, crs, to_wgs84, mapping)
    frame = _through_gdal(path, layer)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return _into_wgs84(frame, crs, to_wgs84), []


def _through_gdal(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    name = f"/vsigzip/{path.resolve()}" if path.suffix == ".gz" else str(path)
    options: dict[str, Any] = {"layer": layer, "encoding": _dbf_encoding(path)}
    try:
        frame = pyogrio.read_dataframe(name, **options)
    except DataLayerError as error:
        layers = [str(known) for known, _ in pyogrio.list_layers(name)]
        raise BadInput("import.layer_missing", field="layer", layer=layer, known=layers) from error
    except (DataSourceError, ValueError, UnicodeDecodeError) as error:
        raise BadInput("import.unreadable", field="file", path=path.name, why=str(error)) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        frame = gpd.GeoDataFrame(frame, geometry=[None] * len(frame), crs=WGS84)
    named = frame.geometry.name
    return frame if named == "geometry" else frame.rename_geometry("geometry")


def _dbf_encoding(path: Path) -> str | None:
    """Shapefiles of Chinese offices are often GBK without saying so; say it where UTF-8 fails."""
    table = path.with_suffix(".dbf")
    if path.suffix.lower() != ".shp" or path.with_suffix(".cpg").exists() or not table.exists():
        return None
    head = table.open("rb").read(32)
    if head[29] not in (0x00, 0x57):
        return None
    text = table.read_bytes()[int.from_bytes(head[8:10], "little") :]
    for encoding in ("utf-8", "gb18030"):
        try:
            text.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


def _into_wgs84(
    frame: gpd.GeoDataFrame, crs: str | None, to_wgs84: DatumChange | None
) -> gpd.GeoDataFrame:
    if crs is not None and crs.strip().lower() in SHIFTED_DATUMS and to_wgs84 is not None:
        datum, change = crs.strip().lower(), to_wgs84
        moved = shapely.transform(
            np.asarray(frame.geometry.values, dtype=object),
            lambda xy: np.column_stack(change(xy[:, 0], xy[:, 1], datum)),
        )
        return frame.set_geometry(gpd.GeoSeries(moved, index=frame.index, crs=WGS84))
    if crs is not None:
        frame = frame.set_crs(_known_crs(crs), allow_override=True)
    if frame.crs is None:
        if frame.geometry.isna().all():
            return frame.set_crs(WGS84)
        raise BadInput("import.crs_missing", field="crs")
    return frame if frame.crs.to_epsg() == WGS84 else frame.to_crs(WGS84)


def _known_crs(crs: str) -> CRS:
    try:
        return CRS.from_user_input("EPSG:4490" if crs.strip().lower() == "cgcs2000" else crs)
    except CRSError as error:
        raise BadInput("crs.unknown", field="crs", crs=crs) from error


def _from_table(
    path: Path,
    layer: str | None,
    crs: str | None,
    to_wgs84: DatumChange | None,
    mapping: dict[str, str],
) -> tuple[gpd.GeoDataFrame, list[Refused]]:
    table = _read_table(path, layer)
    table.index = pd.RangeIndex(1, len(table) + 1)
    lon_name = _point_column(table, mapping.get("lon"), LON_NAMES)
    lat_name = _point_column(table, mapping.get("lat"), LAT_NAMES)
    if lon_name is None or lat_name is None:
        return gpd.GeoDataFrame(table, geometry=[None] * len(table), crs=WGS84), []
    refused: list[Refused] = []
    numbers = []
    for name in (lon_name, lat_name):
        number = pd.to_numeric(table[name].str.strip(), errors="coerce")
        broken = number.isna() & table[name].notna() & (table[name].str.strip() != "")
        seen = {one.row for one in refused}
        refused += [
            Refused(int(str(row)), "import.number_unreadable", {"field": name, "value": value})
            for row, value in table.loc[broken, name].items()
            if int(str(row)) not in seen
        ]
        numbers.append(number.to_numpy(dtype=np.float64))
    usable = np.isfinite(numbers[0]) & np.isfinite(numbers[1])
    points = np.full(len(table), None, dtype=object)
    points[usable] = shapely.points(numbers[0][usable], numbers[1][usable])
    frame = gpd.GeoDataFrame(table, geometry=points, crs=None if crs else WGS84)
    frame = frame[~frame.index.isin([r.row for r in refused])]
    if crs:
        return _into_wgs84(frame, crs, to_wgs84), refused
    datum_name = _point_column(table, mapping.get("datum"), ("datum",))
    if datum_name is not None:
        frame, unknown = _by_datum(frame, datum_name, to_wgs84)
        refused += unknown
    return frame, refused


def _by_datum(
    frame: gpd.GeoDataFrame, column: str, to_wgs84: DatumChange | None
) -> tuple[gpd.GeoDataFrame, list[Refused]]:
    said = frame[column].fillna("").str.strip().str.lower()
    geometry = np.asarray(frame.geometry.values, dtype=object).copy()
    refused: list[Refused] = []
    for datum in sorted(set(said) - PLAIN_DATUMS):
        at = np.flatnonzero(((said == datum) & frame.geometry.notna()).to_numpy())
        try:
            if to_wgs84 is None:
                raise BadInput("import.datum_unknown", field=column, datum=datum)
            lon, lat = to_wgs84(shapely.get_x(geometry[at]), shapely.get_y(geometry[at]), datum)
        except BadInput:
            rows = frame.index[at].tolist()
            refused += [Refused(int(row), "import.datum_unknown", {"datum": datum}) for row in rows]
            continue
        geometry[at] = shapely.points(lon, lat)
    frame = frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=WGS84))
    return frame[~frame.index.isin([r.row for r in refused])], refused


def _read_table(path: Path, sheet: str | None) -> pd.DataFrame:
    """A csv (UTF-8, else GB 18030, as office programs in China save it) or xlsx, every cell as text."""
    try:
        if path.suffix.lower() == ".xlsx":
            book = pd.read_excel(path, sheet_name=sheet if sheet else 0, dtype=str)
            return pd.DataFrame(book)
        separator = "\t" if ".tsv" in path.name.lower() else ","
        for encoding in ("utf-8-sig", "gb18030"):
            try:
                return pd.read_csv(
                    path,
                    dtype=str,
                    sep=separator,
                    encoding=encoding,
                    keep_default_na=False,
                    na_values=[""],
                )
            except UnicodeDecodeError:
                continue
        why = "neither UTF-8 nor GB 18030"
    except (ValueError, OSError, KeyError) as error:
        why = str(error)
    raise BadInput("import.unreadable", field="file", path=path.name, why=why)


def _point_column(table: pd.DataFrame, mapped: str | None, known: tuple[str, ...]) -> str | None:
    by_lower = {str(name).strip().lower(): str(name) for name in table.columns}
    if mapped is not None:
        if mapped.strip().lower() not in by_lower:
            raise BadInput(
                "import.field_missing", field=mapped, known=list(map(str, table.columns))
            )
        return by_lower[mapped.strip().lower()]
    return next((by_lower[name] for name in known if name in by_lower), None)
