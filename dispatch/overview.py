"""The desk's view of all incidents at once: numbers of the queues, marks for a map, open neighbours, who is on duty.

What is read here is bounded by what a screen can show, whatever the number of incidents.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch import reading
from dispatch.duplicates import box_around
from dispatch.likeness import LikenessRules, Report, rank
from dispatch.reading import OPEN_STATUSES, IncidentFilter, where_of
from dispatch.scope import Scope
from grid.core.crs import to_plane
from grid.core.values import dataclass
from grid.shifts import off_shift

# More marks than this are counted together by the server; fewer go out one by one.
MOST_MARKS = 1_000
MOST_CLUSTERS = 4_000

LAMPS = ("waiting", "green", "amber", "red", "red")
# The last of LAMPS: red for more than a day past its limit.
WORST = 4
BADLY = timedelta(days=1)
_RED = (
    "(i.ended_at is null and i.reply_due_at < :now) or (i.dispatched_at is not null"
    " and i.due_at < coalesce(i.disposed_at, i.ended_at, :now))"
)
_AMBER = "i.dispatched_at is not null and i.amber_at <= coalesce(i.disposed_at, i.ended_at, :now)"
_LAMP = (
    "case when i.ended_at is not null and i.reply_due_at is null and i.due_at is null then null"
    " when i.ended_at is null and i.dispatched_at is not null"
    f" and i.due_at < coalesce(i.disposed_at, :now) - :badly then {WORST}"
    f" when {_RED} then 3 when {_AMBER} then 2"
    " when i.dispatched_at is not null and i.due_at is not null then 1 else 0 end"
)


def queue_numbers(session: Session, now: datetime, scope: Scope | None = None) -> dict[str, int]:
    """How many incidents are `open`, `overdue` at this moment, and wait in each queue."""
    bound, values = (f" and {scope.clause}", scope.values) if scope else ("", {})
    row = session.execute(
        text(
            "select count(*) as open, count(*) filter (where i.due_at < :now"  # noqa: S608 (our own text)
            " and i.disposed_at is null) as overdue from incident i"
            f" where i.ended_at is null and i.status = any(:open){bound}"
        ),
        {**values, "now": now, "open": list(OPEN_STATUSES)},
    ).one()
    waiting = reading.queue_counts(session, scope)
    return {**waiting, "overdue": row.overdue, "open": row.open}


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of a map: one by one, or counted together by cells of `cell` degrees; `total` of all in view."""

    total: int
    marks: list[dict[str, Any]]
    clusters: list[dict[str, Any]]


def marks(session: Session, asked: IncidentFilter, now: datetime, cell: float) -> Marks:
    """The places of every incident of a filter (give it a bbox): number, lon, lat, status, lamp, worst · lon, lat, count,
    lamp, worst.

    A cluster's lamp is its worst; a cell with one incident alone gives its number too. `worst`: overdue by more than BADLY.
    """
    where = where_of(asked)
    where.add("i.point is not null")
    values = {**where.values, "now": now, "cell": cell, "badly": BADLY}
    rows = session.execute(
        text(
            f"select i.number, st_x(i.point) as lon, st_y(i.point) as lat, i.status,"  # noqa: S608 (our own text)
            f" {_LAMP} as lamp from incident i {where.sql()} limit {MOST_MARKS + 1}"
        ),
        values,
    ).all()
    if len(rows) <= MOST_MARKS:
        return Marks(len(rows), [_mark(row) for row in rows], [])
    cells = session.execute(
        text(
            "select count(*) as n, avg(st_x(i.point)) as lon, avg(st_y(i.point)) as lat,"  # noqa: S608 (our own text)
            f" max({_LAMP}) as lamp, min(i.number) as number, min(i.status) as status"
            f" from incident i {where.sql()}"
            " group by floor(st_x(i.point) / :cell), floor(st_y(i.point) / :cell)"
            f" order by 1 desc limit {MOST_CLUSTERS}"
        ),
        values,
    ).all()
    alone = [_mark(row) for row in cells if row.n == 1]
    together = [
        {
            "count": row.n,
            "lon": row.lon,
            "lat": row.lat,
            "lamp": _lamp(row.lamp),
            "worst": row.lamp == WORST,
        }
        for row in cells
        if row.n > 1
    ]
    return Marks(sum(row.n for row in cells), alone, together)


def neighbours(
    session: Session,
    plane_epsg: int,
    new: tuple[float, float, str, str],
    now: datetime,
    scope: Scope | None = None,
    *,
    rules: LikenessRules,
) -> list[dict[str, Any]]:
    """Open incidents within reach of a report being taken down (lon, lat, category, words), the likest first.

    number, status, category_zh, category_en, description, reported_at, distance_m, score (0 to 1, `likeness.py`).
    """
    lon, lat, category, words = new
    bound, values = (f" and {scope.clause}", scope.values) if scope else ("", {})
    rows = session.execute(
        text(
            "select i.number, i.status, i.category_code, c.name_zh as category_zh,"  # noqa: S608 (our own text)
            " c.name_en as category_en, i.description, i.reported_at, i.occurred_at,"
            " st_x(i.point) as lon, st_y(i.point) as lat from incident i"
            " left join category c on c.code = i.category_code"
            " where i.point && st_makeenvelope(:west, :south, :east, :north, 4326)"
            f" and i.status = any(:open){bound} order by i.reported_at desc limit 200"
        ),
        {**values, **box_around(lon, lat, rules.reach_m), "open": list(OPEN_STATUSES)},
    ).all()
    if not rows:
        return []
    x, y = to_plane(
        [lon, *(row.lon for row in rows)], [lat, *(row.lat for row in rows)], plane_epsg
    )
    known = [
        Report(x[at], y[at], row.category_code or "", row.occurred_at, row.description, row.number)
        for at, row in enumerate(rows, start=1)
    ]
    by_number = {row.number: row for row in rows}
    found = rank(Report(x[0], y[0], category, now, words), known, rules, at_least=-1.0)
    near = [each for each in found if each.distance_m <= rules.reach_m]
    return [
        {
            **{
                name: getattr(by_number[each.number], name)
                for name in (
                    *("number", "status", "category_zh", "category_en", "description"),
                    "reported_at",
                )
            },
            "distance_m": round(each.distance_m, 1),
            "score": each.score,
        }
        for each in near
    ]


def on_duty(
    session: Session, now: datetime, people: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Every post of every grid at a moment, by grid and post: who holds it and whether they are there.

    With `people` (ids of staff) only the posts of these; whoever stands in and is none of them is named without a number.

    grid, grid_name, post, staff_id, name, phone, unit, there (on duty, away, off_shift), substitute (name, phone),
    open_tasks, signed_in_at, and the last position of a shift still running: lon, lat, position_at.
    """
    rows = session.execute(
        text(
            "with held as (select g.code as grid, g.name as grid_name, p.post, p.staff_id"  # noqa: S608 (our own text)
            " from grid g join post_holding p on p.grid_id = g.id and p.valid @> :now"
            " where g.valid @> :now)"
            " select h.grid, h.grid_name, h.post, s.id as staff_id, s.name, s.phone, u.name as unit,"
            " case when a.id is not null then 'away' when o.off then 'off_shift' else 'on_duty' end"
            " as there, sub.name as substitute,"
            " case when cast(:people as bigint[]) is null or sub.id = any(:people) then sub.phone end"
            " as substitute_phone,"
            " coalesce(k.open_tasks, 0) as open_tasks, w.began_at as signed_in_at,"
            " st_x(l.point) as lon, st_y(l.point) as lat, l.at as position_at"
            " from held h join staff s on s.id = h.staff_id left join unit u on u.id = s.unit_id"
            " left join absence a on a.staff_id = s.id and a.valid @> :now"
            " left join (select staff_id, count(*) as open_tasks from"
            "  (select assignee_id as staff_id from task where status in"
            "   ('offered', 'accepted', 'arrived') and assignee_id is not null) t"
            "  group by staff_id) k on k.staff_id = s.id"
            f" cross join lateral (select {off_shift('s.id', 'cast(:now as timestamptz)')} as off) o"
            " left join lateral (select coalesce(a.substitute_id, (select f.substitute_id from shift f"
            "  where o.off and f.staff_id = s.id and f.valid @> :now"
            "  and f.substitute_id is not null limit 1)) as id) who on true"
            " left join staff sub on sub.id = who.id"
            " left join lateral (select id, began_at from attendance where staff_id = s.id"
            "  and ended_at is null order by began_at desc limit 1) w on true"
            " left join lateral (select point, at from position where attendance_id = w.id"
            "  order by at desc limit 1) l on true"
            " where (s.left_at is null or s.left_at > :now)"
            " and (cast(:people as bigint[]) is null or s.id = any(:people))"
            " order by h.grid, array_position(array['officer', 'cleaner', 'gardener', 'maintainer',"
            " 'leader'], h.post)"
        ),
        {"now": now, "people": None if people is None else list(people)},
    )
    return [dict(row._mapping) for row in rows]


def load_of_grids(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Open and overdue incidents of each grid: grid, open, overdue."""
    rows = session.execute(
        text(
            "select g.code as grid, count(*) as open, count(*) filter (where i.due_at < :now"
            " and i.disposed_at is null) as overdue from incident i join grid g on g.id = i.grid_id"
            " where i.ended_at is null and i.status = any(:open) group by g.code order by g.code"
        ),
        {"now": now, "open": list(OPEN_STATUSES)},
    )
    return [dict(row._mapping) for row in rows]


def _lamp(number: int | None) -> str | None:
    return None if number is None else LAMPS[number]


def _mark(row: Any) -> dict[str, Any]:
    lamp = _lamp(row.lamp)
    return {
        "number": row.number,
        "lon": round(row.lon, 7),
        "lat": round(row.lat, 7),
        "status": row.status,
        "lamp": None if lamp == "waiting" else lamp,
        "worst": row.lamp == WORST,
    }
