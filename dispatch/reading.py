"""Incidents as they are read: lists with filters, one with all its parts, its history, a person's tasks.

A list costs the same few statements at any size. First the ids: what fits a filter is gathered in any order, up to
COUNT_LIMIT; if that was all, it is counted and put in order. If there is more, then so much fits that a walk along the
order soon has a page together. The rows, tasks and evidence are then those of the page alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.scope import Scope
from grid.core.errors import BadInput, NotFound

SORTS = {
    "reported_at": "i.reported_at asc, i.id",
    "-reported_at": "i.reported_at desc, i.id desc",
    "due_at": "i.due_at asc nulls last, i.id",
    "-due_at": "i.due_at desc nulls last, i.id desc",
    "number": "i.number",
}
LONGEST_PAGE = 500
INCIDENT_NUMBER = re.compile(r"\d{8}-\d{6,}")
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
OPEN_STATUSES = (
    *("reported", "verifying", "accepted", "filed", "dispatched"),
    *("in_disposal", "disposed", "checking", "pending_close", "suspended"),
)
# Of a long list only so many are counted exactly; beyond, "at least" is said. A county sees its year whole;
# among more than LARGE_TABLE incidents counting so far would be what a list waits for.
COUNT_LIMIT = 10_000
LARGE_TABLE = 100_000
LARGE_COUNT_LIMIT = 1_000
# What much fits is looked for in order, among at most so many incidents.
WALK_LIMIT = 50_000
FEW_PEOPLE = 20
KEYS = "i.id, i.number, i.reported_at, i.due_at"

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
class IncidentFilter:
    """What a list asks for; `scope` bounds what its reader may see, None is everything."""

    statuses: tuple[str, ...] = ()
    queue: str | None = None
    grid: str | None = None
    category: str | None = None
    channel: str | None = None
    post: str | None = None
    assignee_id: int | None = None
    bbox: tuple[float, float, float, float] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    words: str | None = None
    flag: str | None = None
    open_only: bool = False
    overdue_at: datetime | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `total` counts to COUNT_LIMIT, `total_is_least` says that there are more."""

    items: list[dict[str, Any]]
    total: int
    total_is_least: bool
    page: int
    page_size: int


@dataclass(slots=True)
class Where:
    """Conditions joined by `and`, with their values."""

    clauses: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, clause: str, **values: Any) -> None:
        self.clauses.append(clause)
        self.values.update(values)

    def sql(self) -> str:
        return " where " + " and ".join(self.clauses) if self.clauses else ""


def list_incidents(
    session: Session, asked: IncidentFilter, sort: str, page: int, page_size: int
) -> Page:
    """One page of incidents with their tasks; BadInput `list.sort_unknown`, `list.page_bad`."""
    if sort not in SORTS:
        raise BadInput("list.sort_unknown", field="sort", sort=sort, known=", ".join(SORTS))
    if page < 1 or not 1 <= page_size <= LONGEST_PAGE:
        raise BadInput("list.page_bad", field="page", most=LONGEST_PAGE)
    limit = _count_limit(session)
    count, ids = _page_of_ids(session, asked, SORTS[sort], page_size, (page - 1) * page_size, limit)
    found = {row["id"]: row for row in _named(session, _MANY, [ids])} if ids else {}
    items = [found[incident_id] for incident_id in ids]
    with_parts(session, items)
    return Page(items, min(count, limit), count > limit, page, page_size)


def _count_limit(session: Session) -> int:
    newest = session.scalar(text("select max(id) from incident")) or 0
    return COUNT_LIMIT if newest <= LARGE_TABLE else LARGE_COUNT_LIMIT


def _page_of_ids(
    session: Session, asked: IncidentFilter, order: str, limit: int, offset: int, count_limit: int
) -> tuple[int, list[int]]:
    """How many fit, at most one more than `count_limit`, and the ids of a page."""
    most = count_limit + 1
    page = {"limit": limit, "offset": offset}

    def asking(gathered: tuple[str, dict[str, Any]]) -> tuple[int, list[int]]:
        statement, values = gathered
        row = _planned(
            session,
            f"with i as materialized ({statement}) select (select count(*) from i),"  # noqa: S608 (made of constants)
            f" array(select i.id from i order by {order} limit :limit offset :offset)",
            {**values, **page},
        )[0]
        return int(row[0]), list(row[1])

    upto = offset + limit
    if _many_people(asked) and upto <= most:
        count, ids = asking(_walked(asked, order, most))
        if count >= most:
            return count, ids
    count, ids = asking(_gathered(asked, f"limit {most}"))
    if count < most:
        return count, ids
    if _words_of(asked):
        _, ids = asking(_walked(asked, order, upto))
        if len(ids) == limit:
            return count, ids
    return count, asking(_gathered(asked, f"order by {order} limit {upto}"))[1]


def _many_people(asked: IncidentFilter) -> bool:
    """Whether the tasks that a filter looks at are so many that asking each incident is quicker."""
    wide = asked.scope is not None and len(asked.scope.staff_ids) > FEW_PEOPLE
    return (wide or asked.post is not None) and not _words_of(asked)


def _gathered(asked: IncidentFilter, ending: str) -> tuple[str, dict[str, Any]]:
    """The keys of what fits, each part of a scope asked by itself: each has its own index, together they have none."""
    found: list[str] = []
    values: dict[str, Any] = {}
    for where in _parts(asked):
        values |= where.values
        found.append(f"(select {KEYS} from incident i {where.sql()} {ending})")  # noqa: S608
    return " union ".join(found), values


def _walked(asked: IncidentFilter, order: str, upto: int) -> tuple[str, dict[str, Any]]:
    """`_gathered` in order for what much fits: read on until enough is found, at most WALK_LIMIT incidents."""
    frame = where_of(replace(asked, scope=None, words=None, post=None))
    found: list[str] = []
    values = dict(frame.values)
    for sieve in _parts(
        IncidentFilter(scope=asked.scope, words=_words_of(asked), post=asked.post), indexed=False
    ):
        values |= sieve.values
        found.append(
            f"(select {KEYS} from (select i.* from incident i {frame.sql()}"  # noqa: S608
            f" order by {order} limit {WALK_LIMIT}) i {sieve.sql()} limit {upto})"
        )
    return " union ".join(found), values


def _parts(asked: IncidentFilter, *, indexed: bool = True) -> list[Where]:
    """The filter's conditions, once for each part of its scope."""
    if asked.scope is None:
        return [where_of(asked, indexed=indexed)]
    found = []
    for part in asked.scope.parts:
        where = where_of(replace(asked, scope=None), indexed=indexed)
        where.add(part, **asked.scope.values)
        found.append(where)
    return found


def _planned(session: Session, statement: str, values: dict[str, Any]) -> list[Any]:
    """Rows of a statement planned for these very values: one word is on every tenth incident, another on none."""
    connection: Any = session.connection().connection.driver_connection
    named = _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))
    rows: list[Any] = connection.execute(named, values, prepare=False).fetchall()
    return rows


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
    ids = {"ids": list(by_id)}
    for row in session.execute(
        text(f"{TASKS} where t.incident_id = any(:ids) order by t.lead desc, t.id"),
        ids,
    ):
        by_id[row.incident_id]["tasks"].append(dict(row._mapping))
    for row in session.execute(
        text(
            "select id, incident_id, case when media_type like 'audio/%' then 'voice' else kind end as kind,"
            " stage, media_type, size_bytes, actor, taken_at, received_at,"
            " st_x(point) as lon, st_y(point) as lat from evidence"
            " where incident_id = any(:ids) order by id"
        ),
        ids,
    ):
        by_id[row.incident_id]["evidence"].append(dict(row._mapping))


def where_of(asked: IncidentFilter, *, indexed: bool = True) -> Where:
    """The conditions of a filter on `incident i`; not `indexed`: words by the text alone."""
    where = Where()
    if asked.words and INCIDENT_NUMBER.fullmatch(asked.words.strip()):
        # A number finds exactly that incident, whatever the other filters say.
        where.add("i.number = :number", number=asked.words.strip())
        return _bounded(where, asked)
    _bounded(where, asked)
    if asked.statuses:
        where.add("i.status = any(:statuses)", statuses=list(asked.statuses))
    if asked.open_only:
        # The same as a status of OPEN_STATUSES (`dispatch/in_hand.py` writes both), and what the indexes know.
        where.add("i.ended_at is null")
    if asked.queue:
        where.add("i.queue = :queue", queue=asked.queue)
    if asked.grid:
        where.add("i.grid_id in (select id from grid where code = :grid)", grid=asked.grid)
    if asked.category:
        where.add("i.category_code = :category", category=asked.category)
    if asked.channel:
        where.add("i.channel_code = :channel", channel=asked.channel)
    if asked.flag:
        where.add("i.flags @> array[cast(:flag as text)] and i.flags <> '{}'", flag=asked.flag)
    if asked.post:
        where.add(
            "exists (select 1 from task k where k.incident_id = i.id and k.post = :post)",
            post=asked.post,
        )
    if asked.assignee_id is not None:
        where.add(
            "exists (select 1 from task k where k.incident_id = i.id and k.assignee_id = :assignee)",
            assignee=asked.assignee_id,
        )
    if asked.bbox:
        west, south, east, north = asked.bbox
        where.add(
            "i.point && st_makeenvelope(:west, :south, :east, :north, 4326)",
            west=west,
            south=south,
            east=east,
            north=north,
        )
    if asked.from_at:
        where.add("i.reported_at >= :from_at", from_at=asked.from_at)
    if asked.to_at:
        where.add("i.reported_at < :to_at", to_at=asked.to_at)
    if asked.overdue_at:
        where.add(
            "i.due_at < :overdue_at and i.disposed_at is null and i.ended_at is null",
            overdue_at=asked.overdue_at,
        )
    _add_words(where, _words_of(asked), indexed=indexed)
    return where


def _words_of(asked: IncidentFilter) -> str:
    """The words that a filter looks for, empty where it has none or names an incident's number."""
    words = (asked.words or "").strip()
    return "" if INCIDENT_NUMBER.fullmatch(words) else words


def _add_words(where: Where, words: str, *, indexed: bool) -> None:
    if not words:
        return
    # The index knows pairs of characters; that they stand in this order, the text itself says.
    if indexed:
        where.add("i.words @@ search_query(:words)", words=words)
    where.add(
        "(i.description ilike :like or i.address ilike :like)", like=f"%{_plain_like(words)}%"
    )


def _bounded(where: Where, asked: IncidentFilter) -> Where:
    """Only incidents within the reader's scope."""
    if asked.scope is not None:
        where.add(asked.scope.clause, **asked.scope.values)
    return where


def _plain_like(words: str) -> str:
    return words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
