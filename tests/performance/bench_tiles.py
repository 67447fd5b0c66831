"""Tiles of 100 000 segments: uncached against a bare ST_AsMVT query in the same run, cached, and after one edit.

Run: python -m tests.performance.bench_tiles
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from api.migrate import migrate
from api.routes.tiles import KeptTiles
from api.services import make_services
from maps.export_filters import Wanted
from maps.features import Turn
from maps.layers import find_layer
from maps.tiles import BUFFER, EXTENT, Tile, layer_tile, make_tile
from tests.databases import TestCluster

FILL = """
insert into town (id, name, plane_epsg) values (1, '甲', 4547);
insert into crossing (source_key, point, point_plane)
    values ('c', st_setsrid(st_makepoint(114, 30), 4326), st_makepoint(0, 0));
insert into street (name) select '街' || g from generate_series(1, 448) g;
insert into grid (code, name, valid)
    select 'G' || g, '网格' || g, tstzrange('2026-01-01', null) from generate_series(1, 625) g;
insert into segment (source_key, street_id, class, rank, from_crossing_id, to_crossing_id, length_m, line, line_plane)
select 's' || i || '/' || j || d, 1 + case when d = 0 then i else 224 + j end,
    (array['primary', 'secondary', 'tertiary', 'residential', 'residential', 'service'])[1 + (i + j) % 6],
    1, 1, 1, 90, st_setsrid(l, 4326), l
from generate_series(0, 223) i cross join generate_series(0, 223) j cross join generate_series(0, 1) d
cross join lateral (select st_makeline(array(select st_makepoint(
    114.4 + i * 0.001 + case when d = 0 then k * 0.0002 else 0.00003 * sin(k * 2 + j) end,
    30.4 + j * 0.001 + case when d = 1 then k * 0.0002 else 0.00003 * sin(k * 2 + i) end)
    from generate_series(0, 5) k)) l) x;
insert into grid_segment (segment_id, side, grid_id, valid)
select s.id, side, (select min(id) from grid) + (greatest(0, floor((st_xmin(line) - 114.4) / 0.009))::int * 25
    + greatest(0, floor((st_ymin(line) - 30.4) / 0.009))::int) % 625, tstzrange('2026-01-01', null)
from segment s cross join (values ('left'), ('right')) v (side);
"""
BARE = (
    "select st_asmvt(q, 'segments', {e}) from (select id, class, st_asmvtgeom(st_transform(line, 3857),"
    " st_makeenvelope({s}, 3857), {e}, {b}, true) as geom from segment"
    " where line && st_makeenvelope({d}, 4326)) q"
)
TIMES = 15


def tile_of(z: int, lon: float = 114.512, lat: float = 30.512) -> Tile:
    """The tile of a point in the middle of the town."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return Tile(z, int((lon + 180) / 360 * 2**z), int(y * 2**z))


def timed(work: Callable[[], Any], times: int = TIMES) -> float:
    """The median time in milliseconds, after one run that is not counted."""
    work()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def main() -> None:
    """Makes a town, draws its tiles, prints the ratios."""
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    cluster = TestCluster(home)
    try:
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        with psycopg.connect(services.engine.url.render_as_string(False).replace("+psycopg", ""), autocommit=True) as raw:  # fmt: skip
            raw.execute(FILL.encode())
            raw.execute(b"vacuum analyze")
        kept = KeptTiles(services.engine)
        began = time.perf_counter()
        kept.get("segments", tile_of(16))
        print(f"all lines drawn: {time.perf_counter() - began:.1f} s")
        print("zoom  bare ms  uncached ms  ratio (≤ 1.4)  view ms  cached ms  view/cached")
        for z in range(12, 17):
            tile = tile_of(z)
            _row(services.engine, kept, tile)
        _edit(services.engine, kept)
        services.engine.dispose()
    finally:
        cluster.stop()


def _row(engine: Any, kept: KeptTiles, tile: Tile) -> None:
    def edges(box: tuple[float, ...]) -> str:
        return ", ".join(repr(edge) for edge in box)

    query = BARE.format(e=EXTENT, b=BUFFER, s=edges(tile.square()), d=edges(tile.box()))
    layer = find_layer("segments")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        # The peer as good as it can be: PostgreSQL's compiler and workers only slow it down.
        raw.execute("set jit = off; set max_parallel_workers_per_gather = 0")
        bare = timed(lambda: raw.execute(query).fetchone())
        ours = timed(lambda: make_tile(connection, "segments", tile))
        view = timed(lambda: layer_tile(connection, layer, tile, Wanted(), Turn(limit=10_000)), 3)
        connection.rollback()
    cached = timed(lambda: kept.get("segments", tile), 50)
    print(
        f"{tile.z:4d} {bare:8.2f} {ours:12.2f} {ours / bare:10.2f} {view:12.1f} {cached:10.2f} {view / cached:10.0f}"
    )


def _edit(engine: Any, kept: KeptTiles) -> None:
    """Keeps every tile of zoom 14, moves one segment to another grid, asks for all again."""
    first, last = tile_of(14, 114.4, 30.62), tile_of(14, 114.62, 30.4)
    tiles = [Tile(14, x, y) for x in range(first.x, last.x + 1) for y in range(first.y, last.y + 1)]
    for tile in tiles:
        kept.get("segments", tile)
    made = kept.made
    with engine.begin() as connection:
        connection.execute(text("update segment set class = 'trunk' where id = (select max(id) / 2 from segment)"))  # fmt: skip
    for tile in tiles:
        kept.get("segments", tile)
    print(f"after an edit of one segment {kept.made - made} of {len(tiles)} tiles were made again")


if __name__ == "__main__":
    main()
