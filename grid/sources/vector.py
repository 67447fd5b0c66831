"""Streets, addresses, places, boundaries and grids from any file GDAL reads, or a csv/xlsx table of points.

Every reader takes path, layer, mapping (our field -> their column; "=word" for a constant), crs (wins
over the file's own) and to_wgs84 (the change of datum for tables with a `datum` column and for crs
"gcj02"/"bd09"), and returns (frame, refused): the ground frame in EPSG:4326 and every row that was
left out or repaired (`Refused`, row 1-based). Column names match without regard to case. Raises
BadInput `import.field_missing` (field, known) and what `files.open_frame` raises.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from grid.core.crs import WGS84
from grid.core.errors import BadInput
from grid.sources import fields
from grid.sources.base import ABSENT, BOUNDARY_LEVELS, FORMS, RANGE_COLUMNS, STREET_COLUMNS, Refused
from grid.sources.fields import Columns
from grid.sources.files import DatumChange, open_frame
from grid.sources.written_addresses import split_address

Mapping = dict[str, str] | None
Read = tuple[gpd.GeoDataFrame, list[Refused]]


def read_streets(
    path: str | Path,
    layer: str | None = None,
    mapping: Mapping = None,
    crs: str | None = None,
    to_wgs84: DatumChange | None = None,
) -> Read:
    """Street lines (STREET_COLUMNS, node_ids None) from a line layer with a name.

    Known fields: name, name_en …, class, oneway, level, form, left_from, left_to, right_from,
    right_to, id. A row of several parts gives one line per part, parts that join end to end one line.
    Keys are `<file>/<id or row>`, further parts `…#2`. A range of 0 or -1 is none; a half-blank range
    has one number; a number that cannot be read is blanked and reported, the street is kept.
    """
    frame, refused = _opened(path, layer, mapping, crs, to_wgs84)
    columns = Columns(frame, mapping)
    values = pd.DataFrame(
        {
            "source_key": _keys(Path(path), columns),
            "name": columns.text("name", needed=True),
            "names": columns.names(),
            "class_": fields.street_classes(columns, refused),
            "oneway": fields.oneways(columns, refused),
            "level": fields.levels(columns, refused),
            "form": fields.chosen(columns, "form", FORMS, "single", refused),
            **_ranges(columns, refused),
            "node_ids": None,
        },
        index=frame.index,
    )
    parts = _line_parts(gpd.GeoDataFrame(values, geometry=frame.geometry.values, crs=WGS84))
    usable, left_out = _usable(parts, ("LineString",))
    flat = usable.set_geometry(shapely.remove_repeated_points(usable.geometry.values))
    empty = shapely.length(flat.geometry.values) == 0.0
    rows = flat.index[empty].tolist()
    left_out += [Refused(int(row), "import.geometry_zero_length") for row in rows]
    return _done(flat[~empty], STREET_COLUMNS), _sorted(refused, left_out)


def read_addresses(
    path: str | Path,
    layer: str | None = None,
    mapping: Mapping = None,
    crs: str | None = None,
    to_wgs84: DatumChange | None = None,
) -> Read:
    """Door plates: street, house_number (as written), community, geometry Point; areas give an inner point.

    A file with one column `address` ("150 Second St", "永胜路12号") instead of the two is taken apart.
    """
    frame, refused = _opened(path, layer, mapping, crs, to_wgs84)
    columns = Columns(frame, mapping)
    _need_points(frame, columns, refused)
    streets, numbers = _streets_and_numbers(columns)
    values = pd.DataFrame(
        {
            "street": streets,
            "house_number": numbers,
            "community": columns.text("community"),
        }
    )
    plates, blank = _filled(values, frame, ("street", "house_number"))
    plates = plates.set_geometry(_as_points(plates))
    plates, left_out = _usable(plates, ("Point",))
    found = _done(plates, ("street", "house_number", "community", "geometry"))
    return found, _sorted(refused, blank + left_out)


def _streets_and_numbers(columns: Columns) -> tuple[Any, Any]:
    """The two columns, or one column `address` taken apart; where it does not read, both are blank."""
    whole = columns.find("address")
    if whole is None or columns.find("street") is not None:
        return columns.text("street", needed=True), columns.text("house_number", needed=True)
    parts = [split_address(cell) for cell in columns.text("address")]
    index = whole.index
    return (
        pd.Series([street for street, _ in parts], index=index, dtype="object"),
        pd.Series([number for _, number in parts], index=index, dtype="object"),
    )


def read_places(
    path: str | Path,
    layer: str | None = None,
    mapping: Mapping = None,
    crs: str | None = None,
    to_wgs84: DatumChange | None = None,
) -> Read:
    """Places: name, names, kind (as written, lower case; "place" where blank), address, geometry Point, Polygon or MultiPolygon.

    Of several points the first is kept, reported as `import.part_largest`. As `_known_again`.
    """
    frame, refused = _opened(path, layer, mapping, crs, to_wgs84)
    columns = Columns(frame, mapping)
    _need_points(frame, columns, refused)
    values = pd.DataFrame(
        {
            "name": columns.text("name", needed=True),
            "names": columns.names(),
            "kind": columns.text("kind").str.lower().fillna("place"),
            "address": columns.text("address"),
        },
        index=frame.index,
    )
    places, blank = _filled(values, frame, ("name",))
    places, repaired = _repaired(places)
    places, reduced = _first_points(places)
    places, left_out = _usable(places, ("Point", "Polygon", "MultiPolygon"))
    found = _known_again(
        places, columns, ("name", "names", "kind", "address", "geometry"), ("kind", "address")
    )
    return found, _sorted(refused, blank + repaired + reduced + left_out)


def read_boundaries(
    path: str | Path,
    layer: str | None = None,
    mapping: Mapping = None,
    crs: str | None = None,
    to_wgs84: DatumChange | None = None,
) -> Read:
    """Boundaries: name, names, level (town, township, community), code, geometry Polygon or MultiPolygon.

    Rows whose level is another word are refused; broken areas are mended and reported. As `_known_again`.
    """
    frame, refused = _opened(path, layer, mapping, crs, to_wgs84)
    columns = Columns(frame, mapping)
    values = pd.DataFrame(
        {
            "name": columns.text("name", needed=True),
            "names": columns.names(),
            "level": columns.text("level", needed=True).str.lower(),
            "code": columns.text("code"),
        },
        index=frame.index,
    )
    areas, blank = _filled(values, frame, ("name", "level"))
    strange = ~areas["level"].isin(BOUNDARY_LEVELS)
    unknown = [
        Refused(int(row), "import.value_unknown", {"field": "level", "value": value})
        for row, value in areas.loc[strange, "level"].items()
    ]
    areas, repaired = _repaired(areas[~strange])
    areas, left_out = _usable(areas, ("Polygon", "MultiPolygon"))
    found = _known_again(areas, columns, ("name", "names", "level", "code", "geometry"), ("code",))
    return found, _sorted(refused, blank + unknown + repaired + left_out)


def read_grids(
    path: str | Path,
    layer: str | None = None,
    mapping: Mapping = None,
    crs: str | None = None,
    to_wgs84: DatumChange | None = None,
) -> Read:
    """Responsibility grids: code, name, segment_id, side (text), geometry.

    With a segment_id column one row per segment and no geometry, or one per side of a segment where a
    `side` (left, right as the line is drawn) is told; otherwise one area per row, or in a file without any area the
    grid's streets as lines.
    """
    frame, refused = _opened(path, layer, mapping, crs, to_wgs84)
    columns = Columns(frame, mapping)
    values = pd.DataFrame(
        {
            "code": columns.text("code", needed=True),
            "name": columns.text("name", needed=True),
            "segment_id": columns.text("segment_id"),
            "side": columns.text("side"),
        }
    )
    by_segment = columns.find("segment_id") is not None
    needed = ("code", "segment_id") if by_segment else ("code",)
    rows, blank = _filled(values, frame, needed)
    names = ("code", "name", "segment_id", "side", "geometry")
    if by_segment:
        listed = rows.set_geometry([None] * len(rows), crs=WGS84)
        return _done(listed, names), _sorted(refused, blank)
    rows, repaired = _repaired(rows)
    drawn = (shapely.get_dimensions(rows.geometry.to_numpy()) == 2).any()
    kinds = ("Polygon", "MultiPolygon") if drawn else ("LineString", "MultiLineString")
    rows, left_out = _usable(rows, kinds)
    return _done(rows, names), _sorted(refused, blank + repaired + left_out)


def _opened(
    path: str | Path,
    layer: str | None,
    mapping: Mapping,
    crs: str | None,
    to_wgs84: DatumChange | None,
) -> Read:
    frame, refused = open_frame(Path(path), layer, crs, to_wgs84, mapping or {})
    return frame.set_geometry(shapely.force_2d(frame.geometry.values)), refused


def _need_points(frame: gpd.GeoDataFrame, columns: Columns, refused: list[Refused]) -> None:
    """BadInput `import.field_missing` for a table without any column of coordinates."""
    if len(frame) and not refused and frame.geometry.isna().all():
        raise BadInput("import.field_missing", field="lon", known=columns.known)


def _keys(path: Path, columns: Columns) -> pd.Series[Any]:
    """`<file>/<id>` where an id field is there, filled and unique, else `<file>/<row>`."""
    stem = path.name.split(".")[0]
    ids = columns.text("id")
    if ids.isna().any() or ids.duplicated().any():
        ids = pd.Series(columns.frame.index.astype(str), index=columns.frame.index)
    return stem + "/" + ids.astype(str)


def _line_parts(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Rows of several parts joined where the parts meet end to end, else one row per part."""
    geometry = np.asarray(streets.geometry.values, dtype=object).copy()
    several = (shapely.get_type_id(geometry) == 5) & ~shapely.is_empty(geometry)
    geometry[several] = shapely.line_merge(geometry[several])
    several = (shapely.get_type_id(geometry) == 5) & ~shapely.is_empty(geometry)
    count = np.where(several, shapely.get_num_geometries(geometry), 1)
    row = np.repeat(np.arange(len(geometry)), count)
    part = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    split = geometry[row]
    split[several[row]] = shapely.get_parts(geometry[several])
    parts = streets.iloc[row].set_geometry(gpd.GeoSeries(split, streets.index[row], crs=WGS84))
    suffix = np.where(part > 0, [f"#{number + 1}" for number in part], "")
    return parts.assign(source_key=parts["source_key"] + suffix)


def _ranges(columns: Columns, refused: list[Refused]) -> dict[str, pd.Series[Any]]:
    ends = {
        field: pd.Series(fields.house_range(columns, field, refused), index=columns.frame.index)
        for field in RANGE_COLUMNS
    }
    for low, high in (RANGE_COLUMNS[:2], RANGE_COLUMNS[2:]):
        ends[low], ends[high] = ends[low].fillna(ends[high]), ends[high].fillna(ends[low])
    return ends


def _filled(values: pd.DataFrame, frame: gpd.GeoDataFrame, needed: tuple[str, ...]) -> Read:
    """The rows in which every needed field is filled; the others refused `import.value_missing`."""
    refused = []
    blank = pd.Series(False, index=values.index)
    for field in needed:
        rows = values.index[values[field].isna() & ~blank].tolist()
        refused += [Refused(int(row), "import.value_missing", {"field": field}) for row in rows]
        blank |= values[field].isna()
    whole = gpd.GeoDataFrame(values, geometry=frame.geometry.values, crs=WGS84)
    return whole[~blank], refused


def _usable(frame: gpd.GeoDataFrame, types: tuple[str, ...]) -> Read:
    """Rows with a geometry of one of the types inside lon ±180, lat ±90; the others refused."""
    geometry = np.asarray(frame.geometry.values, dtype=object)
    empty = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    kind = frame.geom_type.to_numpy()
    wrong = ~empty & ~np.isin(kind.astype(object), types)
    box = shapely.bounds(geometry)
    inside = (box[:, 0] >= -180) & (box[:, 2] <= 180) & (box[:, 1] >= -90) & (box[:, 3] <= 90)
    coordinates_ok = inside & np.isfinite(box).all(axis=1) & _finite(geometry)
    outside = ~empty & ~wrong & ~coordinates_ok
    refused = [Refused(int(row), "import.geometry_empty") for row in frame.index[empty].tolist()]
    for at in np.flatnonzero(wrong):
        found: dict[str, object] = {"found": str(kind[at]), "wanted": " ".join(types)}
        refused.append(Refused(int(frame.index[at]), "import.geometry_type", found))
    for at in np.flatnonzero(outside):
        corner: dict[str, object] = {"lon": float(box[at, 0]), "lat": float(box[at, 1])}
        refused.append(Refused(int(frame.index[at]), "import.out_of_range", corner))
    return frame[~(empty | wrong | outside)], refused


def _finite(geometry: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    finite = np.ones(len(geometry), dtype=bool)
    finite[owner[~np.isfinite(xy).all(axis=1)]] = False
    return finite


def _repaired(frame: gpd.GeoDataFrame) -> Read:
    """Invalid areas mended by make_valid, of which the areas are kept; reported with the reason."""
    geometry = np.asarray(frame.geometry.values, dtype=object).copy()
    is_area = np.isin(shapely.get_type_id(geometry), (3, 6))
    broken = np.flatnonzero(is_area & ~shapely.is_valid(geometry))
    reasons = shapely.is_valid_reason(geometry[broken])
    refused = []
    for at, reason in zip(broken, reasons, strict=True):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(geometry[at])))
        areas = parts[shapely.get_type_id(parts) == 3]
        geometry[at] = areas[0] if len(areas) == 1 else shapely.multipolygons(areas)
        row = int(frame.index[at])
        refused.append(Refused(row, "import.geometry_repaired", {"why": str(reason)}, kept=True))
    return frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=WGS84)), refused


def _first_points(frame: gpd.GeoDataFrame) -> Read:
    geometry = np.asarray(frame.geometry.values, dtype=object).copy()
    refused = []
    for at in np.flatnonzero(shapely.get_type_id(geometry) == 4):
        parts = shapely.get_parts(geometry[at])
        if not len(parts):
            continue
        geometry[at] = parts[0]
        if len(parts) > 1:
            row = int(frame.index[at])
            refused.append(Refused(row, "import.part_largest", {"parts": len(parts)}, kept=True))
    return frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=WGS84)), refused


def _known_again(
    frame: gpd.GeoDataFrame, columns: Columns, names: tuple[str, ...], fields: tuple[str, ...]
) -> gpd.GeoDataFrame:
    """The frame done, with `source_key` where the file has a field `source` (as exported), and in `attrs` under
    ABSENT which of `fields` it has no column for: what is there already keeps those.
    """
    if columns.find("source") is not None:
        frame = frame.assign(source_key=columns.text("source").reindex(frame.index))
        names = (*names, "source_key")
    found = _done(frame, names)
    found.attrs[ABSENT] = frozenset(name for name in fields if columns.find(name) is None)
    return found


def _as_points(frame: gpd.GeoDataFrame) -> gpd.GeoSeries:
    geometry = np.asarray(frame.geometry.values, dtype=object).copy()
    area = np.isin(shapely.get_type_id(geometry), (3, 6)) & ~shapely.is_empty(geometry)
    geometry[area] = shapely.point_on_surface(geometry[area])
    single = (shapely.get_type_id(geometry) == 4) & (shapely.get_num_geometries(geometry) == 1)
    geometry[single] = shapely.get_geometry(geometry[single], 0)
    return gpd.GeoSeries(geometry, index=frame.index, crs=WGS84)


def _done(frame: gpd.GeoDataFrame, columns: tuple[str, ...]) -> gpd.GeoDataFrame:
    return frame[list(columns)].reset_index(drop=True)


def _sorted(refused: list[Refused], more: list[Refused]) -> list[Refused]:
    """Both lists in the order of the file."""
    return sorted([*refused, *more], key=lambda one: int(one.row))
