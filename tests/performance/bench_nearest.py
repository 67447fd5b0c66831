"""A million random points onto 100,000 segments, against geopandas and DuckDB spatial, in one run.

    python -m tests.performance.bench_nearest [points] [segments]

DuckDB needs its spatial extension; where this interpreter's DuckDB has none, name another interpreter
(with duckdb, numpy and the package duckdb-extension-spatial) in GRIDWARD_DUCKDB_PYTHON.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from grid.nearest import SegmentIndex

PEER_POINTS = 200_000

DUCKDB = """
import json, sys, time
import duckdb, numpy as np
with np.load(sys.argv[1]) as data:
    x, y, wkt, offsets, coords = (data[k] for k in ("x", "y", "wkt", "offsets", "coords"))
db = duckdb.connect(config={"threads": 2})
db.execute("set enable_progress_bar = false")
try:
    db.load_extension("spatial")
except duckdb.Error:
    import pathlib, duckdb_extension_spatial
    folder = pathlib.Path(duckdb_extension_spatial.__file__).parent
    db.load_extension(str(next(folder.rglob("*.duckdb_extension"))))
import pandas as pd
points = pd.DataFrame({"id": np.arange(len(x)), "x": x, "y": y})
lines = pd.DataFrame({"id": np.arange(len(wkt)), "wkt": wkt})
db.execute("create table p as select id, st_point(x, y) g from points")
db.execute("create table s as select id, st_geomfromtext(wkt) g from lines")
reach = float(sys.argv[2])
start = time.perf_counter()
rows = db.execute(
    "select p.id, arg_min(s.id, st_distance(p.g, s.g)) s, min(st_distance(p.g, s.g)) d "
    "from p join s on st_dwithin(p.g, s.g, ?) group by p.id", [reach]).fetchnumpy()
took = time.perf_counter() - start
order = np.argsort(rows["id"])
np.savez(sys.argv[3], id=rows["id"][order], row=rows["s"][order], d=rows["d"][order])
print(json.dumps({"seconds": took, "version": duckdb.__version__}))
"""


def lattice_town(segments, seed=1):
    """An irregular lattice of streets: (ids, coords_xy, offsets, rank), about 100 m a segment."""
    rng = np.random.default_rng(seed)
    k = max(2, round((segments / 2) ** 0.5))
    east, north = np.meshgrid(np.arange(k) * 100.0, np.arange(k) * 100.0)
    nodes = np.stack([east, north], -1) + rng.normal(0, 18, (k, k, 2)) + [500_000, 4_400_000]
    place = np.arange(k * k).reshape(k, k)
    starts = np.concatenate([place[:, :-1].ravel(), place[:-1].ravel()])
    ends = np.concatenate([place[:, 1:].ravel(), place[1:].ravel()])
    by_row = np.argsort(starts, kind="stable")
    a, b = nodes.reshape(-1, 2)[starts[by_row]], nodes.reshape(-1, 2)[ends[by_row]]
    counts = rng.integers(2, 6, len(a))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    line = np.repeat(np.arange(len(a)), counts)
    step = np.arange(offsets[-1]) - offsets[line]
    inner = (step > 0) & (step < counts[line] - 1)
    coords = a[line] + (b - a)[line] * (step / (counts[line] - 1))[:, None]
    coords[inner] += rng.normal(0, 4, (int(inner.sum()), 2))
    ids = rng.permutation(len(a)) + 1000
    return ids, coords, offsets, rng.integers(0, 8, len(a))


BULK_ALONE = """
import json, os, pathlib, re, sys, time
import numpy as np
from grid.nearest import SegmentIndex
# Not `getrusage`: what a process reports there begins with its parent's.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1e3
given = np.load(sys.argv[1])
ids, coords, offsets, rank, x, y = (given[k] for k in ("ids", "coords", "offsets", "rank", "x", "y"))
SegmentIndex.build(ids[:10], coords[: offsets[10]], offsets[:11], rank[:10]).nearest(x[:3], y[:3])
before = peak()
built = []
for _ in range(5):
    start = time.perf_counter(), time.process_time()
    index = SegmentIndex.build(ids, coords, offsets, rank)
    built.append((time.perf_counter() - start[0], time.process_time() - start[1]))
after = peak()
index.nearest(x, y)
print(json.dumps({"before": before, "built": after, "answered": peak(), "wall": min(w for w, _ in built),
                  "cpu": min(c for _, c in built)}))
"""


def bulk_alone(ids, coords, offsets, rank, x, y):
    """Seconds and peak memory of index and answers in a process of their own, without the peers."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "in.npz"
        np.savez(given, ids=ids, coords=coords, offsets=offsets, rank=rank, x=x, y=y)
        done = subprocess.run(
            [sys.executable, "-c", BULK_ALONE, given], capture_output=True, text=True, check=True
        )
        told = json.loads(done.stdout.splitlines()[-1])
    print(f"alone in a process: built in {told['wall']:.2f} s ({told['cpu']:.2f} s of processor), peak memory "
          f"{told['before']:.0f} MB with the points read, {told['built']:.0f} MB built, "
          f"{told['answered']:.0f} MB with all answers")  # fmt: skip


def best(work, times=3):
    """Least seconds of a few runs, and the last answer."""
    least = np.inf
    for _ in range(times):
        answer = None
        start = time.perf_counter()
        answer = work()
        least = min(least, time.perf_counter() - start)
    return least, answer


def with_duckdb(shapes, coords, offsets, x, y, reach):
    """(seconds, ids answered, rows, distances) or the reason why not."""
    python = os.environ.get("GRIDWARD_DUCKDB_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            given,
            x=x,
            y=y,
            coords=coords,
            offsets=offsets,
            wkt=shapely.to_wkt(shapes, 9).astype(str),
        )
        done = subprocess.run(
            [python, "-c", DUCKDB, given, str(reach), taken], capture_output=True, text=True
        )
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        told = json.loads(done.stdout.splitlines()[-1])
        with np.load(taken) as out:
            return told["seconds"], out["id"], out["row"], out["d"], told["version"]


def main(points=1_000_000, segments=100_000):
    ids, coords, offsets, rank = lattice_town(segments)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(coords.min(axis=0)[:, None], coords.max(axis=0)[:, None], (2, points))
    cores = os.cpu_count()
    print(f"{len(ids)} segments, {len(coords)} vertices, {points} points, {cores} cores, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip

    started = time.perf_counter()
    small = SegmentIndex.build(ids[:10], coords[: offsets[10]], offsets[:11], rank[:10])
    small.nearest(x[:3], y[:3])
    small.replace(remove=ids[:1])
    print(f"kernels ready after {time.perf_counter() - started:.2f} s")

    built, index = best(lambda: SegmentIndex.build(ids, coords, offsets, rank))
    print(f"build {built:.2f} s, {index.memory_bytes / 1e6:.0f} MB of arrays")
    line = index.line(len(ids) // 2) + 5.0
    chain = [index]
    one = ids[[len(ids) // 2]]
    moved, _ = best(
        lambda: chain.append(chain.pop().replace([], one, line, [0, len(line)], [1])), 20
    )
    print(f"moving one segment {moved * 1e3:.1f} ms")
    ours, answer = best(lambda: index.nearest(x, y, second=False), 5)
    alone, _ = best(lambda: index.nearest(x, y, threads=1, second=False), 3)
    both, _ = best(lambda: index.nearest(x, y), 3)
    single, _ = best(lambda: index.nearest(x[:1], y[:1], threads=1), 200)
    print(f"bulk {points / ours / 1e6:.2f} M points/s on {cores} threads, "
          f"{points / alone / 1e6:.2f} on one, {points / both / 1e6:.2f} with the second segment too; "
          f"one point {single * 1e6:.0f} µs")  # fmt: skip
    bulk_alone(ids, coords, offsets, rank, x, y)

    m = min(points, PEER_POINTS)
    shapes = np.array([shapely.LineString(coords[a:b]) for a, b in itertools.pairwise(offsets)])
    streets = gpd.GeoDataFrame({"row": np.arange(len(ids))}, geometry=shapes)
    places = gpd.GeoDataFrame(geometry=shapely.points(x[:m], y[:m]))
    streets.sindex  # noqa: B018  (its tree is built before the clock starts, as ours is)
    took, joined = best(lambda: places.sjoin_nearest(streets, distance_col="d"), 1)
    first = joined[~joined.index.duplicated()]
    off = np.abs(answer.distance_m[first.index] - first["d"]).max()
    print(f"geopandas.sjoin_nearest {m / took / 1e3:.0f} k points/s, distances differ by at most {off:.4f} m: "
          f"ours {(points / ours) / (m / took):.0f} times as fast")  # fmt: skip

    reach = float(np.ceil(answer.distance_m.max()))
    duck = with_duckdb(shapes, coords, offsets, x, y, reach)
    if isinstance(duck, str):
        print(f"DuckDB spatial not to be had here ({duck})")
    else:
        took, asked, _, away, version = duck
        off = np.abs(answer.distance_m[asked] - away).max()
        print(f"DuckDB {version} spatial, 2 threads, {points / took / 1e3:.0f} k points/s within {reach:.0f} m, "
              f"{len(asked)} answered, distances differ by at most {off:.4f} m: "
              f"ours {took / ours:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
