"""Gi* against its formula written out by hand, the correction for many tests, units and neighbours."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from maps.hotspots import (
    crossing_neighbours,
    gathering,
    repeat_places,
    shape_neighbours,
    square_neighbours,
    square_shapes,
    squares,
)


def block(side: int) -> pd.DataFrame:
    return pd.DataFrame([(x, y) for x in range(side) for y in range(side)], columns=["cx", "cy"])


def by_hand(counts: np.ndarray, side: int) -> np.ndarray:
    """Ord & Getis 1995, eq. 14: (Σ w x - W x̄) / (s sqrt((n Σ w² - W²) / (n - 1)))."""
    n, mean = len(counts), counts.mean()
    deviation = math.sqrt((counts**2).sum() / n - mean**2)
    table = counts.reshape(side, side)
    found = []
    for x in range(side):
        for y in range(side):
            near = table[max(0, x - 1) : x + 2, max(0, y - 1) : y + 2]
            w = near.size
            found.append(
                (near.sum() - mean * w) / (deviation * math.sqrt((n * w - w * w) / (n - 1)))
            )
    return np.array(found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=25, max_size=25).filter(lambda c: len(set(c)) > 1))
def test_the_score_is_the_formula(counts: list[int]) -> None:
    given_ = np.array(counts, dtype=float)
    found = gathering(given_, square_neighbours(block(5)))
    assert found.z == pytest.approx(by_hand(given_, 5), abs=1e-9)
    assert (found.corrected >= found.p - 1e-12).all()


def test_a_drawn_heap_is_hot_and_the_rest_is_not() -> None:
    side = 20
    counts = np.ones(side * side)
    heap = [x * side + y for x in (9, 10, 11) for y in (9, 10, 11)]
    counts[heap] = 12
    found = gathering(counts, square_neighbours(block(side)))
    assert (found.level[heap] == 99).all()
    assert found.level[0] == found.level[side * side - 1] == 0


def test_what_chance_throws_is_not_called_hot() -> None:
    """5 in a hundred would be hot by their bare p; corrected, hardly one of two thousand is."""
    chance = np.random.default_rng(7).poisson(2.0, 45 * 45)
    found = gathering(chance, square_neighbours(block(45)))
    assert (found.p < 0.05).sum() > 40
    assert (found.level >= 95).sum() <= 3


@pytest.mark.parametrize("counts", [[], [4], [4, 4, 4, 4], [0, 0, 0, 0]])
def test_nothing_gathers_where_all_is_equal(counts: list[int]) -> None:
    units = pd.DataFrame([(i, 0) for i in range(len(counts))], columns=["cx", "cy"])
    found = gathering(np.array(counts), square_neighbours(units))
    assert (found.level == 0).all()


def test_points_fall_into_squares() -> None:
    ground = np.array([[10.0, 10.0], [210.0, 10.0]])
    units, row = squares(ground, np.array([[199.0, 1.0], [-1.0, 0.0], [201.0, 199.0]]))
    assert units.to_numpy().tolist() == [[-1, 0], [0, 0], [1, 0]]
    assert row.tolist() == [1, 0, 2]
    assert shapely.area(square_shapes(units)).tolist() == [40_000.0] * 3
    near = square_neighbours(units)
    assert sorted(zip(near.focal, near.other, strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_segments_that_meet_and_areas_that_touch_are_near() -> None:
    near = crossing_neighbours(np.array([[1, 2], [2, 3], [3, 4], [8, 9], [5, 5]]))
    assert sorted(zip(near.focal, near.other, strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    areas = gpd.GeoSeries(
        [shapely.box(0, 0, 9, 9), shapely.box(9.5, 0, 20, 9), shapely.box(50, 0, 60, 9)]
    )
    found = shape_neighbours(areas)
    assert sorted(zip(found.focal, found.other, strict=True)) == [(0, 1), (1, 0)]


def test_a_repeat_place_is_one_category_on_one_stretch() -> None:
    day = pd.Timestamp("2026-01-01", tz="UTC")
    rows = [(1, "A", k) for k in range(4)] + [(1, "B", 0), (1, "B", 1), (2, "A", 0), (None, "A", 9)]
    frame = pd.DataFrame(
        [
            {"segment_id": s, "category": c, "street": "路", "grid_code": "G001",
             "reported_at": day + pd.Timedelta(days=k), "lon": 114.0 + k, "lat": 33.0}
            for s, c, k in rows
        ]
    )  # fmt: skip
    found = repeat_places(frame)
    assert found[["segment_id", "category", "times"]].to_numpy().tolist() == [[1.0, "A", 4]]
    assert found["lon"][0] == pytest.approx(115.5)
    assert (found["last_at"][0] - found["first_at"][0]).days == 3
