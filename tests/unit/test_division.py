"""Division on small networks whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from grid.core.errors import BadInput
from grid.division import SegmentNetwork, disconnected, divide, figures_of


def network(
    ends: Sequence[tuple[int, int]],
    *,
    weight: Sequence[float] | None = None,
    street: Sequence[int] | None = None,
    at: Sequence[tuple[float, float]] | None = None,
    within: Sequence[int] | None = None,
) -> SegmentNetwork:
    """Segments numbered 100, 101, …, each 100 m long; without `at` they lie on a line from west to east."""
    size = len(ends)
    points = at if at is not None else [(100.0 * i, 0.0) for i in range(size)]
    return SegmentNetwork(
        segment_ids=np.arange(100, 100 + size),
        from_node=np.array([a for a, _ in ends]),
        to_node=np.array([b for _, b in ends]),
        weight=np.array(weight if weight is not None else [100.0] * size),
        length_m=np.full(size, 100.0),
        street=np.array(street if street is not None else [-1] * size),
        x_m=np.array([x for x, _ in points]),
        y_m=np.array([y for _, y in points]),
        within=None if within is None else np.array(within),
    )


def path(size: int, **columns: object) -> SegmentNetwork:
    return network([(i, i + 1) for i in range(size)], **columns)  # type: ignore[arg-type]


def groups(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == g).tolist()) for g in np.unique(labels)}


def test_a_road_of_six_equal_segments_falls_into_three_pairs() -> None:
    division = divide(path(6), 3)
    assert groups(division.labels) == {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}
    assert division.figures.balance == pytest.approx(1.0)
    assert division.figures.connected == 3
    assert division.ceiling_met
    assert len(division.links) == 0


def test_balance_is_by_weight_not_by_number_of_segments() -> None:
    division = divide(path(5, weight=[40.0, 10.0, 10.0, 10.0, 10.0]), 2)
    assert groups(division.labels) == {frozenset({0}), frozenset({1, 2, 3, 4})}


def test_one_grid_takes_all_and_n_grids_take_one_each() -> None:
    assert divide(path(7), 1).labels.tolist() == [0] * 7
    assert sorted(divide(path(7), 7).labels.tolist()) == list(range(7))


def test_whole_streets_are_preferred_where_balance_allows() -> None:
    # Four rows of three segments, joined by weightless rungs at the west end. Many shapes of four grids weigh
    # alike; only the rows themselves cut no street.
    ends, street, at = [], [], []
    for row in range(4):
        for column in range(3):
            ends.append((row * 4 + column, row * 4 + column + 1))
            street.append(row)
            at.append((100.0 * column + 50, 100.0 * row))
    for row in range(3):
        ends.append((row * 4, row * 4 + 4))
        street.append(10 + row)
        at.append((0.0, 100.0 * row + 50))
    weight = [10.0] * 12 + [0.0, 0.0, 0.0]
    division = divide(network(ends, street=street, at=at, weight=weight), 4, ceiling=1.5)
    assert division.figures.cut_streets == 0
    assert division.figures.street_pieces == 7


def test_an_island_is_linked_by_the_shortest_straight_line() -> None:
    # A road of eight segments along the x axis and a stray piece of one segment north of segment 102.
    ends = [(i, i + 1) for i in range(8)] + [(50, 51)]
    at = [(100.0 * i, 0.0) for i in range(8)] + [(210.0, 30.0)]
    division = divide(network(ends, at=at), 3)
    assert division.links.tolist() == [[108, 102]]
    assert division.labels[8] == division.labels[2]
    assert division.figures.connected == 3
    assert disconnected(network(ends, at=at), division.labels, division.links).tolist() == []
    assert disconnected(network(ends, at=at), division.labels).tolist() == [division.labels[2]]


def test_large_components_share_the_grids_in_proportion_and_are_not_linked() -> None:
    # 12 segments north of a river, 6 south of it, no bridge: 6 grids are 4 and 2.
    ends = [(i, i + 1) for i in range(12)] + [(100 + i, 101 + i) for i in range(6)]
    at = [(100.0 * i, 500.0) for i in range(12)] + [(100.0 * i, 0.0) for i in range(6)]
    division = divide(network(ends, at=at), 6)
    assert len(division.links) == 0
    assert len(np.unique(division.labels[:12])) == 4
    assert len(np.unique(division.labels[12:])) == 2
    assert division.figures.balance == pytest.approx(1.0)


def test_no_grid_crosses_a_community() -> None:
    within = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    division = divide(path(10, within=within), 4)
    for group in groups(division.labels):
        assert len({within[i] for i in group}) == 1
    assert sorted(len(g) for g in groups(division.labels)) == [2, 2, 3, 3]


def test_a_community_smaller_than_a_grid_still_has_its_own() -> None:
    division = divide(path(10, within=[7] + [8] * 9), 4)
    assert frozenset({0}) in groups(division.labels)
    assert sorted(len(g) for g in groups(division.labels)) == [1, 3, 3, 3]


def test_a_heavy_segment_is_reported_not_refused() -> None:
    division = divide(path(9, weight=[1.0] * 4 + [40.0] + [1.0] * 4), 3)
    assert division.heavy_segments.tolist() == [104]
    assert not division.ceiling_met
    assert division.figures.balance == pytest.approx(40.0 / 16.0)
    assert division.figures.connected == 3


def test_floor_asked_for_and_met() -> None:
    division = divide(path(12), 4, ceiling=1.4, floor=0.9)
    assert division.floor_met
    assert sorted(division.figures.segments.tolist()) == [3, 3, 3, 3]


def test_hundreds_of_segments_at_one_crossing() -> None:
    star = network([(0, i) for i in range(1, 301)], at=[(float(i), 0.0) for i in range(300)])
    division = divide(star, 10)
    assert division.figures.connected == 10
    assert division.figures.balance <= 1.04


def test_a_street_that_ends_where_it_began() -> None:
    division = divide(network([(0, 0), (0, 1), (1, 2), (2, 2)]), 2)
    assert groups(division.labels) == {frozenset({0, 1}), frozenset({2, 3})}


def test_figures_by_hand() -> None:
    net = path(6, street=[0, 0, 0, 1, 1, -1], weight=[1, 2, 3, 4, 5, 6])
    figures = figures_of(net, np.array([0, 0, 1, 1, 1, 0]), in_force=np.array([0, 0, 0, 1, -1, -1]))
    assert figures.weight.tolist() == [9.0, 12.0]
    assert figures.length_m.tolist() == [300.0, 300.0]
    assert figures.segments.tolist() == [3, 3]
    assert figures.balance == pytest.approx(12 / 10.5)
    assert figures.lightest == pytest.approx(9 / 10.5)
    assert figures.connected == 1  # segment 105 lies beyond grid 1
    assert figures.is_connected.tolist() == [False, True]
    assert figures.cut_streets == 1  # street 0
    assert figures.street_pieces == 3
    assert figures.moved_length_share == pytest.approx(100 / 400)


def test_compactness_of_a_square_of_four_points_and_of_a_string() -> None:
    # Hull of the four midpoints 2 x 2 = 4; mean squared distance 2; 4 / (2 pi 2) = 1 / pi.
    square = network([(0, 1), (1, 2), (2, 3), (3, 0)], at=[(-1, -1), (1, -1), (1, 1), (-1, 1)])
    labels = np.zeros(4, dtype=np.int64)
    assert figures_of(square, labels).compactness == pytest.approx(1 / np.pi)
    assert figures_of(path(4), labels).compactness == pytest.approx(0.0)


# -- the division in force ------------------------------------------------------------------------


def test_keep_changes_nothing_where_nothing_is_wrong() -> None:
    in_force = np.array([7, 7, 7, 3, 3, 3, 9, 9, 9])
    division = divide(path(9), 3, in_force=in_force, keep=True)
    assert division.labels.tolist() == in_force.tolist()
    assert division.figures.moved_length_share == 0.0


def test_keep_moves_only_what_balance_needs() -> None:
    # 5 + 3 + 4 segments on a road: one must go from 7 to 3, no other.
    in_force = np.array([7] * 5 + [3] * 3 + [9] * 4)
    division = divide(path(12), 3, in_force=in_force, keep=True)
    assert division.labels.tolist() == [7] * 4 + [3] * 4 + [9] * 4
    assert division.figures.moved_length_share == pytest.approx(1 / 12)


def test_keep_a_cul_de_sac_follows_its_mouth() -> None:
    # The road 0..6; at crossing 4, on the border, a cul-de-sac of two segments that only its mouth holds to grid 0.
    road = network([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (4, 50), (50, 51)])
    in_force = np.array([0, 0, 0, 0, 1, 1, 0, 0])
    division = divide(road, 2, in_force=in_force, keep=True)
    assert division.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert division.figures.balance == pytest.approx(1.0)


def test_keep_attaches_new_segments_without_handing_anything_over() -> None:
    in_force = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    in_force[[3, 7]] = -1
    division = divide(path(8), 2, in_force=in_force, keep=True)
    assert division.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_keep_one_more_grid_gets_the_next_number() -> None:
    in_force = np.array([4] * 6 + [2] * 3)
    division = divide(path(9), 3, in_force=in_force, keep=True)
    assert division.labels.tolist() in ([4] * 3 + [5] * 3 + [2] * 3, [5] * 3 + [4] * 3 + [2] * 3)


def test_keep_one_grid_less_keeps_the_numbers_of_the_others() -> None:
    in_force = np.array([4] * 4 + [2] * 2 + [8] * 2 + [6] * 4)
    division = divide(path(12), 3, in_force=in_force, keep=True)
    assert groups(division.labels) == {
        frozenset(range(4)),
        frozenset(range(4, 8)),
        frozenset(range(8, 12)),
    }
    assert set(division.labels.tolist()) in ({4, 2, 6}, {4, 8, 6})
    assert division.labels[0] == 4
    assert division.labels[-1] == 6


def test_keep_mends_a_grid_in_two_pieces() -> None:
    in_force = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    division = divide(path(8), 2, in_force=in_force, keep=True)
    assert division.figures.connected == 2
    assert division.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_keep_new_quarter_becomes_the_new_grid() -> None:
    in_force = np.array([0] * 4 + [1] * 4 + [-1] * 4)
    division = divide(path(12), 3, in_force=in_force, keep=True)
    assert division.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert division.figures.moved_length_share == 0.0


def test_a_fresh_division_is_numbered_after_the_one_in_force() -> None:
    in_force = np.array([7] * 5 + [3] * 3 + [9] * 4)
    division = divide(path(12), 3, in_force=in_force)
    assert division.labels.tolist() == [7] * 4 + [3] * 4 + [9] * 4


# -- refusals -------------------------------------------------------------------------------------


def test_wishes_that_cannot_be_met() -> None:
    def code(call: object) -> str:
        with pytest.raises(BadInput) as refused:
            call()  # type: ignore[operator]
        return refused.value.code

    road = path(4)
    assert code(lambda: divide(road, 0)) == "division.grids_below_one"
    assert code(lambda: divide(road, 5)) == "division.more_grids_than_segments"
    assert code(lambda: divide(road, 2, ceiling=0.9)) == "division.ceiling_below_one"
    assert code(lambda: divide(road, 2, ceiling=float("nan"))) == "division.ceiling_below_one"
    assert code(lambda: divide(road, 2, floor=1.2)) == "division.floor_above_one"
    assert code(lambda: divide(road, 2, keep=True)) == "division.labels_missing"
    assert (
        code(lambda: divide(road, 2, in_force=np.zeros(3, dtype=np.int64), keep=True))
        == "division.column_length"
    )
    assert code(lambda: divide(path(4, weight=[0.0] * 4), 2)) == "division.no_weight"
    assert (
        code(lambda: divide(path(4, within=[0, 1, 2, 2]), 2))
        == "division.fewer_grids_than_communities"
    )
    assert code(lambda: path(4, weight=[1, 1, -1, 1])) == "division.weight_invalid"
    assert code(lambda: path(4, weight=[1, float("nan"), 1, 1])) == "division.weight_invalid"
    assert code(lambda: path(4, street=[1])) == "division.column_length"
    assert code(lambda: path(0)) == "division.no_segments"
    assert code(lambda: path(4).part(np.array([0, 0]))) == "division.segment_twice"


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    divide(path(40), 4, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
