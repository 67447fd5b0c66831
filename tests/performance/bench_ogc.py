"""Items pages of 1 000 incidents with a box and a filter on a million, through the web side: p50 and p99.

Run: python -m tests.performance.bench_ogc [rows]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from api.auth import save_account
from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from tests.databases import TestCluster
from tests.performance.bench_exports import FILL
from tests.web import office

PASSWORD = "bench-password"
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
            save_account(session, "analyst", PASSWORD, "analyst", "analyst")
            session.commit()
        url = services.engine.url.render_as_string(False).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(FILL.replace("%s", str(rows)).encode())
            raw.execute(b"vacuum analyze")
        with office(services) as desk:
            answer = desk.client.post("/api/v1/token", data={"username": "analyst", "password": PASSWORD})  # fmt: skip
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            found, full = [], 0
            for turn in range(TIMES + 5):
                west = 114.5 + random.random() * 0.15
                south = 33.5 + random.random() * 0.15
                path = (
                    f"/ogc/collections/incidents/items?limit=1000&bbox={west},{south},{west + 0.04},{south + 0.04}"
                    "&filter=status='closed' and distance_m > 5"
                )
                began = time.perf_counter()
                answer = desk.client.get(path, headers=headers)
                if turn >= 5:
                    found.append((time.perf_counter() - began) * 1000)
                    full += answer.json()["numberReturned"] == 1000
        found.sort()
        print(f"{rows} incidents, {TIMES} pages of 1000 ({full} full), ms:")
        print(f"p50 {found[len(found) // 2]:.0f}  p99 {found[int(len(found) * 0.99)]:.0f} (wanted under 100)")  # fmt: skip
        services.engine.dispose()
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
