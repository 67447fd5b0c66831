"""What a move changes: the facts after it, the clocks after it, and what the system does next by itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dispatch import clocks as clock_steps
from dispatch.clocks import Clock, ClockKind
from dispatch.effects import EFFECTS
from dispatch.facts import Actor, Facts, Given, Rules, Step
from dispatch.moves import ClockStep, State
from dispatch.worktime import Limit, WorkCalendar
from grid.core.errors import Conflict

Clocks = Mapping[ClockKind, Clock]
Limits = Mapping[ClockKind, Limit]


def facts_now(facts: Facts, clocks: Clocks, calendar: WorkCalendar, now: datetime) -> Facts:
    """The facts with what the disposal clock says at this moment; to be asked before every move."""
    disposal = clocks.get(ClockKind.DISPOSAL)
    if disposal is None:
        return _with(facts, False, 0)
    return _with(facts, clock_steps.overdue(disposal, now, calendar), disposal.extensions)


def _with(facts: Facts, overdue: bool, extensions: int) -> Facts:
    # Nearly always nothing has changed, and a copy of so many fields is what a move costs most.
    if (facts.overdue, facts.extensions) == (overdue, extensions):
        return facts
    return facts.but(overdue=overdue, extensions=extensions)


def facts_after(
    step: Step, facts: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    """The facts once the step is made."""
    changes: dict[str, Any] = {"state": step.to_state}
    for effect in step.move.effects:
        changes |= EFFECTS[effect](facts, actor, given, rules, now)
    return facts.but(**changes)


def clocks_after(
    step: Step,
    clocks: Clocks,
    facts: Facts,
    given: Given,
    limits: Limits,
    rules: Rules,
    calendar: WorkCalendar,
    now: datetime,
    received: datetime | None = None,
) -> dict[ClockKind, Clock]:
    """The clocks once the step is made; `facts` are those before it, `limits` the ones for clocks that start or change.

    A step done at `now` and `received` later ends and pauses clocks at `now`; what it starts runs from its receipt,
    because nobody could know of it before. A stage without a limit has no clock. Raises Conflict move.limit_unknown when disposal would begin without one,
    and what `clocks` raises.
    """
    after = dict(clocks)
    for part in step.clocks:
        kinds = list(after) if part.kind is None else [part.kind]
        for kind in kinds:
            at = now if part.action in _ENDING else received or now
            changed = _clock_after(
                kind, part, after.get(kind), facts, given, limits, rules, calendar, at
            )
            if changed is not None:
                after[kind] = changed
    return after


def clocks_at_report(limits: Limits, now: datetime) -> dict[ClockKind, Clock]:
    """The clocks a new report starts: acceptance, and the hotline's reply limit where there is one."""
    return {
        kind: clock_steps.start(kind, limits[kind], now)
        for kind in (ClockKind.ACCEPT, ClockKind.REPLY)
        if kind in limits
    }


def quick_path(facts: Facts, rules: Rules, assignee_known: bool) -> tuple[str, ...]:
    """Moves the system makes at once for a report of a trusted channel, so that it reaches a phone within seconds.

    Ends before the first step that must wait: without a place nothing (queue place_needed), without a filing
    condition at accepted, without a person at filed, and goes on from there when it has them. A report of a
    `verify_first` channel waits unless verified; once a person has accepted it, it goes on like any other. What
    a person returned, or did not accept in time, is the dispatcher's.
    """
    waits = facts.channel in rules.verify_first and not facts.verified
    if not facts.has_place or (waits and facts.state is State.REPORTED):
        return ()
    if facts.state not in _QUICK_FROM or facts.returned or facts.not_accepted:
        return ()
    begin = _QUICK_FROM.index(facts.state)
    if facts.filing_condition is None:
        return _QUICK[begin:1]
    return _QUICK[begin:] if assignee_known else _QUICK[begin:2]


_QUICK = ("accept", "file", "dispatch", "assign")
# The state before each of the first three; what waited at filed for a person goes on from there.
_QUICK_FROM = (State.REPORTED, State.ACCEPTED, State.FILED)


def follow_ups(facts: Facts, rules: Rules) -> tuple[str, ...]:
    """Moves the system makes by itself after a person's: feedback, sending to check, and giving rework back.

    Where a unit station sits between, each waits for its person.
    """
    if facts.state is State.DISPATCHED and facts.assignees and not rules.unit_station:
        return ("assign",)
    if facts.state is not State.DISPOSED:
        return ()
    if not facts.fed_back and rules.unit_station:
        return ()
    feedback = () if facts.fed_back else ("feed_back",)
    if not rules.check_needed:
        return (*feedback, "skip_check")
    return (*feedback, "send_check") if rules.auto_check else feedback


def queues(facts: Facts) -> tuple[str, ...]:
    """The queues an incident waits in, the most pressing first; empty while work runs as it should."""
    found: list[str] = []
    if facts.state is State.REPORTED:
        found.append("to_accept" if facts.has_place else "place_needed")
    elif facts.state is State.FILED:
        found.append(
            "returned"
            if facts.returned
            else "not_accepted"
            if facts.not_accepted
            else "to_dispatch"
        )
    elif facts.state is State.DISPOSED:
        found.append("to_send_check" if facts.fed_back else "to_feed_back")
    elif facts.state in _PLAIN_QUEUES:
        found.append(_PLAIN_QUEUES[facts.state])
    elif facts.state is State.DISPATCHED and not facts.assignees and not facts.with_unit:
        found.append("to_assign")
    if facts.refused_tasks:
        found.append("task_returned")
    if facts.ended:
        return ()
    if facts.extension_asked_by is not None:
        found.append("extension_asked")
    if facts.suspension_asked_by is not None:
        found.append("suspension_asked")
    if facts.question_open:
        found.append("question_open")
    if facts.overdue:
        found.append("overdue")
    return tuple(found)


_PLAIN_QUEUES = {
    State.VERIFYING: "verifying",
    State.ACCEPTED: "to_file",
    State.CHECKING: "to_check",
    State.PENDING_CLOSE: "to_close",
    State.SUSPENDED: "suspended",
}


_ENDING = frozenset({"stop", "pause"})


def _clock_after(
    kind: ClockKind,
    part: ClockStep,
    clock: Clock | None,
    facts: Facts,
    given: Given,
    limits: Limits,
    rules: Rules,
    calendar: WorkCalendar,
    now: datetime,
) -> Clock | None:
    if part.action == "start":
        return _started(kind, clock, limits, now, None)
    if part.action == "begin":
        return _begun(clock, given, facts, limits, rules, now)
    if clock is None:
        return None
    if part.action == "pause":
        return clock_steps.pause(clock, now, part.why)
    if part.action == "resume":
        return clock_steps.resume(clock, now, part.why)
    if part.action == "stop":
        return clock_steps.stop(clock, now)
    if part.action == "extend":
        return clock_steps.extend(clock, now, calendar, rules.max_extensions)
    if part.action == "relimit":
        # What has ended stays as it was judged by the limit of its time.
        changes = kind in limits and clock.stopped_at is None
        return clock_steps.with_limit(clock, limits[kind]) if changes else clock
    return _reworked(clock, rules, now)


def _started(
    kind: ClockKind, clock: Clock | None, limits: Limits, now: datetime, holder: str | None
) -> Clock | None:
    limit = limits.get(kind) or (clock.limit if clock else None)
    if limit is None:
        return None
    if clock is None:
        return clock_steps.start(kind, limit, now, holder)
    return clock_steps.anew(clock_steps.with_limit(clock, limit), now, holder)


def _begun(
    clock: Clock | None, given: Given, facts: Facts, limits: Limits, rules: Rules, now: datetime
) -> Clock:
    # Domain 3.3: to the same unit again the disposal clock resumes, to another it starts anew.
    holder = given.unit or given.to
    if clock is not None and clock.holder == holder:
        if clock.stopped_at is None:
            return clock_steps.resume(clock, now, "returned")
        return _reworked(clock, rules, now)
    begun = _started(ClockKind.DISPOSAL, clock, limits, now, holder)
    if begun is None:
        raise Conflict("move.limit_unknown", condition=facts.filing_condition)
    return begun


def _reworked(clock: Clock, rules: Rules, now: datetime) -> Clock:
    if rules.rework == "starts_anew":
        return clock_steps.anew(clock, now)
    return clock_steps.run_on(clock, now)
