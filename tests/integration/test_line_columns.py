"""The lines of tiles in memory: drawn as PostGIS draws them, and after any change as if they were read anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import psycopg
import pytest
import shapely
from sqlalchemy import text

from api.layers import keep_tile_lines_now
from api.services import Services
from grid.core.connections import Connections, reading_conninfo
from grid.tile_columns import COLUMNS, LineColumns, read_line_columns
from maps.kept_lines import KeptLines
from maps.line_tiles import LAYERS, draw_lines, rows_of
from maps.tiles import BUFFER, EXTENT, Tile

POSTGIS = (
    "select st_asmvt(t, 'segments', 4096, 'geom', 'id') from (select segment_id as id, street, class, grid_left,"
    " grid_right, st_asmvtgeom(geom, st_makeenvelope(%(w)s, %(s)s, %(e)s, %(n)s, 3857), 4096, 64, true) as geom"
    " from tile_line) t"
)


@pytest.fixture
def reading(town_services: Services) -> Iterator[psycopg.Connection]:
    keep_tile_lines_now(town_services.engine, datetime.now(UTC))
    conninfo = reading_conninfo(town_services.settings.database)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def middle(lines: LineColumns, z: int) -> Tile:
    """The tile of the first vertex of the middle line."""
    x_m, y_m = lines.coords[lines.starts[len(lines.ids) // 2]]
    world = Tile(0, 0, 0).square()
    side = (world[2] - world[0]) / 2**z
    return Tile(z, int((x_m - world[0]) / side), int((world[3] - y_m) / side))


def read(folder: Path, tile: Tile, body: bytes) -> gpd.GeoDataFrame:
    file = folder / str(tile.z) / str(tile.x) / f"{tile.y}.pbf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return gpd.read_file(f"MVT:{file}", CLIP="NO").set_index("mvt_id").sort_index()


@pytest.mark.parametrize("z", [13, 14, 15, 16, 18])
def test_a_tile_is_as_postgis_draws_it(reading: psycopg.Connection, tmp_path: Path, z: int) -> None:
    lines = read_line_columns(reading)
    tile = middle(lines, z)
    west, south, east, north = tile.square()
    row = reading.execute(POSTGIS, {"w": west, "s": south, "e": east, "n": north}, binary=True).fetchone()  # fmt: skip
    theirs = read(tmp_path / "theirs", tile, row[0] if row else b"")
    ours = read(tmp_path / "ours", tile, draw_lines(lines, "segments", tile, rows_of(lines, tile)))
    unit_m = (east - west) / EXTENT
    # PostGIS rounds before it cuts at the buffer's edge, we after it: what lies there may differ by a unit.
    square = shapely.buffer(shapely.box(west, south, east, north), (BUFFER - 2) * unit_m, join_style="mitre")  # fmt: skip
    theirs, ours = (one[one.geometry.intersects(square)] for one in (theirs, ours))
    assert len(ours) > 0
    assert list(ours.index) == list(theirs.index)
    for name in COLUMNS:
        assert ours[name].fillna("").tolist() == theirs[name].fillna("").tolist()
    for one, other in ((ours, theirs), (theirs, ours)):
        seen = shapely.intersection(one.geometry.values, square)
        near = shapely.buffer(other.geometry.values, 1.5 * unit_m)
        assert shapely.length(shapely.difference(seen, near)).max() == 0


def told(lines: LineColumns) -> list[object]:
    """All that two readings of the same lines must share; words may have other numbers."""
    words = [[lines.words[word] if word >= 0 else None for word in row] for row in lines.wording]
    arrays = (lines.ids, lines.coords, lines.starts, lines.boxes, lines.blocks)
    return [lines.newest, words, *(one.tolist() for one in arrays)]


CHANGES = (
    "update street set name = '改名大街' where id = (select street_id from segment where id = (select min(id) from segment))",
    "update segment set gone_at = now() where id in (select id from segment order by id limit 3)",
    "update segment set line = st_translate(line, 0.004, 0.001) where id = (select max(id) from segment)",
    "update segment set gone_at = null",
    "update grid set code = code || 'x' where id = (select min(grid_id) from grid_segment)",
    # So many that everything is drawn anew.
    "insert into tile_pending (segment_id, effective_at) values (null, '-infinity')",
)


def test_lines_brought_up_to_date_are_those_read_anew(
    town_services: Services, reading: psycopg.Connection
) -> None:
    lines = read_line_columns(reading)
    assert read_line_columns(reading, lines) is lines
    for change in CHANGES:
        before = lines
        with town_services.engine.begin() as connection:
            connection.execute(text(change))
        keep_tile_lines_now(town_services.engine, datetime.now(UTC))
        lines = read_line_columns(reading, before)
        fresh = read_line_columns(reading)
        assert lines.newest > before.newest
        assert told(lines) == told(fresh)
        for layer in LAYERS:
            for z in (11, 14, 17):
                tile = middle(fresh, z)
                assert draw_lines(lines, layer, tile, rows_of(lines, tile)) == draw_lines(
                    fresh, layer, tile, rows_of(fresh, tile)
                )


def test_only_what_lies_near_a_change_is_told_changed(
    town_services: Services, reading: psycopg.Connection
) -> None:
    before = read_line_columns(reading)
    first, last = (tuple(before.boxes[row].tolist()) for row in (0, len(before.ids) - 1))
    with town_services.engine.begin() as connection:
        connection.execute(text("update segment set class = 'trunk' where id = :id"), {"id": int(before.ids[0])})  # fmt: skip
    keep_tile_lines_now(town_services.engine, datetime.now(UTC))
    lines = read_line_columns(reading, before)
    assert lines.changes.within(first, before.newest)
    assert not lines.changes.within(last, before.newest)
    assert not lines.changes.within(first, lines.newest)


def test_kept_lines_are_read_again_only_for_something_newer(town_services: Services) -> None:
    keep_tile_lines_now(town_services.engine, datetime.now(UTC))
    connections = Connections(reading_conninfo(town_services.settings.database), 1)
    kept = KeptLines(connections)
    lines = kept.as_new_as(0)
    assert kept.as_new_as(lines.newest) is kept.now is lines
    with town_services.engine.begin() as connection:
        connection.execute(text("update segment set class = 'service' where id = (select max(id) from segment)"))  # fmt: skip
    keep_tile_lines_now(town_services.engine, datetime.now(UTC))
    assert kept.as_new_as(lines.newest) is lines
    assert kept.as_new_as(lines.newest + 1).newest > lines.newest
    connections.close()
