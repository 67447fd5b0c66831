"""Open incidents at a change of grids or people: which change owner, and the hand-over when the change takes force.

The rule (DECISIONS.md): an open incident that nobody has begun follows its ground, and its task goes to whoever
holds the post then. Work that is begun (accepted or on the way) stays with its person and in its grid until it is
done, unless the change asks for all; a change may ask for none. Work of a person who has left is always given
on. A person whom the dispatcher chose, outside the crew, keeps the work. What was planned is due at its moment:
`hand_over_due` finds by itself what has taken force and is not handed over, so it may be called at any time,
again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.decisions import Answerer
from dispatch.desk import Desk
from dispatch.incidents import Line
from dispatch.models import Incident
from dispatch.placement import stored_placement
from dispatch.reading import OPEN_STATUSES
from dispatch.reasons import reason
from dispatch.steps import Actor, Asked, make_move
from dispatch.work import Work
from grid.changing import Plan
from grid.core.values import dataclass
from grid.crews import Answering, Crew, crew_at

# States in which the work is still to be done; what is done and waits for its check stays where it was done.
UNDONE = ("reported", "verifying", "accepted", "filed", "dispatched", "in_disposal", "suspended")
AT_WORK = ("dispatched", "in_disposal")
BEGUN = ("accepted", "arrived")
THE_RULE = Actor("system", "dispatcher", None)


@dataclass(frozen=True, slots=True)
class HandOver:
    """One open incident on ground that changes owner: from one grid and person to another (None: nobody).

    begun: its person has accepted it, so it stays unless the change asks for all.
    """

    number: str
    from_grid: str | None
    to_grid: str
    post: str | None
    person_now: str | None
    person_then: str | None
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """One hand-over that was made; grids and persons before and after (a person that stays is the same twice)."""

    number: str
    from_grid: str | None
    to_grid: str | None
    post: str | None
    from_person: str | None
    to_person: str | None


def incidents_of_plan(session: Session, plan: Plan) -> list[HandOver]:
    """Open incidents on the sides of segments that a plan moves, by number."""
    return incidents_changing(
        session, plan.moves, plan.from_at, {m.code: m.crew_of for m in plan.made}
    )


def incidents_changing(
    session: Session,
    moves: Sequence[tuple[int, str, str]],
    from_at: datetime,
    crew_of: dict[str, str] | None = None,
) -> list[HandOver]:
    """Open incidents whose side of a segment goes to another grid; `moves` are (segment_id, side, code).

    The person now holds the lead task; without one, whoever answers for the post. The person then is
    whoever will answer at `from_at`; in a grid that does not exist yet, the crew of the grid in `crew_of`.
    """
    if not moves:
        return []
    rows = session.execute(
        text(
            "select i.number, i.segment_id, g.id as grid_id, g.code as from_code, m.code as to_code,"
            " c.post, k.name as person, coalesce(k.status = any(:begun), false) as begun"
            " from incident i"
            " join unnest(cast(:segments as bigint[]), cast(:sides as text[]), cast(:codes as text[]))"
            " as m (segment_id, side, code) on m.segment_id = i.segment_id and m.side = i.side"
            " left join grid g on g.id = i.grid_id left join category c on c.code = i.category_code"
            " left join lateral (select p.name, t.status from task t"
            " join staff p on p.id = t.assignee_id"
            " where t.incident_id = i.id and t.status in ('offered', 'accepted', 'arrived', 'done')"
            " order by t.lead desc, t.id desc limit 1) k on true"
            " where i.status = any(:open) and g.code is distinct from m.code order by i.number"
        ),
        {
            "segments": [m[0] for m in moves],
            "sides": [m[1] for m in moves],
            "codes": [m[2] for m in moves],
            "open": list(OPEN_STATUSES),
            "begun": list(BEGUN),
        },
    ).all()
    crews = Crews(session, from_at, crew_of or {})
    return [
        HandOver(
            row.number,
            row.from_code,
            row.to_code,
            row.post,
            row.person or crews.named(row.from_code, row.segment_id, row.post),
            crews.named(row.to_code, row.segment_id, row.post),
            row.begun,
        )
        for row in rows
    ]


class Crews:
    """Crews at one moment, each read once."""

    def __init__(self, session: Session, at: datetime, crew_of: dict[str, str]) -> None:
        self._session, self._at, self._crew_of = session, at, crew_of
        rows = session.execute(
            text("select code, id from grid where valid @> cast(:at as timestamptz)"), {"at": at}
        )
        self._grids: dict[str, int] = {row.code: row.id for row in rows}
        self._crews: dict[tuple[int, int], Crew] = {}

    def named(self, code: str | None, segment_id: int, post: str | None) -> str | None:
        """Who answers for a post; None without a grid, a post or anybody."""
        grid_id = self._grids.get(self._crew_of.get(code or "", code or ""))
        if grid_id is None or post is None:
            return None
        key = (grid_id, segment_id)
        if key not in self._crews:
            self._crews[key] = crew_at(self._session, grid_id, segment_id, self._at)
        answering = self._crews[key].answering(post)
        return answering.person.name if answering else None


def hand_over_due(
    session: Session, desk: Desk, now: datetime, actor: Actor = THE_RULE
) -> list[Moved]:
    """Hands over every open incident whose ground or post has passed to somebody else by now, by number.

    `actor` stands in the record: the account that made the change, or the system for what was planned. Each moved
    incident gets its history line, notices and live event. Raises what `dispatch.steps.make_move` raises.
    """
    values = {"now": now, "undone": list(UNDONE)}
    numbers = [row.number for row in session.execute(_DUE, values)]
    moved = [_hand_over(session, desk, number, actor, now) for number in numbers]
    return [item for item in moved if item is not None]


# The owner of an incident's ground: an area drawn around its point before its side of the segment.
_OWNER = """
    left join lateral (
        select d.id, d.code, d.since, d.hand_over from (
            select g.id, g.code, lower(a.valid) as since, 'offered' as hand_over, 0 as place
            from grid_area a join grid g on g.id = a.grid_id join town w on true
            where i.point is not null and a.valid @> cast(:now as timestamptz)
                and st_intersects(a.area_plane, st_setsrid(st_transform(i.point, w.plane_epsg), 0))
            union all
            select g.id, g.code, lower(h.valid), h.hand_over, 1
            from grid_segment h join grid g on g.id = h.grid_id
            where h.segment_id = i.segment_id and h.side = i.side
                and h.valid @> cast(:now as timestamptz)
        ) d order by d.place, d.code limit 1
    ) o on true
"""
# Cheap to ask: only these are then looked at one by one.
_DUE = text(f"""
    select i.number from incident i left join grid g on g.id = i.grid_id {_OWNER}
    where i.status = any(:undone) and (
        (o.code is not null and o.code is distinct from g.code and (o.hand_over = 'all'
            or o.hand_over = 'offered' and not exists (
                select 1 from task t join staff s on s.id = t.assignee_id
                where t.incident_id = i.id and t.lead and t.status in ('accepted', 'arrived')
                    and (s.left_at is null or s.left_at > :now))))
        or exists (
            select 1 from task t join staff s on s.id = t.assignee_id
            where t.incident_id = i.id and i.status in ('dispatched', 'in_disposal')
                and t.status in ('waiting', 'offered', 'accepted', 'arrived')
                and (s.left_at <= :now or exists (
                    select 1 from post_holding p
                    where p.post = t.post and (p.grid_id in (i.grid_id, o.id)
                        or p.segment_id = i.segment_id)
                        and p.staff_id = t.assignee_id
                        and upper(p.valid) > t.assigned_at and upper(p.valid) <= :now))))
    order by i.number
""")  # noqa: S608 (fixed words)
_STANDS = text(f"""
    select i.id, i.segment_id, i.status, g.id as grid_id, g.code as grid_code,
        o.id as owner_id, o.code as owner_code, o.since, o.hand_over, c.post
    from incident i left join grid g on g.id = i.grid_id
    left join category c on c.code = i.category_code {_OWNER} where i.id = :id
""")  # noqa: S608 (fixed words)
_TASKS = text("""
    select t.id, t.post, t.lead, t.status, t.assignee_id, s.name,
        coalesce(s.left_at <= :now, false) as gone,
        greatest(t.assigned_at, (select max(h.at) from history h where h.incident_id = t.incident_id
            and h.move in ('hand_over', 'reassign', 'reroute'))) as given_at, t.assigned_at
    from task t join staff s on s.id = t.assignee_id
    where t.incident_id = :id and t.status in ('waiting', 'offered', 'accepted', 'arrived')
    order by t.lead desc, t.id
""")
# The post has passed on since the work was given: somebody's holding of it has ended.
_PASSED = text("""
    select coalesce((select n.hand_over from post_holding n
        where n.post = :post and (n.grid_id = :owner or n.segment_id = :segment)
            and n.valid @> cast(:now as timestamptz) and lower(n.valid) > :since
        order by n.segment_id nulls last limit 1), 'offered') as hand_over
    from post_holding p
    where p.post = :post and (p.grid_id in (:grid, :owner) or p.segment_id = :segment)
        and p.staff_id = :staff and upper(p.valid) > :since and upper(p.valid) <= :now limit 1
""")


def _hand_over(
    session: Session, desk: Desk, number: str, actor: Actor, now: datetime
) -> Moved | None:
    """One incident, looked at under its lock; None when nothing is to be handed over after all."""
    incident = incidents.lock_incident(session, number, None)
    at = session.execute(_STANDS, {"id": incident.id, "now": now}).one()
    if at.status not in UNDONE:
        return None
    tasks = session.execute(_TASKS, {"id": incident.id, "now": now}).all()
    ground = at.owner_code is not None and at.owner_code != at.grid_code
    ground = ground and at.hand_over != "none"
    begun = [task for task in tasks if task.lead and task.status in BEGUN and not task.gone]
    if ground and begun and at.hand_over != "all":
        ground = False
    owner_id = at.owner_id if ground or at.owner_code == at.grid_code else at.grid_id
    crew = _crew(session, owner_id, at.segment_id, now)
    beside = _crew(session, at.owner_id, at.segment_id, now) if owner_id != at.owner_id else crew
    given: list[tuple[Row[Any], Answering]] = []
    for task in tasks:
        # Of a grid that is no more nobody is left: whoever has its ground now.
        answering = crew.answering(task.post) or (
            beside.answering(task.post) if task.gone else None
        )
        if answering is None or answering.person.id == task.assignee_id:
            continue
        if _passes(session, at, task, owner_id, now, ground=ground):
            given.append((task, answering))
    if not ground and not given:
        return None
    _tell(session, desk, incident, at, given, actor, now, ground=ground)
    for task, answering in given:
        # Whoever made the change need not be one who may reassign: the rule is.
        by = Actor(actor.key, "dispatcher", None)
        note = f"{task.name} → {answering.person.name}"
        asked = Asked("reassign", note, answering.person.id, task=task.id, rule="hand_over")
        make_move(session, desk, number, asked, by, now)
    to_whom = {task.id: answering.person.name for task, answering in given}
    first = tasks[0] if tasks else None
    return Moved(
        number,
        at.grid_code,
        at.owner_code if ground else at.grid_code,
        first.post if first else at.post,
        first.name if first else None,
        to_whom.get(first.id, first.name) if first else None,
    )


def _crew(session: Session, grid_id: int | None, segment_id: int | None, at: datetime) -> Crew:
    return Crew({}) if grid_id is None else crew_at(session, grid_id, segment_id, at)


def _tell(
    session: Session,
    desk: Desk,
    incident: Incident,
    at: Row[Any],
    given: Sequence[tuple[Row[Any], Answering]],
    actor: Actor,
    now: datetime,
    *,
    ground: bool,
) -> None:
    """The incident belongs to the grid that has its ground now and says why; the record keeps where it was."""
    why = [
        reason(
            "task.handed_over", before=task.name, person=answering.person.name, post=task.post
        ).plain()
        for task, answering in given
    ]
    values: dict[str, Any] = {}
    if ground:
        values = {"grid_id": at.owner_id, "neighbour_grid_id": None}
        followed = reason("grid.followed", before=at.grid_code or "-", grid=at.owner_code)
        why.insert(0, followed.plain())
    incidents.change_incident(session, incident, {**values, "reason": [*incident.reason, *why]})
    if not ground:
        return
    detail = {"from": at.grid_code, "to": at.owner_code, "since": at.since.isoformat()}
    work = Work(session, desk, incident, actor, now)
    work.lines.append((actor.key, Line("follow_ground", at.status, at.status, None, detail)))
    lead = next((pair for pair in given if pair[0].lead), given[0] if given else None)
    answerer = Answerer(at.post, None, None, "follow_ground")
    if lead is not None:
        person = lead[1].person
        answerer = Answerer(lead[0].post, person.id, person.name, "hand_over")
    work.note_decision(stored_placement(session, incident), answerer, work.category())
    lines = [line for _, line in work.lines]
    incidents.write_history(session, incident.id, incident.number, lines, [actor.key], now)
    if not given:
        incidents.announce(session, incident.id, now)


def _passes(
    session: Session, at: Row[Any], task: Row[Any], owner_id: int, now: datetime, *, ground: bool
) -> bool:
    """Whether a task goes to whoever answers now."""
    if at.status not in AT_WORK:
        return False
    if task.gone:
        return True
    asked = at.hand_over if ground else None
    if asked is None:
        values = {
            "post": task.post, "grid": at.grid_id, "owner": owner_id, "segment": at.segment_id,
            "staff": task.assignee_id, "since": task.given_at, "now": now,
        }  # fmt: skip
        asked = session.scalar(_PASSED, values)
        return asked == "all" or (asked == "offered" and task.status not in BEGUN)
    if task.status in BEGUN and asked != "all":
        return False
    return _of_crew(session, at, task)


def _of_crew(session: Session, at: Row[Any], task: Row[Any]) -> bool:
    """Whether the work came to this person as one of the crew, not by the dispatcher's own choice."""
    if at.grid_id is None:
        return True
    held = session.scalar(
        text(
            "select exists (select 1 from post_holding p where p.staff_id = :staff and p.post = :post"
            " and (p.grid_id = :grid or p.segment_id = :segment)"
            " and (upper_inf(p.valid) or upper(p.valid) >= :since))"
        ),
        {
            "staff": task.assignee_id, "post": task.post, "grid": at.grid_id,
            "segment": at.segment_id, "since": task.assigned_at,
        },
    )  # fmt: skip
    if held:
        return True
    answered = crew_at(session, at.grid_id, at.segment_id, task.assigned_at).answering(task.post)
    return answered is not None and answered.person.id == task.assignee_id
