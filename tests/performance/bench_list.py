"""The dispatcher's list with filters over 1,000,000 incidents (20,000 open), and one incident with its history.

    python -m tests.performance.bench_list

In process: what PostgreSQL and the reading take, without HTTP. Three years of reports of 200 grids with 800 people, every
incident with its tasks. Each filter is asked TIMES times; p50 and p99 are of wall time. The peer of the same run is the
bare SQL that reads the rows of one page by their primary keys: less no list can do.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.opening import seed
from api.migrate import migrate
from api.services import make_services
from dispatch.reading import (
    COLUMNS,
    SOURCE,
    IncidentFilter,
    history_of,
    list_incidents,
    one_incident,
)
from dispatch.scope import Scope, scope_of
from tests.databases import TestCluster

TIMES = 40
MOST_MS = 50
NOW = datetime.now(UTC)
FILL = """
insert into unit (name) select 'Unit ' || u from generate_series(1, 10) u;
insert into grid (code, name, valid) select lpad(k::text, 6, '0'), 'Grid ' || k, tstzrange('2020-01-01', null)
    from generate_series(1, 200) k;
insert into staff (staff_no, name, post, unit_id, heads_unit)
    select 'B' || p.post || k, p.post || k, p.post, u.id, p.post = 'cleaner' and k <= 10
    from generate_series(1, 200) k, (values ('cleaner'), ('gardener'), ('maintainer'), ('officer')) p (post),
    unit u where u.name = 'Unit ' || (1 + k % 10);
insert into post_holding (grid_id, post, staff_id, valid)
    select g.id, s.post, s.id, tstzrange('2020-01-01', null) from grid g
    join staff s on s.staff_no = 'B' || s.post || g.code::int;
create temporary table said as select row_number() over () as n, s || n || p as words from unnest(array['永胜路', '站前路', '人民大道',
    '解放路', '河堤街', '建设路', '南环路', '东市场巷', '文化路', '工业园一路']) s, generate_series(1, 60) k,
    lateral (select k * 3 || '号' as n) m, unnest(array['门口垃圾满溢', '路灯不亮', '井盖破损有异响', '占道经营影响通行',
    '树枝折断压在电线上', '墙上小广告', '下水道堵塞污水外溢', '路面坑洼积水', '共享单车乱停放', '护栏被撞坏']) p; create index on said (n); analyze said;
create temporary table kinds as select row_number() over (order by code) as n, code from category;
insert into incident (number, channel_code, category_code, description, address, status, queue, flags,
    occurred_at, reported_at, dispatched_at, disposed_at, due_at, ended_at, point, grid_id, facts, clocks, reason, ground_version)
select to_char(t, 'YYYYMMDD') || '-' || lpad(k::text, 7, '0'),
    (array['patrol', 'hotline_12345', 'citizen', 'wechat', 'leader'])[1 + (r1 * 5)::int % 5],
    kinds.code, said.words,
    case when k % 4 = 0 then '永胜路' || k % 300 || '号' end,
    case when not open then case when k % 25 = 0 then 'refused' else 'closed' end else status end,
    case when open then queue end, case when k % 100 = 0 then '{possible_duplicate}'::text[] else '{}' end,
    t, t, t, case when open then null else t + interval '3 hours' end, t + interval '4 hours' * (1 + 20 * r1),
    case when open then null else t + interval '5 hours' end,
    st_setsrid(st_makepoint(114 + x / 10, 33 + y / 10), 4326), g0 + floor(x * 20)::int * 10 + floor(y * 10)::int,
    '{"state": "in_disposal", "channel": "patrol", "has_place": true}', '[]', '[{"code": "segment.nearest", "values": {"distance_m": 12.5}}]', 1
from generate_series(1, 1000000) k cross join lateral (select cast(:now as timestamptz) - (1000000 - k) * interval '30 seconds' as t,
    k > 980000 as open, (select min(id) from grid) as g0, random() as r1, random() as r2, random() as r3, random() as x, random() as y) m
    join (values (0, 'in_disposal', null), (1, 'in_disposal', null), (2, 'in_disposal', null), (3, 'in_disposal', 'overdue'),
    (4, 'dispatched', null), (5, 'filed', 'to_dispatch'), (6, 'accepted', 'to_file'), (7, 'checking', 'to_check'),
    (8, 'reported', 'place_needed'), (9, 'suspended', 'suspended')) st (n, status, queue) on st.n = k % 10
    join said on said.n = 1 + floor(r3 * 6000)::int join kinds on kinds.n = 1 + floor(power(r2, 3) * (select count(*) from kinds))::int;
insert into task (incident_id, post, lead, assignee_id, status, assigned_at, done_at)
    select i.id, c.post, true, s.id, case when i.ended_at is null then 'accepted' else 'done' end, i.reported_at, i.disposed_at
    from incident i join category c on c.code = i.category_code join grid g on g.id = i.grid_id
    join staff s on s.staff_no = 'B' || c.post || g.code::int;
insert into task (incident_id, post, lead, assignee_id, status, assigned_at, done_at)
    select i.id, 'cleaner', false, s.id, case when i.ended_at is null then 'accepted' else 'done' end, i.reported_at, i.disposed_at
    from incident i join grid g on g.id = i.grid_id join staff s on s.staff_no = 'Bcleaner' || g.code::int
    join category c on c.code = i.category_code where i.id % 10 = 0 and c.post <> 'cleaner';
insert into history (incident_id, seq, at, actor, move, to_status, detail, previous_hash, hash)
    select i.id, s, i.reported_at, 'system', 'accept', 'accepted', '{}', repeat('0', 64), repeat('0', 64)
    from incident i, generate_series(1, 6) s where i.id % 10 = 0;
"""


def fill(session: Session) -> None:
    """The town's people and a million incidents; no trigger and no foreign key is asked, all rows are ours."""
    session.execute(text("set statement_timeout = 0"))
    session.execute(text("set session_replication_role = replica"))
    for statement in FILL.split(";\n"):
        if statement.strip():
            session.execute(text(statement), {"now": NOW} if ":now" in statement else {})
    session.execute(text("set session_replication_role = origin"))
    session.commit()
    session.connection().connection.driver_connection.autocommit = True  # type: ignore[union-attr]
    session.execute(text("vacuum analyze"))


def filters(session: Session) -> dict[str, IncidentFilter]:
    """What dispatchers, crews and leaders ask for, by name."""
    person = session.scalar(text("select id from staff where staff_no = 'Bcleaner2'"))
    head = session.scalar(text("select id from staff where heads_unit order by id limit 1"))
    grids = tuple(session.scalars(text("select id from grid order by id limit 20")))
    people = session.scalars(
        text("select distinct staff_id from post_holding where grid_id = any(:grids)"),
        {"grids": list(grids)},
    )
    leader = Scope(grids, tuple(people))
    own = scope_of(session, person, "person", NOW)
    unit = scope_of(session, head, "unit", NOW)
    week, long_ago = NOW - timedelta(days=7), NOW - timedelta(days=300)
    small, wide = (114.02, 33.02, 114.03, 33.03), (114.02, 33.02, 114.05, 33.05)
    return {
        "all": IncidentFilter(),
        "open": IncidentFilter(open_only=True),
        "closed": IncidentFilter(statuses=("closed",)),
        "two states": IncidentFilter(statuses=("checking", "disposed")),
        "queue": IncidentFilter(queue="to_check"),
        "one grid": IncidentFilter(grid="000007"),
        "one grid, open": IncidentFilter(grid="000007", open_only=True),
        "category": IncidentFilter(category="06042"),
        "category, open, a week": IncidentFilter(category="06042", open_only=True, from_at=week),
        "channel": IncidentFilter(channel="wechat"),
        "channel, open": IncidentFilter(channel="wechat", open_only=True),
        "flag": IncidentFilter(flag="possible_duplicate"),
        "overdue": IncidentFilter(overdue_at=NOW),
        "overdue in one grid": IncidentFilter(overdue_at=NOW, grid="000007"),
        "a week, long ago": IncidentFilter(from_at=long_ago, to_at=long_ago + timedelta(days=7)),
        "small box": IncidentFilter(bbox=small),
        "small box, open": IncidentFilter(bbox=small, open_only=True),
        "wide box": IncidentFilter(bbox=wide),
        "wide box, open": IncidentFilter(bbox=wide, open_only=True),
        "words of a tenth": IncidentFilter(words="垃圾满溢"),
        "words of a hundredth": IncidentFilter(words="永胜路12号"),
        "words of few": IncidentFilter(words="站前路30号路灯"),
        "words of none": IncidentFilter(words="没有这句话"),
        "one character": IncidentFilter(words="灯"),
        "words, open": IncidentFilter(words="永胜路12号", open_only=True),
        "words, one grid": IncidentFilter(words="垃圾", grid="000007"),
        "post": IncidentFilter(post="gardener"),
        "post, open": IncidentFilter(post="cleaner", open_only=True),
        "person": IncidentFilter(assignee_id=person),
        "person, open": IncidentFilter(assignee_id=person, open_only=True),
        "a crew's": IncidentFilter(scope=own),
        "a crew's, open": IncidentFilter(scope=own, open_only=True),
        "a unit's": IncidentFilter(scope=unit),
        "a unit's, open": IncidentFilter(scope=unit, open_only=True),
        "a leader's": IncidentFilter(scope=leader),
        "a leader's, open": IncidentFilter(scope=leader, open_only=True),
        "a leader's, words": IncidentFilter(scope=leader, words="路灯"),
    }


def measure(
    name: str, work: Callable[[], Any], peer_ms: float | None = None
) -> tuple[float, float]:
    """Prints and returns p50 and p99 in milliseconds."""
    work()
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    p50, p99 = (float(value) for value in np.percentile(took, [50, 99]))
    ratio = f"  {p50 / peer_ms:5.1f} x the peer" if peer_ms else ""
    slow = " SLOW" if p99 > MOST_MS else ""
    print(f"  {name:<36} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms{ratio}{slow}", flush=True)
    return p50, p99


def measure_all(session: Session) -> None:
    """Every filter, by the newest first, and what a dispatcher works off by its limits too."""
    asked = filters(session)
    ids = session.scalars(text("select id from incident order by id desc limit 50")).all()
    bare = text(f"select {COLUMNS} {SOURCE} where i.id = any(:ids)")
    peer_ms, _ = measure("peer: 50 rows by key", lambda: session.execute(bare, {"ids": ids}).all())
    worst = 0.0
    for name, one in asked.items():
        for sort in ("-reported_at", "due_at") if one.open_only or one.queue else ("-reported_at",):
            _, p99 = measure(
                f"{name}, {sort}",
                lambda a=one, s=sort: list_incidents(session, a, s, 1, 50),  # type: ignore[misc]
                peer_ms,
            )
            worst = max(worst, p99)
    number = session.scalar(text("select number from incident where id % 10 = 0 limit 1"))
    one_id = one_incident(session, str(number))["id"]
    _, p99 = measure(
        "one with history",
        lambda: (one_incident(session, str(number)), history_of(session, one_id)),
        peer_ms,
    )
    print(
        f"worst p99 {max(worst, p99):.0f} ms (under {MOST_MS}); {os.cpu_count()} cores,"
        f" load {os.getloadavg()[0]:.1f}"
    )


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
                fill(session)
            with services.sessions() as session:
                measure_all(session)
        finally:
            services.engine.dispose()
            cluster.stop()


if __name__ == "__main__":
    main()
