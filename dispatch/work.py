"""One incident in hand: moves collect here, with tasks and notices, and are written once, at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch import workflow as flow
from dispatch.catalogue import CategoryFacts, ConditionFacts
from dispatch.decisions import BY_HAND, Answerer, Heard, Versions, answerer_of, decision
from dispatch.done_moment import HAPPENS_WITH, DoneMoment, done_moment
from dispatch.facts import THE_SYSTEM, Given
from dispatch.incidents import Line
from dispatch.intake import (
    Desk,
    answer_for,
    crew_for,
    go_on,
    linked,
    occasions_of,
    stage_moments,
    standing_values,
    unit_of,
)
from dispatch.linkage import Part, after_tasks
from dispatch.models import Incident, Task
from dispatch.moves import ENDED, TASK_MOVES, TASK_OPEN, TASK_REFUSED, State, TaskState
from dispatch.placing import Placement, stored_placement
from dispatch.progress import follow_ups
from dispatch.reasons import reason
from dispatch.routing import Routed
from dispatch.standing import accept_by, advance, from_json, stage_limits
from dispatch.tasks import Offer, Timing, facts_with, give, offers_of, tell_offered
from grid.core.errors import Conflict, NotFound

POSTS = frozenset({"officer", "cleaner", "gardener", "maintainer"})
AT_WORK = frozenset({State.DISPATCHED, State.IN_DISPOSAL})
UNENDED = TASK_OPEN | {TaskState.WAITING}
# Moves whose `to` names a person or a unit.
GIVING = frozenset({"dispatch", "assign", "reassign", "add_task", "send_verify", "hand_over"})


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


THE_CLOCK = Actor("system", flow.SYSTEM, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """A move as asked: `to` is a staff id, a unit's name or another incident's number, as the move wants.

    `task` names one task by its id where it is not the actor's own or the lead's; `after_lead` lets an added task
    begin when the lead's is done. `done_at`: when it was done, told by a phone that had no network.
    `rating`: how content a reporter is.
    """

    move: str
    note: str | None = None
    to: str | int | None = None
    until: datetime | None = None
    condition: str | None = None
    category: str | None = None
    version: int | None = None
    task: int | None = None
    after_lead: bool = False
    # By which rule somebody is named, where it is not by hand: hand_over.
    rule: str | None = None
    done_at: datetime | None = None
    rating: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom work is given to: a person or a whole unit, in a post."""

    post: str
    staff_id: int | None
    unit_id: int | None
    unit: str | None


class Work:
    """One incident in hand, locked by the caller."""

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

    def check(self, name: str, asked: Asked) -> None:
        """Whether the move may be made now; raises what `check_move` raises and changes nothing."""
        standing = self.standing.at(self.now, self.catalogue.calendar)
        flow.check_move(
            name, self.as_actor(), standing.facts, self._given(asked), self.rules, self.now
        )

    def incident_move(self, asked: Asked) -> None:
        """A move of the incident itself, and what follows from it."""
        self._count_tasks()
        self._done_at(asked, None)
        actor, given = self.as_actor(), self._given(asked)
        if asked.move == "set_category":
            category = self.catalogue.category_at(asked.category, self.now)
            if category is not None:
                given = replace(given, filing_condition=self.set_category(category))
        elif asked.move == "file":
            condition = self.catalogue.condition(asked.condition, self.category(), self.now)
            given = replace(given, filing_condition=condition.code if condition else None)
            self.values["condition_id"] = condition.id if condition else None
        self.move(asked.move, actor, given, self._told_beside(asked))
        self._after(asked)
        self._follow()

    def task_move(self, asked: Asked) -> None:
        """A move of one task, and of the incident when it was the last open one.

        Raises Conflict `task.not_now`, `task.none_open`, `task.lead_needed`; NotFound `task.unknown`; what
        `check_task_move` raises.
        """
        task = self._task(asked)
        if self.state not in AT_WORK:
            raise Conflict("task.not_now", move=asked.move, state=self.state.value, possible=[])
        self._done_at(asked, task)
        actor, given = self.as_actor(), self._given(asked)
        claimed = self._claimable(task)
        holder = self.actor.person if claimed else f"staff:{task.assignee_id}"
        state = flow.check_task_move(
            asked.move, actor, holder, TaskState(task.status), given, self.rules
        )
        if state is TaskState.WITHDRAWN and task.lead:
            raise Conflict("task.lead_needed", move=asked.move, possible=[])
        if asked.move == "hand_over":
            self._hand_over(task, asked)
        elif TASK_MOVES[asked.move].doer:
            self._work_on(task, state, actor, claimed=claimed)
        else:
            self._end(task, state, asked.note)
        stands = self.state.value
        detail = {"post": task.post} | ({"to": asked.to} if asked.to is not None else {})
        detail |= self.done.kept
        self.lines.append((self.actor.key, Line(asked.move, stands, stands, asked.note, detail)))
        if asked.move == "hand_over":
            self._decided_by_hand(self._target(asked), task.post, asked.rule)
        if task.lead and self.state is State.DISPATCHED and TASK_MOVES[asked.move].doer:
            self.move("assign", THE_SYSTEM, Given(to=self.actor.person))
        self._settle(asked, actor, given, task)
        self._follow()

    def lapse(self) -> bool:
        """Takes back the tasks that nobody has accepted in time; False when there is none."""
        late = [
            task
            for task in self.tasks
            if task.status == TaskState.OFFERED.value
            and task.accept_by is not None
            and task.accept_by <= self.now
        ]
        for task in late:
            self._end(task, TaskState.LAPSED, None)
            stands = self.state.value
            detail = {"post": task.post, "person": task.assignee_id}
            self.lines.append(("system", Line("lapse_task", stands, stands, None, detail)))
        if late:
            self._settle(Asked("lapse_task"), THE_SYSTEM, Given(), late[0])
        return bool(late)

    def go_on(self, placement: Placement, category: CategoryFacts | None, routed: Routed) -> None:
        """What the system does by itself with a report that now has what it waited for."""
        lead = routed.answering.person.id if routed.answering else None
        unit = unit_of(self.session, lead) if lead is not None else None
        opened = go_on(self.desk, self.catalogue, self.standing, category, routed, self.now, unit)
        if not opened.lines:
            return
        self.standing = opened.standing
        told = any("decision" in line.detail for _, line in self.lines)
        self.lines += [("system", line) for line in opened.lines]
        self.values["condition_id"] = opened.condition.id if opened.condition else None
        known = self.values.get("reason", self.incident.reason)
        self.values["reason"] = [*known, *(r.plain() for r in opened.reasons)]
        if not told:
            self.note_decision(placement, answerer_of(routed), category)
        if self.state is State.IN_DISPOSAL and lead is not None and routed.post:
            self._send(Target(routed.post, lead, None, unit), placement, category)

    def reroute(self, placement: Placement, category: CategoryFacts | None, routed: Routed) -> None:
        """Work under way goes to whoever answers for the corrected place or category, if that is somebody else."""
        lead = self._lead()
        answering = routed.answering
        if answering is None or routed.post is None:
            self.move("unrouted", THE_SYSTEM, Given(), {"queue": routed.queue})
            self.note_decision(placement, answerer_of(routed), category)
            self._withdraw(self.tasks)
            return
        person = answering.person
        if lead is not None and (lead.assignee_id, lead.post) == (person.id, routed.post):
            return
        before = self._name(lead.assignee_id) if lead else None
        why = reason("task.rerouted", person=person.name, before=before or "")
        known = self.values.get("reason", self.incident.reason)
        self.values["reason"] = [*known, why.plain()]
        unit = unit_of(self.session, person.id)
        given = Given(to=f"staff:{person.id}", unit=unit)
        detail = {"from": lead.assignee_id if lead else None, "to": person.id}
        self.move("reroute", THE_SYSTEM, given, detail)
        self.note_decision(placement, answerer_of(routed), category)
        self._withdraw(self.tasks)
        for task in self.tasks:
            if task.assignee_id is not None and task.assignee_id != person.id:
                self._tell(task.assignee_id, "task_withdrawn", post=task.post)
        self._send(Target(routed.post, person.id, None, unit), placement, category)
        self._follow()

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

    def _decided_by_hand(self, target: Target, post: str, rule: str | None) -> None:
        """A person was named by somebody, or by the rule of the hand-over; the place is as recorded."""
        name = self._name(target.staff_id) if target.staff_id is not None else None
        answerer = Answerer(post, target.staff_id, name, rule or BY_HAND, unit=target.unit)
        placement = stored_placement(self.session, self.incident)
        self.note_decision(placement, answerer, self.category())

    def set_category(self, category: CategoryFacts) -> str | None:
        """The category as asked for; its leading condition, which the limit follows."""
        condition = self.catalogue.leading_condition(category.code, self.now)
        self.values |= {
            "category_code": category.code,
            "condition_id": condition.id if condition else None,
        }
        code = condition.code if condition else None
        facts = replace(self.standing.facts, filing_condition=code)
        self.standing = replace(self.standing, facts=facts)
        return code

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
        incidents.write_history(
            self.session,
            self.incident.id,
            self.incident.number,
            [line for _, line in self.lines],
            [who for who, _ in self.lines],
            self.now,
        )
        self.keep_plan()
        incidents.announce(self.session, self.incident.id, self.now)

    def keep_plan(self) -> None:
        """Keeps what the incident waits for from now on."""
        occasions = occasions_of(self.standing, self.catalogue, self.category(), self.now)
        ended = self.state in ENDED
        incidents.keep_plan(self.session, self.incident.id, occasions, self._wake_at(), ended=ended)

    def _told_beside(self, asked: Asked) -> dict[str, Any]:
        """What the record keeps beside the move's own words."""
        if asked.move == "merge":
            return {"into": str(asked.to), "tasks": [_as_kept(task) for task in self.tasks]}
        if asked.move == "unmerge":
            return {"from": self.standing.facts.merged_into}
        if asked.move == "confirm_solved":
            return {"rating": asked.rating}
        return {}

    def _after(self, asked: Asked) -> None:
        """Tasks and notices that follow from a move of the incident."""
        move = asked.move
        lead = self._lead()
        if move == "dispatch":
            self._withdraw(self.tasks)
            placement, target = stored_placement(self.session, self.incident), self._target(asked)
            self._decided_by_hand(target, target.post, asked.rule)
            self._send(target, placement, self.category())
        elif move in ("assign", "reassign"):
            self._hand_to(asked, lead)
        elif move == "add_task":
            target = self._target(asked)
            self._decided_by_hand(target, target.post, asked.rule)
            after = asked.after_lead and lead is not None and lead.status != TaskState.DONE.value
            self._give([Offer(target.post, target.staff_id, False, target.unit_id, after)])
        elif move == "submit":
            for task in self.tasks:
                if task.assignee_id == self.actor.staff_id and TaskState(task.status) in TASK_OPEN:
                    self._done(task)
        elif move == "return":
            self._returned(lead, asked.note)
        elif move == "hand_back":
            self._withdraw([lead] if lead else [], asked.note)
        elif move == "merge":
            self.tell_workers("task_merged", asked.note, into=str(asked.to))
            self._withdraw(self.tasks, asked.note)
        elif move == "unmerge":
            self._as_before()
        elif self.state in ENDED:
            self._withdraw(self.tasks, asked.note)
        elif move in ("check_failed", "reject_result", "not_content"):
            self._again()
        elif move == "resume":
            self._resumed()
        elif move in ("accept", "verify_confirmed", "set_category"):
            self._let_in(asked)
        elif move in _TOLD:
            self.tell_workers(_TOLD[move], asked.note)

    def _settle(self, asked: Asked, actor: flow.Actor, given: Given, task: Task) -> None:
        """What the tasks, as they stand now, mean for the incident."""
        outcome = self._count_tasks()
        for waiting in self.tasks:
            if waiting.id in outcome.offer:
                self._offer_now(waiting)
        if outcome.move == "submit":
            own = task.lead and task.assignee_id == self.actor.staff_id
            self.move("submit", actor if own else THE_SYSTEM, replace(given, photos=self._photos()))
        elif outcome.move == "return":
            self.move("return", actor, given)
            self._returned(task, asked.note)
        elif outcome.move == "not_accepted":
            self.move("not_accepted", THE_SYSTEM, Given())
            self._withdraw(self.tasks)
            self._tell_role("dispatcher", "not_accepted", post=task.post)
        elif TaskState(task.status) in TASK_REFUSED:
            self._tell_role("dispatcher", "task_returned", post=task.post, reason=asked.note)

    def _count_tasks(self) -> Any:
        parts = [Part(task.id, task.lead, TaskState(task.status)) for task in self.tasks]
        outcome = after_tasks(parts)
        facts = replace(self.standing.facts, open_tasks=outcome.open, refused_tasks=outcome.refused)
        if self.state in AT_WORK:
            self.standing = replace(self.standing, facts=facts)
        return outcome

    def _let_in(self, asked: Asked) -> None:
        """What a person has let in, or given its right category, goes to whoever answers for it at this moment."""
        if asked.move != "set_category" and self.tasks:
            return
        category = self.category()
        placement = stored_placement(self.session, self.incident)
        routed = answer_for(self.session, placement, category, self.now)
        decided_anew = ("person.", "limit.", "post.", "category.")
        kept = [r for r in self.incident.reason if not r["code"].startswith(decided_anew)]
        anew = [r.plain() for r in routed.reasons if r.code.startswith(decided_anew)]
        self.values["reason"] = [*kept, *anew]
        self.note_decision(placement, answerer_of(routed), category)
        if self.state in AT_WORK:
            self.reroute(placement, category, routed)
        else:
            self.go_on(placement, category, routed)

    def _send(self, target: Target, placement: Placement, category: CategoryFacts | None) -> None:
        """A new round: the lead's task and those of the helpers that the category brings along."""
        self._round += 1
        crew = crew_for(self.session, placement, self.now) if category else None
        nobody_yet = 0 if target.staff_id is None else target.staff_id
        helpers = linked(self.desk, category, crew, nobody_yet)
        self._give(offers_of(target.post, target.staff_id, target.unit_id, helpers))

    def _give(self, offers: Sequence[Offer]) -> None:
        category = self.category()
        calendar, stages = self.catalogue.calendar, self.catalogue.stages
        due_at = self.standing.due_at(calendar)
        until = accept_by(self.now, calendar, category, stages)
        self._round = max(self._round, 1)
        timing = Timing(self.now, self._round, due_at, until)
        facts = facts_with(self.standing.facts, offers)
        give(self.session, self.incident.id, self.incident.number, offers, timing)
        self.tasks = incidents.tasks_of_round(self.session, self.incident.id)
        self.standing = replace(self.standing, facts=facts)
        self._count_tasks()

    def _again(self) -> None:
        """Rework: everybody who had a part in it gets it again, the helpers after the lead where they were."""
        done = [task for task in self.tasks if task.status == TaskState.DONE.value]
        leads = [task for task in done if task.lead]
        offers = [
            Offer(task.post, task.assignee_id, task.lead, task.unit_id, task.after_lead)
            for task in (*leads[-1:], *(task for task in done if not task.lead))
        ]
        facts = replace(self.standing.facts, helpers=frozenset())
        self.standing = replace(self.standing, facts=facts)
        self._round += 1
        if offers:
            self._give(offers)

    def _as_before(self) -> None:
        """Tasks of a merged incident are again what they were; what was offered may be accepted as long as a new task."""
        kept = {item["id"]: item for item in self.kept_tasks}
        until = accept_by(self.now, self.catalogue.calendar, self.category(), self.catalogue.stages)
        for task in self.tasks:
            if task.id not in kept or task.status == kept[task.id]["status"]:
                continue
            task.status = kept[task.id]["status"]
            task.ended_at = task.ended_by = task.note = None
            task.accept_by = until if task.status == TaskState.OFFERED.value else None
            if TaskState(task.status) in TASK_OPEN and task.assignee_id is not None:
                self._tell(task.assignee_id, "task_unmerged", post=task.post)

    def _resumed(self) -> None:
        """Suspended work goes on where it stood; what was offered may be accepted as long as a new task."""
        until = accept_by(self.now, self.catalogue.calendar, self.category(), self.catalogue.stages)
        for task in self.tasks:
            if task.status == TaskState.OFFERED.value:
                task.accept_by = until
            if TaskState(task.status) in TASK_OPEN and task.assignee_id is not None:
                self._tell(task.assignee_id, "task_resumed", post=task.post)

    def _hand_to(self, asked: Asked, lead: Task | None) -> None:
        """One task goes to the person named, in the post it was in; whoever had it is relieved."""
        given = self._by_id(asked.task) if asked.task is not None else lead
        target = self._target(asked)
        post = given.post if given is not None else target.post
        is_lead = given is None or given.lead
        self._decided_by_hand(target, post, asked.rule)
        if given is not None:
            self._withdraw([given], asked.note)
        after = given is not None and given.status == TaskState.WAITING.value
        self._give([Offer(post, target.staff_id, is_lead, target.unit_id, after)])

    def _hand_over(self, task: Task, asked: Asked) -> None:
        """A colleague takes a task over, with all that was done on it."""
        target = self._target(asked)
        before, after = f"staff:{task.assignee_id}", f"staff:{target.staff_id}"
        task.assignee_id, task.unit_id = target.staff_id, target.unit_id
        task.status, task.accepted_at = TaskState.OFFERED.value, None
        task.accept_by = accept_by(
            self.now, self.catalogue.calendar, self.category(), self.catalogue.stages
        )
        facts = self.standing.facts
        if task.lead:
            facts = replace(facts, assignees=(facts.assignees - {before}) | {after})
        else:
            facts = replace(facts, helpers=(facts.helpers - {before}) | {after})
        self.standing = replace(self.standing, facts=facts)
        self._tell_offered(task)

    def _work_on(self, task: Task, state: TaskState, actor: flow.Actor, *, claimed: bool) -> None:
        """Accepting, arriving, finishing: the task moves on and its holder has had a hand in the work."""
        facts, me = self.standing.facts, self.actor.person
        if claimed:
            task.assignee_id = self.actor.staff_id
            if task.lead:
                facts = replace(facts, assignees=facts.assignees | {me}, with_unit=False)
            else:
                facts = replace(facts, helpers=facts.helpers | {me})
        task.status = state.value
        task.accepted_at = task.accepted_at or self.done.at
        if state is TaskState.DONE:
            task.done_at = self.done.at
        units = facts.doer_units | ({actor.unit} if actor.unit else set())
        facts = replace(facts, doers=facts.doers | {me}, doer_units=units)
        self.standing = replace(self.standing, facts=facts)

    def _returned(self, lead: Task | None, note: str | None) -> None:
        """The work comes back: the dispatcher sees who refused and why, nobody else goes on with it."""
        if lead is not None and TaskState(lead.status) in UNENDED:
            self._end(lead, TaskState.RETURNED, note)
        self._withdraw(self.tasks)
        post = lead.post if lead else None
        self._tell_role("dispatcher", "returned", post=post, reason=note)

    def _follow(self) -> None:
        """What the system does next by itself."""
        for name in follow_ups(self.standing.facts, self.rules):
            given = Given(photos=self._photos())
            if name == "assign":
                given = replace(given, to=min(self.standing.facts.assignees))
            self.move(name, THE_SYSTEM, given)

    def _given(self, asked: Asked) -> Given:
        to = str(asked.to) if asked.to is not None else ""
        person = f"staff:{to}" if to.isdigit() else None
        unit = to if to and person is None and asked.move in GIVING else None
        if person is not None and asked.move == "dispatch":
            unit = unit_of(self.session, int(to))
        if asked.move == "add_task" and to in POSTS:
            person, unit = f"post:{to}", None
        return Given(
            reason=asked.note,
            closing_condition=asked.condition if asked.move == "close" else None,
            category=asked.category,
            to=person,
            unit=unit,
            into=to if asked.move == "merge" and to else None,
            until=asked.until,
            photos=self._photos(),
            rating=asked.rating,
        )

    def _target(self, asked: Asked) -> Target:
        """Whom a move names: a person by id, a unit by name, or (`add_task`) whoever holds a post here.

        Raises NotFound `move.person_unknown`.
        """
        to = str(asked.to) if asked.to is not None else ""
        category = self.category()
        unknown = NotFound("move.person_unknown", field="to", to=asked.to)
        if to in POSTS:
            placement = stored_placement(self.session, self.incident)
            crew = crew_for(self.session, placement, self.now)
            answering = crew.answering(to) if crew else None
            if answering is None:
                raise unknown
            return Target(to, answering.person.id, None, None)
        if to.isdigit():
            row = self.session.execute(
                text(
                    "select s.post, u.name from staff s left join unit u on u.id = s.unit_id"
                    " where s.id = :id and s.left_at is null"
                ),
                {"id": int(to)},
            ).one_or_none()
            if row is None:
                raise unknown
            own = row.post in POSTS or category is None
            return Target(row.post if own else category.post, int(to), None, row.name)  # type: ignore[union-attr]
        unit_id = self.session.scalar(text("select id from unit where name = :name"), {"name": to})
        if unit_id is None or category is None:
            raise unknown
        return Target(category.post, None, int(unit_id), to)

    def _task(self, asked: Asked) -> Task:
        """The task a move is about: the one named, or the actor's own."""
        if asked.task is not None:
            return self._by_id(asked.task)
        own = [task for task in self.tasks if TaskState(task.status) in TASK_OPEN]
        mine = [task for task in own if task.assignee_id == self.actor.staff_id is not None]
        mine += [task for task in own if self._claimable(task)]
        if not mine:
            raise Conflict("task.none_open", number=self.incident.number, status=self.state.value)
        return mine[0]

    def _done_at(self, asked: Asked, task: Task | None) -> None:
        """Settles which moment counts for the actor's own step, and for what happens with it."""
        if asked.done_at is None:
            return
        known = [clock.last_at for clock in self.standing.clocks.values()]
        if task is not None:
            known += [at for at in (task.assigned_at, task.accepted_at) if at is not None]
        # The actor's own last step, and whatever changed the incident's state: at the moments that counted.
        last = self.session.scalar(
            text(
                "select max(coalesce((detail->>'done_at')::timestamptz, at)) from history"
                " where incident_id = :id and (actor = :me or from_status is distinct from to_status)"
            ),
            {"id": self.incident.id, "me": self.actor.key},
        )
        known += [last] if last is not None else []
        self.done = done_moment(
            asked.done_at,
            asked.move,
            self.actor.role,
            max(known, default=None),
            timedelta(hours=self.desk.settings.done_at_hours),
            self.now,
        )

    def _by_id(self, task_id: int) -> Task:
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise NotFound("task.unknown", field="task", task=task_id)

    def _claimable(self, task: Task) -> bool:
        """Whether a task is open to the actor's whole unit and nobody has taken it yet."""
        if task.assignee_id is not None or task.unit_id is None or self.actor.staff_id is None:
            return False
        unit_id = self.session.scalar(
            text("select unit_id from staff where id = :id"), {"id": self.actor.staff_id}
        )
        return bool(unit_id == task.unit_id)

    def _lead(self) -> Task | None:
        withdrawn = TaskState.WITHDRAWN.value
        leads = [task for task in self.tasks if task.lead and task.status != withdrawn]
        return leads[-1] if leads else None

    def _offer_now(self, task: Task) -> None:
        """A helper who waited for the lead begins."""
        task.status, task.assigned_at = TaskState.OFFERED.value, self.now
        task.accept_by = accept_by(
            self.now, self.catalogue.calendar, self.category(), self.catalogue.stages
        )
        stands = self.state.value
        detail = {"post": task.post, "person": task.assignee_id}
        self.lines.append(("system", Line("offer_task", stands, stands, None, detail)))
        self._tell_offered(task)

    def _done(self, task: Task) -> None:
        task.status = TaskState.DONE.value
        task.accepted_at = task.accepted_at or self.done.at
        task.done_at = self.done.at

    def _end(self, task: Task, state: TaskState, note: str | None) -> None:
        task.status = state.value
        task.ended_at, task.ended_by, task.note = self.now, self.actor.key, note

    def _withdraw(self, tasks: Sequence[Task], note: str | None = None) -> None:
        for task in tasks:
            if TaskState(task.status) in UNENDED:
                self._end(task, TaskState.WITHDRAWN, note)
        self._count_tasks()

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

    def _tell_offered(self, task: Task) -> None:
        tell_offered(
            self.session,
            self.incident.id,
            self.incident.number,
            task.post,
            task.assignee_id,
            task.unit_id,
            self.now,
        )

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


def _as_kept(task: Task) -> dict[str, Any]:
    """A task as the record keeps it while its incident is merged."""
    return {"id": task.id, "post": task.post, "person": task.assignee_id, "status": task.status}


_TOLD = {
    "supervise": "supervised",
    "grant_extension": "extension_granted",
    "refuse_extension": "extension_refused",
    "suspend": "suspended",
    "refuse_suspension": "suspension_refused",
}
