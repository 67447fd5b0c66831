"""Standard unit cells: fixed pieces of ground of about 100 m by 100 m inside each community, made or imported.

Code of 15 digits: 6 of the division, 3 of the township, 3 of the community, 3 serial, which runs west to east
and then north to south inside a community (domain 1.2). A point on a border belongs to the lower code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows, ewkb
from grid.core.crs import geometries_from_plane, geometries_to_plane
from grid.core.database import ask
from grid.core.errors import BadInput, Conflict
from grid.loading.staff_list import RefusedRow
from grid.town import lock_ground, town_facts

SIZE_M = 100.0
# A clipped piece smaller than this share of a whole cell is joined to a neighbour.
SLIVER_SHARE = 0.25
MOST_SERIALS = 999
# Where the boundaries carry no codes: no division, and townships and communities in the order of their names.
NO_DIVISION, NO_TOWNSHIP = "000000", "000"


@dataclass(frozen=True, slots=True)
class CellsMade:
    """How many cells were made, in how many communities, and in how many of them wider than asked."""

    cells: int
    communities: int
    widened: int = 0


# The cell of a point by the SQL of its longitude and latitude.
CELL_AT = """
    select code from cell
    where st_intersects(area, st_setsrid(st_makepoint({lon}, {lat}), 4326))
    order by code limit 1
"""
_CELL = CELL_AT.format(lon="%s::float8", lat="%s::float8")


def make_cells(session: Session, size_m: float = SIZE_M, *, widen: bool = False) -> CellsMade:
    """Cuts every community into cells and puts them in place of the present ones.

    With `widen`, cells of a community with more than 999 (fields, hills) are twice as wide, or twice again: the
    code has three digits for them. Raises Conflict `cells.no_communities`; BadInput `cells.size_bad`, `cells.too_many` (more than 999 in one
    community: the cells are too small).
    """
    if not 10 <= size_m <= 2000:
        raise BadInput("cells.size_bad", field="size", size=size_m)
    lock_ground(session)
    epsg = town_facts(session).plane_epsg
    communities = _communities(session)
    if not communities:
        raise Conflict("cells.no_communities")
    rows: list[tuple[str, str, str | None]] = []
    widened = 0
    for name, prefix, area in communities:
        plane = geometries_to_plane(np.array([area], dtype=object), epsg)[0]
        wide_m = size_m
        while widen and plane.area > MOST_SERIALS * wide_m * wide_m:
            wide_m *= 2
        pieces = cut(plane, wide_m)
        while widen and len(pieces) > MOST_SERIALS:
            wide_m *= 2
            pieces = cut(plane, wide_m)
        widened += wide_m > size_m
        if len(pieces) > MOST_SERIALS:
            raise BadInput("cells.too_many", field="size", community=name, count=len(pieces))
        lonlat = geometries_from_plane(np.array(pieces, dtype=object), epsg)
        for serial, piece in enumerate(lonlat, start=1):
            rows.append((f"{prefix}{serial:03d}", name, ewkb(_multi(piece))))
    _replace(session, rows)
    return CellsMade(len(rows), len(communities), widened)


def cut(area: shapely.Geometry, size_m: float = SIZE_M) -> list[shapely.Geometry]:
    """An area (plane, metres) in cells, in the order of their serials: rows from the north, each from the west.

    The lattice is that of the whole plane (multiples of `size_m`), so cells of neighbours line up. Slivers are
    joined to the neighbour with which they share the longest border; together the cells are the area again.
    """
    if shapely.is_empty(area):
        return []
    west, south, east, north = shapely.bounds(area)
    columns = np.arange(np.floor(west / size_m), np.ceil(east / size_m))
    lines = np.arange(np.floor(south / size_m), np.ceil(north / size_m))
    column, line = (a.ravel() for a in np.meshgrid(columns, lines))
    x, y = column * size_m, line * size_m
    pieces: list[shapely.Geometry] = []
    for part in shapely.get_parts(
        shapely.intersection(shapely.box(x, y, x + size_m, y + size_m), area)
    ):
        pieces += [p for p in shapely.get_parts(part) if p.geom_type == "Polygon" and p.area > 0]
    if not pieces:
        return []
    joined = _without_slivers(pieces, SLIVER_SHARE * size_m * size_m)

    def place(piece: shapely.Geometry) -> tuple[float, float, float]:
        middle = shapely.centroid(piece)
        return -np.floor(middle.y / size_m), float(middle.x), -float(middle.y)

    return sorted(joined, key=place)


def load_cells(session: Session, cells: gpd.GeoDataFrame) -> tuple[int, list[RefusedRow]]:
    """Takes cells (code, geometry EPSG:4326) in place of the present ones; how many, and the refused rows.

    A code may have any length (local systems use 12, 15 or 16 digits). Refuses `cells.code_twice`.
    """
    lock_ground(session)
    seen: set[str] = set()
    refused: list[RefusedRow] = []
    rows: list[tuple[str, str, str | None]] = []
    for number, (code, shape) in enumerate(zip(cells["code"], cells.geometry, strict=True), 2):
        if str(code) in seen:
            refused.append(RefusedRow(number, "cells.code_twice", {"cell": str(code)}))
            continue
        if shapely.get_dimensions(shape) != 2:
            wrong = {"found": shape.geom_type, "wanted": "Polygon MultiPolygon"}
            refused.append(RefusedRow(number, "import.geometry_type", wrong))
            continue
        seen.add(str(code))
        rows.append((str(code), "", ewkb(_multi(shape))))
    _replace(session, rows)
    session.execute(
        text(
            "update cell set community = (select b.name from boundary b where b.level = 'community'"
            " and st_intersects(b.area, st_pointonsurface(cell.area)) order by b.id limit 1)"
        )
    )
    return len(rows), refused


def cell_at(session: Session, lon: float | None, lat: float | None) -> str | None:
    """The code of the cell that a point (EPSG:4326) lies in; None outside all of them."""
    if lon is None or lat is None:
        return None
    rows = ask(session, _CELL, [float(lon), float(lat)])
    return None if not rows else str(rows[0][0])


def _replace(session: Session, rows: Sequence[tuple[str, str, str | None]]) -> None:
    session.execute(text("delete from cell"))
    copy_rows(session, "cell", ("code", "community", "area"), rows)
    session.execute(text("analyze cell"))


def _communities(session: Session) -> list[tuple[str, str, shapely.Geometry]]:
    """Name, the first 12 digits of its cells, and area of each community."""
    rows = session.execute(
        text(
            "select c.name, c.code, t.name as township, t.code as township_code,"
            " (select b.code from boundary b where b.level = 'town' order by b.id limit 1) as town_code,"
            " st_asbinary(c.area) as area from boundary c left join lateral ("
            " select b.name, b.code from boundary b where b.level = 'township'"
            " and st_intersects(b.area, st_pointonsurface(c.area)) order by b.id limit 1) t on true"
            " where c.level = 'community' order by t.name nulls first, c.name"
        )
    ).all()
    townships = sorted({row.township for row in rows if row.township})
    taken = {row.code for row in rows if _digits(row.code, 12)}
    found = []
    serials: dict[str, int] = {}
    for row in rows:
        if _digits(row.code, 12):
            prefix = row.code
        else:
            division = row.town_code if _digits(row.town_code, 6) else NO_DIVISION
            own = NO_TOWNSHIP if not row.township else f"{townships.index(row.township) + 1:03d}"
            township = row.township_code if _digits(row.township_code, 9) else f"{division}{own}"
            while True:
                serials[township] = serials.get(township, 0) + 1
                prefix = f"{township}{serials[township]:03d}"
                if prefix not in taken:
                    break
        found.append((row.name, prefix, shapely.from_wkb(bytes(row.area))))
    return found


def _digits(code: str | None, count: int) -> bool:
    return code is not None and len(code) == count and code.isascii() and code.isdigit()


def _without_slivers(pieces: list[shapely.Geometry], least_m2: float) -> list[shapely.Geometry]:
    """The smallest first: each sliver goes to its best neighbour until none is left or it has no neighbour."""
    alive = dict(enumerate(pieces))
    tree = shapely.STRtree(pieces)
    pairs = tree.query(pieces, predicate="intersects")
    near: dict[int, set[int]] = {i: set() for i in alive}
    for a, b in zip(*pairs.tolist(), strict=True):
        if a != b:
            near[a].add(b)
    small = {i for i, piece in alive.items() if piece.area < least_m2}
    while small:
        sliver = min(small, key=lambda i: (alive[i].area, i))
        small.discard(sliver)
        borders = {
            i: float(shapely.length(shapely.intersection(alive[sliver], alive[i])))
            for i in near[sliver]
        }
        best = max(borders, key=lambda i: (borders[i], -i), default=None)
        if best is None or borders[best] <= 0:
            continue
        alive[best] = shapely.union(alive[best], alive[sliver])
        near[best] |= near[sliver] - {best}
        for i in near.pop(sliver):
            near[i].discard(sliver)
            if i != best:
                near[i].add(best)
        del alive[sliver]
        if alive[best].area >= least_m2:
            small.discard(best)
    return list(alive.values())


def _multi(shape: shapely.Geometry) -> shapely.Geometry:
    return shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])
