"""A million incidents with twelve columns into files: time against ogr2ogr and geopandas in the same run, peak memory,
and how long a client of `gridward serve` waits for the first byte.

All read the view `gis.incidents` of the same database: ours by `gridward export`, the peers by ogr2ogr's PostgreSQL driver
and by geopandas' read_postgis with to_parquet, each as a process from its start to its end.

Run: python -m tests.performance.bench_exports [rows [endings with commas]]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings

COLUMNS = "number,status,channel,category,external_id,occurred_at,reported_at,disposed_at,confidence,side,distance_m,cell"
FORMATS = {
    "gpkg": ("GPKG", 0.22), "geojson": ("GeoJSON", 0.6), "fgb": ("FlatGeobuf", 0.65), "shp.zip": ("ESRI Shapefile", 0.85),
}  # fmt: skip
PARQUET = 0.12
FIRST_BYTE = 0.5
SENT = ("geojson", "csv", "parquet", "kml", "gpkg", "fgb", "shp.zip")
PEER_PARQUET = (
    "import sys, geopandas; from sqlalchemy import create_engine;"
    "geopandas.read_postgis(sys.argv[1], create_engine(sys.argv[2].replace('postgresql:', 'postgresql+psycopg:')))"
    ".to_parquet(sys.argv[3])"
)
PASSWORD = "Bench-Password-7"
MEMORY_MB = 200
# Indexes are made when the rows are there, and keys that are known to fit are not looked up a million times.
FILL = """
set session_replication_role = replica;
do $$ declare one record; begin
    create temp table made_again as select indexdef from pg_indexes where tablename = 'incident' and indexname like 'ix_%';
    for one in select indexname from pg_indexes where tablename = 'incident' and indexname like 'ix_%' loop
        execute 'drop index ' || one.indexname;
    end loop;
end $$;
insert into incident (number, channel_code, category_code, description, external_id, status, occurred_at, reported_at,
    disposed_at, due_at, point, match, confidence, side, distance_m, cell_code, facts, clocks, ground_version)
select '20260101-' || lpad(n::text, 7, '0'), 'patrol', (select min(code) from category), '',
    '永胜路与站前路交叉口东北角第' || n || '号灯杆旁', 'closed', now() - n * interval '30 s', now() - n * interval '29 s',
    now() - n * interval '20 s', now(), st_setsrid(st_makepoint(114.5 + (n % 1000) / 5000.0, 33.5 + n / 5000000.0), 4326),
    'crossing', 0.9, 'left', n % 40, '3706', '{}', '[]', 1
from generate_series(1, %s) n;
set maintenance_work_mem = '512MB';
do $$ declare one record; begin
    for one in select indexdef from made_again loop execute one.indexdef; end loop;
end $$;
drop table made_again;
set session_replication_role = origin
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: seconds from start to end, its peak memory, and the work of it and of its database connection."""

    seconds: float
    peak_mb: float
    cpu_seconds: float


def measured(command: list[str], home: Path | None = None) -> Cost:
    """Runs a command to its end; `home` is where its database lies."""
    before, began = server_cpu(home), time.perf_counter()
    child = subprocess.Popen(
        command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"failed: {command}")
    time.sleep(0.2)  # until the server has buried the process of the connection
    own = usage.ru_utime + usage.ru_stime
    return Cost(seconds, usage.ru_maxrss / 1024, own + server_cpu(home) - before)


def server_cpu(home: Path | None) -> float:
    """Seconds that the processes of ended connections have worked so far."""
    if home is None:
        return 0.0
    pid = next(home.rglob("postmaster.pid")).read_text().split()[0]
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[13:15])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Makes a town of its own, fills it, writes each format twice, prints the ratios."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chosen = sys.argv[2].split(",") if len(sys.argv) > 2 else [*FORMATS, "parquet", "first"]
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as home:
        Path(home).chmod(0o755)
        town = Path(home)
        os.environ["GRIDWARD_HOME"] = home
        # Compiled modules as every installed program has them, ours and the peers' alike.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{home}/compiled"
        gridward = str(Path(sys.executable).parent / "gridward")
        subprocess.run([gridward, "account", "list"], check=False, capture_output=True)
        cluster = Cluster(DatabaseSettings(home=Path(home)))
        began = time.perf_counter()
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(FILL.replace("%s", str(rows)).encode())
            connection.execute(b"vacuum analyze incident")
        print(f"filled in {time.perf_counter() - began:.0f} s; {os.cpu_count()} cores")
        out = Path(home) / "out"
        out.mkdir()
        query, url = f"select {COLUMNS}, geom from gis.incidents", cluster.url()
        # Numba's and Python's own files are made on the first run of anybody.
        measured([gridward, "export", "places", str(out / "first.gpkg")])
        measured([gridward, "export", "places", str(out / "first.parquet")])
        measured([sys.executable, "-c", PEER_PARQUET, f"{query} limit 9", url, str(out / "first")])
        print(
            f"{rows} rows; peak memory wanted under {MEMORY_MB} MB; CPU: the process and its connection's"
        )
        for ending in chosen:
            if ending == "first":
                continue
            ours = measured([gridward, "export", "incidents", str(out / f"a.{ending}"), "--columns", COLUMNS, "--no-names"], town)  # fmt: skip
            (out / f"a.{ending}").unlink()
            if ending == "parquet":
                peer = [sys.executable, "-c", PEER_PARQUET, query, url, str(out / "b.parquet")]
                told(ending, ours, measured(peer, town), PARQUET)
                continue
            driver, wanted = FORMATS[ending]
            theirs = measured(
                ["ogr2ogr", "-f", driver, str(out / f"b.{ending.split('.')[0]}"), f"PG:{url}", "-sql", query, "-nln", "incidents",
                 *(["-lco", "ENCODING=UTF-8"] if driver == "ESRI Shapefile" else [])], town
            )  # fmt: skip
            told(ending, ours, theirs, wanted)
            for made in out.glob("b.*"):
                made.unlink()
        if "first" in chosen:
            first_bytes(gridward, Path(home))
        cluster.stop()
    print("own peak MB of this script", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def first_bytes(gridward: str, home: Path) -> None:
    """A server that has settled, each ending asked twice: seconds to the first byte of the body, and to 1 MB of it."""
    # Here, because a child's peak memory counts from that of who starts it.
    from api.app import WRITERS_AFTER_S
    from tests.web import ServerProcess

    made = [gridward, "account", "add", "bench", "--role", "analyst", "--password", PASSWORD]
    subprocess.run(made, check=True, capture_output=True)
    server = ServerProcess({}, home)
    server.start()
    time.sleep(WRITERS_AFTER_S + 5)
    try:
        with httpx.Client(base_url=server.address, timeout=600) as client:
            answer = client.post("/api/v1/token", data={"username": "bench", "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"  # fmt: skip
            for ending in SENT:
                shown = []
                for _ in range(2):
                    began = time.perf_counter()
                    with client.stream("GET", f"/exports/incidents.{ending}?columns={COLUMNS}") as body:  # fmt: skip
                        body.raise_for_status()
                        first, size = 0.0, 0
                        for piece in body.iter_raw():
                            first = first or time.perf_counter() - began
                            size += len(piece)
                            if size >= 1_000_000:
                                break
                    shown.append(f"{first:.2f} / {time.perf_counter() - began:.2f}")
                    # Who leaves early ends the writing; the next must not share the machine with it.
                    time.sleep(1)
                whole = body.headers.get("content-length")
                said = "sent when it is whole" if whole else f"at most {FIRST_BYTE}"
                print(f"{ending:8} first byte / first MB   {'   '.join(shown)} s   ({said})", flush=True)  # fmt: skip
    finally:
        server.stop()


def told(ending: str, ours: Cost, theirs: Cost, wanted: float) -> None:
    """One line of the table."""
    print(
        f"{ending:8} ours {ours.seconds:6.1f} s {ours.cpu_seconds:5.1f} s CPU {ours.peak_mb:4.0f} MB   "
        f"peer {theirs.seconds:6.1f} s {theirs.cpu_seconds:5.1f} s CPU {theirs.peak_mb:4.0f} MB   "
        f"ratio {ours.seconds / theirs.seconds:.2f} (wanted {wanted}), of CPU "
        f"{ours.cpu_seconds / theirs.cpu_seconds:.2f}   load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
