"""Incidents as they are read: lists with filters, one with all its parts, its history, a person's tasks.

A list costs the same few statements at any size: `dispatch/listing.py` says which ids stand on a page, and the rows,
tasks and evidence are those of the page alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.filters import IncidentFilter as IncidentFilter
from dispatch.filters import where_of as where_of
from dispatch.listing import SORTS as SORTS
from dispatch.listing import Span, count_limit, page_of_ids
from dispatch.scope import Scope
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass

LONGEST_PAGE = 500
OPEN_STATUSES = (
    *("reported", "verifying", "accepted", "filed", "dispatched"),
    *("in_disposal", "disposed", "checking", "pending_close", "suspended"),
)
COLUMNS = """
    i.id, i.number, i.version, i.status, i.queue, i.channel_code, i.category_code,
    c.name_zh as category_zh, c.name_en as category_en, c.urgency, i.description, i.address,
    i.flags, i.occurred_at, i.reported_at, i.filed_at, i.dispatched_at, i.disposed_at, i.ended_at,
    i.due_at, i.amber_at, i.reply_due_at, i.given_datum, i.given_lon, i.given_lat, st_x(i.point) as lon, st_y(i.point) as lat,
    st_asgeojson(i.span)::json as span, i.match, i.confidence, i.spread_m, i.geocoding,
    i.segment_id, street.name as street, i.side, i.distance_m, i.cell_code,
    g.code as grid_code, g.name as grid_name, ng.code as neighbour_code, ng.name as neighbour_name,
    i.reason, i.facts, i.clocks, i.repeats, i.last_repeat_at
"""
SOURCE = """
    from incident i
    left join category c on c.code = i.category_code
    left join segment s on s.id = i.segment_id
    left join street on street.id = s.street_id
    left join grid g on g.id = i.grid_id
    left join grid ng on ng.id = i.neighbour_grid_id
"""
TASKS = """
    select t.id, t.incident_id, t.post, t.lead, t.after_lead, t.round, t.status, t.due_at,
    t.assigned_at, t.accept_by, t.accepted_at, t.done_at, t.ended_at, t.ended_by, t.note,
    t.assignee_id, t.unit_id, p.name as assignee_name, p.phone, u.name as unit
    from task t left join staff p on p.id = t.assignee_id
    left join unit u on u.id = coalesce(t.unit_id, p.unit_id)
"""
_MANY = f"select {COLUMNS} {SOURCE} where i.id = any(%s)"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `total` counts to COUNT_LIMIT of `dispatch/listing.py`, `total_is_least` says that there are more."""

    items: list[dict[str, Any]]
    total: int
    total_is_least: bool
    page: int
    page_size: int


def list_incidents(
    session: Session, asked: IncidentFilter, sort: str, page: int, page_size: int
) -> Page:
    """One page of incidents with their tasks; BadInput `list.sort_unknown`, `list.page_bad`."""
    if sort not in SORTS:
        raise BadInput("list.sort_unknown", field="sort", sort=sort, known=", ".join(SORTS))
    if page < 1 or not 1 <= page_size <= LONGEST_PAGE:
        raise BadInput("list.page_bad", field="page", most=LONGEST_PAGE)
    limit = count_limit(session)
    span = Span(SORTS[sort], page_size, (page - 1) * page_size, limit + 1)
    count, ids = page_of_ids(session, asked, span)
    found = {row["id"]: row for row in _named(session, _MANY, [ids])} if ids else {}
    items = [found[incident_id] for incident_id in ids]
    with_parts(session, items)
    return Page(items, min(count, limit), count > limit, page, page_size)


def one_incident(session: Session, number: str, *, scope: Scope | None = None) -> dict[str, Any]:
    """One incident with tasks and evidence; NotFound `incident.unknown` also when it is not theirs."""
    where = where_of(IncidentFilter(scope=scope))
    where.add("i.number = :number", number=number)
    row = session.execute(
        text(f"select {COLUMNS} {SOURCE} {where.sql()}"),
        where.values,
    ).one_or_none()
    if row is None:
        raise NotFound("incident.unknown", field="number", number=number)
    item = dict(row._mapping)
    with_parts(session, [item])
    return item


def _named(session: Session, statement: str, values: list[Any]) -> list[dict[str, Any]]:
    """Rows by name of a statement that every report asks; as `ask`."""
    connection: Any = session.connection().connection.driver_connection
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: list[dict[str, Any]] = cursor.execute(statement, values, prepare=True).fetchall()
    return rows


def by_number(session: Session, numbers: Sequence[str]) -> list[dict[str, Any]]:
    """Incidents by their numbers, without tasks and evidence, in the order given."""
    statement = f"select {COLUMNS} {SOURCE} where i.number = any(%s)"
    found = {row["number"]: row for row in _named(session, statement, [list(numbers)])}
    return [found[number] for number in numbers if number in found]


def history_of(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """The record of one incident, oldest first."""
    rows = session.execute(
        text(
            "select seq, at, actor, move, from_status, to_status, note, detail"
            " from history where incident_id = :id order by seq"
        ),
        {"id": incident_id},
    )
    return [dict(row._mapping) for row in rows]


def tasks_of(session: Session, staff_id: int, *, done_since: datetime) -> list[dict[str, Any]]:
    """A person's tasks: all open ones, and those done since a moment; each with its incident."""
    rows = session.execute(
        text(
            "select t.id, t.incident_id, t.post, t.status, t.due_at, t.assigned_at, t.accepted_at,"
            " t.done_at from task t where (t.assignee_id = :staff or (t.assignee_id is null"
            " and t.unit_id = (select unit_id from staff where id = :staff)))"
            " and (t.status in ('offered', 'accepted', 'arrived')"
            " or (t.status = 'done' and t.done_at >= :since))"
            " order by t.status = 'done', t.due_at nulls last, t.id"
        ),
        {"staff": staff_id, "since": done_since},
    ).all()
    ids = [row.incident_id for row in rows]
    found = session.execute(
        text(f"select {COLUMNS} {SOURCE} where i.id = any(:ids)"),
        {"ids": ids},
    ).all()
    incidents = {row.id: dict(row._mapping) for row in found}
    with_parts(session, list(incidents.values()))
    return [{**row._mapping, "incident": incidents[row.incident_id]} for row in rows]


def live_since(
    session: Session, last_id: int, limit: int, known: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Live events after an id, oldest first, without those known already.

    Each: id, number, status, queue, version, lon, lat, grid, due_at, at, turned_overdue (the clock alone made it so).
    """
    return _named(session, _LIVE_SINCE, [last_id, list(known), limit])


_LIVE_SINCE = """
    select e.id, i.number, i.status, i.queue, i.version, st_x(i.point) as lon,
    st_y(i.point) as lat, g.code as grid, i.due_at, e.at,
    coalesce(e.first_seq is null and i.due_at <= e.at, false)
        and i.disposed_at is null and i.ended_at is null as turned_overdue from live_event e
    join incident i on i.id = e.incident_id left join grid g on g.id = i.grid_id
    where e.id > %s and e.id <> all(%s::bigint[]) order by e.id limit %s
"""


def newest_live_id(session: Session) -> int:
    """The id of the newest live event."""
    return int(session.scalar(text("select coalesce(max(id), 0) from live_event")) or 0)


def queue_counts(session: Session, scope: Scope | None = None) -> dict[str, int]:
    """How many incidents wait in each queue."""
    bound = f" and {scope.clause}" if scope else ""
    rows = session.execute(
        text(
            "select i.queue, count(*) from incident i"  # noqa: S608 (our own text)
            f" where i.queue is not null{bound} group by i.queue"
        ),
        scope.values if scope else {},
    )
    return {queue: count for queue, count in rows}  # noqa: C416 (rows are not tuples to mypy)


def incidents_by_segment(
    session: Session, since: datetime | None = None, until: datetime | None = None
) -> dict[int, int]:
    """How many incidents lie on each segment, of those that occurred since a moment and before another.

    What was refused, declined or struck out made no work and is left out.
    """
    rows = session.execute(
        text(
            "select segment_id, count(*) from incident where segment_id is not null"
            " and status not in ('refused', 'declined', 'voided')"
            " and (cast(:since as timestamptz) is null or occurred_at >= :since)"
            " and (cast(:until as timestamptz) is null or occurred_at < :until)"
            " group by segment_id"
        ),
        {"since": since, "until": until},
    )
    return dict(rows.all())


def with_parts(session: Session, items: Sequence[dict[str, Any]]) -> None:
    """Adds `tasks` and `evidence` to each incident: two statements for all of them."""
    by_id = {item["id"]: item for item in items}
    for item in items:
        item["tasks"] = []
        item["evidence"] = []
    if not by_id:
        return
    ids = [list(by_id)]
    for row in _named(session, _TASKS_OF, ids):
        by_id[row["incident_id"]]["tasks"].append(row)
    for row in _named(session, _EVIDENCE_OF, ids):
        by_id[row["incident_id"]]["evidence"].append(row)


_TASKS_OF = f"{TASKS} where t.incident_id = any(%s) order by t.lead desc, t.id"
_EVIDENCE_OF = """
    select id, incident_id, case when media_type like 'audio/%%' then 'voice' else kind end as kind,
    stage, media_type, size_bytes, actor, taken_at, received_at, st_x(point) as lon, st_y(point) as lat
    from evidence where incident_id = any(%s) order by id
"""
