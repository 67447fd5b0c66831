"""Counting rules against the published Tianmen month and against single incidents one rule at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.indicators import (
    COLUMNS,
    INDICATORS,
    CountingRules,
    Ratio,
    counts,
    measure,
    measure_by,
    overdue_multiples,
)
from grid.core.errors import BadInput

AT = datetime(2017, 1, 1, tzinfo=UTC)
BEFORE, DUE, AFTER = (AT - timedelta(days=days) for days in (20, 15, 10))
LATER = AT + timedelta(days=5)


def tianmen() -> pd.DataFrame:
    """Tianmen, December 2016 [S 8]: 1,054 accepted, 996 filed, 972 due, 911 closed, 737 of them on time.

    Of the due, 956 are events (902 closed) and 16 components (9 closed).
    """
    rows: list[dict[str, object]] = []

    def many(count: int, kind: str, **values: object) -> None:
        rows.extend({"kind": kind, **values} for _ in range(count))

    late = {"filed_at": BEFORE, "due_at": DUE, "disposed_at": AFTER, "closed_at": AFTER}
    in_time = late | {"disposed_at": DUE}  # closed later than the limit, yet disposed in time
    many(730, "event", **in_time)
    many(7, "component", **in_time)
    many(172, "event", **late)
    many(2, "component", **late)
    many(30, "event", filed_at=BEFORE, due_at=DUE, disposed_at=DUE)  # waits for its check
    many(24, "event", filed_at=BEFORE, due_at=DUE)  # nobody has done it, the limit has passed
    many(7, "component", filed_at=BEFORE, due_at=DUE)
    many(24, "event", filed_at=BEFORE, due_at=LATER)  # inside the limit: not due
    many(58, "event")  # accepted, not filed
    return pd.DataFrame(rows)


def test_tianmen() -> None:
    frame = tianmen()
    totals = counts(frame, AT).sum()
    assert totals["reported"] == 1054
    assert totals["filed"] == 996
    assert totals["due"] == 972
    assert totals["closed"] == 911
    assert totals["closed_on_time"] == 737
    found = measure(frame, AT)
    assert found["closing_rate"] == Ratio(911, 972)
    assert found["on_time_closing_rate"] == Ratio(737, 972)
    assert round(100 * (found["closing_rate"].value or 0), 2) == 93.72
    assert round(100 * (found["on_time_closing_rate"].value or 0), 2) == 75.82


def test_tianmen_by_kind() -> None:
    by_kind = measure_by(tianmen(), "kind", AT)
    assert by_kind["event"]["closing_rate"] == Ratio(902, 956)
    assert by_kind["component"]["closing_rate"] == Ratio(9, 16)
    assert round(100 * 902 / 956, 2) == 94.35


def one(**values: object) -> dict[str, int]:
    row = {"filed_at": BEFORE, "due_at": DUE} | values
    return {
        str(name): int(value) for name, value in counts(pd.DataFrame([row]), AT).iloc[0].items()
    }


def test_inside_its_limit_is_not_due_unless_disposed() -> None:
    assert one(due_at=LATER)["due"] == 0
    assert one(due_at=LATER, disposed_at=AFTER)["due"] == 1
    assert one(due_at=DUE)["due"] == 1
    assert one(due_at=None)["due"] == 0


def test_slow_checking_does_not_count_against_the_unit() -> None:
    slow_check = one(disposed_at=DUE, closed_at=AFTER)
    assert (slow_check["closed_on_time"], slow_check["closed_late"], slow_check["overdue"]) == (
        1,
        0,
        0,
    )
    late = one(disposed_at=DUE + timedelta(seconds=1), closed_at=AFTER)
    assert (late["closed_on_time"], late["closed_late"], late["overdue"]) == (0, 1, 1)


def test_void_merged_and_fixed_on_the_spot_leave_the_counts() -> None:
    void = one(voided=True, disposed_at=DUE, closed_at=AFTER)
    assert (void["filed"], void["filed_with_void"], void["due"], void["closed"]) == (0, 1, 0, 0)
    for name in ("merged", "on_the_spot"):
        out = one(**{name: True}, disposed_at=DUE, closed_at=AFTER, call_backs=1, satisfied=1)
        assert out[name] == 1
        assert sum(out.values()) == 2  # itself, and `reported`


def test_suspended_incidents() -> None:
    assert one(suspended=True)["due"] == 0
    row = pd.DataFrame([{"filed_at": BEFORE, "due_at": DUE, "suspended": True}])
    assert counts(row, AT, CountingRules(suspended_leave_due=False))["due"].sum() == 1
    assert counts(row, AT, CountingRules(suspended_leave_filed=True))["filed"].sum() == 0


def test_rework_counts_an_incident_once() -> None:
    again = one(disposed_at=DUE, reworks=3)
    assert (again["reworked"], again["rework_times"]) == (1, 3)


def test_dispatch_counts() -> None:
    due = {"dispatch_due_at": BEFORE + timedelta(minutes=15)}
    right = one(dispatched_at=BEFORE + timedelta(minutes=15), units=1, **due)
    assert (right["to_dispatch"], right["dispatched_on_time"], right["dispatched_right"]) == (
        1,
        1,
        1,
    )
    twice = one(dispatched_at=BEFORE + timedelta(minutes=16), units=2, **due)
    assert (twice["to_dispatch"], twice["dispatched_on_time"], twice["dispatched_right"]) == (
        1,
        0,
        0,
    )
    never = one(**due)
    assert (never["to_dispatch"], never["dispatched_on_time"], never["dispatched_right"]) == (
        1,
        0,
        0,
    )


def test_a_granted_appeal_leaves_the_overdue_rate_but_stays_late() -> None:
    appealed = one(disposed_at=AFTER, closed_at=AFTER, appeal_granted=True)
    assert (appealed["overdue"], appealed["due_without_appeal"]) == (0, 0)
    assert (appealed["due"], appealed["closed_late"]) == (1, 1)


def test_forced_closing_without_feedback_is_disposed_at_its_closing() -> None:
    forced = one(due_at=LATER, closed_at=AFTER)
    assert (forced["due"], forced["closed"], forced["closed_on_time"]) == (1, 1, 1)


def test_what_happens_later_is_not_seen() -> None:
    assert one(disposed_at=LATER, closed_at=LATER)["closed"] == 0
    assert one(filed_at=LATER)["filed"] == 0


def test_reports_answers_and_urgency() -> None:
    row = one(patrol=True, urgent=True, disposed_at=DUE, closed_at=AFTER, call_backs=2, satisfied=1)
    assert (row["patrol_reports"], row["valid_reports"]) == (1, 1)
    assert (row["urgent_due"], row["urgent_closed"], row["urgent_closed_on_time"]) == (1, 1, 1)
    assert (row["call_backs"], row["satisfied"]) == (2, 1)
    refused = one(filed_at=None, patrol=True)
    assert (refused["patrol_reports"], refused["valid_reports"]) == (1, 0)


def test_nothing_to_divide_by_is_none() -> None:
    assert Ratio(0, 0).value is None
    empty = measure(pd.DataFrame(index=pd.RangeIndex(0)), AT)
    assert empty.keys() == INDICATORS.keys()
    assert {ratio.value for ratio in empty.values()} == {None}
    assert measure_by(pd.DataFrame({"grid": []}), "grid", AT) == {}


def test_refusals() -> None:
    with pytest.raises(BadInput) as naive:
        counts(pd.DataFrame(), datetime(2017, 1, 1))  # noqa: DTZ001
    assert naive.value.code == "time.naive"
    with pytest.raises(BadInput) as missing:
        measure_by(pd.DataFrame(), "grid", AT)
    assert missing.value.code == "indicators.column_missing"
    for column in ("filed_at", "reworks"):
        with pytest.raises(BadInput) as unfit:
            counts(pd.DataFrame({column: ["soon"]}), AT)
        assert unfit.value.code == "indicators.column_unfit"


def test_overdue_multiples() -> None:
    found = overdue_multiples(np.array([480.0, 960.0, 1200.0]), np.array([480.0, 480.0, 480.0]))
    np.testing.assert_array_equal(found, [np.nan, 1.0, 1.5])


moments = st.none() | st.integers(-40, 40).map(lambda days: AT + timedelta(days=days))
incidents = st.fixed_dictionaries(
    {
        name: moments
        if kind == "moment"
        else st.booleans()
        if kind == "flag"
        else st.integers(0, 3)
        for name, kind in COLUMNS.items()
    }
).map(lambda row: row | {"satisfied": min(row["satisfied"], row["call_backs"])})


@settings(max_examples=30, deadline=None)
@given(st.lists(incidents, max_size=20))
def test_no_rate_of_incidents_is_above_one(rows: list[dict[str, object]]) -> None:
    frame = pd.DataFrame(rows, columns=[*COLUMNS])
    summed = counts(frame, AT).sum()
    for name, ratio in measure(frame, AT).items():
        if name not in ("on_time_verify_rate", "on_time_check_rate"):  # given as counts
            assert 0 <= ratio.numerator <= ratio.denominator, name
    assert summed["closed_on_time"] + summed["closed_late"] == summed["closed"]
    assert summed["closed"] <= summed["disposed"] <= summed["due"] <= summed["filed"]
