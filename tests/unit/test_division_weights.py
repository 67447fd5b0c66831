"""What a street weighs in work: values worked out by hand, and the balance counted again from the weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.core.errors import BadInput
from grid.division import (
    CLASS_WEIGHTS,
    SegmentNetwork,
    class_weights,
    divide,
    sides_served,
    weighted_lengths,
)
from grid.models import CLASS_RANK

CLASSES = sorted(CLASS_RANK)


def test_every_class_of_street_has_a_weight_and_a_residential_street_is_the_unit() -> None:
    assert set(CLASS_WEIGHTS) == set(CLASS_RANK)
    assert CLASS_WEIGHTS["residential"] == 1.0


def test_weights_worked_out_by_hand() -> None:
    weights = class_weights({"primary": 3.0, "path": 0.0})
    found = weighted_lengths(
        np.array([100.0, 100.0, 100.0, 250.0, 80.0]),
        ["residential", "primary", "primary", "service", "path"],
        ["single", "single", "dual", "roundabout", "single"],
        weights,
    )
    # 100 m with two sides; 100 m x 3 x 2; half of that drawn as one of two lines; 250 m x 0.6 x 2; nothing.
    assert found.tolist() == pytest.approx([200.0, 600.0, 300.0, 300.0, 0.0])


def test_a_dual_carriageway_weighs_as_much_as_the_same_road_drawn_once() -> None:
    once = weighted_lengths(np.array([400.0]), ["primary"], ["single"], CLASS_WEIGHTS)
    twice = weighted_lengths(np.full(2, 400.0), ["primary"] * 2, ["dual"] * 2, CLASS_WEIGHTS)
    assert once.sum() == twice.sum()
    assert [sides_served(f) for f in ("single", "dual", "roundabout", "ramp")] == [2, 1, 2, 2]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"boulevard": 2.0}, "division.class_unknown"),
        ({"primary": -1.0}, "division.class_weight_invalid"),
        ({"primary": float("nan")}, "division.class_weight_invalid"),
        ({"primary": float("inf")}, "division.class_weight_invalid"),
    ],
)
def test_weights_that_make_no_sense_are_refused(given: dict[str, float], code: str) -> None:
    with pytest.raises(BadInput) as refused:
        class_weights(given)
    assert refused.value.code == code


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(3, 6),
    height=st.integers(3, 6),
    grids=st.integers(2, 4),
    dice=st.integers(0, 10_000),
)
def test_the_balance_told_is_the_one_counted_again(
    width: int, height: int, grids: int, dice: int
) -> None:
    rng = np.random.default_rng(dice)
    ends = [
        (row * width + column, row * width + column + step)
        for row in range(height)
        for column in range(width)
        for step in (1, width)
        if (step == width and row + 1 < height) or (step == 1 and column + 1 < width)
    ]
    a, b = np.array(ends).T
    count = len(ends)
    length = rng.uniform(40, 160, count)
    classes = rng.choice(CLASSES, count).tolist()
    forms = rng.choice(["single", "dual"], count).tolist()
    network = SegmentNetwork(
        segment_ids=np.arange(count) + 1,
        from_node=a,
        to_node=b,
        weight=weighted_lengths(length, classes, forms, CLASS_WEIGHTS),
        length_m=length,
        street=np.full(count, -1),
        x_m=(a % width + b % width) * 50.0,
        y_m=(a // width + b // width) * 50.0,
    )
    division = divide(network, grids)
    work = [0.0] * grids
    for k, label in enumerate(division.labels.tolist()):
        work[label] += length[k] * CLASS_WEIGHTS[classes[k]] * (1 if forms[k] == "dual" else 2)
    figures = division.figures
    assert figures.connected == figures.grids == grids
    assert figures.balance == pytest.approx(max(work) * grids / sum(work))
    assert figures.lightest == pytest.approx(min(work) * grids / sum(work))
    assert division.ceiling_met == (max(work) * grids / sum(work) <= division.ceiling + 1e-9)
