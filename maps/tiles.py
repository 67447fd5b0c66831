"""Vector tiles (MVT) of web maps: of a layer's view with every filter, and fast ones of the tables themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import psycopg
from psycopg import sql

from maps.export_filters import Box, Wanted, reading
from maps.features import Turn, page_query, run
from maps.layers import LAYERS, Layer

DEEPEST_ZOOM = 22
EXTENT = 4096
# Beyond a tile's edge, in its own units: wide lines and marks are not cut at it.
BUFFER = 64
MOST_FEATURES = 10_000
_HALF_M = math.pi * 6378137.0


class Tile(NamedTuple):
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
    connection: psycopg.Connection, layer: Layer, tile: Tile, wanted: Wanted, turn: Turn
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
    connection: psycopg.Connection, name: str, query: sql.Composable, key: str | None = "id"
) -> bytes:
    """Rows with a `geom` of tile units as one layer, `key` the number of a feature; nothing for no rows."""
    whole = sql.SQL("select st_asmvt(t, {}, {}, 'geom', {}) from ({}) t").format(
        sql.Literal(name), sql.Literal(EXTENT), sql.Literal(key), query
    )
    return bytes(run(connection, whole, binary=True)[0][0] or b"")


# ---- the tables' own tiles -------------------------------------------------------------------

# From which zoom on a class of street is drawn.
_CLASS_FROM = {9: ("trunk", "primary"), 11: ("trunk", "primary", "secondary", "tertiary")}
# Below this zoom, incidents are counted by squares of a tile instead of drawn one by one.
SINGLE_FROM = 14
SQUARES = 64
# From which zoom on lines keep every bend.
SHARP_FROM = 13
# In how many seconds lines must be drawn anew (null: not at all, below 0: first of all), and the newest change that was.
NEWEST = (
    "select case when p.first <= statement_timestamp() then -1 when p.first < 'infinity'"
    " then extract(epoch from p.first - statement_timestamp())::float8 end as due_s,"
    " coalesce((select max(number) from public.tile_change), 0) as newest"
    " from (select min(effective_at) as first from public.tile_pending) p"
)
_SQUARE = "st_makeenvelope($1, $2, $3, $4, 3857)"
_AROUND = "st_makeenvelope($5, $6, $7, $8, 3857)"
_SHAPE = f"st_asmvtgeom({{}}, {_SQUARE}, {EXTENT}, {BUFFER}, true) as geom"
# In a steady order, so that a tile drawn again is the same to the last byte.
_LINE_TILES = {
    "segments": (
        f"select st_asmvt(t, 'segments', {EXTENT}, 'geom', 'id') from (select segment_id as id, street, class,"  # noqa: S608 (fixed words)
        f" grid_left, grid_right, {_SHAPE.format('{line}')} from tile_line where geom && {_AROUND}{{only}}"
        " order by segment_id) t"
    ),
    "grids": (
        f"select st_asmvt(t, 'grids', {EXTENT}, 'geom') from (select code, {_SHAPE.format('g.geom')} from ("  # noqa: S608 (fixed words)
        "select code, st_collect({line} order by segment_id) as geom from (select segment_id, geom,"
        " unnest(array[grid_left, nullif(grid_right, grid_left)]) as code"
        f" from tile_line where geom && {_AROUND}{{only}}) h where code is not null group by code"
        ") g order by code) t"
    ),
}  # fmt: skip
# How exact lines are, and which: on small scales they lose bends below $9, and only the larger streets ($10) are drawn.
_EXACT = {
    "sharp": {"line": "geom", "only": ""},
    "plain": {"line": "st_simplify(geom, $9, true)", "only": ""},
    "large": {"line": "st_simplify(geom, $9, true)", "only": " and class = any($10)"},
}
_CHANGED = "changed"
# Each gives one value; by the names that `line_question` and `change_question` give.
LINE_STATEMENTS = {
    _CHANGED: "select 1 where exists (select from tile_change where number > $1"
    " and box && st_makeenvelope($2, $3, $4, $5, 3857))",
    **{
        f"{layer} {exact}": words.format(**how)
        for layer, words in _LINE_TILES.items()
        for exact, how in _EXACT.items()
    },
}
Question = tuple[str, list[object]]


def newest_change(connection: psycopg.Connection) -> int | None:
    """The number of the newest change of lines; None while lines must be drawn anew first (grid/tile_lines.py)."""
    row = connection.execute(NEWEST, prepare=True, binary=True).fetchone()
    due_s, number = row or (-1.0, 0)
    return None if due_s is not None and due_s <= 0 else int(number)


def change_question(tile: Tile, newest: int) -> Question:
    """Name and values of the statement that has a value when a line within a tile was drawn anew after the change of a number."""
    return _CHANGED, [newest, *_around(tile)]


def line_question(layer: str, tile: Tile) -> Question:
    """Name and values of the statement that draws `segments` (id, street, class, grid_left, grid_right) or `grids` (code)."""
    values: list[object] = [*tile.square(), *_around(tile)]
    if tile.z >= SHARP_FROM:
        return f"{layer} sharp", values
    # Half a pixel of a tile drawn at 512.
    values.append(_unit_m(tile) * 4)
    classes = next((kinds for zoom, kinds in _CLASS_FROM.items() if tile.z <= zoom), None)
    if classes is None:
        return f"{layer} plain", values
    return f"{layer} large", [*values, f"{{{','.join(classes)}}}"]


def ground_mark(connection: psycopg.Connection, tile: Tile) -> str:
    """What the tile of the grids' ground depends on, short."""
    # The ground of a grid is written anew, as a row of a later transaction, only where it has changed.
    query = sql.SQL(
        "select coalesce(md5(string_agg(concat_ws(',', t.grid_id, t.xmin, g.code, g.name), ';' order by t.grid_id)), '')"
        " from territory t join grid g on g.id = t.grid_id"
        " join kept_territory k on k.holds @> statement_timestamp() where t.area && {}"
    ).format(_degrees_around(tile))
    return str(run(connection, query)[0][0])


def make_tile(
    connection: psycopg.Connection, layer: str, tile: Tile, wanted: Wanted | None = None
) -> bytes:
    """A tile of `territories` (id, code, name) or `incidents`; `wanted` bounds these.

    Below zoom SINGLE_FROM incidents are squares with `incidents` and `overdue`.
    """
    query = _incidents(tile, wanted or Wanted()) if layer == "incidents" else _territories(tile)
    return _encoded(connection, layer, query)


def _around(tile: Tile) -> Box:
    """The tile with its buffer, in EPSG:3857."""
    west, south, east, north = tile.square()
    more = (east - west) * BUFFER / EXTENT
    return west - more, south - more, east + more, north + more


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
