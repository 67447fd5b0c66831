"""A million incidents with twelve columns into files: time against ogr2ogr and geopandas in the same run, peak memory.

Run: python -m tests.performance.bench_exports [rows]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from grid.core.cluster import Cluster
from grid.core.settings import DatabaseSettings

COLUMNS = "number,status,channel,category,address,occurred_at,reported_at,disposed_at,confidence,side,distance_m,cell"
FORMATS = {
    "gpkg": ("GPKG", 0.22), "geojson": ("GeoJSON", 0.6), "fgb": ("FlatGeobuf", 0.65), "shp.zip": ("ESRI Shapefile", 0.85),
}  # fmt: skip
PARQUET = 0.12
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
insert into incident (number, channel_code, category_code, description, address, status, occurred_at, reported_at,
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


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and the peak memory in MB of one process."""
    began = time.perf_counter()
    child = subprocess.Popen(
        command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Makes a town of its own, fills it, writes each format twice, prints the ratios."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as home:
        Path(home).chmod(0o755)
        os.environ["GRIDWARD_HOME"] = home
        gridward = str(Path(sys.executable).parent / "gridward")
        subprocess.run([gridward, "account", "list"], check=False, capture_output=True)
        cluster = Cluster(DatabaseSettings(home=Path(home)))
        began = time.perf_counter()
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(FILL.replace("%s", str(rows)).encode())
            connection.execute(b"vacuum analyze incident")
        print(
            f"filled in {time.perf_counter() - began:.0f} s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        out = Path(home) / "out"
        out.mkdir()
        query = f"select {COLUMNS}, geom from gis.incidents"
        url = cluster.url()
        # Numba's and Python's own files are made on the first run of anybody.
        measured([gridward, "export", "places", str(out / "first.gpkg")])
        print(f"{rows} rows, seconds and peak MB; ratio to the peer's time (wanted)")
        for ending, (driver, wanted) in FORMATS.items():
            ours = measured([gridward, "export", "incidents", str(out / f"a.{ending}"), "--columns", COLUMNS, "--no-names"])  # fmt: skip
            theirs = measured(
                ["ogr2ogr", "-f", driver, str(out / f"b.{ending.split('.')[0]}"), f"PG:{url}", "-sql", query, "-nln", "incidents",
                 *(["-lco", "ENCODING=UTF-8"] if driver == "ESRI Shapefile" else [])]
            )  # fmt: skip
            told(ending, ours, theirs, wanted)
        ours = measured([gridward, "export", "incidents", str(out / "a.parquet"), "--columns", COLUMNS, "--no-names"])  # fmt: skip
        code = (
            "import sys, geopandas; from sqlalchemy import create_engine;"
            "geopandas.read_postgis(sys.argv[1], create_engine(sys.argv[2].replace('postgresql:', 'postgresql+psycopg:')))"
            ".to_parquet(sys.argv[3])"
        )
        theirs = measured([sys.executable, "-c", code, query, url, str(out / "b.parquet")])
        told("parquet", ours, theirs, PARQUET)
        cluster.stop()
    print("own peak MB of this script", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def told(
    ending: str, ours: tuple[float, float], theirs: tuple[float, float], wanted: float
) -> None:
    """One line of the table."""
    print(
        f"{ending:8} ours {ours[0]:6.1f} s {ours[1]:5.0f} MB   peer {theirs[0]:6.1f} s {theirs[1]:5.0f} MB"
        f"   ratio {ours[0] / theirs[0]:.2f} (at most {wanted}; memory under {MEMORY_MB})",
        flush=True,
    )


if __name__ == "__main__":
    main()
