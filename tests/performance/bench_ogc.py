"""Items pages of 1 000 incidents with a box and a filter on a million, through the web side: p50 and p99.

Run: python -m tests.performance.bench_ogc [rows]
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg

from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from tests.databases import TestCluster
from tests.performance.bench_exports import FILL
from tests.performance.bench_tiles import reader_secret, serving
from tests.performance.lean_client import LeanClient

TIMES = 200


def main() -> None:
    """Fills a town with incidents and turns pages in it."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    cluster = TestCluster(home)
    try:
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        with services.sessions() as session:
            seed(services, session)
            session.commit()
        url = services.engine.url.render_as_string(False).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(FILL.replace("%s", str(rows)).encode())
            raw.execute(b"vacuum analyze")
        secret = reader_secret(services)
        with serving("ours", url, "/readyz") as port:
            client = LeanClient(port, {"Authorization": f"Bearer {secret}"})
            found, full = [], 0
            for turn in range(TIMES + 5):
                west = 114.5 + random.random() * 0.15
                south = 33.5 + random.random() * 0.15
                box = f"{west},{south},{west + 0.04},{south + 0.04}"
                where = quote("status='closed' and distance_m > 5")
                path = f"/ogc/collections/incidents/items?limit=1000&bbox={box}&filter={where}"
                answer = client.get(path)
                if answer.status != 200:
                    raise SystemExit(f"{answer.status} {answer.body[:200]!r}")
                if turn >= 5:
                    found.append(answer.took_ms)
                    full += json.loads(answer.body)["numberReturned"] == 1000
        found.sort()
        load = os.getloadavg()[0]
        print(f"{rows} incidents, {TIMES} pages of 1000 ({full} full), ms; {os.cpu_count()} cores, load {load:.1f}:")  # fmt: skip
        print(f"p50 {found[len(found) // 2]:.0f}  p99 {found[int(len(found) * 0.99)]:.0f} (wanted under 100)")  # fmt: skip
        services.engine.dispose()
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
