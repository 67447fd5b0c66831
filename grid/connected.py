"""Whether grids hang together on the street network, also where the two sides of a street belong to two grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
NO_LINKS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Streets:
    """The segments of a town as rows: segment_ids, from_node, to_node Int64[n]."""

    segment_ids: Ints
    from_node: Ints
    to_node: Ints


def in_pieces(streets: Streets, row: Ints, label: Ints, links: Ints = NO_LINKS) -> set[int]:
    """Labels whose segments do not hang together by shared crossings or `links`.

    row, label Int64[m]: pairs of a segment (row of `streets`) and a grid that holds one of its sides; links
    Int64[k, 2] rows that count as neighbours. A piece that is a whole separate part of the street network (an
    island without a crossing to the rest) breaks nothing: it must belong to some grid.
    """
    if len(row) == 0:
        return set()
    pairs = np.unique(np.stack([label, row], axis=1), axis=0)
    label, row = pairs[:, 0], pairs[:, 1]
    piece = _pieces(streets, row, label, links)
    part = _parts(streets)
    whole = np.bincount(part)
    first = np.unique(piece, return_index=True)[1]
    size = np.bincount(piece)
    island = size == whole[part[row[first]]]
    # A piece may join several parts by links; then it is no island of its own.
    island &= _one_part(piece, part[row], len(first))
    labels, count = np.unique(label[first][~island], return_counts=True)
    return {int(name) for name in labels[count > 1]}


def _pieces(streets: Streets, row: Ints, label: Ints, links: Ints) -> Ints:
    """The piece of each pair: pairs of one label meet in a crossing of that label."""
    count = len(row)
    ends = np.concatenate([streets.from_node[row], streets.to_node[row]])
    meeting = np.unique(np.stack([np.tile(label, 2), ends], axis=1), axis=0, return_inverse=True)[
        1
    ].reshape(-1)
    a, b = np.tile(np.arange(count), 2), count + meeting
    if len(links):
        key = {(int(g), int(r)): i for i, (g, r) in enumerate(zip(label, row, strict=True))}
        linked = [
            (key[g, int(one)], key[g, int(two)])
            for one, two in links
            for g in {g for g in np.unique(label[row == one]).tolist() if (g, int(two)) in key}
        ]
        if linked:
            extra = np.array(linked, dtype=np.int64)
            a, b = np.concatenate([a, extra[:, 0]]), np.concatenate([b, extra[:, 1]])
    nodes = count + int(meeting.max()) + 1
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(nodes, nodes))
    found = connected_components(graph, directed=False)[1][:count]
    return np.unique(found, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _parts(streets: Streets) -> Ints:
    """The separate part of the street network that each segment lies in."""
    nodes, ends = np.unique(
        np.concatenate([streets.from_node, streets.to_node]), return_inverse=True
    )
    ends = ends.reshape(-1)
    count = len(streets.from_node)
    graph = coo_array(
        (np.ones(count, dtype=np.int8), (ends[:count], ends[count:])),
        shape=(len(nodes), len(nodes)),
    )
    return np.asarray(connected_components(graph, directed=False)[1][ends[:count]], dtype=np.int64)


def _one_part(piece: Ints, part: Ints, count: int) -> NDArray[np.bool_]:
    pairs = np.unique(np.stack([piece, part], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=count) == 1)
