"""The street network as the division sees it: segments, the crossings they share, the links that bridge gaps."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grid.core.errors import BadInput

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

NO_LINKS: Int64 = np.empty((0, 2), dtype=np.int64)

# Above this many segments at one crossing METIS gets a sparse stand-in for "all meet all".
_CROWDED = 64


@dataclass(frozen=True, slots=True)
class SegmentNetwork:
    """Segments of one town, one row each; two are neighbours when they share a crossing.

    segment_ids Int64[n] unique · from_node, to_node Int64[n] crossing ids (any integers) · weight Float64[n]
    what is balanced (metres, weighted metres, incidents; not negative) · length_m Float64[n] · street Int64[n]
    (-1 = unnamed) · x_m, y_m Float64[n] midpoints in the plane of the town · within Int64[n] community that a
    grid must not cross (every value is one community, so is -1), or None.
    Raises BadInput division.no_segments, division.column_length, division.segment_twice,
    division.weight_invalid, division.length_invalid, division.point_invalid.
    """

    segment_ids: Int64
    from_node: Int64
    to_node: Int64
    weight: Float64
    length_m: Float64
    street: Int64
    x_m: Float64
    y_m: Float64
    within: Int64 | None = None

    def __post_init__(self) -> None:
        size = len(self.segment_ids)
        if size == 0:
            raise BadInput("division.no_segments")
        for field in fields(self):
            column = getattr(self, field.name)
            if column is None:
                continue
            if np.shape(column) != (size,):
                raise BadInput(
                    "division.column_length",
                    field=field.name,
                    rows=int(np.size(column)),
                    expected=size,
                )
            kind = np.float64 if field.name in _REAL_COLUMNS else np.int64
            object.__setattr__(self, field.name, np.ascontiguousarray(column, dtype=kind))
        ids, times = np.unique(self.segment_ids, return_counts=True)
        if (times > 1).any():
            raise BadInput("division.segment_twice", segment_id=int(ids[times > 1][0]))
        self._refuse(~np.isfinite(self.weight) | (self.weight < 0), "division.weight_invalid")
        self._refuse(~np.isfinite(self.length_m) | (self.length_m < 0), "division.length_invalid")
        self._refuse(~(np.isfinite(self.x_m) & np.isfinite(self.y_m)), "division.point_invalid")

    def _refuse(self, wrong: Bool, code: str) -> None:
        if wrong.any():
            raise BadInput(code, segment_id=int(self.segment_ids[np.argmax(wrong)]))

    def __len__(self) -> int:
        return len(self.segment_ids)

    def part(self, chosen: Bool | Int64) -> SegmentNetwork:
        """The rows chosen by a mask or by row numbers, as a network of their own (for example one grid to split)."""
        return replace(
            self,
            **{
                field.name: getattr(self, field.name)[chosen]
                for field in fields(self)
                if getattr(self, field.name) is not None
            },
        )


_REAL_COLUMNS = frozenset({"weight", "length_m", "x_m", "y_m"})


@dataclass(frozen=True, slots=True)
class Meetings:
    """Who meets whom: a table of segments × ports, both ways round. A port is a crossing, or one link between two.

    seg_start[n+1], seg_ports: the ports of each segment · port_start[p+1], port_segs: the segments at each port.
    With `within`, a crossing between two communities is one port for each, so that no grid passes through it.
    """

    seg_start: Int64
    seg_ports: Int64
    port_start: Int64
    port_segs: Int64


def numbered(first: Int64, second: Int64 | None = None) -> Int64:
    """Each different value, or pair of values, as a number from 0 in sorted order: Int64[n]."""
    inner = np.unique(first, return_inverse=True)[1].reshape(-1).astype(np.int64)
    if second is None:
        return inner
    names, outer = np.unique(second, return_inverse=True)
    return numbered(inner * len(names) + outer.reshape(-1).astype(np.int64))


def totals(at: Int64, values: Float64, count: int) -> Float64:
    """Sum of `values` by group number `at` 0..count-1."""
    return np.asarray(np.bincount(at, weights=values, minlength=count), dtype=np.float64)


def meetings(network: SegmentNetwork, links: Int64 = NO_LINKS) -> Meetings:
    """The ports of a network; `links` Int64[m, 2] are pairs of row numbers that count as neighbours."""
    size = len(network)
    rows = np.arange(size, dtype=np.int64)
    ends = np.concatenate([network.from_node, network.to_node])
    segs = np.concatenate([rows, rows])
    port = numbered(ends)
    if network.within is not None:
        port = numbered(port, np.tile(network.within, 2))
    crossings = int(port.max()) + 1
    link_ports = crossings + np.repeat(np.arange(len(links), dtype=np.int64), 2)
    segs, port = np.concatenate([segs, links.reshape(-1)]), np.concatenate([port, link_ports])
    ports = crossings + len(links)
    code = np.unique(segs * ports + port)  # a loop street meets its crossing once
    seg_of, port_of = code // ports, code % ports
    seg_start = np.searchsorted(seg_of, np.arange(size + 1)).astype(np.int64)
    by_port = np.argsort(port_of, kind="stable")
    port_start = np.searchsorted(port_of[by_port], np.arange(ports + 1)).astype(np.int64)
    return Meetings(seg_start, port_of, port_start, seg_of[by_port])


def pieces(meeting: Meetings, labels: Int64) -> Int64:
    """Connected pieces of equal label, numbered from 0: Int64[n]. Labels of -1 form pieces too."""
    size = len(labels)
    seg = np.repeat(np.arange(size, dtype=np.int64), np.diff(meeting.seg_start))
    # One node for each label at each port: a port joins only segments of the same label.
    place = numbered(meeting.seg_ports, labels[seg])
    nodes = size + int(place.max()) + 1
    graph = coo_array((np.ones(len(seg), np.int8), (seg, size + place)), shape=(nodes, nodes))
    found = connected_components(graph, directed=False)[1][:size]
    # Numbered in the order of their first segment, so that the answer does not hang on scipy's order.
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return np.asarray(order[inverse.reshape(-1)], dtype=np.int64)


def neighbours(meeting: Meetings) -> tuple[Int64, Int64]:
    """Segment adjacency as CSR (start[n+1], other), each pair both ways once, for METIS and for merging.

    A crossing where more than 64 segments meet is thinned to a ring with long steps: still connected, not quadratic.
    """
    degree = np.diff(meeting.port_start)
    left: list[Int64] = []
    right: list[Int64] = []
    for many in np.unique(degree[degree > 1]):
        starts = meeting.port_start[:-1][degree == many]
        if many <= _CROWDED:
            a, b = np.triu_indices(int(many), k=1)
        else:
            ring = np.arange(many)
            steps = 2 ** np.arange(int(np.log2(many)))
            a = np.tile(ring, len(steps))
            b = (a + np.repeat(steps, many)) % many
        left.append(meeting.port_segs[(starts[:, None] + a[None, :]).reshape(-1)])
        right.append(meeting.port_segs[(starts[:, None] + b[None, :]).reshape(-1)])
    size = len(meeting.seg_start) - 1
    if not left:
        return np.zeros(size + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    u, v = np.concatenate(left), np.concatenate(right)
    code = np.unique(np.concatenate([u * size + v, v * size + u]))
    one, other = code // size, code % size
    start = np.searchsorted(one, np.arange(size + 1)).astype(np.int64)
    return start, np.asarray(other, dtype=np.int64)
