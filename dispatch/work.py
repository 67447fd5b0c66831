"""A move on the incident in hand, and everything that follows from it by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from dispatch import workflow as flow
from dispatch.asked import GIVING, POSTS, Asked, Target
from dispatch.catalogue import CategoryFacts
from dispatch.decisions import answerer_of
from dispatch.done_moment import done_moment
from dispatch.facts import THE_SYSTEM, Given
from dispatch.first_steps import answer_for, go_on, unit_of
from dispatch.in_hand import AT_WORK
from dispatch.incidents import Line
from dispatch.models import Task
from dispatch.moves import ENDED, TASK_MOVES, TASK_OPEN, TASK_REFUSED, State, TaskState
from dispatch.placement import Placement, stored_placement
from dispatch.progress import follow_ups
from dispatch.reasons import reason
from dispatch.routing import Routed
from dispatch.step_places import is_kept, told_of
from dispatch.tasks import Offer
from dispatch.tasks_in_hand import TasksInHand
from grid.core.errors import Conflict

_TOLD = {
    "supervise": "supervised",
    "grant_extension": "extension_granted",
    "refuse_extension": "extension_refused",
    "suspend": "suspended",
    "refuse_suspension": "suspension_refused",
    "set_condition": "limit_changed",
}
# Moves that change the limit of work under way.
LIMITING = ("set_category", "set_condition")


class Work(TasksInHand):
    """The moves of an incident and of its tasks; what they bring about is written by `finish`."""

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
        actor, given, before = self.as_actor(), self._given(asked), self.limit_now()
        if asked.move == "set_category":
            category = self.catalogue.category_at(asked.category, self.now)
            if category is not None:
                code = self.set_category(category, asked.condition)
                given = replace(given, filing_condition=code)
        elif asked.move == "file" or (asked.move == "set_condition" and asked.condition):
            condition = self.catalogue.condition(asked.condition, self.category(), self.now)
            given = replace(given, filing_condition=condition.code if condition else None)
            self.values["condition_id"] = condition.id if condition else None
        self.move(asked.move, actor, given, self._told_beside(asked) | self._told_place(asked))
        if asked.move in LIMITING:
            self.note_limit(before)
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
        detail |= self.done.kept | self._told_place(asked)
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

    def _let_in(self, asked: Asked) -> None:
        """What a person has let in, or given its right category, goes to whoever answers for it at this moment."""
        if asked.move != "set_category" and self.tasks:
            return
        category = self.category()
        placement = stored_placement(self.session, self.incident)
        routed = answer_for(self.session, placement, category, self.now)
        # Work under way has its limit already, and the reason of it.
        limit = () if self.state in AT_WORK else ("limit.",)
        decided_anew = ("person.", "post.", "category.", *limit)
        known = self.values.get("reason", self.incident.reason)
        kept = [r for r in known if not r["code"].startswith(decided_anew)]
        anew = [r.plain() for r in routed.reasons if r.code.startswith(decided_anew)]
        self.values["reason"] = [*kept, *anew]
        self.note_decision(placement, answerer_of(routed), category)
        if self.state in AT_WORK:
            self.reroute(placement, category, routed)
        else:
            self.go_on(placement, category, routed)

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

    def _told_place(self, asked: Asked) -> dict[str, Any]:
        """What the next line says of where the actor's own step was made; its place is kept beside the record."""
        place, actor = asked.made_at, self.actor
        if place is None or not is_kept(
            self.session, asked.move, actor.role, actor.staff_id, self.done.at
        ):
            return {}
        self.made_at = (place, len(self.lines))
        return dict(told_of(self.session, self.incident.id, place))

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


def _as_kept(task: Task) -> dict[str, Any]:
    """A task as the record keeps it while its incident is merged."""
    return {"id": task.id, "post": task.post, "person": task.assignee_id, "status": task.status}
