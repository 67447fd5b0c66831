"""What became of each segment: drawn cases one by one, then any network after any edits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.comparison import END_M, KEEPING, NEAR_M, Comparison, Lines, compare
from grid.shared_stretch import shared_stretch

Drawn = tuple[str | None, list[tuple[float, float]]]


def lines(*drawn: Drawn, levels: list[int] | None = None) -> Lines:
    """Plane lines in metres with their street names."""
    shapes = np.empty(len(drawn), dtype=object)
    shapes[:] = [shapely.LineString(places) for _, places in drawn]
    names = np.array([name for name, _ in drawn], dtype=object)
    return Lines(names, np.array(levels or [0] * len(drawn), dtype=np.int64), shapes)


def kinds(found: Comparison) -> tuple[list[str], list[str]]:
    return found.old_kind.tolist(), found.new_kind.tolist()


HUNDRED: Drawn = ("A", [(0, 0), (100, 0)])
BACK: Drawn = ("A", [(100, 0), (0, 0)])


@pytest.mark.parametrize(
    ("after", "kind", "turned"),
    [
        (HUNDRED, "unchanged", False),
        (("A", [(0, 0.9), (100, 0.9)]), "unchanged", False),
        (("A", [(0, 0), (50, 0), (100, 0)]), "unchanged", False),
        (BACK, "reversed", True),
        (("A", [(0, 4), (100, 4)]), "moved", False),
        (("A", [(0, 0), (50, 9), (100, 0)]), "moved", False),
        (("A", [(100, 4), (0, 4)]), "reversed", True),
        (("B", [(0, 0), (100, 0)]), "renamed", False),
        ((None, [(100, 0), (0, 0)]), "renamed", True),
        # An end slid along the street by 15 m: 85 % of the longer line is the same way.
        (("A", [(0, 0), (85, 0)]), "moved", False),
    ],
)
def test_one_line_stays_the_same_segment(after: Drawn, kind: str, turned: bool) -> None:
    found = compare(lines(HUNDRED), lines(after))
    assert kinds(found) == ([kind], [kind])
    assert (found.kept.tolist(), found.turned.tolist()) == ([0], [turned])
    assert found.heirs.empty


@pytest.mark.parametrize(
    "after",
    [
        ("A", [(0, NEAR_M + 1), (100, NEAR_M + 1)]),
        ("B", [(0, 4), (100, 4)]),
        ("A", [(0, 0), (50, 60), (100, 0)]),
        ("A", [(50, -50), (50, 50)]),
        ("A", [(100, 0), (200, 0)]),
    ],
)
def test_one_line_is_another_segment(after: Drawn) -> None:
    found = compare(lines(HUNDRED), lines(after))
    assert kinds(found) == (["gone"], ["new"])
    assert found.kept.tolist() == [-1]


def test_half_a_street_left_is_a_new_segment_but_its_heir() -> None:
    found = compare(lines(HUNDRED), lines(("A", [(60, 0), (0, 0)])))
    assert kinds(found) == (["gone"], ["new"])
    assert found.heirs[["old", "new", "turned"]].to_numpy().tolist() == [[0, 0, True]]
    assert found.heirs["shared_m"].tolist() == pytest.approx([60])


def test_a_split_names_its_pieces_and_their_lengths() -> None:
    after = lines(("A", [(0, 0), (40, 0)]), ("A", [(100, 0), (40, 0)]), ("C", [(40, 0), (40, 90)]))
    found = compare(lines(HUNDRED), after)
    assert kinds(found) == (["split"], ["split", "split", "new"])
    assert found.heirs[["old", "new", "turned"]].to_numpy().tolist() == [
        [0, 0, False],
        [0, 1, True],
    ]
    assert found.heirs["shared_m"].tolist() == pytest.approx([40, 60])


def test_a_small_piece_off_a_long_street_does_not_take_its_name_for_a_split() -> None:
    after = lines(("A", [(0, 0), (97, 0)]), ("A", [(97, 0), (100, 0)]))
    found = compare(lines(HUNDRED), after)
    assert found.kept.tolist() == [0, -1]
    assert kinds(found) == (["moved"], ["moved", "new"])


def test_a_merge_names_its_parts() -> None:
    before = lines(
        ("A", [(0, 0), (40, 0)]), ("A", [(100, 0), (40, 0)]), ("A", [(100, 0), (190, 0)])
    )
    found = compare(before, lines(HUNDRED, ("A", [(100, 0), (190, 0)])))
    assert kinds(found) == (["merged", "merged", "unchanged"], ["merged", "unchanged"])
    assert found.heirs[["old", "new", "turned"]].to_numpy().tolist() == [
        [0, 0, False],
        [1, 0, True],
    ]


def test_a_short_neighbour_is_no_piece_of_the_street_before_it() -> None:
    before = lines(HUNDRED, ("A", [(100, 0), (108, 0)]))
    after = lines(("A", [(0, 0), (50, 0)]), ("A", [(50, 0), (100, 0)]), ("A", [(100, 0), (108, 3)]))
    found = compare(before, after)
    assert kinds(found) == (["split", "moved"], ["split", "split", "moved"])
    assert found.kept.tolist() == [-1, -1, 1]


def test_carriageways_eight_metres_apart_follow_their_direction() -> None:
    before = lines(HUNDRED, ("A", [(100, 8), (0, 8)]))
    after = lines(("A", [(100, 12.5), (0, 12.5)]), ("A", [(0, 4.5), (100, 4.5)]))
    assert compare(before, after).kept.tolist() == [1, 0]
    redrawn = lines(("A", [(0, 8), (100, 8)]), BACK)
    found = compare(before, redrawn)
    assert (found.kept.tolist(), found.turned.tolist()) == ([1, 0], [True, True])


def test_an_upper_and_a_lower_road_of_one_name_are_not_exchanged() -> None:
    found = compare(lines(HUNDRED, HUNDRED, levels=[0, 1]), lines(HUNDRED, HUNDRED, levels=[1, 0]))
    assert found.kept.tolist() == [1, 0]


def test_a_street_follows_its_name_when_another_takes_its_line() -> None:
    found = compare(lines(HUNDRED), lines(("B", [(0, 0), (100, 0)]), ("A", [(0, 4), (100, 4)])))
    assert kinds(found) == (["moved"], ["new", "moved"])


def test_a_ring_with_another_seam_is_the_same_ring() -> None:
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = [(50 * np.cos(t), 50 * np.sin(t)) for t in turn]
    other = [*ring[7:], *ring[1:8]]
    found = compare(lines(("O", ring)), lines(("O", other)))
    assert (kinds(found), found.turned.tolist()) == ((["moved"], ["moved"]), [False])
    found = compare(lines(("O", ring)), lines(("O", other[::-1])))
    assert (kinds(found), found.turned.tolist()) == ((["reversed"], ["reversed"]), [True])


def test_nothing_before_or_nothing_after() -> None:
    assert kinds(compare(lines(), lines(HUNDRED))) == ([], ["new"])
    assert kinds(compare(lines(HUNDRED), lines())) == (["gone"], [])


def test_lines_that_cross_or_follow_each_other_share_nothing() -> None:
    first = np.array([shapely.LineString([(0, 0), (100, 0)])] * 3, dtype=object)
    second = np.array(
        [
            shapely.LineString([(50, -8), (50, 8)]),
            shapely.LineString([(100, 0), (109, 0)]),
            shapely.LineString([(120, 3), (60, 3)]),
        ],
        dtype=object,
    )
    shared = shared_stretch(first, second, np.full(3, NEAR_M))
    assert shared.metres.tolist() == pytest.approx([0, 0, 40], abs=3)
    assert shared.turned.tolist()[2]


# A network on a coarse field of 40 m; each line is then left alone or changed in one way.
spot = st.tuples(st.integers(0, 6), st.integers(0, 6))
ways = st.lists(
    st.tuples(
        st.lists(spot, min_size=2, max_size=4, unique=True), st.sampled_from(["A", "B", None])
    ),
    max_size=8,
)
EDITS = ("leave", "move", "turn", "rename", "split", "remove", "add")


def drawn_of(found: Any) -> list[Drawn]:
    return [(name, [(40.0 * x, 40.0 * y) for x, y in places]) for places, name in found]


def edited(way: Drawn, edit: str) -> list[Drawn]:
    name, places = way
    middle = ((places[0][0] + places[1][0]) / 2, (places[0][1] + places[1][1]) / 2)
    return {
        "leave": [way],
        "move": [(name, [(x + 2, y + 2) for x, y in places])],
        "turn": [(name, places[::-1])],
        "rename": [("新", places)],
        "split": [(name, [places[0], middle]), (name, [middle, *places[1:]])],
        "remove": [],
        "add": [way, ("新", [(x + 17, y - 13) for x, y in places])],
    }[edit]


@settings(max_examples=80, deadline=None)
@given(ways, st.data())
def test_every_segment_is_classified_once_and_what_is_kept_is_near(ways: Any, data: Any) -> None:
    before = drawn_of(ways)
    edits = [data.draw(st.sampled_from(EDITS)) for _ in before]
    after = [new for way, edit in zip(before, edits, strict=True) for new in edited(way, edit)]
    old, new = lines(*before), lines(*after)
    found = compare(old, new)
    assert set(found.old_kind) <= {*KEEPING, "split", "merged", "gone"}
    assert set(found.new_kind) <= {*KEEPING, "split", "merged", "new"}
    keeps = found.kept >= 0
    assert len(set(found.kept[keeps])) == keeps.sum()
    assert (np.isin(found.new_kind, KEEPING) == keeps).all()
    assert (found.old_kind[found.kept[keeps]] == found.new_kind[keeps]).all()
    assert np.isin(found.old_kind, KEEPING).sum() == keeps.sum()
    pairs = found.heirs
    assert not pairs.duplicated(["old", "new"]).any()
    assert (found.kept[pairs["new"].to_numpy(dtype=int)] == -1).all()
    for kind, whole, part in (("split", "old", "new"), ("merged", "new", "old")):
        told = {"old": found.old_kind, "new": found.new_kind}
        group = pairs[told[whole][pairs[whole].to_numpy(dtype=int)] == kind]
        assert (group.groupby(whole)[part].nunique() >= 2).all()
        assert not group.duplicated(part).any()
        assert set(group[whole]) == set(np.flatnonzero(told[whole] == kind))
        assert set(group[part]) == set(np.flatnonzero(told[part] == kind))
    for position in np.flatnonzero(keeps):
        here, there = old.lines[found.kept[position]], new.lines[position]
        assert shapely.distance(here, there) <= NEAR_M
        assert min(here.length, there.length) >= 0.79 * max(here.length, there.length) - END_M


@settings(max_examples=50, deadline=None)
@given(ways)
def test_a_network_compared_with_itself_is_unchanged(ways: Any) -> None:
    network = lines(*drawn_of(ways))
    found = compare(network, network)
    assert set(found.new_kind) <= {"unchanged"}
    assert found.kept.tolist() == list(range(len(network)))
    assert not found.turned.any()
    assert found.heirs.empty


@settings(max_examples=50, deadline=None)
@given(ways, st.randoms(use_true_random=False))
def test_the_order_of_a_file_and_its_directions_cost_no_identity(ways: Any, random: Any) -> None:
    before = drawn_of(ways)
    after = [(name, places[::-1] if random.random() < 0.5 else places) for name, places in before]
    random.shuffle(after)
    found = compare(lines(*before), lines(*after))
    assert set(found.new_kind) <= {"unchanged", "reversed"}
