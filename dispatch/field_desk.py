"""What one person in the street needs at once, so that a phone can keep it: tasks, checks, earlier incidents, record, ground."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.reading import COLUMNS, SOURCE, with_parts

# "At this spot": so near and so recent.
SPOT_M = 30.0
SPOT_DAYS = 365
SPOT_MOST = 5
CHECKS_MOST = 60

_TASKS = """
    select t.id, t.incident_id, t.post, t.lead, t.after_lead, t.round, t.status, t.due_at,
        t.accept_by, t.assigned_at, t.accepted_at, t.done_at, t.ended_at, t.note,
        t.assignee_id is null as of_unit, colleague.name as taken_by
    from task t left join staff colleague on colleague.id = t.assignee_id and colleague.id <> :staff
    where (t.assignee_id = :staff
        or t.unit_id = (select unit_id from staff where id = :staff))
    and (colleague.id is null or (t.status in ('accepted', 'arrived') and t.accepted_at >= :since))
    and (t.status in ('offered', 'accepted', 'arrived', 'waiting')
        or (t.status = 'done' and t.done_at >= :since)
        or (t.status in ('returned', 'lapsed', 'withdrawn') and t.ended_at >= :since))
    and (t.status not in ('waiting') or exists (select 1 from incident i
        where i.id = t.incident_id and i.ended_at is null))
    order by t.due_at nulls last, t.id
"""
_TO_CHECK = "status in ('verifying', 'checking')"
# Degrees are wide enough a net for the index; the metres decide.
_EARLIER = """
    select n.id, e.number, e.status, e.reported_at, e.ended_at, c.name_zh, c.name_en,
        round(st_distance(e.point::geography, n.point::geography)) as m
    from incident n cross join lateral (
        select * from incident o where o.id <> n.id
        and o.point && st_expand(n.point, 0.0006)
        and st_dwithin(o.point::geography, n.point::geography, :m)
        and o.reported_at between n.reported_at - make_interval(days => :days) and n.reported_at
        order by o.reported_at desc limit :most) e
    left join category c on c.code = e.category_code
    where n.id = any(:ids) order by n.id, e.reported_at desc
"""


def tasks_for(session: Session, staff_id: int, since: datetime) -> list[dict[str, Any]]:
    """My tasks and those open to my unit, waiting ones too, and what ended since a moment; each with its `incident`.

    Tasks of the unit that a colleague has taken since then carry that name as `taken_by`.
    """
    rows = session.execute(text(_TASKS), {"staff": staff_id, "since": since}).all()
    incidents = _incidents(session, "i.id = any(:ids)", ids=[row.incident_id for row in rows])
    return [{**row._mapping, "incident": incidents[row.incident_id]} for row in rows]


def checks_for(session: Session) -> list[dict[str, Any]]:
    """Incidents whose report waits to be verified or whose result waits to be checked: the CHECKS_MOST due first."""
    found = _incidents(
        session,
        f"i.id in (select id from incident where {_TO_CHECK}"  # noqa: S608
        " order by due_at nulls last, reported_at limit :most)",
        most=CHECKS_MOST,
    )
    return list(found.values())


def count_checks(session: Session) -> int:
    """How many incidents wait to be verified or checked, those beyond CHECKS_MOST too."""
    return int(session.scalar(text(f"select count(*) from incident where {_TO_CHECK}")) or 0)  # noqa: S608


def earlier_at(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Earlier incidents within SPOT_M metres, the newest first, by incident: number, status, category, moments, m."""
    found: dict[int, list[dict[str, Any]]] = {}
    values = {"ids": list(ids), "m": SPOT_M, "days": SPOT_DAYS, "most": SPOT_MOST}
    for row in session.execute(text(_EARLIER), values):
        found.setdefault(row.id, []).append(
            {name: value for name, value in row._mapping.items() if name != "id"}
        )
    return found


def lines_of(session: Session, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Of each incident's record: `seq` of the newest line, and how asking for more time stands.

    `extension` is None, or the last of ask_extension, grant_extension, refuse_extension as `move`, `at`, `note`.
    """
    rows = session.execute(
        text(
            "select incident_id, max(seq) as seq, (array_agg(json_build_object('move', move, 'at', at,"
            " 'note', note) order by seq desc) filter (where move in"
            " ('ask_extension', 'grant_extension', 'refuse_extension')))[1] as extension"
            " from history where incident_id = any(:ids) group by incident_id"
        ),
        {"ids": list(ids)},
    )
    return {row.incident_id: {"seq": row.seq, "extension": row.extension} for row in rows}


def colleagues_of(session: Session, staff_id: int, now: datetime) -> list[dict[str, Any]]:
    """Whom a task may be handed to: people of field posts of my unit and of my grids, by name."""
    rows = session.execute(
        text(
            "select s.id, s.name, s.post from staff s where s.id <> :staff and s.left_at is null"
            " and s.post in ('officer', 'cleaner', 'gardener', 'maintainer')"
            " and (s.unit_id = (select unit_id from staff where id = :staff) or exists ("
            " select 1 from post_holding mine join post_holding theirs on theirs.grid_id = mine.grid_id"
            " where mine.staff_id = :staff and theirs.staff_id = s.id"
            " and mine.valid @> cast(:now as timestamptz)"
            " and theirs.valid @> cast(:now as timestamptz)))"
            " order by s.post = (select post from staff where id = :staff) desc, s.name limit 100"
        ),
        {"staff": staff_id, "now": now},
    )
    return [dict(row._mapping) for row in rows]


def record_of(
    session: Session, staff_id: int, day: datetime, month: datetime, now: datetime
) -> dict[str, Any]:
    """My own record: done today, done since the month began and how many late, overdue now, what came back and why.

    Sent back is work of mine that the checker or the closer refused since the month began.
    """
    row = session.execute(
        text(
            "select count(*) filter (where status = 'done' and done_at >= :day) as done_today,"
            " count(*) filter (where status = 'done' and done_at >= :month) as done_month,"
            " count(*) filter (where status = 'done' and done_at >= :month and done_at > due_at) as late_month,"
            " count(*) filter (where status in ('offered', 'accepted', 'arrived') and due_at < :now)"
            " as overdue from task where assignee_id = :staff"
        ),
        {"staff": staff_id, "day": day, "month": month, "now": now},
    ).one()
    back = session.execute(
        text(
            "select i.number, h.at, h.move, h.note, c.name_zh, c.name_en from history h"
            " join incident i on i.id = h.incident_id left join category c on c.code = i.category_code"
            " where h.move in ('check_failed', 'reject_result', 'not_content') and h.at >= :month"
            " and exists (select 1 from task t where t.incident_id = i.id and t.assignee_id = :staff"
            "  and t.done_at <= h.at) order by h.at desc limit 20"
        ),
        {"staff": staff_id, "month": month},
    )
    return {**row._mapping, "sent_back": [dict(line._mapping) for line in back]}


def ground_of(session: Session, staff_id: int, at: datetime) -> bytes:
    """My grids' segments and outlines as one GeoJSON collection (EPSG:4326), small enough to keep on a phone.

    Features: kind "segment" (id, street, class, length_m, grid) and kind "outline" (grid).
    """
    values = {"staff": staff_id, "at": at}
    mine = (
        "select distinct coalesce(h.grid_id, k.grid_id) as id from post_holding h"
        " left join grid_segment k on k.segment_id = h.segment_id"
        " and k.valid @> cast(:at as timestamptz)"
        " where h.staff_id = :staff and h.valid @> cast(:at as timestamptz)"
    )
    lines = session.execute(
        text(
            f"select distinct on (s.id) s.id, t.name as street, s.class, round(s.length_m::numeric, 1)::float"  # noqa: S608
            " as length_m, g.code as grid, st_asgeojson(s.line, 6) as geometry"
            f" from ({mine}) m join grid_segment k on k.grid_id = m.id"
            " and k.valid @> cast(:at as timestamptz) join grid g on g.id = m.id"
            " join segment s on s.id = k.segment_id and s.gone_at is null"
            " left join street t on t.id = s.street_id order by s.id, g.code"
        ),
        values,
    )
    features = [
        _feature(
            "segment", row.geometry, {k: v for k, v in row._mapping.items() if k != "geometry"}
        )
        for row in lines
    ]
    outlines = session.execute(
        text(
            f"select g.code as grid, st_asgeojson(st_simplifypreservetopology(a.area, 0.00001), 6) as geometry"  # noqa: S608
            f" from ({mine}) m join grid g on g.id = m.id join territory a on a.grid_id = g.id"
        ),
        values,
    )
    features += [_feature("outline", row.geometry, {"grid": row.grid}) for row in outlines]
    return b'{"type":"FeatureCollection","features":[' + b",".join(features) + b"]}"


def _incidents(session: Session, clause: str, **values: Any) -> dict[int, dict[str, Any]]:
    rows = session.execute(
        text(f"select {COLUMNS} {SOURCE} where {clause} order by i.reported_at"), values
    ).all()
    found = {row.id: dict(row._mapping) for row in rows}
    with_parts(session, list(found.values()))
    return found


def _feature(kind: str, geometry: str, properties: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "type": "Feature",
            "geometry": orjson.Fragment(geometry.encode()),
            "properties": {"kind": kind, **properties},
        }
    )
