"""Tiles of 100 000 segments: uncached against a bare ST_AsMVT query and tipg in the same run, cached, and after one edit.

Both sides are asked through their whole application, ours signed in. tipg draws the table of segments as it is.

Run: python -m tests.performance.bench_tiles
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from tipg.collections import register_collection_catalog
from tipg.database import close_db_connection, connect_to_db
from tipg.factory import Endpoints
from tipg.settings import DatabaseSettings, PostgresSettings

from api.auth import save_account
from api.migrate import migrate
from api.routes.tiles import KeptTiles
from api.services import make_services
from maps.tiles import BUFFER, EXTENT, Tile, make_tile
from tests.databases import TestCluster
from tests.web import office

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
PASSWORD = "bench-password"


def tile_of(z: int, lon: float = 114.512, lat: float = 30.512) -> Tile:
    """The tile of a point in the middle of the town."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return Tile(z, int((lon + 180) / 360 * 2**z), int(y * 2**z))


def tipg(url: str) -> FastAPI:
    """tipg by itself on the table of segments."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Not checked: its form of an address knows no socket, which its driver does.
        socket: Any = url
        settings = PostgresSettings.model_construct(database_url=socket)
        await connect_to_db(app, schemas=["public"], settings=settings)
        tables = DatabaseSettings(schemas=["public"], tables=["public.segment"], functions=[])
        await register_collection_catalog(app, db_settings=tables)
        yield
        await close_db_connection(app)

    app = FastAPI(lifespan=lifespan)
    app.include_router(Endpoints(with_tiles_viewer=False).router)
    return app


def answered(client: TestClient, path: str, headers: dict[str, str]) -> Callable[[], Any]:
    """A request that must bring a tile."""

    def ask() -> None:
        answer = client.get(path, headers=headers)
        if answer.status_code != 200 or not answer.content:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:200]}")

    return ask


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
        with services.sessions() as session:
            save_account(session, "analyst", PASSWORD, "analyst", "analyst")
            session.commit()
        url = services.engine.url.render_as_string(False).replace("+psycopg", "")
        with office(services) as desk, TestClient(tipg(url)) as peer:
            answer = desk.client.post("/api/v1/token", data={"username": "analyst", "password": PASSWORD})  # fmt: skip
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            application: Any = desk.client.app
            kept = application.state.tiles
            began = time.perf_counter()
            kept.get("segments", tile_of(16))
            print(f"all lines drawn: {time.perf_counter() - began:.1f} s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip
            print(
                "zoom  bare ms  drawn ms  ratio (at most 1.4)   tipg ms  ours ms  ratio (3)  kept ms  ratio (50)"
            )
            for z in range(12, 17):
                _row(services.engine, desk.client, kept, headers, peer, tile_of(z))
            _edit(services.engine, kept)
        services.engine.dispose()
    finally:
        cluster.stop()


def _row(
    engine: Any, client: TestClient, kept: KeptTiles, headers: dict[str, str], peer: TestClient, tile: Tile,
) -> None:  # fmt: skip
    def edges(box: tuple[float, ...]) -> str:
        return ", ".join(repr(edge) for edge in box)

    query = BARE.format(e=EXTENT, b=BUFFER, s=edges(tile.square()), d=edges(tile.box()))
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        # The peer as good as it can be: PostgreSQL's compiler and workers only slow it down.
        raw.execute("set jit = off; set max_parallel_workers_per_gather = 0")
        bare, drawn = by_turns(
            lambda: raw.execute(query).fetchone(), lambda: make_tile(connection, "segments", tile)
        )
        connection.rollback()
    place = f"{tile.z}/{tile.x}/{tile.y}"
    ask = answered(client, f"/tiles/segments/{place}.mvt", headers)
    theirs = f"/collections/public.segment/tiles/WebMercatorQuad/{place}?geom-column=line"

    def fresh() -> None:
        kept.forget()
        ask()

    tipg_ms, ours = by_turns(answered(peer, theirs, {}), fresh)
    cached = timed(ask, 50)
    print(
        f"{tile.z:4d} {bare:8.2f} {drawn:9.2f} {drawn / bare:10.2f} {tipg_ms:19.1f} {ours:8.1f} {tipg_ms / ours:10.1f}"
        f" {cached:8.2f} {tipg_ms / cached:10.0f}",
        flush=True,
    )


def by_turns(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """The median times of two works in milliseconds, done in turns, so that both meet the same load."""
    one(), other()
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMES):
        for work, times in zip((one, other), found, strict=True):
            began = time.perf_counter()
            work()
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(found[0]), statistics.median(found[1])


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
