"""Grids in pieces, found as a slow walk from segment to segment finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.connected import Streets, in_pieces

EDGES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=14, unique=True
)


def walked(edges: list[tuple[int, int]], rows: set[int]) -> list[set[int]]:
    """Pieces of some rows, by walking over shared ends."""
    left, found = set(rows), []
    while left:
        piece, todo = set(), [left.pop()]
        while todo:
            here = todo.pop()
            piece.add(here)
            near = {r for r in left if set(edges[r]) & set(edges[here])}
            left -= near
            todo += near
        found.append(piece)
    return found


@settings(max_examples=200, deadline=None)
@given(edges=EDGES, data=st.data())
def test_a_grid_is_in_pieces_when_walking_does_not_reach_all_of_it(
    edges: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = len(edges)
    sides = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=count, max_size=count)
    )
    pairs = {(grid, row) for row, both in enumerate(sides) for grid in both}
    parts = walked(edges, set(range(count)))
    expected = set()
    for grid in {g for g, _ in pairs}:
        pieces = walked(edges, {row for g, row in pairs if g == grid})
        # A whole part of the network that has no way to the rest must belong to somebody.
        if sum(piece not in parts for piece in pieces) > 1:
            expected.add(grid)
    ends = np.array(edges, dtype=np.int64)
    streets = Streets(np.arange(count), ends[:, 0], ends[:, 1])
    labels, rows = (np.array(c, dtype=np.int64) for c in zip(*sorted(pairs), strict=True))
    assert in_pieces(streets, rows, labels) == expected


def test_a_link_joins_what_no_crossing_does() -> None:
    streets = Streets(np.array([7, 8, 9, 10]), np.array([0, 1, 5, 6]), np.array([1, 2, 6, 7]))
    rows, labels = np.array([0, 1, 2, 3]), np.array([0, 1, 0, 1])
    assert in_pieces(streets, rows, labels) == {0, 1}
    assert in_pieces(streets, rows, labels, np.array([[0, 2]])) == {1}
