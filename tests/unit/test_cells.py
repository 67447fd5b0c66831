"""An area cut in cells is the area again, whatever its shape."""

from __future__ import annotations

import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.cells import SLIVER_SHARE, cut

# To the millimetre, as drawn: finer than that no plane coordinate of a town can tell two corners apart.
METRES = st.integers(0, 700_000).map(lambda millimetres: millimetres / 1000)
CORNERS = st.lists(st.tuples(METRES, METRES), min_size=3, max_size=9, unique=True)


@settings(max_examples=60, deadline=None)
@given(corners=CORNERS)
def test_cells_are_a_partition_of_any_area(corners: list[tuple[float, float]]) -> None:
    area = shapely.make_valid(shapely.Polygon(corners)).buffer(0)
    pieces = cut(area)
    total = sum(piece.area for piece in pieces)
    assert abs(total - area.area) <= 1e-6 * max(area.area, 1)
    assert abs(shapely.union_all(pieces).area - area.area) <= 1e-6 * max(area.area, 1)
    whole = shapely.get_parts(area)
    for piece in pieces:
        if piece.area < SLIVER_SHARE * 10_000:
            # Only what has no neighbour to join may stay small: a part of the area by itself.
            assert any(abs(part.area - piece.area) < 1e-6 for part in whole)


def test_an_area_without_ground_has_no_cells() -> None:
    assert cut(shapely.Polygon([(0, 0), (0, 9.2e-48), (1, 100)])) == []


def test_serials_run_west_to_east_and_north_to_south() -> None:
    pieces = cut(shapely.box(1000, 2000, 1300, 2200))
    middles = [(p.centroid.x, p.centroid.y) for p in pieces]
    assert middles == [
        (1050.0, 2150.0),
        (1150.0, 2150.0),
        (1250.0, 2150.0),
        (1050.0, 2050.0),
        (1150.0, 2050.0),
        (1250.0, 2050.0),
    ]


def test_a_sliver_joins_the_neighbour_with_the_longest_border() -> None:
    pieces = cut(shapely.box(1000, 2000, 1210, 2100))
    assert [round(p.area) for p in pieces] == [10_000, 11_000]
