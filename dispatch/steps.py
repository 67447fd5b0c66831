"""Every later move: checked by the workflow's table, written by `incidents`, announced at commit.

Moves of an incident (accept, file, dispatch, check …) and of a person's own task (accept_task, arrive,
finish_task, return_task) come in by the same door. What the system does next by itself follows in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch import workflow as flow
from dispatch.catalogue import Catalogue, CategoryFacts
from dispatch.facts import THE_SYSTEM, Given
from dispatch.incidents import Line
from dispatch.intake import Desk, answer_for, cell_of, go_on, place_values, standing_values
from dispatch.models import Incident, Task
from dispatch.moves import ENDED, MOVES, TASK_MOVES, State, TaskState
from dispatch.placing import GivenPoint, find_place, stored_placement
from dispatch.progress import follow_ups, move_after_tasks
from dispatch.reasons import reason
from dispatch.routing import Routed
from dispatch.standing import advance, from_json, stage_limits
from grid.core.errors import BadInput, Conflict, NotFound

POSTS = frozenset({"officer", "cleaner", "gardener", "maintainer"})
PLACE_CONFIDENCE_BY_HAND = 1.0


@dataclass(frozen=True, slots=True)
class Actor:
    """Who moves: the account's key, its role and the person behind it."""

    key: str
    role: str
    staff_id: int | None

    @property
    def person(self) -> str:
        """The key the workflow knows this person by."""
        return f"staff:{self.staff_id}" if self.staff_id is not None else self.key

    def in_workflow(self, unit: str | None = None) -> flow.Actor:
        """As the workflow's table sees it."""
        posts = frozenset({self.role}) & POSTS
        return flow.Actor(self.person, frozenset({self.role}), posts, unit)


@dataclass(frozen=True, slots=True)
class Asked:
    """A move as asked: `to` is a staff id, a unit's name or another incident's number, as the move wants."""

    move: str
    note: str | None = None
    to: str | int | None = None
    until: datetime | None = None
    condition: str | None = None
    category: str | None = None
    version: int | None = None


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

    Raises NotFound `incident.unknown`; Conflict `incident.changed`, `move.not_now`; NotAllowed
    `move.not_yours`, `task.not_yours`; BadInput `move.unknown`, `move.*_missing`, `move.person_unknown`.
    """
    incident = incidents.lock_incident(session, number, asked.version)
    _, catalogue = desk.read(session)
    work = _Work(session, desk, catalogue, incident, actor, now)
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
    work = _Work(session, desk, catalogue, incident, actor, now)
    work.move("set_place", actor.in_workflow(), Given(place=(point.lon, point.lat)))
    category = catalogue.category(given.category or incident.category_code)
    routed = answer_for(session, placed, category, now)
    work.values |= {
        **place_values(placed),
        "cell_code": cell_of(session, placed),
        "category_code": category.code if category else None,
        "reason": [r.plain() for r in (*placed.reasons, *routed.reasons)],
        "ground_version": ground.town.ground_version,
    }
    work.go_on(category, routed)
    work.finish()


class MoveList:
    """Which moves an account may make now, for any number of incidents."""

    def __init__(self, session: Session, desk: Desk, actor: Actor, now: datetime) -> None:
        _, catalogue = desk.read(session)
        self._rules, self._calendar = desk.rules(catalogue), catalogue.calendar
        self._actor, self._now = actor, now

    def of(self, row: dict[str, Any]) -> list[str]:
        """Names of the moves possible on an incident as `dispatch.reading` gives it, own task's first."""
        actor = self._actor.in_workflow()
        standing = from_json(row["facts"], row["clocks"]).at(self._now, self._calendar)
        moves: list[str] = []
        for task in row["tasks"]:
            if self._actor.staff_id is None or task["assignee_id"] != self._actor.staff_id:
                continue
            state = TaskState(task["status"])
            found = flow.allowed_task_moves(actor, self._actor.person, state, self._rules)
            moves += [name for name in found if name not in moves]
        return moves + list(flow.allowed(actor, standing.facts, self._rules, self._now))


class _Work:
    """One incident in hand: moves collect here and are written once, at the end."""

    def __init__(
        self,
        session: Session,
        desk: Desk,
        catalogue: Catalogue,
        incident: Incident,
        actor: Actor,
        now: datetime,
    ) -> None:
        self.session, self.desk, self.catalogue = session, desk, catalogue
        self.incident = incident
        self.actor, self.now = actor, now
        self.rules = desk.rules(catalogue)
        self.standing = from_json(incident.facts, incident.clocks)
        self.lines: list[tuple[str, Line]] = []
        self.values: dict[str, Any] = {}
        self._before = self.standing.facts.state

    def category(self) -> CategoryFacts | None:
        """The incident's category as the catalogue knows it."""
        return self.catalogue.category(
            self.values.get("category_code", self.incident.category_code)
        )

    def move(self, name: str, actor: flow.Actor, given: Given) -> None:
        """One move through the table; its line is kept for the record."""
        category = self.category()
        condition = self.catalogue.leading_condition(category.code, self.now) if category else None
        limits = stage_limits(self.now, self.catalogue.calendar, category, condition)
        self.standing, line = advance(
            self.standing, name, actor, given, limits, self.rules, self.catalogue.calendar, self.now
        )
        who = "system" if actor is THE_SYSTEM else self.actor.key
        self.lines.append((who, line))

    def incident_move(self, asked: Asked) -> None:
        """A move of the incident itself."""
        actor = self.actor.in_workflow(self._unit())
        given = self._given(asked)
        tasks = incidents.open_tasks(self.session, self.incident.id)
        if asked.move == "submit":
            self.standing = replace(
                self.standing,
                facts=replace(self.standing.facts, open_tasks=self._others_open(tasks)),
            )
        if asked.move == "set_category":
            given = self._with_category(given, asked)
        if asked.move == "file" and given.filing_condition is None:
            category = self.category()
            leading = (
                self.catalogue.leading_condition(category.code, self.now) if category else None
            )
            given = replace(given, filing_condition=leading.code if leading else None)
        self.move(asked.move, actor, given)
        if asked.move in ("dispatch", "assign", "reassign"):
            self._hand_to(asked, tasks)
        elif asked.move == "add_task":
            staff_id, post = self._person(asked)
            self.offer(staff_id, post, lead=False)
        elif self.standing.facts.state in ENDED or asked.move in ("return", "hand_back", "merge"):
            self._withdraw(tasks)
        elif asked.move == "submit":
            self._mark(tasks, TaskState.DONE)
        elif asked.move in ("check_failed", "reject_result", "resume"):
            self._offer_again()
        elif asked.move in ("accept", "verify_confirmed") or (
            asked.move == "set_category" and not tasks
        ):
            self._let_in()
        self._follow()

    def task_move(self, asked: Asked) -> None:
        """A move of the actor's own task, and of the incident when it was the last open one."""
        task = self._own_task()
        given = self._given(asked)
        actor = self.actor.in_workflow(self._unit())
        holder = f"staff:{task.assignee_id}"
        state = flow.check_task_move(
            asked.move, actor, holder, TaskState(task.status), given, self.rules
        )
        task.status = state.value
        if state is TaskState.ACCEPTED:
            task.accepted_at = self.now
        if state is TaskState.DONE:
            task.accepted_at = task.accepted_at or self.now
            task.done_at = self.now
        if asked.move == "hand_over":
            self._hand_over(task, asked)
        self.session.flush()
        stands = self.standing.facts.state.value
        self.lines.append((self.actor.key, Line(asked.move, stands, stands, asked.note)))
        states = [TaskState(s) for s in self._task_states()]
        done = frozenset({self.actor.person})
        if TASK_MOVES[asked.move].doer:
            facts = self.standing.facts
            self.standing = replace(self.standing, facts=replace(facts, doers=facts.doers | done))
        after = move_after_tasks(states)
        if after is not None and self.standing.facts.state is State.IN_DISPOSAL:
            facts = replace(self.standing.facts, open_tasks=0)
            self.standing = replace(self.standing, facts=facts)
            self.move(after, actor, given)
        self._follow()

    def go_on(self, category: CategoryFacts | None, routed: Routed) -> None:
        """What the system does by itself with a report that now has what it waited for."""
        opened = go_on(self.desk, self.catalogue, self.standing, category, routed, self.now)
        if not opened.lines:
            return
        self.standing = opened.standing
        self.lines += [("system", line) for line in opened.lines]
        self.values["condition_id"] = opened.condition.id if opened.condition else None
        known = self.values.get("reason", self.incident.reason)
        self.values["reason"] = [*known, *(r.plain() for r in opened.reasons)]
        if opened.standing.facts.state is State.IN_DISPOSAL and routed.answering and routed.post:
            self.offer(routed.answering.person.id, routed.post, lead=True)

    def _let_in(self) -> None:
        """A report that a person has let in goes to whoever answers for it at this moment."""
        category = self.category()
        placement = stored_placement(self.session, self.incident)
        routed = answer_for(self.session, placement, category, self.now)
        decided_anew = ("person.", "limit.")
        self.values["reason"] = [
            *(r for r in self.incident.reason if not r["code"].startswith(decided_anew)),
            *(r.plain() for r in routed.reasons if r.code.startswith(decided_anew)),
        ]
        self.go_on(category, routed)

    def offer(self, staff_id: int, post: str, *, lead: bool) -> None:
        """Puts the work on a person's list and leaves the notice."""
        incidents.add_task(
            self.session,
            {
                "incident_id": self.incident.id,
                "post": post,
                "lead": lead,
                "assignee_id": staff_id,
                "status": TaskState.OFFERED.value,
                "assigned_at": self.now,
                "due_at": self.standing.due_at(self.catalogue.calendar),
            },
        )
        detail = {"number": self.incident.number, "post": post}
        incidents.add_notice(
            self.session, self.incident.id, staff_id, "task_offered", detail, self.now
        )

    def finish(self) -> None:
        """Writes the incident, its record and the live event."""
        state = self.standing.facts.state
        values = {**self.values, **standing_values(self.standing, self.catalogue, self.now)}
        for name in ("filed_at", "dispatched_at"):
            if getattr(self.incident, name) is not None and self._before is state:
                values.pop(name, None)
        if state is State.DISPOSED and self.incident.disposed_at is None:
            values["disposed_at"] = self.now
        if any(line.move == "submit" for _, line in self.lines):
            values["disposed_at"] = self.now
        if state in (State.DISPATCHED, State.IN_DISPOSAL) and self._before is not state:
            values["disposed_at"] = None
        values["ended_at"] = (self.incident.ended_at or self.now) if state in ENDED else None
        incidents.change_incident(self.session, self.incident, values)
        incidents.write_history(
            self.session,
            self.incident.id,
            self.incident.number,
            [line for _, line in self.lines],
            [who for who, _ in self.lines],
            self.now,
        )
        incidents.announce(self.session, self.incident.id, self.now)

    def _follow(self) -> None:
        """What the system does next by itself."""
        for name in follow_ups(self.standing.facts, self.rules):
            given = Given(photos=self._photos())
            if name == "assign":
                person = min(self.standing.facts.assignees)
                given = replace(given, to=person)
            self.move(name, THE_SYSTEM, given)

    def _with_category(self, given: Given, asked: Asked) -> Given:
        """The category as asked for, and its leading condition; the limit follows them."""
        category = self.catalogue.category(asked.category)
        if category is None:
            return given
        condition = self.catalogue.leading_condition(category.code, self.now)
        self.values |= {
            "category_code": category.code,
            "condition_id": condition.id if condition else None,
        }
        code = condition.code if condition else None
        return replace(given, category=category.code, filing_condition=code)

    def _given(self, asked: Asked) -> Given:
        to = asked.to
        person = f"staff:{to}" if isinstance(to, int) or (to or "").isdigit() else None
        return Given(
            reason=asked.note,
            filing_condition=asked.condition if asked.move == "file" else None,
            closing_condition=asked.condition if asked.move == "close" else None,
            to=person,
            into=str(to) if asked.move == "merge" and to else None,
            until=asked.until,
            photos=self._photos(),
        )

    def _photos(self) -> frozenset[str]:
        rows = self.session.execute(
            text("select distinct stage from evidence where incident_id = :id"),
            {"id": self.incident.id},
        )
        return frozenset(row.stage for row in rows)

    def _unit(self) -> str | None:
        if self.actor.staff_id is None:
            return None
        unit = self.session.scalar(
            text("select u.name from staff s join unit u on u.id = s.unit_id where s.id = :id"),
            {"id": self.actor.staff_id},
        )
        return None if unit is None else str(unit)

    def _own_task(self) -> Task:
        own = [
            task
            for task in incidents.open_tasks(self.session, self.incident.id)
            if task.assignee_id == self.actor.staff_id
        ]
        if not own:
            state = self.standing.facts.state.value
            raise Conflict("task.none_open", number=self.incident.number, status=state)
        return own[0]

    def _others_open(self, tasks: Sequence[Task]) -> int:
        return sum(1 for task in tasks if task.assignee_id != self.actor.staff_id)

    def _task_states(self) -> list[str]:
        return list(
            self.session.scalars(
                select(Task.status).where(Task.incident_id == self.incident.id).order_by(Task.id)
            )
        )

    def _mark(self, tasks: Sequence[Task], state: TaskState) -> None:
        for task in tasks:
            task.status = state.value
            if state is TaskState.DONE:
                task.done_at = self.now
        self.session.flush()

    def _withdraw(self, tasks: Sequence[Task]) -> None:
        self._mark(tasks, TaskState.WITHDRAWN)

    def _hand_to(self, asked: Asked, tasks: Sequence[Task]) -> None:
        """The work goes to the person named; whoever had it is relieved."""
        staff_id, post = self._person(asked)
        self._withdraw(tasks)
        self.offer(staff_id, post, lead=True)

    def _hand_over(self, task: Task, asked: Asked) -> None:
        """A colleague takes a task over, with all that was done on it."""
        staff_id, _ = self._person(asked)
        before = f"staff:{task.assignee_id}"
        task.assignee_id, task.accepted_at = staff_id, None
        facts = self.standing.facts
        people = (facts.assignees - {before}) | {f"staff:{staff_id}"}
        self.standing = replace(self.standing, facts=replace(facts, assignees=people))
        detail = {"number": self.incident.number, "post": task.post}
        incidents.add_notice(
            self.session, self.incident.id, staff_id, "task_offered", detail, self.now
        )

    def _person(self, asked: Asked) -> tuple[int, str]:
        """The staff member a move names, and the post in which the work is given."""
        staff_id = int(asked.to) if asked.to is not None and str(asked.to).isdigit() else None
        post = self.session.scalar(
            text("select post from staff where id = :id and left_at is null"), {"id": staff_id}
        )
        if staff_id is None or post is None:
            raise NotFound("move.person_unknown", field="to", to=asked.to)
        category = self.category()
        return staff_id, post if post in POSTS or category is None else category.post

    def _offer_again(self) -> None:
        """Rework and resumed work go back on the list of whoever had them."""
        last = self.session.scalar(
            select(Task)
            .where(Task.incident_id == self.incident.id, Task.assignee_id.is_not(None))
            .order_by(Task.id.desc())
            .limit(1)
        )
        if last is not None and last.assignee_id is not None and last.status != "offered":
            self.offer(last.assignee_id, last.post, lead=True)


def _candidate(incident: Incident, position: int | None) -> GivenPoint:
    candidates = incident.geocoding.get("candidates", [])
    if position is None:
        raise BadInput("place.nothing_chosen", field="candidate")
    if position >= len(candidates):
        raise BadInput("place.candidate_unknown", field="candidate", count=len(candidates))
    chosen = candidates[position]
    return GivenPoint(chosen["lon"], chosen["lat"], "wgs84")
