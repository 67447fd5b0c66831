"""One clock: a limit that runs from a start, stops for pauses, may be extended, and ends. Values only.

Used time is counted in the limit's own kind of time, outside all pauses. A clock is overdue when its moment lies
after `due_at`: what is handed in at 20:00 although it was due at 18:00 is late, although no working time has passed since.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from dispatch.worktime import Limit, WorkCalendar, add_minutes, between, reaches_unofficial, to_us
from grid.core.errors import BadInput, Conflict
from grid.core.values import dataclass

AMBER_SHARE = 0.8


class ClockKind(StrEnum):
    """What a clock measures; `reply` is the hotline's own and runs beside the others."""

    ACCEPT = "accept"
    VERIFY = "verify"
    DISPATCH = "dispatch"
    DISPOSAL = "disposal"
    CHECK = "check"
    CLOSE = "close"
    REPLY = "reply"


class Lamp(StrEnum):
    """Green below 80 % of the limit, amber from there, red once it has passed (domain 2.4)."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch that does not count; `until` None while it lasts. `why`: returned, suspended, question, verifying, rework, merged."""

    since: datetime
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A running, paused or stopped limit. `holder` is the unit or person it runs for; `round` counts from 1.

    `extensions` is the number granted; each adds one more original limit (domain 3.4).
    """

    kind: ClockKind
    limit: Limit
    started_at: datetime
    holder: str | None = None
    pauses: tuple[Pause, ...] = ()
    stopped_at: datetime | None = None
    extensions: int = 0
    round: int = 1

    @property
    def paused(self) -> bool:
        """True while at least one pause lasts."""
        return self.stopped_at is None and any(pause.until is None for pause in self.pauses)

    @property
    def running(self) -> bool:
        """True when neither stopped nor paused."""
        return self.stopped_at is None and not self.paused

    @property
    def last_at(self) -> datetime:
        """The latest moment this clock knows of; nothing may happen to it before."""
        moments = [self.started_at, *(pause.since for pause in self.pauses)]
        moments += [pause.until for pause in self.pauses if pause.until is not None]
        if self.stopped_at is not None:
            moments.append(self.stopped_at)
        return max(moments)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock shows at a moment; `due_at` and `amber_at` None while it is paused before them.

    `unofficial`: its due moment rests on a year whose days are not yet published.
    """

    due_at: datetime | None
    amber_at: datetime | None
    used_minutes: float
    allowed_minutes: float
    lamp: Lamp
    unofficial: bool


def start(kind: ClockKind, limit: Limit, at: datetime, holder: str | None = None) -> Clock:
    """A clock that begins to run. Raises BadInput time.naive."""
    to_us(at)
    return Clock(kind, limit, at, holder)


def pause(clock: Clock, at: datetime, why: str) -> Clock:
    """Stop counting for a reason; a second reason keeps the clock still until both are gone.

    A stopped clock, or one already paused for that reason, stays as it is. Raises BadInput clock.backwards.
    """
    open_for = {each.why for each in clock.pauses if each.until is None}
    if clock.stopped_at is not None or why in open_for:
        return clock
    _forward(clock, at)
    return replace(clock, pauses=(*clock.pauses, Pause(at, None, why)))


def resume(clock: Clock, at: datetime, why: str) -> Clock:
    """End the pause of that reason; without such a pause the clock stays as it is. Raises BadInput clock.backwards."""
    if not any(each.until is None and each.why == why for each in clock.pauses):
        return clock
    _forward(clock, at)
    return replace(clock, pauses=tuple(_ended(each, at, why) for each in clock.pauses))


def stop(clock: Clock, at: datetime) -> Clock:
    """End the clock, its pauses included; a stopped clock stays as it is. Raises BadInput clock.backwards."""
    if clock.stopped_at is not None:
        return clock
    _forward(clock, at)
    return replace(
        clock, stopped_at=at, pauses=tuple(_ended(each, at, each.why) for each in clock.pauses)
    )


def run_on(clock: Clock, at: datetime, why: str = "rework") -> Clock:
    """Start a stopped clock again with what it has used; the time since the stop counts as a pause."""
    if clock.stopped_at is None:
        return clock
    _forward(clock, at)
    gap = Pause(clock.stopped_at, at, why)
    return replace(clock, stopped_at=None, pauses=(*clock.pauses, gap))


def anew(clock: Clock, at: datetime, holder: str | None = None) -> Clock:
    """The next round of the same limit from zero, for the same holder or another; extensions do not carry over."""
    _forward(clock, at)
    return Clock(clock.kind, clock.limit, at, holder or clock.holder, round=clock.round + 1)


def extend(clock: Clock, at: datetime, calendar: WorkCalendar, at_most: int = 2) -> Clock:
    """Grant one more original limit, also while a question is open but not while suspended.

    Raises Conflict clock.not_running, clock.overdue, clock.extensions_used_up.
    """
    suspended = any(each.until is None and each.why == "suspended" for each in clock.pauses)
    if clock.stopped_at is not None or suspended:
        raise Conflict("clock.not_running", kind=clock.kind.value)
    if overdue(clock, at, calendar):
        raise Conflict("clock.overdue", kind=clock.kind.value)
    if clock.extensions >= at_most:
        raise Conflict("clock.extensions_used_up", kind=clock.kind.value, at_most=at_most)
    return replace(clock, extensions=clock.extensions + 1)


def with_limit(clock: Clock, limit: Limit) -> Clock:
    """Another limit (category, condition or priority corrected): start, pauses and what was used are kept."""
    return replace(clock, limit=limit)


def with_holder(clock: Clock, holder: str) -> Clock:
    """Another person or unit on the same clock: nothing used is given back."""
    return replace(clock, holder=holder)


def allowed_minutes(clock: Clock, calendar: WorkCalendar) -> float:
    """The limit with its extensions, in minutes of its kind of time."""
    return clock.limit.minutes(calendar) * (1 + clock.extensions)


def used_minutes(clock: Clock, now: datetime, calendar: WorkCalendar) -> float:
    """Minutes counted until `now`, or until the stop; 0 before the start."""
    end = now if clock.stopped_at is None else min(now, clock.stopped_at)
    used, cursor = 0.0, clock.started_at
    for since, until in _still(clock):
        used += between(cursor, min(since, end), calendar, clock.limit.unit)
        if until is None:
            return used
        cursor = until
    return used + between(cursor, end, calendar, clock.limit.unit)


def due_at(clock: Clock, calendar: WorkCalendar, share: float = 1.0) -> datetime | None:
    """When `share` of the limit is used up, pauses left out; None while a pause without end comes before it."""
    left, cursor = allowed_minutes(clock, calendar) * share, clock.started_at
    if not clock.pauses:
        return _reached(cursor, left, calendar, clock.limit.unit.round_the_clock)
    for since, until in _still(clock):
        ran = between(cursor, since, calendar, clock.limit.unit)
        if ran >= left:
            break
        left -= ran
        if until is None:
            return None
        cursor = until
    return add_minutes(cursor, left, calendar, clock.limit.unit.round_the_clock)


@lru_cache(maxsize=4096)
def _reached(
    start: datetime, minutes: float, calendar: WorkCalendar, round_the_clock: bool
) -> datetime:
    """`add_minutes`, kept: the same clock is asked many times while one move is made and its answer written."""
    return add_minutes(start, minutes, calendar, round_the_clock)


def overdue(clock: Clock, now: datetime, calendar: WorkCalendar) -> bool:
    """True when the limit had passed before the stop, or has passed by `now`."""
    return _past(clock, due_at(clock, calendar), now)


def lamp(used: float, limit: float, amber_share: float = AMBER_SHARE) -> Lamp:
    """The lamp for minutes used of a limit: amber from the share on, red only beyond the limit."""
    if used > limit:
        return Lamp.RED
    return Lamp.AMBER if used >= limit * amber_share else Lamp.GREEN


def clock_lamp(
    clock: Clock, now: datetime, calendar: WorkCalendar, amber_share: float = AMBER_SHARE
) -> Lamp:
    """The lamp of a clock; red exactly when it is overdue."""
    return read_clock(clock, now, calendar, amber_share).lamp


def read_clock(
    clock: Clock, now: datetime, calendar: WorkCalendar, amber_share: float = AMBER_SHARE
) -> Reading:
    """All that a clock shows at a moment, each worked out once."""
    due, allowed = due_at(clock, calendar), allowed_minutes(clock, calendar)
    used = used_minutes(clock, now, calendar)
    shown = Lamp.RED
    if not _past(clock, due, now):
        shown = lamp(min(used, allowed), allowed, amber_share)
    return Reading(
        due_at=due,
        amber_at=due_at(clock, calendar, amber_share),
        used_minutes=used,
        allowed_minutes=allowed,
        lamp=shown,
        unofficial=_rests_on_unofficial(clock, due, calendar),
    )


def unofficial(clock: Clock, calendar: WorkCalendar) -> bool:
    """True when the clock's due moment rests on a year whose days are not official; a paused clock has none."""
    return _rests_on_unofficial(clock, due_at(clock, calendar), calendar)


def _past(clock: Clock, due: datetime | None, now: datetime) -> bool:
    end = now if clock.stopped_at is None else min(now, clock.stopped_at)
    return due is not None and end > due


def _rests_on_unofficial(clock: Clock, due: datetime | None, calendar: WorkCalendar) -> bool:
    return due is not None and reaches_unofficial(clock.started_at, due, clock.limit.unit, calendar)


def _still(clock: Clock) -> list[tuple[datetime, datetime | None]]:
    """Pauses as stretches in order and apart; at most the last one has no end."""
    joined: list[tuple[datetime, datetime | None]] = []
    for each in sorted(clock.pauses, key=lambda known: known.since):
        if joined and (joined[-1][1] is None or each.since <= joined[-1][1]):
            since, until = joined[-1]
            last = None if until is None or each.until is None else max(until, each.until)
            joined[-1] = (since, last)
        else:
            joined.append((each.since, each.until))
    return joined


def _ended(each: Pause, at: datetime, why: str) -> Pause:
    return replace(each, until=at) if each.until is None and each.why == why else each


def _forward(clock: Clock, at: datetime) -> None:
    if at < clock.last_at:
        last = clock.last_at.isoformat()
        raise BadInput("clock.backwards", "at", at=at.isoformat(), last=last, kind=clock.kind.value)
