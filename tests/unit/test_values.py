"""Plain values that the type checker keeps frozen: the same to their readers as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from dispatch.facts import Facts
from dispatch.moves import State
from grid.core.values import dataclass
from grid.reach import ON_BOUNDARY_M, Reach


@dataclass(frozen=True, slots=True)
class Ours:
    """A value as most of ours are."""

    name: str
    at: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """The same by the library."""

    name: str
    at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class ByItself:
    """One that is only equal to itself."""

    name: str


@dataclass(frozen=True)
class WithItsOwnHash:
    """One that says itself what it is kept under."""

    name: str

    def __hash__(self) -> int:
        return 7


def test_a_value_compares_hashes_prints_and_travels_like_a_frozen_dataclass() -> None:
    one = Ours("a", (1, 2))
    assert one == Ours("a", (1, 2)) != Ours("b", (1, 2))
    assert hash(one) == hash(Ours("a", (1, 2))) == hash(Theirs("a", (1, 2)))
    assert repr(one) == "Ours(name='a', at=(1, 2))"
    assert replace(one, name="b") == Ours("b", (1, 2))
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 (our own)
    assert [field.name for field in fields(one)] == ["name", "at"]
    with pytest.raises(AttributeError):
        one.other = 1  # type: ignore[attr-defined]
    assert ByItself("a") != ByItself("a")
    assert len({ByItself("a"), ByItself("a")}) == 2
    assert hash(WithItsOwnHash("a")) == 7


A_FACT = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(State),
        "unit": st.none() | st.text(max_size=3),
        "assignees": st.frozensets(st.text(max_size=3), max_size=2),
        "overdue": st.booleans(),
        "reworks": st.integers(0, 3),
    },
)


@given(A_FACT, A_FACT)
def test_facts_changed_are_those_of_replace(
    before: dict[str, Any], changes: dict[str, Any]
) -> None:
    facts = Facts(**{"state": State.REPORTED, **before})
    kept = replace(facts)
    assert facts.but(**changes) == replace(facts, **changes)
    assert facts == kept


def test_what_is_no_fact_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Facts(State.REPORTED).but(asignees=frozenset())


INSIDE_OR_NEAR = st.floats(-300, 300) | st.sampled_from([-100.0, -100.4, 100.0, 100.6])


@given(
    INSIDE_OR_NEAR,
    INSIDE_OR_NEAR,
    st.sampled_from([0.0, 249.9, 250.0, 250.1, float("inf")]),
    st.booleans(),
    st.sampled_from([None, shapely.box(-100, -100, 100, 100)]),
)
def test_one_point_is_of_the_town_by_the_rule_for_many(
    x: float, y: float, distance_m: float, by_hand: bool, boundary: shapely.Geometry | None
) -> None:
    reach = Reach(boundary, 250.0)
    xs, ys, distances = np.array([x]), np.array([y]), np.array([distance_m])
    assert reach.point_beyond_m(x, y) == reach.beyond_m(xs, ys)[0]
    assert (
        reach.holds_point(x, y, distance_m, by_hand) == reach.holds(xs, ys, distances, by_hand)[0]
    )


def test_a_point_just_beyond_the_boundary_is_of_the_town() -> None:
    reach = Reach(shapely.box(0, 0, 10, 10), 250.0)
    assert reach.point_beyond_m(5, 5) == 0.0
    assert reach.point_beyond_m(13, 5) == 3.0
    assert reach.holds_point(10 + ON_BOUNDARY_M, 5, 1.0)
    assert not reach.holds_point(10.6, 5, 1.0)
    assert not reach.holds_point(5, 5, 250.1)
    assert reach.holds_point(5, 5, 250.1, by_hand=True)
    assert not reach.holds_point(5, 5, float("inf"), by_hand=True)
