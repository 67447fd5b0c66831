"""Limits in force, clocks with pauses and extensions, lamps and reply limits, worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import clocks
from dispatch.calendars import seed_calendar
from dispatch.categories import seed_conditions
from dispatch.clocks import Clock, ClockKind, Lamp
from dispatch.deadlines import (
    LimitRule,
    LimitTable,
    condition_rules,
    due_times,
    governing,
    reply_due,
    seed_reply_rules,
    seed_stage_rules,
)
from dispatch.worktime import Limit, Unit, add
from grid.core.errors import BadInput, Conflict, NotFound

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = seed_calendar("CN", SHANGHAI, range(2025, 2028))
WD, WH, H = Unit.WORKING_DAYS, Unit.WORKING_HOURS, Unit.HOURS


def at(text: str) -> datetime:
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)


def disposal(value: float, unit: Unit, started: str) -> Clock:
    return clocks.start(ClockKind.DISPOSAL, Limit(value, unit), at(started), "unit 1")


def test_the_seed_tables_answer() -> None:
    table = LimitTable([*condition_rules(seed_conditions()), *seed_stage_rules()])
    on = date(2026, 3, 2)
    assert table.find("01003-2", on).limit == Limit(4, WH)
    assert table.find("accept", on).limit == Limit(15, Unit.MINUTES)
    assert table.find("dispatch", on).limit == Limit(15, Unit.MINUTES)
    assert table.find("dispatch", on, urgency="emergency").limit == Limit(10, Unit.MINUTES)
    assert table.find("check", on).limit == Limit(60, Unit.MINUTES)
    assert table.find("check", on, area_class="village").limit == Limit(120, Unit.MINUTES)
    with pytest.raises(NotFound) as none:
        table.find("99999-1", on)
    assert none.value.code == "limit.none"


def test_a_changed_limit_leaves_the_past_alone() -> None:
    july = date(2026, 7, 1)
    old = LimitRule("06010-1", Limit(4, WH), valid_to=july)
    new = LimitRule("06010-1", Limit(2, WH), valid_from=july)
    lax = LimitRule("06010-1", Limit(8, WH), area_class="village")
    table = LimitTable([old, new, lax])
    assert table.find("06010-1", date(2026, 6, 30)) == old
    assert table.find("06010-1", july) == new
    assert table.find("06010-1", july, area_class="village") == lax
    with pytest.raises(BadInput) as twice:
        LimitTable([old, new, LimitRule("06010-1", Limit(3, WH), valid_from=july)])
    assert twice.value.code == "limit.rule_twice"


def test_a_pause_moves_the_due_moment_by_the_working_time_it_takes() -> None:
    clock = disposal(1, WD, "03-02 09:00")  # Monday → Tuesday 09:00
    assert clocks.due_at(clock, CHINA) == at("03-03 09:00")
    clock = clocks.pause(clock, at("03-02 11:00"), "returned")  # 2 h used
    assert clocks.due_at(clock, CHINA) is None
    assert clocks.used_minutes(clock, at("03-09 16:00"), CHINA) == 120
    clock = clocks.resume(clock, at("03-02 17:00"), "returned")
    # 6 h left: 1 h Monday, 4 h Tuesday morning, 1 h Tuesday afternoon
    assert clocks.due_at(clock, CHINA) == at("03-03 15:00")
    assert clocks.used_minutes(clock, at("03-03 15:00"), CHINA) == 480


def test_a_pause_at_night_costs_working_time_nothing() -> None:
    clock = disposal(1, WD, "03-02 09:00")
    clock = clocks.pause(clock, at("03-02 19:00"), "question")
    clock = clocks.resume(clock, at("03-03 07:00"), "question")
    assert clocks.due_at(clock, CHINA) == at("03-03 09:00")


def test_suspension_over_the_spring_festival() -> None:
    clock = disposal(5, WD, "02-12 10:00")  # Thursday
    clock = clocks.pause(clock, at("02-13 10:00"), "suspended")  # Friday: one day used
    clock = clocks.resume(clock, at("03-02 08:00"), "suspended")  # Monday
    # four days left: Mon, Tue, Wed, Thu all day
    assert clocks.due_at(clock, CHINA) == at("03-05 18:00")


def test_two_reasons_hold_the_clock_until_both_are_gone() -> None:
    clock = disposal(4, H, "03-02 09:00")
    clock = clocks.pause(clock, at("03-02 10:00"), "question")
    clock = clocks.pause(clock, at("03-02 11:00"), "suspended")
    clock = clocks.resume(clock, at("03-02 12:00"), "question")
    assert clock.paused
    assert clocks.due_at(clock, CHINA) is None
    clock = clocks.resume(clock, at("03-02 15:00"), "suspended")
    assert clock.running
    assert clocks.due_at(clock, CHINA) == at("03-02 18:00")  # 1 h used, 3 h from 15:00


def test_extensions_add_the_original_limit_twice_at_most() -> None:
    clock = disposal(1, WD, "03-02 09:00")
    clock = clocks.extend(clock, at("03-03 09:00"), CHINA)  # at the limit, not past it
    assert clocks.due_at(clock, CHINA) == at("03-04 09:00")
    clock = clocks.extend(clock, at("03-03 10:00"), CHINA)
    assert clocks.due_at(clock, CHINA) == at("03-05 09:00")
    with pytest.raises(Conflict) as used_up:
        clocks.extend(clock, at("03-03 11:00"), CHINA)
    assert used_up.value.code == "clock.extensions_used_up"


def test_no_extension_once_overdue_or_suspended() -> None:
    clock = disposal(1, WD, "03-02 09:00")
    with pytest.raises(Conflict) as late:
        clocks.extend(clock, at("03-03 09:01"), CHINA)
    assert late.value.code == "clock.overdue"
    with pytest.raises(Conflict) as still:
        clocks.extend(clocks.pause(clock, at("03-02 10:00"), "suspended"), at("03-02 11:00"), CHINA)
    assert still.value.code == "clock.not_running"


def test_rework_runs_on_or_starts_anew() -> None:
    clock = clocks.stop(disposal(1, WD, "03-02 09:00"), at("03-02 16:00"))  # 3 h + 2 h used
    assert clocks.used_minutes(clock, at("03-20 16:00"), CHINA) == 300
    on = clocks.run_on(clock, at("03-04 09:00"))  # Wednesday; 3 h left
    assert clocks.due_at(on, CHINA) == at("03-04 12:00")
    again = clocks.anew(clock, at("03-04 09:00"))
    assert clocks.due_at(again, CHINA) == at("03-05 09:00")
    assert again.round == 2
    assert again.holder == "unit 1"


def test_another_person_or_category_keeps_what_was_used() -> None:
    clock = clocks.with_holder(disposal(1, WD, "03-02 09:00"), "unit 2")
    assert clocks.used_minutes(clock, at("03-02 15:00"), CHINA) == 240
    shorter = clocks.with_limit(clock, Limit(2, WH))
    assert clocks.due_at(shorter, CHINA) == at("03-02 11:00")
    assert clocks.overdue(shorter, at("03-02 15:00"), CHINA)
    emergency = clocks.with_limit(clock, Limit(4, H))
    assert clocks.used_minutes(emergency, at("03-02 15:00"), CHINA) == 360


def test_lamps() -> None:
    assert clocks.lamp(0, 100) is Lamp.GREEN
    assert clocks.lamp(79.9, 100) is Lamp.GREEN
    assert clocks.lamp(80, 100) is Lamp.AMBER
    assert clocks.lamp(100, 100) is Lamp.AMBER
    assert clocks.lamp(100.1, 100) is Lamp.RED
    clock = disposal(1, WD, "03-02 08:00")  # due Monday 18:00; 80 % = 384 minutes, 16:24
    assert clocks.due_at(clock, CHINA) == at("03-02 18:00")
    assert clocks.due_at(clock, CHINA, 0.8) == at("03-02 16:24")
    assert clocks.clock_lamp(clock, at("03-02 16:23"), CHINA) is Lamp.GREEN
    assert clocks.clock_lamp(clock, at("03-02 16:24"), CHINA) is Lamp.AMBER
    assert clocks.clock_lamp(clock, at("03-02 18:00"), CHINA) is Lamp.AMBER
    # Evening: no working time passes, yet the due moment lies behind.
    assert clocks.clock_lamp(clock, at("03-02 20:00"), CHINA) is Lamp.RED


def test_a_clock_paused_after_its_limit_stays_overdue() -> None:
    clock = clocks.pause(disposal(2, H, "03-02 09:00"), at("03-02 12:00"), "suspended")
    assert clocks.due_at(clock, CHINA) == at("03-02 11:00")
    assert clocks.overdue(clock, at("03-05 12:00"), CHINA)


def test_a_stop_in_time_stays_in_time() -> None:
    clock = clocks.stop(disposal(2, H, "03-02 09:00"), at("03-02 11:00"))
    assert not clocks.overdue(clock, at("03-20 09:00"), CHINA)
    assert clocks.clock_lamp(clock, at("03-20 09:00"), CHINA) is Lamp.AMBER


def test_nothing_happens_before_what_has_happened() -> None:
    clock = clocks.pause(disposal(1, WD, "03-02 09:00"), at("03-02 10:00"), "returned")
    for move in (clocks.stop, clocks.anew):
        with pytest.raises(BadInput) as back:
            move(clock, at("03-02 09:30"))
        assert back.value.code == "clock.backwards"


def test_reaching_into_a_year_not_published() -> None:
    assert clocks.unofficial(disposal(5, WD, "12-30 09:00"), CHINA)
    assert not clocks.unofficial(disposal(5, H, "12-31 23:00"), CHINA)
    assert not clocks.unofficial(disposal(5, WD, "03-02 09:00"), CHINA)


def test_hotline_reply_limits() -> None:
    rules = {rule.matter: rule for rule in seed_reply_rules()}
    received = at("02-13 15:00")  # Friday before the Spring Festival; Saturday 14 works
    assert reply_due(received, rules["emergency"], CHINA) == at("02-14 00:00")
    assert reply_due(received, rules["enquiry"], CHINA) == at(
        "02-25 15:00"
    )  # Sat 14, Tue 24, Wed 25
    # 13 days: Sat 14, Tue 24 to Sat 28 (5), Mon 2 to Fri 6 March (5), Mon 9, Tue 10
    assert reply_due(received, rules["complaint"], CHINA) == at("03-10 15:00")


def test_the_earlier_clock_governs() -> None:
    assert governing({"disposal": at("03-04 12:00"), "reply": at("03-03 12:00")}) == (
        "reply",
        at("03-03 12:00"),
    )
    assert governing({"disposal": None, "reply": at("03-03 12:00")}) == ("reply", at("03-03 12:00"))
    assert governing({"disposal": None}) is None


def test_bulk_due_times() -> None:
    starts = np.array(
        ["2026-03-06T12:00", "2026-03-06T12:00"], dtype="datetime64[m]"
    )  # Friday 20:00
    due = due_times(starts, np.array([1.0, 2.0]), ["working_days", "hours"], CHINA)
    assert due.tolist() == [datetime(2026, 3, 9, 10, 0), datetime(2026, 3, 6, 14, 0)]  # noqa: DTZ001
    with pytest.raises(BadInput):
        due_times(starts, np.array([1.0, 0.0]), ["hours", "hours"], CHINA)
    with pytest.raises(BadInput):
        due_times(starts, np.array([1.0, 1.0]), ["hours", "moons"], CHINA)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Clock, datetime]:
    unit = draw(st.sampled_from([*Unit]))
    now = at("02-02 09:00") + timedelta(minutes=draw(st.integers(0, 40_000)))
    clock = clocks.start(ClockKind.DISPOSAL, Limit(draw(st.integers(1, 40)), unit), now)
    for _ in range(draw(st.integers(0, 6))):
        now += timedelta(minutes=draw(st.integers(0, 3000)))
        why = draw(st.sampled_from(["returned", "suspended", "question"]))
        step = draw(st.sampled_from(["pause", "resume", "stop", "run_on"]))
        if step == "stop":
            clock = clocks.stop(clock, now)
        elif step == "run_on":
            clock = clocks.run_on(clock, now)
        else:
            clock = getattr(clocks, step)(clock, now, why)
    return clock, now


@given(stories(), st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_clock_never_runs_backward(story: tuple[Clock, datetime], one: int, other: int) -> None:
    clock, now = story
    early, late = (now + timedelta(minutes=each) for each in sorted((one, other)))
    used = clocks.used_minutes(clock, early, CHINA)
    assert 0 <= used <= clocks.used_minutes(clock, late, CHINA)
    if not clock.running:
        assert used == clocks.used_minutes(clock, late, CHINA)


@given(stories())
def test_at_the_due_moment_the_limit_is_used_up(story: tuple[Clock, datetime]) -> None:
    clock, _ = story
    due = clocks.due_at(clock, CHINA)
    if due is not None and clock.stopped_at is None:
        allowed = clocks.allowed_minutes(clock, CHINA)
        assert clocks.used_minutes(clock, due, CHINA) == pytest.approx(allowed, abs=1e-6)
        assert not clocks.overdue(clock, due, CHINA)
        assert clocks.overdue(clock, due + timedelta(microseconds=1), CHINA)


@given(stories())
def test_pauses_never_make_a_clock_due_earlier(story: tuple[Clock, datetime]) -> None:
    clock, _ = story
    due = clocks.due_at(clock, CHINA)
    assert due is None or due >= add(clock.started_at, clock.limit, CHINA)
