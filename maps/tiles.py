"""Vector tiles (MVT) of web maps: of a layer's view with every filter, and fast ones of ground and incidents.

Streets are drawn in memory (maps/line_tiles.py).
"""

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

# Below this zoom, incidents are counted by squares of a tile instead of drawn one by one.
SINGLE_FROM = 14
SQUARES = 64


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


def _degrees_around(tile: Tile) -> sql.Composable:
    """The tile with its buffer, in EPSG:4326."""
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
