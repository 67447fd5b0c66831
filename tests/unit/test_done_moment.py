"""Which moment counts for a step that was done without network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import clocks as steps
from dispatch.clocks import ClockKind, Lamp, clock_lamp, due_at
from dispatch.done_moment import CLOCK_ERROR, FIELD_MOVES, FIELD_ROLES, done_moment
from dispatch.facts import THE_SYSTEM, Actor, Facts, Given, Rules
from dispatch.moves import MOVES, TASK_MOVES, State
from dispatch.progress import clocks_at_report
from dispatch.standing import Standing, advance
from dispatch.worktime import Limit, WorkCalendar

DAY = timedelta(hours=24)
RECEIVED = datetime(2026, 11, 23, 2, 40, tzinfo=UTC)  # 10:40 in the town
ASSIGNED = RECEIVED - timedelta(hours=2)


def at(hour: int, minute: int) -> datetime:
    """A moment of that day, by the town's clock."""
    return datetime(2026, 11, 23, hour - 8, minute, tzinfo=UTC)


def test_every_name_of_the_rule_is_a_move() -> None:
    assert {*MOVES, *TASK_MOVES} >= FIELD_MOVES


def test_done_at_two_minutes_past_ten_and_received_at_forty_counts_from_when_it_was_done() -> None:
    found = done_moment(at(10, 2), "finish_task", "cleaner", ASSIGNED, DAY, RECEIVED)
    assert found.at == at(10, 2)
    assert found.kept == {"done_at": "2026-11-23T02:02:00.000+00:00"}


@pytest.mark.parametrize(
    ("told", "move", "role", "why"),
    [
        (at(10, 2), "finish_task", "cleaner", None),
        (at(10, 2), "check_passed", "collector", None),
        (at(10, 2), "close", "watch_chief", "not_field"),
        (at(10, 2), "finish_task", "dispatcher", "not_field"),
        (at(10, 2), "ask_extension", "cleaner", "not_field"),
        (at(10, 42), "finish_task", "cleaner", "future"),
        (ASSIGNED, "accept_task", "cleaner", None),
        (ASSIGNED - timedelta(seconds=1), "accept_task", "cleaner", "before_last_step"),
        (RECEIVED - DAY - timedelta(seconds=1), "finish_task", "cleaner", "too_old"),
    ],
)
def test_what_cannot_be_true_is_kept_but_does_not_count(
    told: datetime, move: str, role: str, why: str | None
) -> None:
    found = done_moment(told, move, role, ASSIGNED, DAY, RECEIVED)
    assert found.kept.get("not_counted") == why
    assert found.at == (told if why is None else RECEIVED)
    assert datetime.fromisoformat(found.kept["done_at" if why is None else "told_at"]) == told


def test_nothing_told_is_nothing_kept() -> None:
    assert done_moment(None, "arrive", "officer", ASSIGNED, DAY, RECEIVED).kept == {}


def test_a_clock_that_runs_ahead_a_little_means_now() -> None:
    found = done_moment(RECEIVED + CLOCK_ERROR, "arrive", "officer", ASSIGNED, DAY, RECEIVED)
    assert (found.at, found.kept) == (RECEIVED, {})


def test_no_hours_allowed_means_never() -> None:
    told = RECEIVED - timedelta(minutes=1)
    found = done_moment(told, "arrive", "officer", ASSIGNED, timedelta(0), RECEIVED)
    assert found.kept["not_counted"] == "too_old"


@given(
    told=st.integers(-3000, 3000),
    before=st.none() | st.integers(-3000, 0),
    back=st.integers(0, 48),
    move=st.sampled_from(sorted({*MOVES, *TASK_MOVES})),
    role=st.sampled_from(["cleaner", "collector", "dispatcher", "leader"]),
)
def test_what_counts_is_never_later_than_receipt_nor_before_what_it_may_not_precede(
    told: int, before: int | None, back: int, move: str, role: str
) -> None:
    limit = None if before is None else RECEIVED + timedelta(minutes=before)
    said = RECEIVED + timedelta(minutes=told)
    found = done_moment(said, move, role, limit, timedelta(hours=back), RECEIVED)
    assert found.at <= RECEIVED
    if found.at != RECEIVED:
        assert found.at == said
        assert move in FIELD_MOVES
        assert role in FIELD_ROLES
        assert RECEIVED - found.at <= timedelta(hours=back)
        assert limit is None or found.at >= limit


def test_the_limit_ends_when_it_was_done_and_the_check_begins_when_it_was_received() -> None:
    calendar = WorkCalendar(ZoneInfo("Asia/Shanghai"))
    limits = {
        ClockKind.DISPOSAL: Limit.of(90, "minutes"),
        ClockKind.CHECK: Limit.of(60, "minutes"),
        ClockKind.ACCEPT: Limit.of(60, "minutes"),
    }
    clocks = clocks_at_report(limits, at(9, 0))
    crew = Actor("staff:7", frozenset({"cleaner"}), frozenset({"cleaner"}), "一队")
    system = THE_SYSTEM
    facts = Facts(
        state=State.REPORTED, channel="patrol", has_place=True, filing_condition="1", verified=True
    )
    standing, rules, photos = Standing(facts, clocks), Rules(), frozenset({"after"})
    for move, given_ in (
        ("accept", Given()),
        ("file", Given(filing_condition="1")),
        ("dispatch", Given(to="staff:7", unit="一队")),
        ("assign", Given(to="staff:7")),
    ):
        standing, _ = advance(standing, move, system, given_, limits, rules, calendar, at(9, 0))
    done, received = at(10, 2), at(10, 40)
    for move, who, moment in (
        ("submit", crew, done),
        ("feed_back", system, done),
        ("send_check", system, received),
    ):
        standing, _ = advance(
            standing, move, who, Given(photos=photos), limits, rules, calendar, moment, received
        )
    disposal, check = standing.clocks[ClockKind.DISPOSAL], standing.clocks[ClockKind.CHECK]
    assert due_at(disposal, calendar) == at(10, 30)
    assert disposal.stopped_at == done
    assert clock_lamp(disposal, received, calendar) is not Lamp.RED
    assert standing.facts.late is False
    assert check.started_at == received


def test_a_check_passed_without_network_ends_there_and_the_closing_begins_at_receipt() -> None:
    calendar = WorkCalendar(ZoneInfo("Asia/Shanghai"))
    limits = {
        ClockKind.CHECK: Limit.of(60, "minutes"),
        ClockKind.CLOSE: Limit.of(60, "minutes"),
    }
    before = Standing(
        Facts(state=State.CHECKING, channel="patrol", has_place=True, doers=frozenset({"staff:7"})),
        {ClockKind.CHECK: steps.start(ClockKind.CHECK, limits[ClockKind.CHECK], at(9, 30))},
    )
    collector = Actor("staff:9", frozenset({"collector"}), frozenset(), None)
    after, _ = advance(
        before, "check_passed", collector, Given(), limits, Rules(), calendar, at(10, 2), at(10, 40)
    )
    assert after.clocks[ClockKind.CHECK].stopped_at == at(10, 2)
    assert after.clocks[ClockKind.CLOSE].started_at == at(10, 40)
