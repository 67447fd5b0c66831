"""How an incident stands: the workflow's facts and the clocks, kept with it as JSON, moved on one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from dispatch import clocks as clock_steps
from dispatch.catalogue import CategoryFacts, ConditionFacts
from dispatch.clocks import Clock, ClockKind, Pause
from dispatch.deadlines import LimitTable, governing, seed_stage_rules
from dispatch.facts import Actor, Facts, Given, Rules
from dispatch.incidents import Line
from dispatch.moves import State
from dispatch.progress import Clocks, clocks_after, facts_after, facts_now
from dispatch.workflow import check_move
from dispatch.worktime import Limit, WorkCalendar, add
from grid.core.errors import NotFound
from grid.core.values import dataclass

_STAGES = LimitTable(seed_stage_rules())
TASK_STAGE = "task"
# All but the state, which is always written.
_NAMES = tuple(field.name for field in fields(Facts) if field.name != "state")
_DEFAULTS = tuple(field.default for field in fields(Facts) if field.name != "state")
_VALUES = attrgetter(*_NAMES)
_SETS = frozenset({"assignees", "helpers", "reporters", "doers", "doer_units", "supervision_from"})
_MOMENTS = frozenset({"suspended_until", "closed_at"})


@dataclass(frozen=True, slots=True)
class Standing:
    """Facts and clocks of one incident at one moment."""

    facts: Facts
    clocks: Mapping[ClockKind, Clock]

    def due_at(self, calendar: WorkCalendar) -> datetime | None:
        """When disposal must be done; None while no disposal clock runs towards an end."""
        clock = self.clocks.get(ClockKind.DISPOSAL)
        return None if clock is None else clock_steps.due_at(clock, calendar)

    def amber_at(self, calendar: WorkCalendar) -> datetime | None:
        """When the disposal clock turns amber."""
        clock = self.clocks.get(ClockKind.DISPOSAL)
        return (
            None if clock is None else clock_steps.due_at(clock, calendar, clock_steps.AMBER_SHARE)
        )

    def reply_due_at(self, calendar: WorkCalendar) -> datetime | None:
        """When the channel's own reply is due."""
        clock = self.clocks.get(ClockKind.REPLY)
        return None if clock is None else clock_steps.due_at(clock, calendar)

    def at(self, now: datetime, calendar: WorkCalendar) -> Standing:
        """The same with what only the clocks know told for this moment: overdue, extensions granted."""
        facts = facts_now(self.facts, self.clocks, calendar, now)
        return self if facts is self.facts else replace(self, facts=facts)


def clocks_at(standing: Standing, now: datetime, calendar: WorkCalendar) -> list[dict[str, Any]]:
    """Every clock as it stands at a moment, in order of their beginning.

    kind, value, unit, started_at, stopped_at, due_at and amber_at (None while paused before them), paused_for
    (reasons), used_minutes and allowed_minutes (of the limit's own kind of time), extensions, round, lamp,
    governs (True for the running clock that is due first), unofficial (rests on a year not yet published).
    """
    known = sorted(standing.clocks.values(), key=lambda each: (each.started_at, each.kind))
    rows = [_clock_at(clock, now, calendar) for clock in known]
    running = {row["kind"]: row["due_at"] for row in rows if row["stopped_at"] is None}
    first = governing(running)
    for row in rows:
        row["governs"] = first is not None and row["kind"] == first[0]
    return rows


def _clock_at(clock: Clock, now: datetime, calendar: WorkCalendar) -> dict[str, Any]:
    shown = clock_steps.read_clock(clock, now, calendar)
    return {
        "kind": clock.kind.value,
        "value": clock.limit.value,
        "unit": clock.limit.unit.value,
        "started_at": clock.started_at,
        "stopped_at": clock.stopped_at,
        "due_at": shown.due_at,
        "amber_at": shown.amber_at,
        "paused_for": [pause.why for pause in clock.pauses if pause.until is None],
        "used_minutes": round(shown.used_minutes, 2),
        "allowed_minutes": shown.allowed_minutes,
        "extensions": clock.extensions,
        "round": clock.round,
        "lamp": shown.lamp.value,
        "governs": False,
        "unofficial": shown.unofficial,
    }


def stage_limits(
    now: datetime,
    calendar: WorkCalendar,
    category: CategoryFacts | None,
    condition: ConditionFacts | None,
    stages: LimitTable = _STAGES,
    reply: Limit | None = None,
) -> dict[ClockKind, Limit]:
    """The limit of every clock that an incident of this category and condition may start now.

    `stages` are the limits of the stages in force, `reply` the channel's own.
    """
    day = now.astimezone(calendar.zone).date()
    urgency = category.urgency if category else None
    limits = dict(_stage_limits(stages, day, urgency))
    if condition is not None:
        limits[ClockKind.DISPOSAL] = condition.limit
    if reply is not None:
        limits[ClockKind.REPLY] = reply
    return limits


@lru_cache(maxsize=64)
def _stage_limits(stages: LimitTable, day: date, urgency: str | None) -> Mapping[ClockKind, Limit]:
    """The limits of the stages that have one on a day; asked for each move, and the same all day."""
    limits: dict[ClockKind, Limit] = {}
    for kind in ClockKind:
        try:
            limits[kind] = stages.find(kind.value, day, urgency=urgency).limit
        except NotFound:
            continue
    return limits


def accept_by(
    now: datetime, calendar: WorkCalendar, category: CategoryFacts | None, stages: LimitTable
) -> datetime | None:
    """Until when a task offered now must be accepted; None where the bureau sets no limit."""
    day = now.astimezone(calendar.zone).date()
    try:
        rule = stages.find(TASK_STAGE, day, urgency=category.urgency if category else None)
    except NotFound:
        return None
    return add(now, rule.limit, calendar)


def advance(
    standing: Standing,
    move: str,
    actor: Actor,
    given: Given,
    limits: Mapping[ClockKind, Limit],
    rules: Rules,
    calendar: WorkCalendar,
    now: datetime,
    received: datetime | None = None,
) -> tuple[Standing, Line]:
    """One move made: the standing after it and its line for the record; `received` as in `clocks_after`.

    Raises what `check_move` raises.
    """
    current = standing.at(now, calendar)
    step = check_move(move, actor, current.facts, given, rules, now)
    clocks: Clocks = clocks_after(
        step, current.clocks, current.facts, given, limits, rules, calendar, now, received
    )
    facts = facts_after(step, current.facts, actor, given, rules, now)
    line = Line(move, step.from_state.value, step.to_state.value, given.reason)
    return Standing(facts, clocks), line


def to_json(standing: Standing) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts and clocks as the columns keep them; only what differs from the beginning is written."""
    facts = standing.facts
    plain: dict[str, Any] = {"state": facts.state.value}
    for name, value, default in zip(_NAMES, _VALUES(facts), _DEFAULTS, strict=True):
        if value != default:
            plain[name] = _plain(value)
    return plain, [_clock_json(clock) for clock in standing.clocks.values()]


def from_json(facts: Mapping[str, Any], clocks: list[dict[str, Any]]) -> Standing:
    """The standing that `to_json` wrote."""
    values: dict[str, Any] = {}
    for name, value in facts.items():
        if name in _SETS:
            values[name] = frozenset(value)
        elif name in _MOMENTS:
            values[name] = datetime.fromisoformat(value)
        elif name in ("state", "before"):
            values[name] = State(value)
        else:
            values[name] = value
    known = [clock_of(item) for item in clocks]
    return Standing(Facts(**values), {clock.kind: clock for clock in known})


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, State):
        return value.value
    return value


def _clock_json(clock: Clock) -> dict[str, Any]:
    return {
        "kind": clock.kind.value,
        "value": clock.limit.value,
        "unit": clock.limit.unit.value,
        "started_at": clock.started_at.isoformat(),
        "holder": clock.holder,
        "pauses": [
            [p.since.isoformat(), p.until.isoformat() if p.until else None, p.why]
            for p in clock.pauses
        ],
        "stopped_at": clock.stopped_at.isoformat() if clock.stopped_at else None,
        "extensions": clock.extensions,
        "round": clock.round,
    }


def clock_of(item: Mapping[str, Any]) -> Clock:
    """A clock as the column keeps it."""
    return Clock(
        kind=ClockKind(item["kind"]),
        limit=Limit.of(item["value"], item["unit"]),
        started_at=datetime.fromisoformat(item["started_at"]),
        holder=item["holder"],
        pauses=tuple(
            Pause(
                datetime.fromisoformat(since),
                datetime.fromisoformat(until) if until else None,
                why,
            )
            for since, until, why in item["pauses"]
        ),
        stopped_at=datetime.fromisoformat(item["stopped_at"]) if item["stopped_at"] else None,
        extensions=item["extensions"],
        round=item["round"],
    )
