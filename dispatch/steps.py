"""Every later move: checked by the workflow's table, written by `incidents`, announced at commit.

Moves of an incident (accept, file, dispatch, check …) and of a person's own task (accept_task, arrive,
finish_task, return_task) come in by the same door; `dispatch/work.py` has the incident in hand. What the system
does next by itself follows in the same transaction.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dispatch import incidents, merging
from dispatch import workflow as flow
from dispatch.asked import THE_CLOCK, Actor, Asked
from dispatch.catalogue import Catalogue
from dispatch.decisions import answerer_of
from dispatch.desk import Desk
from dispatch.facts import Given
from dispatch.first_steps import answer_for
from dispatch.in_hand import AT_WORK
from dispatch.incident_columns import cell_of, place_values
from dispatch.models import Incident
from dispatch.moves import MOVES, TASK_MOVES, State, TaskState
from dispatch.placement import GivenPoint
from dispatch.placing import find_place
from dispatch.reasons import reason
from dispatch.standing import Standing, from_json
from dispatch.work import Work
from grid.core.database import ask
from grid.core.errors import BadInput, Conflict
from grid.core.values import dataclass

PLACE_CONFIDENCE_BY_HAND = 1.0
_UNIT_OF = "select u.id, u.name from staff s join unit u on u.id = s.unit_id where s.id = %s"

__all__ = ["Actor", "Asked", "MoveList", "PlaceGiven", "fix_place", "make_move", "wake"]


@dataclass(frozen=True, slots=True)
class PlaceGiven:
    """The place a person has chosen for an incident: a pin or the position of a candidate."""

    point: GivenPoint | None
    candidate: int | None
    category: str | None
    version: int | None


def make_move(
    session: Session, desk: Desk, number: str, asked: Asked, actor: Actor, now: datetime
) -> None:
    """Makes one move and what follows by itself.

    Raises NotFound `incident.unknown`, `move.person_unknown`, `task.unknown`; Conflict `incident.changed`,
    `move.not_now`, `task.not_now`, `task.none_open`, `task.lead_needed`; NotAllowed `move.not_yours`,
    `task.not_yours`; BadInput `move.unknown`, `move.*_missing`, `condition.unknown`, `category.unknown`.
    """
    if asked.move == "merge":
        into = str(asked.to) if asked.to is not None else ""
        merging.merge(session, desk, [number], into, asked, actor, now)
        return
    if asked.move == "unmerge":
        merging.unmerge(session, desk, number, asked, actor, now)
        return
    incident = incidents.lock_incident(session, number, asked.version)
    work = Work(session, desk, incident, actor, now)
    if asked.move in TASK_MOVES:
        work.task_move(asked)
    elif asked.move in MOVES:
        work.incident_move(asked)
    else:
        raise BadInput("move.unknown", "move", move=asked.move)
    work.finish()


def fix_place(
    session: Session, desk: Desk, number: str, given: PlaceGiven, actor: Actor, now: datetime
) -> None:
    """Gives an incident the place a person has chosen; one that waited for it goes on by itself.

    One that is at work already goes to whoever answers at the new place, when that is somebody else.
    Raises what `make_move` raises, and BadInput `place.nothing_chosen`, `place.candidate_unknown`,
    `place.outside`.
    """
    incident = incidents.lock_incident(session, number, given.version)
    ground, catalogue = desk.read(session)
    if ground is None:
        raise Conflict("town.empty")
    point = given.point or _candidate(incident, given.candidate)
    placed = find_place(session, ground, desk.settings, now, point, ())
    if placed.waits:
        raise BadInput("place.outside", field="lon", reach_m=round(desk.settings.reach_m))
    placed = replace(
        placed,
        confidence=PLACE_CONFIDENCE_BY_HAND,
        reading=incident.geocoding.get("reading", {}),
        reasons=(reason("place.by_hand", actor=actor.key),),
    )
    work = Work(session, desk, incident, actor, now)
    category = (
        catalogue.category_at(given.category, now)
        if given.category
        else catalogue.category(incident.category_code)
    )
    if category is not None and category.code != incident.category_code:
        before = work.limit_now()
        condition = work.set_category(category)
        if work.state in AT_WORK:
            anew = Given(reason=category.code, category=category.code, filing_condition=condition)
            work.move("set_category", work.as_actor(), anew)
            work.note_limit(before)
    work.move("set_place", work.as_actor(), Given(place=(point.lon, point.lat)))
    routed = answer_for(session, placed, category, now)
    known = work.values.get("reason", incident.reason)
    limits = [item for item in known if item["code"].startswith("limit.")]
    work.values |= {
        **place_values(placed),
        "cell_code": cell_of(session, placed),
        "reason": [r.plain() for r in (*placed.reasons, *routed.reasons)],
        "ground_version": ground.town.ground_version,
    }
    work.note_decision(placed, answerer_of(routed), category)
    if work.state in AT_WORK:
        work.values["reason"] += limits
        work.reroute(placed, category, routed)
    else:
        work.go_on(placed, category, routed)
    work.finish()


def wake(session: Session, desk: Desk, incident_id: int, now: datetime) -> str | None:
    """What time alone brings about: work resumed at its date, or a task that nobody accepted taken back.

    Returns the move that was made: resume, lapse_task, or None (nothing was due, or somebody is at the incident).
    """
    incident = incidents.lock_if_free(session, incident_id)
    if incident is None:
        return None
    work = Work(session, desk, incident, THE_CLOCK, now)
    until = work.standing.facts.suspended_until
    made = None
    if work.state is State.SUSPENDED and until is not None and until <= now:
        work.incident_move(Asked("resume"))
        made = "resume"
    elif work.state in AT_WORK and work.lapse():
        made = "lapse_task"
    if made is None:
        work.keep_plan()
    else:
        work.finish()
    return made


class MoveList:
    """Which moves an account may make now, for any number of incidents."""

    def __init__(
        self,
        session: Session,
        desk: Desk,
        actor: Actor,
        now: datetime,
        catalogue: Catalogue | None = None,
    ) -> None:
        catalogue = catalogue or desk.read(session)[1]
        self._rules, self._calendar = desk.rules(catalogue), catalogue.calendar
        self._actor, self._now = actor, now
        unit: Any = actor.unit or (None, None)
        if actor.unit is None and actor.staff_id is not None:
            unit = next(iter(ask(session, _UNIT_OF, [actor.staff_id])), unit)
        self._unit_id: int | None = unit[0]
        self._flow = actor.in_workflow(unit[1])

    def of(self, row: dict[str, Any], known: Standing | None = None) -> list[str]:
        """Names of the moves possible on an incident as `dispatch.reading` gives it, own task's first.

        Each task of the row gets its own `moves`: what this account may do with that very task. `known`: how it
        stands, where that is at hand.
        """
        standing = known or from_json(row["facts"], row["clocks"])
        standing = standing.at(self._now, self._calendar)
        latest = max((task["round"] for task in row["tasks"]), default=1)
        own: list[str] = []
        for task in row["tasks"]:
            task["moves"] = []
            if task["round"] != latest or standing.facts.state not in AT_WORK:
                continue
            mine = self._holds(task)
            holder = self._actor.person if mine else f"staff:{task['assignee_id']}"
            state = TaskState(task["status"])
            found = flow.allowed_task_moves(self._flow, holder, state, self._rules)
            task["moves"] = [n for n in found if n != "withdraw_task" or not task["lead"]]
            own += [name for name in task["moves"] if mine and name not in own]
        return own + list(flow.allowed(self._flow, standing.facts, self._rules, self._now))

    def _holds(self, task: dict[str, Any]) -> bool:
        if self._actor.staff_id is None:
            return False
        if task["assignee_id"] is None:
            return task["unit_id"] is not None and task["unit_id"] == self._unit_id
        return bool(task["assignee_id"] == self._actor.staff_id)


def _candidate(incident: Incident, position: int | None) -> GivenPoint:
    candidates = incident.geocoding.get("candidates", [])
    if position is None:
        raise BadInput("place.nothing_chosen", field="candidate")
    if position >= len(candidates):
        raise BadInput("place.candidate_unknown", field="candidate", count=len(candidates))
    chosen = candidates[position]
    return GivenPoint(chosen["lon"], chosen["lat"], "wgs84")
