"""Quiet hours and pauses, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.notice_timing import parse_quiet_hours, pause_after, quiet_until
from grid.core.errors import BadInput

SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = "22:00-07:00"


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        (NIGHT, local(22, 21, 59), None),
        (NIGHT, local(22, 22, 0), local(23, 7)),
        (NIGHT, local(23, 3, 30), local(23, 7)),
        (NIGHT, local(23, 7, 0), None),
        ("12:30-14:00", local(22, 13), local(22, 14)),
        ("12:30-14:00", local(22, 14), None),
        # One span ends where the next begins: the later end counts.
        ("22:00-06:00,06:00-08:00", local(22, 23), local(23, 8)),
        ("", local(22, 23), None),
    ],
)
def test_quiet_until(hours: str, at: datetime, until: datetime | None) -> None:
    assert quiet_until(parse_quiet_hours(hours), at, SHANGHAI) == until
    assert quiet_until(parse_quiet_hours(hours), at.astimezone(UTC), SHANGHAI) == until


@pytest.mark.parametrize("written", ["22-7", "25:00-07:00", "22:00", "07:00-07:00", "a-b"])
def test_unreadable_hours_are_refused(written: str) -> None:
    with pytest.raises(BadInput, match=r"notice\.quiet_hours_unreadable"):
        parse_quiet_hours(written)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.times(),
    st.times(),
)
def test_the_end_of_a_quiet_time_is_loud_and_within_a_day(at, start, end) -> None:  # type: ignore[no-untyped-def]
    if start == end:
        return
    spans = ((start, end),)
    until = quiet_until(spans, at, SHANGHAI)
    if until is not None:
        assert at < until <= at + timedelta(days=1)
        assert quiet_until(spans, until, SHANGHAI) is None


def test_pauses_grow_and_end() -> None:
    pauses = (10.0, 30.0)
    assert pause_after(1, pauses) == timedelta(seconds=10)
    assert pause_after(2, pauses) == timedelta(seconds=30)
    assert pause_after(3, pauses) is None
