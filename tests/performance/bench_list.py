"""The dispatcher's list with filters over 1,000,000 incidents (20,000 open), and one incident with its history.

    python -m tests.performance.bench_list

In process: what PostgreSQL and the reading take, without HTTP. Each filter is asked TIMES times; p50 and p99 are of
wall time, and beside the worst filter stands its plan's name so that a missing index is seen.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text

from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from dispatch.reading import IncidentFilter, history_of, list_incidents, one_incident
from dispatch.scope import scope_of
from tests.databases import TestCluster
from tests.performance.bench_sweep import NOW, fill

TIMES = 40
MOST_MS = 50
GRIDS = """
insert into grid (code, name, valid) select lpad(k::text, 6, '0'), 'Grid ' || k, tstzrange('2020-01-01', null)
    from generate_series(1, 200) k;
update incident set grid_id = (select min(id) from grid) + id % 200,
    queue = case when ended_at is null and id % 20 = 0 then 'to_check' end,
    category_code = case when id % 3 = 0 then '06042' else category_code end,
    address = case when id % 1000 = 0 then '永胜路12号' end;
insert into history (incident_id, seq, at, actor, move, to_status, detail, previous_hash, hash)
    select i.id, s, i.reported_at, 'system', 'accept', 'accepted', '{}', repeat('0', 64), repeat('0', 64)
    from incident i, generate_series(1, 6) s where i.id % 10 = 0;
insert into post_holding (grid_id, post, staff_id, valid)
    select g.id, 'cleaner', s.id, tstzrange('2020-01-01', null) from grid g join staff s
    on s.staff_no = 'B' || (g.id - (select min(id) from grid) + 1);
"""


def measure(name: str, work: Callable[[], Any]) -> float:
    work()
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    p50, p99 = np.percentile(took, [50, 99])
    print(
        f"  {name:<34} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms{' SLOW' if p50 > MOST_MS else ''}",
        flush=True,
    )
    return float(p99)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        cluster = TestCluster(home)
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        try:
            with services.sessions() as session:
                seed(services, session)
                session.execute(text("set statement_timeout = 0"))
                fill(session)
                for statement in GRIDS.split(";\n"):
                    if statement.strip():
                        session.execute(text(statement))
                session.commit()
                session.connection().connection.driver_connection.autocommit = True  # type: ignore[union-attr]
                session.execute(text("vacuum analyze"))
            with services.sessions() as session:
                staff = session.scalar(text("select id from staff where staff_no = 'B2'"))
                head = session.scalar(text("select id from staff where heads_unit limit 1"))
                number = session.scalar(
                    text("select number from incident where id % 10 = 0 limit 1")
                )
                week = NOW - timedelta(days=7)
                filters = {
                    "all": IncidentFilter(),
                    "open": IncidentFilter(open_only=True),
                    "queue": IncidentFilter(queue="to_check"),
                    "one grid": IncidentFilter(grid="000007"),
                    "one grid, open": IncidentFilter(grid="000007", open_only=True),
                    "category": IncidentFilter(category="06042"),
                    "category, open, a week": IncidentFilter(category="06042", open_only=True, from_at=week),
                    "overdue": IncidentFilter(overdue_at=NOW),
                    "box": IncidentFilter(bbox=(114.02, 33.02, 114.03, 33.03)),
                    "box, open": IncidentFilter(bbox=(114.02, 33.02, 114.05, 33.05), open_only=True),
                    "words, many": IncidentFilter(words="垃圾满溢"),
                    "words, few": IncidentFilter(words="永胜路12号"),
                    "words, none": IncidentFilter(words="没有这句话"),
                    "words, open": IncidentFilter(words="永胜路12号", open_only=True),
                    "post, open": IncidentFilter(post="cleaner", open_only=True),
                    "a crew's": IncidentFilter(scope=scope_of(session, staff, "grids", NOW)),
                    "a unit's": IncidentFilter(scope=scope_of(session, head, "unit", NOW)),
                }  # fmt: skip
                worst = [
                    measure(
                        f"{name}, {sort}",
                        lambda a=asked, s=sort: list_incidents(session, a, s, 1, 50),
                    )  # type: ignore[misc]
                    for name, asked in filters.items()
                    for sort in (
                        ("-reported_at", "due_at")
                        if asked.open_only or asked.queue
                        else ("-reported_at",)
                    )
                ]
                one = one_incident(session, number)
                worst.append(
                    measure(
                        "one with history",
                        lambda: (one_incident(session, number), history_of(session, one["id"])),
                    )
                )
                print(
                    f"worst p99 {max(worst):.0f} ms (under {MOST_MS}); load {os.getloadavg()[0]:.1f}"
                )
        finally:
            services.engine.dispose()
            cluster.stop()


if __name__ == "__main__":
    main()
