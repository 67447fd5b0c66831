"""Chasing as data: whom to tell when of a clock. From the rules and an incident's clocks its plan is made. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from dispatch.categories import rows_of
from dispatch.clocks import ClockKind, due_at
from dispatch.progress import Clocks
from dispatch.worktime import Limit, WorkCalendar, add
from grid.core.values import dataclass

TELLS = (
    *("assignee", "unit_head", "leader", "leader_above"),
    *("operator", "watch_chief", "dispatcher"),
)


@dataclass(frozen=True, slots=True)
class ChaseRule:
    """One row: when `share` of a clock's limit is used up, or `after` later, `tell` is told.

    `urgency` None holds for all that have no rule of the same code of their own. In force from `valid_from`
    (included) to `valid_to` (not included).
    """

    id: int
    code: str
    clock: ClockKind
    share: float
    after: Limit | None
    tell: str
    urgency: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """True when the rule is in force at a moment."""
        begun = self.valid_from is None or self.valid_from <= at
        return begun and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Somebody is to be told by a rule at a moment."""

    rule_id: int
    at: datetime


@lru_cache(maxsize=1)
def seed_chase_rules() -> tuple[dict[str, str], ...]:
    """The rules that come with the program, from data/chase_rules.csv."""
    return tuple(rows_of("chase_rules.csv"))


def plan(
    clocks: Clocks, rules: Sequence[ChaseRule], urgency: str | None, calendar: WorkCalendar
) -> tuple[Occasion, ...]:
    """Every occasion of the clocks that still run, the earliest first; a paused clock has none to come.

    A rule tells of what is due while it is in force; of one code, that for the urgency itself goes before that for all.
    """
    found: set[tuple[datetime, int]] = set()
    known: dict[tuple[ClockKind, float], datetime | None] = {}
    own = [rule for rule in rules if rule.urgency is not None and rule.urgency == urgency]
    own_codes = {rule.code for rule in own}
    for rule in rules:
        clock = clocks.get(rule.clock)
        if clock is None or clock.stopped_at is not None or rule.urgency not in (None, urgency):
            continue
        key = (rule.clock, rule.share)
        if key not in known:
            known[key] = due_at(clock, calendar, rule.share)
        due = known[key]
        if due is None or (rule.after is not None and clock.paused):
            continue
        at = add(due, rule.after, calendar) if rule.after else due
        if not rule.holds(at):
            continue
        if rule.urgency is None and rule.code in own_codes and _in_force(rule.code, own, at):
            continue
        found.add((at, rule.id))
    return tuple(Occasion(rule_id, at) for at, rule_id in sorted(found))


def _in_force(code: str, rules: Sequence[ChaseRule], at: datetime) -> bool:
    """Whether one of the rules has this code and is in force at a moment."""
    return any(rule.code == code and rule.holds(at) for rule in rules)
