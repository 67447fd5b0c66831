"""The sweep of chasing over 1,000,000 incidents, 20,000 of them open: run by hand, prints seconds.

`python -m tests.performance.bench_sweep`: first nothing is due, then 200 (a busy minute), then all 20,000 at once;
beside it what PostgreSQL alone needs for the same rows (insert one notice for each open incident).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from dispatch.chasing import sweep
from tests.databases import TestCluster

INCIDENTS, OPEN = 1_000_000, 20_000
NOW = datetime.now(UTC)


def fill(session: Session) -> None:
    """A million incidents, the last 20,000 open, each with a task, an amber and a due moment to come."""
    session.execute(text("insert into unit (name) values ('环卫一队')"))
    session.execute(
        text(
            "insert into staff (staff_no, name, post, unit_id, heads_unit)"
            " select 'B' || g, '人' || g, 'cleaner', u.id, g = 1"
            " from generate_series(1, 200) g, unit u where u.name = '环卫一队'"
        )
    )
    session.execute(
        text(
            "insert into incident (number, channel_code, category_code, description, status,"
            " occurred_at, reported_at, dispatched_at, due_at, ended_at, point, facts, clocks,"
            " ground_version) select '20250101-' || lpad(g::text, 7, '0'), 'patrol', '06042', '垃圾满溢',"
            " case when g > :closed then 'in_disposal' else 'closed' end, t, t, t,"
            " t + interval '4 hours', case when g > :closed then null else t + interval '5 hours' end,"
            " st_setsrid(st_makepoint(114 + random() / 10, 33 + random() / 10), 4326), '{}', '[]', 1"
            " from generate_series(1, :all) g, lateral (select cast(:now as timestamptz)"
            " - (:all - g) * interval '30 seconds' as t) m"
        ),
        {"closed": INCIDENTS - OPEN, "all": INCIDENTS, "now": NOW},
    )
    session.execute(
        text(
            "insert into task (incident_id, post, lead, assignee_id, status, assigned_at)"
            " select i.id, 'cleaner', true, s.id, 'accepted', i.reported_at from incident i"
            " join staff s on s.staff_no = 'B' || (1 + i.id % 200) where i.ended_at is null"
        )
    )
    session.execute(
        text(
            "insert into chase_plan (incident_id, at, rule_ids, ats)"
            " select i.id, cast(:now as timestamptz) + interval '1 day',"
            " array[a.id, b.id], array[cast(:now as timestamptz) + interval '1 day',"
            " cast(:now as timestamptz) + interval '2 days'] from incident i,"
            " chase_rule a, chase_rule b where i.ended_at is null"
            " and a.code = 'disposal_warning' and b.code = 'disposal_overdue'"
        ),
        {"now": NOW},
    )
    session.commit()
    session.execute(text("analyze"))
    session.commit()


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        cluster = TestCluster(home)
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        with services.sessions() as session:
            seed(services, session)
            session.execute(text("set statement_timeout = 0"))
            fill(session)
            say = sys.stdout.write

            def swept(at: datetime) -> Any:
                done = sweep(session, services.desk, at)
                session.commit()
                return done

            swept(NOW)
            say("nothing due: {:.4f} s {}\n".format(*seconds(lambda: swept(NOW))))
            session.execute(
                text(
                    "update chase_plan set at = :at, ats[1] = :at where incident_id in"
                    " (select incident_id from chase_plan order by incident_id limit 200)"
                ),
                {"at": NOW},
            )
            session.commit()
            say("200 due: {:.4f} s {}\n".format(*seconds(lambda: swept(NOW))))
            later = NOW + timedelta(days=1)
            each = [seconds(lambda: swept(later))]
            while each[-1][1].more:
                each.append(seconds(lambda: swept(later)))
            took, told = sum(s for s, _ in each), sum(done.told for _, done in each)
            longest = max(s for s, _ in each)
            say(
                f"all due: {told} told in {took:.3f} s, {len(each)} sweeps, the longest {longest:.3f} s\n"
            )

            def bare() -> None:
                session.execute(
                    text(
                        "insert into notice (incident_id, staff_id, kind, detail, made_at)"
                        " select t.incident_id, t.assignee_id, 'bare', '{}', now() from task t"
                        " join incident i on i.id = t.incident_id where i.ended_at is null"
                    )
                )
                session.commit()

            alone, _ = seconds(bare)
            say(f"bare insert of the notices: {alone:.3f} s, ratio {took / alone:.1f}\n")
        services.engine.dispose()
        cluster.stop()


if __name__ == "__main__":
    main()
