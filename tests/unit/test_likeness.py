"""Duplicates: what a dispatcher would call the same problem ranks first, and what is elsewhere or long ago never shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.likeness import (
    LikenessRules,
    Report,
    alike_words,
    attaches,
    kinship,
    likeness,
    nearness,
    rank,
)
from grid.core.errors import BadInput

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
RULES = LikenessRules()
BIN = Report(1000.0, 2000.0, "06042", NOON, "人民路12号门口垃圾桶满了没人清", "A")


def test_the_same_report_is_alike() -> None:
    assert likeness(BIN, BIN).score == 1.0


def test_what_a_dispatcher_would_call_a_duplicate_is_shown_first() -> None:
    again = replace(
        BIN, number="B", x_m=1012.0, text="人民路垃圾桶满了", seen_at=NOON - timedelta(hours=2)
    )
    litter = replace(
        BIN,
        number="C",
        category="06010",
        text="人民路12号有垃圾",
        seen_at=NOON - timedelta(hours=5),
    )
    light = replace(BIN, number="D", category="01037", text="路灯不亮")
    far = replace(BIN, number="E", x_m=1400.0)
    old = replace(BIN, number="F", seen_at=NOON - timedelta(days=8))
    found = rank(BIN, [light, far, old, litter, again])
    assert [each.number for each in found] == ["B", "C"]


def test_far_or_long_ago_is_never_a_duplicate() -> None:
    assert likeness(BIN, replace(BIN, x_m=1080.0)).score == 0
    assert likeness(BIN, replace(BIN, seen_at=NOON - timedelta(hours=169))).score == 0


def test_nearness_is_one_then_falls_to_nothing() -> None:
    found = nearness(np.array([0.0, 15.0, 47.5, 80.0, 500.0]), RULES)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.5, 0.0, 0.0])


def test_kinship() -> None:
    assert kinship("06042", "06042") == 1.0
    assert kinship("06042", "06010") == 0.6
    assert kinship("06042", "09001") == 0.2


def test_words() -> None:
    assert alike_words("垃圾桶满了", "垃圾桶满了") == 1.0
    assert alike_words("垃圾桶满了", "") is None
    assert alike_words("!!", "垃圾") is None
    near = alike_words("人民路垃圾桶满了", "垃圾桶满了没人清")
    apart = alike_words("人民路垃圾桶满了", "路灯不亮")
    assert near is not None
    assert apart is not None
    assert near > 0.5 > apart
    assert alike_words("Bin is FULL", "full bin") == 1.0


def test_without_words_the_other_signs_decide() -> None:
    assert likeness(replace(BIN, text=""), replace(BIN, number="B")).score == 1.0


def test_a_machine_repeats_itself() -> None:
    camera = replace(BIN, text="", seen_at=NOON + timedelta(minutes=59))
    assert attaches(camera, BIN)
    assert not attaches(replace(camera, seen_at=NOON + timedelta(minutes=61)), BIN)
    assert not attaches(replace(camera, x_m=1021.0), BIN)
    assert not attaches(replace(camera, category="06010"), BIN)


def test_refusals_and_nothing_known() -> None:
    assert rank(BIN, []) == []
    with pytest.raises(BadInput) as naive:
        likeness(BIN, replace(BIN, seen_at=datetime(2026, 3, 2)))  # noqa: DTZ001
    assert naive.value.code == "time.naive"


reports = st.builds(
    Report,
    st.floats(0, 200),
    st.floats(0, 200),
    st.sampled_from(["06042", "06010", "09001"]),
    st.integers(0, 20_000).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    st.text("垃圾桶满 路灯bin", max_size=12),
)


@given(reports, reports)
def test_either_way_round_and_between_nothing_and_one(one: Report, other: Report) -> None:
    found = likeness(one, other)
    assert found.score == likeness(other, one).score
    assert 0 <= found.score <= 1


@given(reports, reports, st.floats(0, 100))
def test_farther_is_never_more_alike(one: Report, other: Report, metres: float) -> None:
    away = replace(other, x_m=other.x_m + (metres if other.x_m >= one.x_m else -metres))
    assert likeness(one, away).score <= likeness(one, other).score
