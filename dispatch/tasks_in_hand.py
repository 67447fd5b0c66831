"""The tasks of an incident in hand: found, given, taken on, handed over, returned, withdrawn; each with its notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from dispatch import incidents
from dispatch import workflow as flow
from dispatch.asked import POSTS, Asked, Target
from dispatch.catalogue import CategoryFacts
from dispatch.decisions import BY_HAND, Answerer
from dispatch.first_steps import crew_for, linked
from dispatch.in_hand import AT_WORK, UNENDED, InHand
from dispatch.incidents import Line
from dispatch.linkage import Part, after_tasks
from dispatch.models import Task
from dispatch.moves import TASK_MOVES, TASK_OPEN, TaskState
from dispatch.placement import Placement, stored_placement
from dispatch.standing import accept_by
from dispatch.tasks import Offer, Timing, facts_with, give, offers_of, tell_offered
from grid.core.errors import Conflict, NotFound


class TasksInHand(InHand):
    """An incident in hand with the tasks of its present round."""

    def _task(self, asked: Asked) -> Task:
        """The task a move is about: the one named, or the actor's own."""
        if asked.task is not None:
            return self._by_id(asked.task)
        own = [task for task in self.tasks if TaskState(task.status) in TASK_OPEN]
        mine = [task for task in own if task.assignee_id == self.actor.staff_id is not None]
        mine += [task for task in own if self._claimable(task)]
        if not mine:
            raise Conflict("task.none_open", number=self.incident.number, status=self.state.value)
        # Of several, the one that the move fits: who has arrived at one may accept another.
        fits = TASK_MOVES[asked.move].from_states
        return next((task for task in mine if TaskState(task.status) in fits), mine[0])

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

    def _count_tasks(self) -> Any:
        parts = [Part(task.id, task.lead, TaskState(task.status)) for task in self.tasks]
        outcome = after_tasks(parts)
        facts = replace(self.standing.facts, open_tasks=outcome.open, refused_tasks=outcome.refused)
        if self.state in AT_WORK:
            self.standing = replace(self.standing, facts=facts)
        return outcome

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

    def _returned(self, lead: Task | None, note: str | None) -> None:
        """The work comes back: the dispatcher sees who refused and why, nobody else goes on with it."""
        if lead is not None and TaskState(lead.status) in UNENDED:
            self._end(lead, TaskState.RETURNED, note)
        self._withdraw(self.tasks)
        post = lead.post if lead else None
        self._tell_role("dispatcher", "returned", post=post, reason=note)

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

    def _decided_by_hand(self, target: Target, post: str, rule: str | None) -> None:
        """A person was named by somebody, or by the rule of the hand-over; the place is as recorded."""
        name = self._name(target.staff_id) if target.staff_id is not None else None
        answerer = Answerer(post, target.staff_id, name, rule or BY_HAND, unit=target.unit)
        placement = stored_placement(self.session, self.incident)
        self.note_decision(placement, answerer, self.category())
