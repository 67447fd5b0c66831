"""Which limit holds, and when it is used up: limits as data with periods of validity, bulk due times, reply limits.

A limit hangs on the filing condition, or on a stage (accept, verify, dispatch, check, close). The day of filing
decides which row is in force, so a limit changed later leaves yesterday's incidents alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatch.categories import FilingCondition, rows_of
from dispatch.worktime import Limit, Unit, WorkCalendar, add, add_many
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass

SAME_DAY = "same_day"


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One row of a limit table. `subject` is a filing condition's code or a stage; None means "any".

    In force from `valid_from` (included) to `valid_to` (not included).
    """

    subject: str
    limit: Limit
    area_class: str | None = None
    urgency: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    def holds(self, on: date, area_class: str | None, urgency: str | None) -> bool:
        """True when the row is in force on that day and fits area class and urgency."""
        return (
            (self.valid_from is None or self.valid_from <= on)
            and (self.valid_to is None or on < self.valid_to)
            and self.area_class in (None, area_class)
            and self.urgency in (None, urgency)
        )

    @property
    def rank(self) -> tuple[bool, bool, date]:
        """Greater is more particular: area class before urgency, then the later beginning."""
        begins = self.valid_from or date.min
        return self.area_class is not None, self.urgency is not None, begins


class LimitTable:
    """Limit rules by subject; the most particular row in force wins. Raises BadInput limit.rule_twice."""

    def __init__(self, rules: Iterable[LimitRule]) -> None:
        by_subject: dict[str, list[LimitRule]] = {}
        for rule in rules:
            by_subject.setdefault(rule.subject, []).append(rule)
        self._by_subject: Mapping[str, Sequence[LimitRule]] = {
            subject: sorted(rows, key=lambda row: row.rank, reverse=True)
            for subject, rows in by_subject.items()
        }
        for subject, rows in self._by_subject.items():
            seen: set[tuple[str | None, str | None, date | None]] = set()
            for row in rows:
                key = (row.area_class, row.urgency, row.valid_from)
                if key in seen:
                    raise BadInput("limit.rule_twice", "subject", subject=subject)
                seen.add(key)

    def find(
        self, subject: str, on: date, area_class: str | None = None, urgency: str | None = None
    ) -> LimitRule:
        """The row in force on a day (the bureau's own date). Raises NotFound limit.none."""
        for rule in self._by_subject.get(subject, ()):
            if rule.holds(on, area_class, urgency):
                return rule
        raise NotFound("limit.none", "condition", subject=subject, on=on.isoformat())


def condition_rules(conditions: Iterable[FilingCondition]) -> list[LimitRule]:
    """Limit rows, without an end, for filing conditions."""
    return [LimitRule(condition.code, condition.limit) for condition in conditions]


@lru_cache(maxsize=1)
def seed_stage_rules() -> tuple[LimitRule, ...]:
    """Limits of the stages before and after disposal (domain 2.4), from data/stage_limits.csv."""
    return tuple(
        LimitRule(
            row["stage"],
            Limit.of(float(row["value"]), row["unit"]),
            row["area_class"] or None,
            row["urgency"] or None,
        )
        for row in rows_of("stage_limits.csv")
    )


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """A hotline's reply limit for one kind of matter; `limit` None means before the end of the same day."""

    matter: str
    limit: Limit | None


@lru_cache(maxsize=1)
def seed_reply_rules() -> tuple[ReplyRule, ...]:
    """Reply limits of one bureau's 12345 rules (domain 3.5), from data/reply_limits.csv."""
    return tuple(
        ReplyRule(
            row["matter"],
            None if row["unit"] == SAME_DAY else Limit.of(float(row["value"]), row["unit"]),
        )
        for row in rows_of("reply_limits.csv")
    )


def reply_limit(
    now: datetime, value: float | None, unit: str | None, calendar: WorkCalendar
) -> Limit | None:
    """A channel's own reply limit for what comes in now; `same_day` ends at the bureau's midnight."""
    if unit is None:
        return None
    if unit != SAME_DAY:
        return Limit.of(value or 0.0, unit)
    left = reply_due(now, ReplyRule("", None), calendar) - now
    return Limit(left / timedelta(minutes=1), Unit.MINUTES)


def reply_due(received_at: datetime, rule: ReplyRule, calendar: WorkCalendar) -> datetime:
    """When the hotline must have its answer; the same day ends at the bureau's midnight. Raises BadInput time.naive."""
    if rule.limit is not None:
        return add(received_at, rule.limit, calendar)
    local = received_at.astimezone(calendar.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


def governing(dues: Mapping[str, datetime | None]) -> tuple[str, datetime] | None:
    """Of several clocks' due moments the earliest with its name, which decides the warning (domain 3.5).

    Paused clocks (None) are left out; on a tie the name first in order of the alphabet wins.
    """
    running = [(due, name) for name, due in dues.items() if due is not None]
    if not running:
        return None
    due, name = min(running)
    return name, due


def due_times(
    starts: NDArray[np.datetime64],
    values: NDArray[np.float64],
    units: Sequence[str],
    calendar: WorkCalendar,
) -> NDArray[np.datetime64]:
    """Due moments of many limits: starts as datetime64 in UTC, values with one unit each; datetime64[us] in UTC.

    Raises BadInput limit.unit_unknown, limit.value_bad.
    """
    if values.size and not (np.isfinite(values) & (values > 0)).all():
        bad = values[~(np.isfinite(values) & (values > 0))][0]
        raise BadInput("limit.value_bad", "value", value=float(bad))
    names, which = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    ones = [Limit.of(1.0, str(name)) for name in names]
    minutes = np.array([one.minutes(calendar) for one in ones])[which] * values
    round_the_clock = np.array([Unit(one.unit).round_the_clock for one in ones], dtype=bool)[which]
    instants = starts.astype("datetime64[us]").astype(np.int64)
    return add_many(instants, minutes, round_the_clock, calendar).astype("datetime64[us]")
