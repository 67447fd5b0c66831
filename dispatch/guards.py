"""Guards of the move table by name: conditions on the facts that must hold beside the state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from dispatch.facts import SYSTEM, Actor, Facts, Rules
from grid.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a guard may look at."""

    facts: Facts
    actor: Actor
    rules: Rules
    now: datetime


Refusal = tuple[str, dict[str, object]]
Guard = Callable[[Moment], Refusal | None]


def _unless(holds: Callable[[Moment], bool], code: str, **values: object) -> Guard:
    def guard(moment: Moment) -> Refusal | None:
        return None if holds(moment) else (f"move.{code}", dict(values))

    return guard


def _decided(moment: Moment) -> bool:
    facts = moment.facts
    return not (facts.returned or facts.not_accepted)


def _tasks_done(moment: Moment) -> Refusal | None:
    count = moment.facts.open_tasks + moment.facts.refused_tasks
    return ("move.tasks_open", {"count": count}) if count else None


def _extension_free(moment: Moment) -> Refusal | None:
    facts, rules = moment.facts, moment.rules
    if facts.extension_asked_by is not None:
        return "move.already_asked", {}
    if facts.extensions >= rules.max_extensions:
        return "move.extensions_used_up", {"at_most": rules.max_extensions}
    return None


def _suspension_left(moment: Moment) -> Refusal | None:
    at_most = moment.rules.max_suspensions
    used_up = moment.facts.suspensions >= at_most
    return ("move.suspensions_used_up", {"at_most": at_most}) if used_up else None


def _suspension_free(moment: Moment) -> Refusal | None:
    if moment.facts.suspension_asked_by is not None:
        return "move.already_asked", {}
    return _suspension_left(moment)


def _reopen_in_time(moment: Moment) -> Refusal | None:
    closed_at, days = moment.facts.closed_at, moment.rules.reopen_days
    if closed_at is None or moment.now <= closed_at + timedelta(days=days):
        return None
    return "move.reopen_too_late", {"days": days}


def _resume_due(moment: Moment) -> bool:
    until = moment.facts.suspended_until
    by_person = SYSTEM not in moment.actor.roles
    return by_person or (until is not None and moment.now >= until)


def _asked(by: str | None, moment: Moment) -> bool:
    return by is None or by != moment.actor.person


GUARDS: dict[str, Guard] = {
    "place_known": _unless(lambda m: m.facts.has_place, "place_needed"),
    "condition_known": _unless(lambda m: m.facts.filing_condition is not None, "limit_unknown"),
    "not_returned": _unless(_decided, "returned_first"),
    # The receiver rule, domain 3.3: what came back waits for a person, the system does not send it out again.
    "returned_by_person": _unless(
        lambda m: _decided(m) or SYSTEM not in m.actor.roles, "returned_first"
    ),
    "return_in_time": _unless(
        lambda m: not (m.rules.return_before_limit and m.facts.overdue), "overdue"
    ),
    "not_overdue": _unless(lambda m: not m.facts.overdue, "overdue"),
    "tasks_done": _tasks_done,
    "fed_back": _unless(lambda m: m.facts.fed_back, "not_fed_back"),
    "not_fed_back": _unless(lambda m: not m.facts.fed_back, "already_fed_back"),
    "check_free": _unless(lambda m: not m.rules.check_needed, "check_needed"),
    "extension_free": _extension_free,
    "extension_asked": _unless(lambda m: m.facts.extension_asked_by is not None, "nothing_asked"),
    "not_own_extension": _unless(lambda m: _asked(m.facts.extension_asked_by, m), "own_request"),
    "suspension_free": _suspension_free,
    "suspension_left": _suspension_left,
    "suspension_asked": _unless(lambda m: m.facts.suspension_asked_by is not None, "nothing_asked"),
    "not_own_suspension": _unless(lambda m: _asked(m.facts.suspension_asked_by, m), "own_request"),
    "resume_due": _unless(_resume_due, "not_yet"),
    "no_question": _unless(lambda m: not m.facts.question_open, "already_asked"),
    "question_open": _unless(lambda m: m.facts.question_open, "nothing_asked"),
    "supervised": _unless(lambda m: m.facts.supervised, "not_supervised"),
    "not_supervised": _unless(lambda m: not m.facts.supervised, "already_supervised"),
    "reopen_in_time": _reopen_in_time,
    "nothing_said": _unless(lambda m: m.facts.solved_said is None, "already_said"),
    "closed_late": _unless(lambda m: m.facts.late, "not_late"),
    "appeal_free": _unless(lambda m: m.facts.appeal is None, "already_asked"),
    "appeal_asked": _unless(lambda m: m.facts.appeal == "asked", "nothing_asked"),
    "appeal_endorsed": _unless(lambda m: m.facts.appeal == "endorsed", "appeal_not_endorsed"),
    "appeal_undecided": _unless(lambda m: m.facts.appeal in ("asked", "endorsed"), "nothing_asked"),
}
