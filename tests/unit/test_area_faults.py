"""Drawn areas with slips of the hand: every broken shape, overlap, gap and sliver is found, and nothing else."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.area_faults import area_faults, counts_of, width_m
from grid.core.crs import from_plane, geometries_from_plane

EPSG = 4547
X, Y = 500_000.0, 3_700_000.0


def square(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(X + west, Y + south, X + east, Y + north)


def faults(areas: dict[str, shapely.Geometry], **options: object) -> gpd.GeoDataFrame:
    shapes = geometries_from_plane(np.array(list(areas.values()), dtype=object), EPSG)
    return area_faults(list(areas), shapes, EPSG, **options)  # type: ignore[arg-type]


def test_areas_that_meet_have_no_fault() -> None:
    drawn = {"A": square(0, 0, 100, 100), "B": square(100, 0, 200, 100)}
    assert len(faults(drawn)) == 0
    assert len(faults(drawn, within=square(0, 0, 200, 100))) == 0


def test_an_overlap_is_the_ground_both_have() -> None:
    found = faults({"A": square(0, 0, 110, 100), "B": square(100, 0, 200, 100)})
    (row,) = found.itertuples(index=False)
    assert (row.kind, row.name, row.other) == ("overlap", "A", "B")
    assert row.area_m2 == pytest.approx(1000, abs=0.05)
    lon, lat = from_plane([X + 105], [Y + 50], EPSG)
    assert row.geometry.contains(shapely.Point(float(lon[0]), float(lat[0])))


def test_a_strip_as_wide_as_a_slip_is_a_sliver() -> None:
    found = faults({"A": square(0, 0, 100.4, 100), "B": square(100, 0, 200, 100)})
    (row,) = found.itertuples(index=False)
    assert (row.kind, row.of, row.name, row.other) == ("sliver", "overlap", "A", "B")
    found = faults({"A": square(0, 0, 99.5, 100), "B": square(100, 0, 200, 100)})
    (row,) = found.itertuples(index=False)
    assert (row.kind, row.of, row.other) == ("sliver", "gap", "A, B")
    assert row.area_m2 == pytest.approx(50, rel=0.02)


def test_a_hole_between_areas_and_ground_of_the_town_that_nobody_has_are_gaps() -> None:
    ring = square(0, 0, 90, 90).difference(square(30, 30, 60, 60))
    (hole,) = faults({"A": ring}).itertuples(index=False)
    assert (hole.kind, hole.area_m2) == ("gap", pytest.approx(900, abs=0.05))
    assert len(faults({"A": ring, "B": square(30, 30, 60, 60)})) == 0
    (left,) = faults(
        {"A": square(0, 0, 100, 100)}, within=square(0, 0, 150, 100)
    ).itertuples(index=False)  # fmt: skip
    assert (left.kind, left.area_m2) == ("gap", pytest.approx(5000, abs=0.3))


def test_a_bay_of_the_outline_is_no_gap() -> None:
    bay = square(0, 0, 100, 100).difference(square(40, 50, 60, 100))
    assert len(faults({"A": bay})) == 0


def test_a_bow_tie_is_invalid_with_its_reason() -> None:
    tie = shapely.Polygon([(X, Y), (X + 100, Y + 100), (X + 100, Y), (X, Y + 100)])
    (row,) = faults({"A": tie}).itertuples(index=False)
    assert (row.kind, row.name, row.why) == ("invalid", "A", "Self-intersection")
    assert row.area_m2 == pytest.approx(5000, abs=0.3)


def test_an_area_beyond_the_town_is_outside_but_a_border_drawn_twice_is_not() -> None:
    town = square(0, 0, 100, 100)
    found = faults({"A": square(50, 0, 150, 100)}, within=town)
    assert counts_of(found) == {"gap": 1, "outside": 1}
    assert len(faults({"A": square(0, 0, 100.5, 100)}, within=town)) == 0


def test_parks_may_overlap_and_stand_alone() -> None:
    parks = {"A": square(0, 0, 50, 50), "B": square(40, 0, 90, 50)}
    assert len(faults(parks, covering=False)) == 0


def test_pieces_of_one_name_are_one_area_and_points_are_left_alone() -> None:
    shapes = np.array(
        [square(0, 0, 50, 50), square(40, 0, 90, 50), shapely.Point(X, Y), None], dtype=object
    )
    shapes[:3] = geometries_from_plane(shapes[:3], EPSG)
    assert len(area_faults(["A", "A", "P", "Q"], shapes, EPSG)) == 0
    assert len(area_faults([], np.array([], dtype=object), EPSG)) == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3))
def test_shared_and_missing_ground_is_what_the_borders_shift(shifts: list[float]) -> None:
    """Three borders of four neighbours moved by hand: the pieces add up to the moves, no more and no less."""
    drawn = {
        str(k): square(
            100 * k, 0, 100 * (k + 1) + (shifts[k] if k < 3 else 0), 100
        )
        for k in range(4)
    }  # fmt: skip
    found = faults(drawn, within=square(0, 0, 400, 100))
    told = {"overlap": 0.0, "gap": 0.0}
    for row in found.itertuples(index=False):
        told[row.of or row.kind] += row.area_m2
    assert told["overlap"] == pytest.approx(100 * sum(s for s in shifts if s > 0), abs=1.0)
    assert told["gap"] == pytest.approx(-100 * sum(s for s in shifts if s < 0), abs=1.0)


def test_the_width_of_a_strip() -> None:
    assert width_m(shapely.box(0, 0, 1000, 0.5)) == pytest.approx(0.5, rel=1e-3)
