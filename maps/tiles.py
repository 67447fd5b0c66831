"""Vector tiles (MVT) of web maps: of a layer's view with every filter, and fast ones of the tables themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from psycopg import sql
from sqlalchemy import Connection

from maps.export_filters import Box, Wanted, reading
from maps.features import Turn, page_query, run
from maps.layers import LAYERS, Layer

DEEPEST_ZOOM = 22
EXTENT = 4096
# Beyond a tile's edge, in its own units: wide lines and marks are not cut at it.
BUFFER = 64
MOST_FEATURES = 10_000
_HALF_M = math.pi * 6378137.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of the web map's matrix: zoom, column from the west, row from the north."""

    z: int
    x: int
    y: int

    def square(self) -> Box:
        """West, south, east, north in EPSG:3857."""
        side = 2 * _HALF_M / 2**self.z
        west, north = self.x * side - _HALF_M, _HALF_M - self.y * side
        return west, north - side, west + side, north

    def box(self) -> Box:
        """West, south, east, north in degrees, with the buffer."""
        west, south, east, north = self.square()
        more = (east - west) * BUFFER / EXTENT
        return (
            max(_degrees(west - more), -180.0),
            _latitude(south - more),
            min(_degrees(east + more), 180.0),
            _latitude(north + more),
        )

    def envelope(self) -> sql.Composable:
        """The square for PostGIS."""
        edges = sql.SQL(", ").join(sql.Literal(edge) for edge in self.square())
        return sql.SQL("st_makeenvelope({}, 3857)").format(edges)


def web_mercator(lon: float, lat: float) -> tuple[float, float]:
    """A point in EPSG:3857, metres."""
    return lon / 180.0 * _HALF_M, math.asinh(math.tan(math.radians(lat))) / math.pi * _HALF_M


def _degrees(x_m: float) -> float:
    return x_m / _HALF_M * 180.0


def _latitude(y_m: float) -> float:
    return math.degrees(math.atan(math.sinh(y_m / _HALF_M * math.pi)))


def layer_tile(
    connection: Connection, layer: Layer, tile: Tile, wanted: Wanted, turn: Turn
) -> bytes:
    """A tile of a layer's view under the filters: every column, at most MOST_FEATURES. Raises as `read_page`."""
    box = tile.box()
    if wanted.bbox is not None:
        west, south, east, north = wanted.bbox
        box = (max(box[0], west), max(box[1], south), min(box[2], east), min(box[3], north))
        if box[0] > box[2] or box[1] > box[3]:
            return b""
    geometry = sql.SQL("st_asmvtgeom(st_transform(i.geom, 3857), {}, {}, {}, true) as geom").format(
        tile.envelope(), sql.Literal(EXTENT), sql.Literal(BUFFER)
    )
    asked = replace(turn, limit=min(turn.limit, MOST_FEATURES), geometry=geometry.as_string(None))
    _, query = page_query(connection, layer, replace(wanted, bbox=box), asked)
    return _encoded(connection, layer.name, query)


def _encoded(
    connection: Connection, name: str, query: sql.Composable, key: str | None = "id"
) -> bytes:
    """Rows with a `geom` of tile units as one layer, `key` the number of a feature; nothing for no rows."""
    whole = sql.SQL("select st_asmvt(t, {}, {}, 'geom', {}) from ({}) t").format(
        sql.Literal(name), sql.Literal(EXTENT), sql.Literal(key), query
    )
    # Geometry functions are priced so high that compiling and workers seem to pay; for a tile they never do.
    run(connection, sql.SQL("set local jit = off; set local max_parallel_workers_per_gather = 0"))
    return bytes(run(connection, whole)[0][0] or b"")


# ---- the tables' own tiles -------------------------------------------------------------------

# From which zoom on a class of street is drawn.
_CLASS_FROM = {9: ("trunk", "primary"), 11: ("trunk", "primary", "secondary", "tertiary")}
# Below this zoom, incidents are counted by squares of a tile instead of drawn one by one.
SINGLE_FROM = 14
SQUARES = 64
TILE_LAYERS = ("segments", "grids", "territories", "incidents")


def tile_mark(connection: Connection, layer: str, tile: Tile) -> str | None:
    """What a tile's content depends on, short; None while lines must be drawn anew first (grid/tile_lines.py).

    Incidents have none: they change with every report and differ from reader to reader.
    """
    if layer == "territories":
        # The ground of a grid is written anew, as a row of a later transaction, only where it has changed.
        query = sql.SQL(
            "select coalesce(md5(string_agg(concat_ws(',', t.grid_id, t.xmin, g.code, g.name), ';' order by t.grid_id)), '')"
            " from territory t join grid g on g.id = t.grid_id"
            " join kept_territory k on k.holds @> statement_timestamp() where t.area && {}"
        ).format(_degrees_around(tile))
        return str(run(connection, query)[0][0])
    query = sql.SQL(
        "select exists (select from tile_pending where effective_at <= statement_timestamp()),"
        " (select max(number) from tile_change where box && {})"
    ).format(_around(tile))
    pending, number = run(connection, query)[0]
    return None if pending else str(number or 0)


def make_tile(
    connection: Connection, layer: str, tile: Tile, wanted: Wanted | None = None
) -> bytes:
    """A tile of `segments` (id, street, class, grid_left, grid_right), `grids` (code), `territories` (id, code, name)
    or `incidents`; `wanted` bounds these. Below zoom SINGLE_FROM incidents are squares with `incidents` and `overdue`.
    """
    makers = {"segments": _segments, "grids": _grids, "territories": _territories}
    query = _incidents(tile, wanted or Wanted()) if layer == "incidents" else makers[layer](tile)
    return _encoded(connection, layer, query, None if layer == "grids" else "id")


def _around(tile: Tile) -> sql.Composable:
    """The tile with its buffer, in EPSG:3857."""
    west, south, east, north = tile.square()
    more = (east - west) * BUFFER / EXTENT
    edges = (west - more, south - more, east + more, north + more)
    return sql.SQL("st_makeenvelope({}, 3857)").format(
        sql.SQL(", ").join(sql.Literal(edge) for edge in edges)
    )


def _degrees_around(tile: Tile) -> sql.Composable:
    """The same in EPSG:4326."""
    edges = sql.SQL(", ").join(sql.Literal(edge) for edge in tile.box())
    return sql.SQL("st_makeenvelope({}, 4326)").format(edges)


def _unit_m(tile: Tile) -> float:
    west, _, east, _ = tile.square()
    return (east - west) / EXTENT


def _geometry(tile: Tile, expression: sql.Composable) -> sql.Composable:
    return sql.SQL("st_asmvtgeom({}, {}, {}, {}, true) as geom").format(
        expression, tile.envelope(), sql.Literal(EXTENT), sql.Literal(BUFFER)
    )


def _drawn(tile: Tile) -> sql.Composable:
    """Lines of a tile; on small scales only those of larger streets, without bends nobody sees."""
    classes = next((kinds for zoom, kinds in _CLASS_FROM.items() if tile.z <= zoom), None)
    clause: sql.Composable = sql.SQL("")
    if classes:
        clause = sql.SQL(" and class = any({}::text[])").format(sql.Literal(list(classes)))
    # In a steady order, so that a tile drawn again is the same to the last byte.
    return sql.SQL("from tile_line where geom && {}{} order by segment_id").format(
        _around(tile), clause
    )


def _line(tile: Tile) -> sql.Composable:
    if tile.z >= 13:
        return sql.SQL("geom")
    # Half a pixel of a tile drawn at 512.
    return sql.SQL("st_simplify(geom, {}, true)").format(sql.Literal(_unit_m(tile) * 4))


def _segments(tile: Tile) -> sql.Composable:
    return sql.SQL("select segment_id as id, street, class, grid_left, grid_right, {} {}").format(
        _geometry(tile, _line(tile)), _drawn(tile)
    )


def _grids(tile: Tile) -> sql.Composable:
    held = sql.SQL(
        "select code, st_collect({}) as geom from (select geom, unnest(array[grid_left, nullif(grid_right, grid_left)]) as code"
        " {}) h where code is not null group by code"
    ).format(_line(tile), _drawn(tile))
    return sql.SQL("select code, {} from ({}) g order by code").format(
        _geometry(tile, sql.SQL("g.geom")), held
    )


def _territories(tile: Tile) -> sql.Composable:
    area: sql.Composable = sql.SQL("st_transform(t.area, 3857)")
    if tile.z < 16:
        area = sql.SQL("st_simplify({}, {}, true)").format(area, sql.Literal(_unit_m(tile) * 2))
    return sql.SQL(
        "select g.id, g.code, g.name, {} from territory t join grid g on g.id = t.grid_id"
        " join kept_territory k on k.holds @> statement_timestamp()"
        " where t.area && {} order by g.id"
    ).format(_geometry(tile, area), _degrees_around(tile))


def _incidents(tile: Tile, wanted: Wanted) -> sql.Composable:
    columns = ("id", "number", "status", "queue", "category", "overdue", "due_at", "grid_code")
    bounded = replace(wanted, bbox=tile.box(), columns=columns, with_names=False)
    if tile.z >= SINGLE_FROM:
        shape = _geometry(tile, sql.SQL("st_transform(i.geom, 3857)")).as_string(None)
        query = reading(LAYERS["incidents"], bounded, shape, plain=True).query
        return sql.SQL("select * from ({}) q order by id limit {}").format(
            query, sql.Literal(MOST_FEATURES)
        )
    bounded = replace(bounded, columns=("id", "overdue"))
    inside = reading(LAYERS["incidents"], bounded, "st_transform(i.geom, 3857) as geom").query
    west, south, east, _ = tile.square()
    side = (east - west) / SQUARES
    return sql.SQL(
        "select min(id) as id, count(*) as incidents, count(*) filter (where overdue) as overdue,"
        " {} from ({}) q group by floor((st_x(geom) - {w}) / {s}), floor((st_y(geom) - {b}) / {s})"
    ).format(
        _geometry(tile, sql.SQL("st_centroid(st_collect(geom))")), inside,
        w=sql.Literal(west), b=sql.Literal(south), s=sql.Literal(side),
    )  # fmt: skip
