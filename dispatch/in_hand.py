"""One incident in hand: where it stands, the lines of its record, and the one writing of it all at the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch import workflow as flow
from dispatch.asked import Actor
from dispatch.catalogue import CategoryFacts, ConditionFacts
from dispatch.clocks import ClockKind
from dispatch.decisions import Answerer, Heard, Versions, decision
from dispatch.desk import Desk
from dispatch.done_moment import HAPPENS_WITH, DoneMoment
from dispatch.facts import THE_SYSTEM, Given
from dispatch.first_steps import limit_reasons, occasions_of, unit_of
from dispatch.incident_columns import stage_moments, standing_values
from dispatch.incidents import Line
from dispatch.models import Incident
from dispatch.moves import ENDED, TASK_OPEN, State, TaskState
from dispatch.placement import Placement
from dispatch.standing import accept_by, advance, from_json, stage_limits
from dispatch.step_places import MadeAt, keep_place

AT_WORK = frozenset({State.DISPATCHED, State.IN_DISPOSAL})
UNENDED = TASK_OPEN | {TaskState.WAITING}


class InHand:
    """One incident, locked by the caller: moves collect here, with what they change."""

    def __init__(
        self, session: Session, desk: Desk, incident: Incident, actor: Actor, now: datetime
    ) -> None:
        ground, self.catalogue = desk.read(session)
        town = ground.town if ground else None
        self.versions = (
            Versions(town.ground_version, town.rules_version) if town else Versions(0, 0)
        )
        self.session, self.desk, self.incident = session, desk, incident
        self.actor, self.now = actor, now
        self.done = DoneMoment(now)
        self.rules = desk.rules(self.catalogue)
        self.standing = from_json(incident.facts, incident.clocks)
        self.tasks = incidents.tasks_of_round(session, incident.id)
        self.lines: list[tuple[str, Line]] = []
        self.values: dict[str, Any] = {}
        # What each task was when the incident was merged; `dispatch/merging.py` reads it from the record.
        self.kept_tasks: list[dict[str, Any]] = []
        # Where the actor's own step was made, and the position of its line.
        self.made_at: tuple[MadeAt, int] | None = None
        self._round = max((task.round for task in self.tasks), default=0)

    @property
    def state(self) -> State:
        """Where the incident stands now."""
        return self.standing.facts.state

    def category(self) -> CategoryFacts | None:
        """The incident's category as the catalogue knows it."""
        return self.catalogue.category(
            self.values.get("category_code", self.incident.category_code)
        )

    def as_actor(self) -> flow.Actor:
        """Who moves, as the workflow's table sees it."""
        if self.actor.role == flow.SYSTEM:
            return THE_SYSTEM
        unit = unit_of(self.session, self.actor.staff_id) if self.actor.staff_id else None
        return self.actor.in_workflow(unit)

    def move(
        self, name: str, actor: flow.Actor, given: Given, detail: dict[str, Any] | None = None
    ) -> None:
        """One move through the table; its line is kept for the record."""
        category = self.category()
        code = given.filing_condition or self.standing.facts.filing_condition
        condition = self._condition(code, category)
        calendar, stages = self.catalogue.calendar, self.catalogue.stages
        limits = stage_limits(self.now, calendar, category, condition, stages)
        own = actor is not THE_SYSTEM or name in HAPPENS_WITH
        at = self.done.at if own else self.now
        self.standing, line = advance(
            self.standing, name, actor, given, limits, self.rules, calendar, at, self.now
        )
        who = "system" if actor is THE_SYSTEM else self.actor.key
        kept = self.done.kept if own else {}
        self.lines.append((who, replace(line, detail={**(detail or {}), **kept})))

    def _condition(self, code: str | None, category: CategoryFacts | None) -> ConditionFacts | None:
        """The filing condition as it was when the incident was filed: a limit changed since leaves it alone."""
        if code is None:
            return None
        filed = self.values.get("condition_id", self.incident.condition_id)
        known = self.catalogue.conditions.get(category.code, ()) if category else ()
        kept = next((c for c in known if c.id == filed and c.code == code), None)
        return kept or self.catalogue.condition(code, category, self.now)

    def note_decision(
        self, placement: Placement, answerer: Answerer, category: CategoryFacts | None
    ) -> None:
        """Keeps with the newest line what was decided in it, on what and by which rule."""
        who, line = self.lines[-1]
        condition_id = self.values.get("condition_id", self.incident.condition_id)
        known = self.catalogue.conditions.get(category.code, ()) if category else ()
        decided = decision(
            heard_of(self.incident),
            self.values.get("geocoding", self.incident.geocoding),
            placement,
            category,
            next((c for c in known if c.id == condition_id), None),
            answerer,
            self.values.get("reason", self.incident.reason),
            self.versions,
        )
        self.lines[-1] = (who, replace(line, detail={**line.detail, "decision": decided}))

    def set_category(self, category: CategoryFacts, written: str | None = None) -> str | None:
        """The category as asked for; the condition that the limit follows: the one of a code, or the leading one.

        Raises BadInput `condition.unknown`.
        """
        condition = self.catalogue.condition(written, category, self.now)
        self.values |= {
            "category_code": category.code,
            "condition_id": condition.id if condition else None,
        }
        code = condition.code if condition else None
        facts = replace(self.standing.facts, filing_condition=code)
        self.standing = replace(self.standing, facts=facts)
        return code

    def limit_now(self) -> dict[str, Any]:
        """The condition, its limit and when it is used up, as the record keeps them."""
        clock = self.standing.clocks.get(ClockKind.DISPOSAL)
        due_at = self.standing.due_at(self.catalogue.calendar)
        return {
            "condition": self.standing.facts.filing_condition,
            "value": clock.limit.value if clock else None,
            "unit": clock.limit.unit.value if clock else None,
            "due_at": due_at.isoformat() if due_at else None,
        }

    def note_limit(self, before: dict[str, Any]) -> None:
        """Keeps with the newest line how the limit has changed, and brings what hangs on it up to date.

        A task not yet accepted is to be accepted within the time that the new urgency gives from now, never later
        than before.
        """
        after, category = self.limit_now(), self.category()
        if after != before:
            who, line = self.lines[-1]
            changed = {**line.detail, "limit": {"from": before, "to": after}}
            self.lines[-1] = (who, replace(line, detail=changed))
        condition = self._condition(after["condition"], category)
        due_at = self.standing.due_at(self.catalogue.calendar)
        known = self.values.get("reason", self.incident.reason)
        why = limit_reasons(self.catalogue, condition, due_at, self.now)
        self.values["reason"] = [
            *(item for item in known if not item["code"].startswith("limit.")),
            *(each.plain() for each in why),
        ]
        sooner = accept_by(self.now, self.catalogue.calendar, category, self.catalogue.stages)
        for task in self.tasks:
            if task.status == TaskState.OFFERED.value and task.accept_by and sooner:
                task.accept_by = min(task.accept_by, sooner)

    def finish(self) -> None:
        """Writes the incident, its tasks and record, what it waits for, and the live event."""
        moves = {line.move for _, line in self.lines}
        values = {
            **self.values,
            **standing_values(self.standing, self.catalogue, self.now),
            **stage_moments((line for _, line in self.lines), self.now),
        }
        if self.state is State.DISPOSED and self.incident.disposed_at is None:
            values["disposed_at"] = self.done.at
        if "submit" in moves:
            values["disposed_at"] = self.done.at
        elif self.state in AT_WORK or self.state is State.FILED:
            values["disposed_at"] = None
        ended = self.state in ENDED
        values["ended_at"] = (self.incident.ended_at or self.now) if ended else None
        for task in self.tasks:
            if TaskState(task.status) in UNENDED:
                task.due_at = values["due_at"]
        self.session.flush()
        incidents.change_incident(self.session, self.incident, values)
        first_seq = incidents.write_history(
            self.session,
            self.incident.id,
            self.incident.number,
            [line for _, line in self.lines],
            [who for who, _ in self.lines],
            self.now,
        )
        if self.made_at is not None:
            place, line = self.made_at
            keep_place(self.session, self.incident.id, first_seq + line, place, self.done.at)
        self.keep_plan()
        incidents.announce(self.session, self.incident.id, self.now)

    def keep_plan(self) -> None:
        """Keeps what the incident waits for from now on."""
        occasions = occasions_of(self.standing, self.catalogue, self.category(), self.now)
        ended = self.state in ENDED
        incidents.keep_plan(self.session, self.incident.id, occasions, self._wake_at(), ended=ended)

    def _wake_at(self) -> datetime | None:
        """When time alone moves the incident: the date of resuming, or the end of the time to accept a task."""
        if self.state is State.SUSPENDED:
            return self.standing.facts.suspended_until
        if self.state not in AT_WORK:
            return None
        offered = (task for task in self.tasks if task.status == TaskState.OFFERED.value)
        return min((task.accept_by for task in offered if task.accept_by), default=None)

    def _photos(self) -> frozenset[str]:
        rows = self.session.execute(
            text(
                "select distinct stage from evidence where incident_id = :id and kind = 'photo'"
                " and media_type like 'image/%'"
            ),
            {"id": self.incident.id},
        )
        return frozenset(row.stage for row in rows)

    def _name(self, staff_id: int | None) -> str | None:
        found = self.session.scalar(text("select name from staff where id = :id"), {"id": staff_id})
        return None if found is None else str(found)

    def _tell(self, staff_id: int, kind: str, **detail: Any) -> None:
        values = {"number": self.incident.number, **detail}
        incidents.add_notice(self.session, self.incident.id, staff_id, kind, values, self.now)

    def _tell_role(self, role: str, kind: str, **detail: Any) -> None:
        values = {"number": self.incident.number, **detail}
        audience = f"role:{role}"
        incidents.add_notice(
            self.session, self.incident.id, None, kind, values, self.now, audience=audience
        )

    def tell_workers(self, kind: str, note: str | None, **more: Any) -> None:
        """Whoever has an open task hears of a decision; of supervision also the dispatcher."""
        people = {t.assignee_id for t in self.tasks if TaskState(t.status) in UNENDED}
        for staff_id in sorted(person for person in people if person is not None):
            self._tell(staff_id, kind, reason=note, **more)
        if kind == "supervised":
            self._tell_role("dispatcher", kind, reason=note)


def heard_of(incident: Incident) -> Heard:
    """What came in, as it is recorded."""
    lon, lat, datum = incident.given_lon, incident.given_lat, incident.given_datum
    point = None if lon is None or lat is None else (lon, lat, datum or "wgs84")
    return Heard(incident.description, incident.address, point)
