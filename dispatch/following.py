"""What open incidents do by themselves when the ground or the people change: go along, or go on.

Called after every change of grids or people, and by the clock for what was planned: it finds what is due by
itself, so it may be called at any time, again and again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.asked import THE_CLOCK
from dispatch.desk import Desk
from dispatch.first_steps import answer_for
from dispatch.handover import THE_RULE, Moved, hand_over_due
from dispatch.moves import State
from dispatch.placement import stored_placement
from dispatch.steps import Actor
from dispatch.work import Work
from grid.core.values import dataclass
from grid.kept_crews import crew_kept

# Reasons of the last routing that a filled post or a new grid answers.
NOBODY = ("person.none", "grid.none")
ANEW = ("person.", "post.", "category.", "grid.none")

_WAITING = text("""
    select i.id, i.grid_id, i.segment_id, c.post from incident i
    join category c on c.code = i.category_code
    where i.queue = 'to_dispatch' and i.status = 'filed' and i.segment_id is not null
        and i.grid_id is not null
        and (i.reason @> '[{"code": "person.none"}]' or i.reason @> '[{"code": "grid.none"}]')
    order by i.reported_at, i.id
""")


@dataclass(frozen=True, slots=True)
class Followed:
    """Incidents that were handed over, and numbers of those that had nobody and went on."""

    moved: list[Moved]
    gone_on: list[str]


def follow_changes(
    session: Session, desk: Desk, now: datetime, actor: Actor = THE_RULE
) -> Followed:
    """Hands over what has passed to somebody else by now, and lets go on what waited for a person.

    Raises what `dispatch.steps.make_move` raises.
    """
    moved = hand_over_due(session, desk, now, actor)
    return Followed(moved, go_on_waiting(session, desk, now))


def go_on_waiting(session: Session, desk: Desk, now: datetime) -> list[str]:
    """Incidents that wait because nobody answered for their post, and somebody does now: dispatched, by number.

    Only what the system itself could not give to anybody: what a person returned or took back stays with the
    dispatcher. An incident that somebody is at is left for the next time.
    """
    numbers = []
    for row in session.execute(_WAITING).all():
        if crew_kept(session, row.grid_id, row.segment_id, now).answering(row.post) is None:
            continue
        number = _go_on(session, desk, row.id, now)
        if number is not None:
            numbers.append(number)
    return numbers


def _go_on(session: Session, desk: Desk, incident_id: int, now: datetime) -> str | None:
    incident = incidents.lock_if_free(session, incident_id)
    if incident is None or incident.status != State.FILED.value:
        return None
    work = Work(session, desk, incident, THE_CLOCK, now)
    placement, category = stored_placement(session, incident), work.category()
    routed = answer_for(session, placement, category, now)
    if routed.answering is None:
        return None
    kept = [item for item in incident.reason if not item["code"].startswith(ANEW)]
    anew = [item.plain() for item in routed.reasons if item.code.startswith(ANEW)]
    work.values["reason"] = [*kept, *anew]
    work.go_on(placement, category, routed)
    if not work.lines:
        return None
    work.finish()
    return incident.number
