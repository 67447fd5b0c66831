"""Tiles of 100 000 segments: drawn against a bare ST_AsMVT query, uncached and kept against tipg in the same run, and
after one edit.

Ours (the whole application, signed in), tipg and a server that only gives bytes run in processes of their own under the
same uvicorn. One lean client asks each over one open connection, in turns, so that all meet the same load. tipg draws the
table of segments as it is, once with every column and once with no more than a bare tile has; its connections are open.

Run: python -m tests.performance.bench_tiles
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import select

from api.auth import give_key, save_account
from api.believed import BELIEVED_S
from api.migrate import migrate
from api.models import AccountRow
from api.services import Services, make_services
from grid.core.connections import reading_conninfo
from grid.tile_columns import LineColumns, read_line_columns
from maps.line_tiles import draw_lines, rows_of
from maps.tiles import BUFFER, EXTENT, Tile
from tests.databases import TestCluster
from tests.performance.lean_client import Answer, LeanClient
from tests.web import free_port, wait_for

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
TIMES = 21
KEPT_TIMES = 5
ZOOMS = range(12, 17)


def tile_of(z: int, lon: float = 114.512, lat: float = 30.512) -> Tile:
    """The tile of a point in the middle of the town."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return Tile(z, int((lon + 180) / 360 * 2**z), int(y * 2**z))


@contextlib.contextmanager
def serving(kind: str, url: str, ready: str) -> Iterator[int]:
    """One of tile_servers.py in a process of its own; yields its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.performance.tile_servers", kind, str(port), url]
    process = subprocess.Popen(command)
    try:
        wait_for(f"http://127.0.0.1:{port}", process, path=ready)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Makes a town, draws its tiles, prints the ratios."""
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    cluster = TestCluster(home)
    try:
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        url = services.engine.url.render_as_string(False).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(FILL.encode())
            raw.execute(b"vacuum analyze")
        measure(services, url)
        services.engine.dispose()
    finally:
        cluster.stop()


def reader_secret(services: Services) -> str:
    """A token of an analyst."""
    with services.sessions() as session:
        save_account(session, "analyst", "bench-password", "analyst", "analyst")
        row = session.scalars(select(AccountRow).where(AccountRow.username == "analyst")).one()
        lasting = timedelta(hours=1)
        secret, _ = give_key(session, row, datetime.now(UTC), kind="token", lasting=lasting)
        session.commit()
    return secret


def measure(services: Services, url: str) -> None:
    """The three servers on a town of 100 000 segments."""
    secret = reader_secret(services)
    parser = "httptools" if importlib.util.find_spec("httptools") else "h11"
    with (
        serving("ours", url, "/readyz") as our_port,
        serving("tipg", url, "/conformance") as tipg_port,
        serving("bytes", url, "/1") as bytes_port,
    ):
        desk = LeanClient(our_port, {"Authorization": f"Bearer {secret}"})
        peer, floor = LeanClient(tipg_port), LeanClient(bytes_port)
        drawn = desk.get(f"/tiles/segments/16/{tile_of(16).x}/{tile_of(16).y}.mvt")
        print(f"all lines drawn: {drawn.took_ms / 1000:.1f} s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, uvicorn with {parser}")  # fmt: skip
        print(
            "               drawing alone, ms               over a socket, ms, and the ratio tipg : ours"
        )
        print("zoom  rows kB   bare  drawn ratio(1.4)  bytes   tipg (bare columns)   fresh ratio(3)    kept ratio(50)     304")  # fmt: skip
        conninfo = reading_conninfo(services.settings.database)
        with psycopg.connect(conninfo, autocommit=True) as raw:
            began = time.perf_counter()
            lines = read_line_columns(raw)
            took_s = time.perf_counter() - began
        for z in ZOOMS:
            _row(url, desk, peer, floor, tile_of(z), lines)
        arrays = (lines.ids, lines.wording, lines.coords, lines.starts, lines.boxes, lines.blocks)
        print(f"lines in memory: {sum(one.nbytes for one in arrays) / 1e6:.0f} MB, read in {took_s:.2f} s")  # fmt: skip
        _edit(services.engine, desk)


def _row(
    url: str, desk: LeanClient, peer: LeanClient, floor: LeanClient, tile: Tile, lines: LineColumns
) -> None:
    def edges(box: tuple[float, ...]) -> str:
        return ", ".join(repr(edge) for edge in box)

    query = BARE.format(e=EXTENT, b=BUFFER, s=edges(tile.square()), d=edges(tile.box()))
    # The bare query as good as it can be: bytes as they are, without PostgreSQL's compiler and workers.
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("set jit = off; set max_parallel_workers_per_gather = 0")
        bare, drawn = by_turns(
            [lambda: clocked(lambda: raw.execute(query, binary=True).fetchone()),
             lambda: clocked(lambda: draw_lines(lines, "segments", tile, rows_of(lines, tile)))]
        )  # fmt: skip
    place = f"{tile.z}/{tile.x}/{tile.y}"
    path = f"/tiles/segments/{place}.mvt"
    theirs = f"/collections/public.segment/tiles/WebMercatorQuad/{place}?geom-column=line"
    whole = given(desk.get(path))
    tag = next(line for line in whole.head.split(b"\r\n") if line.lower().startswith(b"etag:"))
    same = {"If-None-Match": tag.partition(b": ")[2].decode()}

    def fresh() -> float:
        desk.get("/forget")
        return given(desk.get(path)).took_ms

    def kept() -> float:
        return statistics.median(given(desk.get(path)).took_ms for _ in range(KEPT_TIMES))

    def unchanged() -> float:
        answer = desk.get(path, same)
        if answer.status != 304:
            raise SystemExit(f"{answer.status} instead of 304")
        return answer.took_ms

    every, few, ours, again, still, floor_ms = by_turns(
        [
            lambda: given(peer.get(theirs)).took_ms,
            lambda: given(peer.get(f"{theirs}&properties=class")).took_ms,
            fresh,
            kept,
            unchanged,
            lambda: statistics.median(floor.get(f"/{len(whole.body)}").took_ms for _ in range(KEPT_TIMES)),
        ]
    )  # fmt: skip
    print(
        f"{tile.z:4d} {len(whole.body) / 1000:8.1f} {bare:6.2f} {drawn:6.2f} {drawn / bare:10.2f} {floor_ms:6.3f}"
        f" {every:6.1f} {few:14.1f} {ours:7.2f} {every / ours:4.1f} ({few / ours:.1f}) {again:7.3f}"
        f" {every / again:5.0f} ({few / again:.0f}) {still:7.3f}",
        flush=True,
    )


def given(answer: Answer) -> Answer:
    """An answer that must hold a tile."""
    if answer.status != 200 or not answer.body:
        raise SystemExit(f"{answer.status} {answer.body[:200]!r}")
    return answer


def clocked(work: Callable[[], Any]) -> float:
    """The time of a work in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def by_turns(works: list[Callable[[], float]]) -> list[float]:
    """The median of the milliseconds that each work tells, done in turns after one turn that is not counted."""
    turns = [[work() for work in works] for _ in range(TIMES + 1)]
    return [statistics.median(times) for times in zip(*turns[1:], strict=True)]


def _edit(engine: Any, desk: LeanClient) -> None:
    """Keeps every tile of zoom 14, changes one segment, asks for all again."""
    first, last = tile_of(14, 114.4, 30.62), tile_of(14, 114.62, 30.4)
    tiles = [(x, y) for x in range(first.x, last.x + 1) for y in range(first.y, last.y + 1)]
    paths = [f"/tiles/segments/14/{x}/{y}.mvt" for x, y in tiles]
    for path in paths:
        desk.get(path)
    made = int(desk.get("/made").body)
    with engine.begin() as connection:
        connection.exec_driver_sql("update segment set class = 'trunk' where id = (select max(id) / 2 from segment)")  # fmt: skip
    # Another process's change is seen when what was believed of it is over.
    time.sleep(BELIEVED_S)
    first_ms = desk.get(paths[0]).took_ms
    for path in paths:
        desk.get(path)
    print(f"the first tile after an edit took {first_ms:.0f} ms")
    print(f"after an edit of one segment {int(desk.get('/made').body) - made} of {len(paths)} tiles were made again")  # fmt: skip


if __name__ == "__main__":
    main()
