"""Chasing: whoever must be told of a clock is told once, and what time alone brings about is done.

`sweep` is called again and again by the worker. It takes what is due in batches, by index, from the plans of the open
incidents: one statement tells (a row in `chase` for each incident, rule and occasion makes sure that nobody is told
twice), and each resumed or lapsed incident goes through the workflow. Nothing is waited for: an incident that
somebody is at is left for the next sweep. A sweep that dies with its transaction is made again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.desk import Desk
from dispatch.incidents import LIVE_CHANNEL
from dispatch.replanning import BATCH as PLAN_BATCH
from dispatch.replanning import plan_missing
from dispatch.steps import wake
from grid.core.errors import Trouble
from grid.core.values import dataclass

# Whoever moves one of these waits for the whole batch: half a second at most.
TELL_BATCH = 5_000
WAKE_BATCH = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did; `more` is True when a batch was full: sweep again, in another transaction."""

    told: int
    overdue: int
    resumed: int
    lapsed: int
    planned: int
    more: bool


# The person, or the desk, that each rule names. A person on leave is told through the substitute.
_TARGETS = """
    select coalesce((select a.substitute_id from absence a
                     where a.staff_id = p.id and a.valid @> cast(:now as timestamptz) limit 1),
                    p.id) as staff_id, 'staff' as audience
    from (
        select t.assignee_id as id from task t where o.tell = 'assignee'
            and t.incident_id = o.incident_id and t.assignee_id is not null
            and t.status in ('offered', 'accepted', 'arrived')
        union
        select h.id from task t left join staff s on s.id = t.assignee_id
            join staff h on h.unit_id = coalesce(t.unit_id, s.unit_id) and h.heads_unit
            and h.left_at is null
            where o.tell = 'unit_head' and t.incident_id = o.incident_id and t.lead
            and t.status in ('offered', 'accepted', 'arrived')
        union
        select case when o.tell = 'leader' then l.staff_id else above.reports_to end
            from post_holding l join staff above on above.id = l.staff_id
            where o.tell in ('leader', 'leader_above') and l.grid_id = o.grid_id
            and l.post = 'leader' and l.valid @> cast(:now as timestamptz)
    ) p where p.id is not null
    union all
    select null, 'role:' || o.tell where o.tell in ('operator', 'watch_chief', 'dispatcher')
"""
_TELL = text(f"""
    with due as materialized (
        select p.incident_id, p.rule_ids, p.ats, i.number, i.grid_id, i.queue, i.due_at, i.status
        from chase_plan p join incident i on i.id = p.incident_id
        where p.at <= :now order by p.at limit :batch
        for no key update of i, p skip locked
    ), fresh as (
        insert into chase (incident_id, rule_id, occasion_at, told_at)
        select d.incident_id, o.rule_id, o.at, :now from due d
        cross join lateral unnest(d.rule_ids, d.ats) as o (rule_id, at)
        join chase_rule r on r.id = o.rule_id and r.valid @> o.at where o.at <= :now
        on conflict do nothing returning incident_id, rule_id, occasion_at
    ), occasion as materialized (
        -- Kept apart, so that the people are looked up for what is fresh and not for every rule there is.
        select f.incident_id, f.occasion_at, d.number, d.grid_id, d.due_at, r.code, r.clock,
            r.share, r.tell
        from fresh f join due d on d.incident_id = f.incident_id
        join chase_rule r on r.id = f.rule_id
    ), told as (
        insert into notice (incident_id, staff_id, audience, kind, detail, made_at)
        select o.incident_id, target.staff_id, target.audience,
            o.clock || case when o.share < 1 then '_warning' else '_overdue' end,
            jsonb_build_object('number', o.number, 'rule', o.code, 'clock', o.clock,
                'overdue', o.share = 1, 'at', o.occasion_at, 'due_at', o.due_at), :now
        from occasion o cross join lateral ({_TARGETS}) target
        returning 1
    ), moved_on as (
        update chase_plan p set at = (select min(t) from unnest(p.ats) t where t > :now)
        from due d where d.incident_id = p.incident_id
    ), red as (
        update incident i set queue = 'overdue' from due d where i.id = d.incident_id
        and d.queue is null and d.due_at < :now and d.status in ('dispatched', 'in_disposal')
        returning i.id
    ), live as (
        -- Also what waits in another queue and so never gets into that of the overdue.
        insert into live_event (at, incident_id) select :now, id from (
            select id from red union
            select incident_id from occasion where clock = 'disposal' and share = 1 and occasion_at = due_at
        ) turned returning id
    )
    select (select count(*) from due) as taken, (select count(*) from told) as told,
        (select count(*) from red) as red,
        (select pg_notify(:channel, cast(max(id) as text)) from live) as announced
""")  # noqa: S608 (made of constants)
_AWAKE = text(
    "select incident_id from chase_plan where wake_at <= :now order by wake_at limit :batch"
)


def sweep(session: Session, desk: Desk, now: datetime, batch: int = TELL_BATCH) -> Swept:
    """Tells whoever is to be told by now, resumes and takes back what is due; the caller commits.

    Safe to be called by several workers at once, at any time, and again after a crash.
    """
    planned = plan_missing(session, desk, now)
    woken = session.scalars(_AWAKE, {"now": now, "batch": WAKE_BATCH}).all()
    moves = [_woken(session, desk, incident_id, now) for incident_id in woken]
    row = session.execute(_TELL, {"now": now, "batch": batch, "channel": LIVE_CHANNEL}).one()
    made = [move for move in moves if move is not None]
    full = row.taken >= batch or planned >= PLAN_BATCH
    return Swept(
        told=row.told,
        overdue=row.red,
        resumed=moves.count("resume"),
        lapsed=moves.count("lapse_task"),
        planned=planned,
        more=full or (len(woken) >= WAKE_BATCH and bool(made)),
    )


def chase(session: Session, desk: Desk, now: datetime) -> None:
    """Sweeps until nothing is due; to be called every minute."""
    while sweep(session, desk, now).more:
        pass


def chases_of(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """Who was told of an incident's clocks: rule, clock, whom, occasion and moment; oldest first."""
    rows = session.execute(
        text(
            "select r.code as rule, r.clock, r.tell, c.occasion_at, c.told_at from chase c"
            " join chase_rule r on r.id = c.rule_id where c.incident_id = :id"
            " order by c.told_at, c.occasion_at, r.code"
        ),
        {"id": incident_id},
    )
    return [dict(row._mapping) for row in rows]


def _woken(session: Session, desk: Desk, incident_id: int, now: datetime) -> str | None:
    """One incident by itself: what keeps it from moving holds up no other."""
    try:
        with session.begin_nested():
            return wake(session, desk, incident_id, now)
    except Trouble:
        return None
