"""A new incident's first steps: who answers for it, and how far the workflow goes by itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue, CategoryFacts, ChannelFacts, ConditionFacts
from dispatch.chase_rules import Occasion, plan
from dispatch.desk import Desk
from dispatch.facts import THE_SYSTEM, Facts, Given, Rules
from dispatch.incidents import Line
from dispatch.linkage import Helper, helpers_of
from dispatch.moves import State
from dispatch.placement import Placement
from dispatch.progress import clocks_at_report, quick_path
from dispatch.reasons import Reason, reason
from dispatch.routing import Routed, route
from dispatch.standing import Standing, advance, stage_limits
from dispatch.worktime import reaches_unofficial
from grid.core.database import ask
from grid.core.values import dataclass
from grid.crews import Crew
from grid.locate import crew_of


@dataclass(frozen=True, slots=True)
class Opened:
    """How far the workflow went by itself: the standing, the lines it wrote, the limit's reasons."""

    standing: Standing
    lines: tuple[Line, ...]
    condition: ConditionFacts | None
    reasons: tuple[Reason, ...]


def answer_for(
    session: Session, placement: Placement, category: CategoryFacts | None, at: datetime
) -> Routed:
    """Who answers for a placed report at a moment."""
    return route(placement, category, crew_for(session, placement, at))


def crew_for(session: Session, placement: Placement, at: datetime) -> Crew | None:
    """The crew of a place at a moment; None where nothing is known of the place or no grid holds it."""
    located = placement.located
    if placement.waits or located is None:
        return None
    return crew_of(session, located, at)


def linked(
    desk: Desk, category: CategoryFacts | None, crew: Crew | None, lead: int | None
) -> tuple[Helper, ...]:
    """The helpers that a category brings along, unless the bureau links by hand only."""
    if category is None or crew is None or lead is None or desk.settings.linkage == "by_hand":
        return ()
    return helpers_of(category, crew, lead)


def replaced_by(
    catalogue: Catalogue, written: str | None, category: CategoryFacts | None
) -> tuple[Reason, ...]:
    """Says so where the category that was asked for has ended and another has taken its place."""
    asked = catalogue.category(written)
    if asked is None or category is None or asked.code == category.code:
        return ()
    names = {"name_zh": category.name_zh, "name_en": category.name_en}
    return (reason("category.replaced", before=asked.code, category=category.code, **names),)


def unit_of(session: Session, staff_id: int) -> str | None:
    """The name of a person's unit."""
    rows = ask(
        session,
        "select u.name from staff s join unit u on u.id = s.unit_id where s.id = %s",
        [staff_id],
    )
    return str(rows[0][0]) if rows else None


def open_incident(
    desk: Desk,
    catalogue: Catalogue,
    channel: ChannelFacts,
    category: CategoryFacts | None,
    placement: Placement,
    routed: Routed,
    actor: str,
    now: datetime,
    unit: str | None = None,
    fixed_by: str | None = None,
) -> Opened:
    """A new incident as reported, and as far as it goes by itself; what its finder has fixed goes nowhere."""
    facts = Facts(
        state=State.REPORTED,
        channel=channel.code,
        has_place=not placement.waits,
        reporters=frozenset({actor} | ({fixed_by} if fixed_by else set())),
        supervised=channel.code in Rules().supervised_channels,
    )
    reply = channel.reply_limit(now, category.urgency if category else None, catalogue.calendar)
    limits = stage_limits(now, catalogue.calendar, category, None, catalogue.stages, reply)
    reported = Standing(facts, clocks_at_report(limits, now))
    if fixed_by is not None:
        return Opened(reported, (), None, ())
    return go_on(desk, catalogue, reported, category, routed, now, unit)


def go_on(
    desk: Desk,
    catalogue: Catalogue,
    standing: Standing,
    category: CategoryFacts | None,
    routed: Routed,
    now: datetime,
    unit: str | None = None,
) -> Opened:
    """Lets the system make the moves it may make by itself from a reported or accepted incident.

    `unit` is that of the person who answers; the disposal clock runs for it.
    """
    condition = catalogue.leading_condition(category.code, now) if category else None
    rules, limits = (
        desk.rules(catalogue),
        stage_limits(now, catalogue.calendar, category, condition, catalogue.stages),
    )
    answering = routed.answering
    facts = standing.facts.but(filing_condition=condition.code if condition else None)
    moves = quick_path(facts, rules, assignee_known=answering is not None)
    current, lines = standing, []
    person = f"staff:{answering.person.id}" if answering else None
    for move in moves:
        given = Given(
            filing_condition=condition.code if condition else None,
            to=person if move in ("dispatch", "assign") else None,
            unit=unit if move == "dispatch" else None,
        )
        current, line = advance(
            current, move, THE_SYSTEM, given, limits, rules, catalogue.calendar, now
        )
        lines.append(line)
    due_at = current.due_at(catalogue.calendar)
    return Opened(
        current, tuple(lines), condition, limit_reasons(catalogue, condition, due_at, now)
    )


def limit_reasons(
    catalogue: Catalogue,
    condition: ConditionFacts | None,
    due_at: datetime | None,
    now: datetime,
) -> tuple[Reason, ...]:
    if condition is None or due_at is None:
        return ()
    why = reason(
        "limit.of_condition",
        value=condition.limit.value,
        unit=str(condition.limit.unit),
        condition=condition.code,
        name_zh=condition.name_zh,
        name_en=condition.name_en,
    )
    if reaches_unofficial(now, due_at, condition.limit.unit, catalogue.calendar):
        year = catalogue.calendar.year_of(due_at)
        return (why, reason("limit.unofficial_year", year=year))
    return (why,)


def occasions_of(
    standing: Standing, catalogue: Catalogue, category: CategoryFacts | None, now: datetime
) -> tuple[Occasion, ...]:
    """When somebody is to be told of the clocks of an incident."""
    urgency = category.urgency if category else None
    return plan(standing.clocks, catalogue.chase_rules, urgency, catalogue.calendar)
