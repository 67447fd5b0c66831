"""The index of all segments of a town: a million points to their segments in a second, exactly.

A tree of squares holds, for each leaf, only the edges that can be nearest to a point inside it, so a
query looks at three or four edges. An index never changes: `replace` gives a new one that shares
almost everything with the old, so that readers in other threads are never disturbed.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grid.core.errors import BadInput
from grid.nearest import kernels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Smalls = NDArray[np.int32]

TASK_DEPTH = 2  # the root square is grown as 16 subtrees, shared among threads
CHUNK = 1 << 19
PAGE = 1 << kernels.PAGE_BITS
NOTHING: Ints = np.empty(0, np.int64)
NO_POINTS: Floats = np.empty((0, 2))


@dataclass(frozen=True, slots=True)
class Nearest:
    """Answers for n points, arrays of length n.

    row: position in the index's segments, -1 for none; distance_m; along_m from the segment's start;
    side: 0 left, 1 right, -1 none; second_row, second_distance_m: the nearest other segment, or empty
    arrays when it was not asked for.
    """

    row: Ints
    distance_m: Floats
    along_m: Floats
    side: NDArray[np.int8]
    second_row: Ints
    second_distance_m: Floats


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a store's arrays an index uses."""

    vertices: int
    listed: int
    pages: int

    def plus(self, vertices: int = 0, listed: int = 0, pages: int = 0) -> Used:
        return Used(self.vertices + vertices, self.listed + listed, self.pages + pages)


@dataclass(slots=True)
class Store:
    """Arrays that only grow at their end, shared by an index and those made from it."""

    coords: Floats
    along: Floats
    pool: Smalls
    records: Smalls
    used: Used
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self, used: Used) -> bool:
        """Whether the arrays are long enough for `used`."""
        return (
            used.vertices <= len(self.coords)
            and used.listed <= len(self.pool)
            and used.pages * PAGE <= len(self.records)
        )

    def forked(self, used: Used, needed: Used) -> Store:
        """A store of its own, with room, for an index that ends before this one or outgrows it."""
        grown = Store.with_room(needed)
        grown.coords[: used.vertices] = self.coords[: used.vertices]
        grown.along[: used.vertices] = self.along[: used.vertices]
        grown.pool[: used.listed] = self.pool[: used.listed]
        grown.records[: used.pages * PAGE] = self.records[: used.pages * PAGE]
        return grown

    @classmethod
    def with_room(cls, used: Used) -> Store:
        """Empty arrays a quarter longer than `used`."""
        vertices, pages = used.vertices * 5 // 4 + 64, used.pages * 5 // 4 + 64
        pool = np.empty(used.listed * 5 // 4 + 4096, np.int32)
        records = np.empty((pages * PAGE, 4), np.int32)
        return cls(np.empty((vertices, 2)), np.empty(vertices), pool, records, used)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentIndex:
    """Nearest segments by the stated rule (grid/nearest/rule.py), all in plane metres.

    Per segment ("row"): segment_ids, rank, row_lo and row_hi (first and last vertex; -1 when taken
    away). Made by `build`, changed by `replace`.
    """

    segment_ids: Ints
    rank: Ints
    row_lo: Smalls
    row_hi: Smalls
    vertex_row: Smalls
    children: Smalls
    table: Smalls
    bits: int
    leaf_place: Smalls
    pages: Smalls
    page_boxes: Floats
    boxes: Floats
    west: float
    south: float
    size: float
    store: Store
    used: Used

    @classmethod
    def build(
        cls,
        segment_ids: ArrayLike,
        coords_xy: ArrayLike,
        offsets: ArrayLike,
        rank: ArrayLike,
        threads: int | None = None,
    ) -> SegmentIndex:
        """The index of n polylines: ids[n], coords_xy[m, 2] in plane metres, offsets[n + 1], rank[n].

        BadInput `ground.line_unusable` (row) for fewer than two vertices or a coordinate not finite,
        `ground.ids_repeated` (segment_id) for one id twice, `ground.lengths_differ` for arrays that do not fit.
        """
        ids, coords, starts, ranks = checked(segment_ids, coords_xy, offsets, rank)
        n = len(ids)
        lo, counts = starts[:-1], np.diff(starts)
        order = along_curve(coords[lo]) if n else NOTHING
        new_lo = np.zeros(n, np.int64)
        new_lo[order] = np.cumsum(counts[order]) - counts[order]
        source = np.repeat(lo[order] - new_lo[order], counts[order]) + np.arange(len(coords))
        coords = np.ascontiguousarray(coords[source])
        vertex_row = np.repeat(order, counts[order]).astype(np.int32)
        row_lo = new_lo.astype(np.int32)
        row_hi = (new_lo + counts - 1).astype(np.int32)
        along = np.empty(len(coords))
        kernels.fill_all_along(coords, row_lo, row_hi, along)
        west, south, size = root_square(coords)
        edges = np.flatnonzero(vertex_row[:-1] == vertex_row[1:]).astype(np.int32)
        trees = grow(coords, vertex_row, edges, west, south, size, threads)
        leaves = sum(len(tree[2]) for tree in trees)
        listed = sum(len(tree[3]) for tree in trees)
        pages = np.arange(-(-leaves // PAGE), dtype=np.int32)
        store = Store.with_room(Used(len(coords), listed, len(pages)))
        store.coords[: len(coords)] = coords
        store.along[: len(coords)] = along
        bits = min(10, max(TASK_DEPTH, (leaves.bit_length() + 1) // 2))
        table = np.empty(1 << (2 * bits), np.int32)
        children, leaf_place = joined(trees, bits, table, store)
        boxes = np.empty((-(-len(coords) // kernels.BLOCK), 4))
        kernels.block_boxes(coords, vertex_row, len(coords), np.arange(len(boxes)), boxes)
        reached = np.empty((len(pages), 4))
        kernels.page_boxes(
            pages, store.records, leaf_place, west, south, size, np.arange(len(pages)), reached
        )
        return cls(
            segment_ids=ids,
            rank=ranks,
            row_lo=row_lo,
            row_hi=row_hi,
            vertex_row=vertex_row,
            children=children,
            table=table,
            bits=bits,
            leaf_place=leaf_place,
            pages=pages,
            page_boxes=reached,
            boxes=boxes,
            west=west,
            south=south,
            size=size,
            store=store,
            used=store.used,
        )

    @property
    def memory_bytes(self) -> int:
        """Bytes of all arrays, the store's as far as this index uses them."""
        own = (
            self.segment_ids, self.rank, self.row_lo, self.row_hi, self.vertex_row, self.children,
            self.table, self.leaf_place, self.pages, self.page_boxes, self.boxes,
        )  # fmt: skip
        used = self.used
        return (
            sum(array.nbytes for array in own)
            + 24 * used.vertices + 4 * used.listed + 16 * PAGE * used.pages
        )  # fmt: skip

    def line(self, row: int) -> Floats:
        """The vertices (m, 2) of a row in plane metres; empty when it was taken away."""
        if self.row_lo[row] < 0:
            return NO_POINTS
        return self.store.coords[self.row_lo[row] : self.row_hi[row] + 1]

    def lines(self) -> tuple[Floats, Ints]:
        """The vertices of all rows in their order, and where each begins (n + 1)."""
        low = self.row_lo.astype(np.int64)
        counts = np.where(low >= 0, self.row_hi - low + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        source = np.repeat(low - offsets[:-1], counts) + np.arange(offsets[-1])
        return self.store.coords[source], offsets

    def edges_about(self, x_m: float, y_m: float, half_m: float) -> Smalls:
        """First vertices of all edges that can be nearest in the square x_m ± half_m, y_m ± half_m."""
        edges: Smalls = kernels.edges_about(
            self.store.coords, self.vertex_row, self.rank, self.segment_ids, self.boxes,
            self.used.vertices, x_m, y_m, half_m,
        )  # fmt: skip
        return edges

    def nearest(
        self, x_m: ArrayLike, y_m: ArrayLike, threads: int | None = None, second: bool = True
    ) -> Nearest:
        """The winner of each point, arrays x_m[n], y_m[n]; `second=False` leaves the neighbour out.

        A point that is not finite, or a town without segments, gives row -1 and distance inf.
        BadInput `ground.lengths_differ` when x_m and y_m differ in length.
        """
        x = np.ascontiguousarray(np.atleast_1d(x_m), dtype=np.float64)
        y = np.ascontiguousarray(np.atleast_1d(y_m), dtype=np.float64)
        if x.shape != y.shape or x.ndim != 1:
            raise BadInput("ground.lengths_differ", field="points")
        n = len(x)
        kept = n if second else 0
        out = Nearest(
            np.empty(n, np.int64), np.empty(n), np.empty(n), np.empty(n, np.int8),
            np.empty(kept, np.int64), np.empty(kept),
        )  # fmt: skip

        def answer(lo: int, hi: int) -> None:
            kernels.search(
                self.store.coords, self.used.vertices, self.store.along, self.vertex_row,
                self.row_lo, self.row_hi, self.rank, self.segment_ids,
                self.children, self.table, self.bits, self.pages, self.store.records,
                self.store.pool, self.boxes, self.west, self.south, self.size,
                x, y, lo, hi, second,
                out.row, out.distance_m, out.along_m, out.side,
                out.second_row, out.second_distance_m,
            )  # fmt: skip

        workers = threads or os.cpu_count() or 1
        if workers == 1 or n <= 20_000:
            answer(0, n)
            return out
        chunk = min(CHUNK, -(-n // workers))
        with ThreadPoolExecutor(workers) as team:
            list(team.map(answer, range(0, n, chunk), [*range(chunk, n, chunk), n]))
        return out

    def replace(
        self,
        remove: ArrayLike = NOTHING,
        add_ids: ArrayLike = NOTHING,
        add_coords_xy: ArrayLike = NO_POINTS,
        add_offsets: ArrayLike = (0,),
        add_rank: ArrayLike = NOTHING,
    ) -> SegmentIndex:
        """A new index without the ids in `remove` and with the segments given as in `build`.

        An id that stands in both, or is added while it is there, is moved and keeps its row; a new id
        gets a row at the end; a row taken away stays empty. The index at hand answers as before.
        Same troubles as `build`, and BadInput `ground.segment_unknown` (segment_id).
        """
        ids, coords, starts, ranks = checked(add_ids, add_coords_xy, add_offsets, add_rank)
        gone = [int(i) for i in np.atleast_1d(np.asarray(remove, dtype=np.int64))]
        named = np.isin(self.segment_ids, np.array([*gone, *ids], np.int64)) & (self.row_lo >= 0)
        rows = {int(self.segment_ids[k]): int(k) for k in np.flatnonzero(named)}
        for segment_id in gone:
            if segment_id not in rows:
                raise BadInput("ground.segment_unknown", field="remove", segment_id=segment_id)
        if not (self.row_lo >= 0).any():
            return SegmentIndex.build(ids, coords, starts, ranks)
        change = Change.of(self)
        for segment_id in dict.fromkeys([*gone, *(int(i) for i in ids if int(i) in rows)]):
            change.take_away(rows[segment_id])
        for k, segment_id in enumerate(ids):
            line = coords[starts[k] : starts[k + 1]]
            change.put(rows.get(int(segment_id), -1), int(segment_id), line, int(ranks[k]))
        return change.done()


def checked(
    segment_ids: ArrayLike, coords_xy: ArrayLike, offsets: ArrayLike, rank: ArrayLike
) -> tuple[Ints, Floats, Ints, Ints]:
    """The four arrays of `build`, typed, or BadInput."""
    ids = np.atleast_1d(np.asarray(segment_ids, dtype=np.int64))
    coords = np.asarray(coords_xy, dtype=np.float64).reshape(-1, 2)
    starts = np.atleast_1d(np.asarray(offsets, dtype=np.int64))
    ranks = np.atleast_1d(np.asarray(rank, dtype=np.int64))
    fits = len(starts) == len(ids) + 1 and len(ranks) == len(ids)
    if not fits or starts[0] != 0 or starts[-1] != len(coords):
        raise BadInput("ground.lengths_differ", field="segments")
    short = np.flatnonzero(np.diff(starts) < 2)
    if len(short):
        raise BadInput("ground.line_unusable", field="geometry", row=int(short[0]))
    bad = np.flatnonzero(~np.isfinite(coords).all(axis=1))
    if len(bad):
        row = int(np.searchsorted(starts, bad[0], side="right")) - 1
        raise BadInput("ground.line_unusable", field="geometry", row=row)
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        repeated = int(unique[counts > 1][0])
        raise BadInput("ground.ids_repeated", field="segment_id", segment_id=repeated)
    return ids, coords, starts, ranks


def along_curve(points: Floats) -> Ints:
    """An order of the points in which neighbours stand together (a Z curve of 2^16 steps a side)."""
    least = points.min(axis=0)
    span = max(float((points.max(axis=0) - least).max()), 1e-9)
    steps = ((points - least) / span * 65535).astype(np.uint64)
    key = np.zeros(len(points), np.uint64)
    for bit in range(16):
        for axis in range(2):
            key |= ((steps[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return np.argsort(key, kind="stable")


def root_square(coords: Floats) -> tuple[float, float, float]:
    """(west, south, size in metres) of a square around everything with some room."""
    if not len(coords):
        return 0.0, 0.0, 1.0
    least, most = coords.min(axis=0), coords.max(axis=0)
    size = float((most - least).max()) * 1.02 + 500.0
    middle = (least + most) / 2
    return float(middle[0] - size / 2), float(middle[1] - size / 2), size


Tree = tuple[Smalls, Smalls, Smalls, Smalls]


def grow(
    coords: Floats,
    vertex_row: Smalls,
    edges: Smalls,
    west: float,
    south: float,
    size: float,
    threads: int | None,
) -> list[Tree]:
    """The subtrees of the root square at TASK_DEPTH, row by row from the south-west."""
    side = 1 << TASK_DEPTH
    tasks = [(column, row) for row in range(side) for column in range(side)]

    def one(place: tuple[int, int]) -> Tree:
        tree: Tree = kernels.grow_tree(
            coords, vertex_row, edges, west, south, size, TASK_DEPTH, place[0], place[1]
        )
        return tree

    workers = threads or os.cpu_count() or 1
    if workers == 1 or len(edges) < 10_000:
        return [one(place) for place in tasks]
    with ThreadPoolExecutor(workers) as team:
        return list(team.map(one, tasks))


def joined(trees: list[Tree], bits: int, table: Smalls, store: Store) -> tuple[Smalls, Smalls]:
    """The subtrees entered into the table and the store: (children, leaf places). Empties `trees`."""
    nodes = leaves = listed = 0
    parts: tuple[list[Smalls], list[Smalls]] = ([], [])
    roots = []
    trees.reverse()  # taken from the end, so that each is freed once it is copied
    while trees:
        children, records, leaf_place, pool = trees.pop()
        shifted = np.where(children >= 0, children + nodes, children - leaves)
        parts[0].append(shifted.astype(np.int32))
        parts[1].append(leaf_place)
        records[:, :3] += listed
        store.records[leaves : leaves + len(records)] = records
        store.pool[listed : listed + len(pool)] = pool
        roots.append(nodes)
        nodes += len(children)
        leaves += len(leaf_place)
        listed += len(pool)
    all_children = np.concatenate(parts[0])
    side = 1 << TASK_DEPTH
    for task, root in enumerate(roots):
        kernels.fill_table(all_children, root, TASK_DEPTH, task % side, task // side, bits, table)
    return all_children, np.concatenate(parts[1])


@dataclass(slots=True)
class Change:
    """An index in the making: its own copies of what changes, the store shared where it can be."""

    index: SegmentIndex
    segment_ids: Ints
    rank: Ints
    row_lo: Smalls
    row_hi: Smalls
    vertex_row: Smalls
    pages: Smalls
    page_boxes: Floats
    boxes: Floats
    store: Store
    used: Used
    own_pages: set[int]

    @classmethod
    def of(cls, index: SegmentIndex) -> Change:
        return cls(
            index=index,
            segment_ids=index.segment_ids.copy(),
            rank=index.rank.copy(),
            row_lo=index.row_lo.copy(),
            row_hi=index.row_hi.copy(),
            vertex_row=index.vertex_row.copy(),
            pages=index.pages.copy(),
            page_boxes=index.page_boxes.copy(),
            boxes=index.boxes.copy(),
            store=index.store,
            used=index.used,
            own_pages=set(),
        )

    def claim(self, needed: Used) -> None:
        """Make the store's next places ours; another index made from the same one may hold them."""
        store = self.store
        with store.lock:
            if store.used != self.used or not store.has_room(needed):
                store = store.forked(self.used, needed)
            store.used = needed
        self.store, self.used = store, needed

    def leaves_near(self, lo: int, hi: int) -> Ints:
        """Leaves to which the vertices lo..hi can matter."""
        line = self.store.coords[lo : hi + 1]
        box = np.concatenate([line.min(axis=0), line.max(axis=0)])
        index = self.index
        leaves: Ints = kernels.touched_leaves(
            self.pages, self.store.records, index.leaf_place, self.page_boxes,
            index.west, index.south, index.size, box,
        )  # fmt: skip
        return leaves

    def list_again(self, leaves: Ints, edges: Smalls, own: bool) -> None:
        """New lists and records for `leaves`, in pages of our own."""
        index = self.index
        fresh, records = kernels.relist(
            self.store.coords, self.vertex_row, leaves, self.pages, self.store.records,
            index.leaf_place, self.store.pool, edges, own, index.west, index.south, index.size,
        )  # fmt: skip
        touched = np.unique(leaves >> kernels.PAGE_BITS)
        foreign = [int(page) for page in touched if int(page) not in self.own_pages]
        before = self.used
        self.claim(before.plus(listed=len(fresh), pages=len(foreign)))
        self.store.pool[before.listed : self.used.listed] = fresh
        for k, page in enumerate(foreign):
            old, new = int(self.pages[page]) * PAGE, (before.pages + k) * PAGE
            self.store.records[new : new + PAGE] = self.store.records[old : old + PAGE]
            self.pages[page] = before.pages + k
        self.own_pages.update(foreign)
        places = self.pages[leaves >> kernels.PAGE_BITS].astype(np.int64) * PAGE + leaves % PAGE
        self.store.records[places] = records + np.array([before.listed] * 3 + [0], np.int32)
        kernels.page_boxes(
            self.pages, self.store.records, index.leaf_place, index.west, index.south, index.size,
            touched, self.page_boxes,
        )  # fmt: skip

    def box_again(self, lo: int, hi: int) -> None:
        """New boxes for the blocks of the vertices lo..hi."""
        missing = -(-self.used.vertices // kernels.BLOCK) - len(self.boxes)
        self.boxes = np.concatenate([self.boxes, np.empty((missing, 4))])
        blocks = np.arange(max(lo - 1, 0) // kernels.BLOCK, hi // kernels.BLOCK + 1)
        kernels.block_boxes(
            self.store.coords, self.vertex_row, self.used.vertices, blocks, self.boxes
        )

    def take_away(self, row: int) -> None:
        """Empty a row.

        Who becomes nearest or second somewhere then was listed in a leaf the row was listed in: going
        from such a point straight towards that segment, it enters the first two where the row leaves.
        """
        lo, hi = int(self.row_lo[row]), int(self.row_hi[row])
        self.vertex_row[lo : hi + 1] = -1
        self.row_lo[row] = self.row_hi[row] = -1
        lists = (self.pages, self.store.records, self.store.pool, lo, hi)
        leaves: Ints = kernels.leaves_with(self.leaves_near(lo, hi), *lists)
        self.list_again(leaves, kernels.listed_edges(leaves, *lists), own=False)
        self.box_again(lo, hi)

    def put(self, row: int, segment_id: int, line: Floats, rank: int) -> None:
        """Enter a line as row `row`, or as a new row for -1."""
        lo, n = self.used.vertices, len(line)
        self.claim(self.used.plus(vertices=n))
        self.store.coords[lo : lo + n] = line
        kernels.fill_along(self.store.coords, lo, lo + n - 1, self.store.along)
        if row < 0:
            row = len(self.segment_ids)
            self.segment_ids = np.append(self.segment_ids, segment_id)
            self.rank = np.append(self.rank, rank)
            self.row_lo = np.append(self.row_lo, np.int32(-1))
            self.row_hi = np.append(self.row_hi, np.int32(-1))
        self.rank[row] = rank
        self.row_lo[row], self.row_hi[row] = lo, lo + n - 1
        self.vertex_row = np.concatenate([self.vertex_row, np.full(n, row, np.int32)])
        edges = np.arange(lo, lo + n - 1, dtype=np.int32)
        self.list_again(self.leaves_near(lo, lo + n - 1), edges, own=True)
        self.box_again(lo, lo + n - 1)

    def done(self) -> SegmentIndex:
        return replace(
            self.index,
            segment_ids=self.segment_ids,
            rank=self.rank,
            row_lo=self.row_lo,
            row_hi=self.row_hi,
            vertex_row=self.vertex_row,
            pages=self.pages,
            page_boxes=self.page_boxes,
            boxes=self.boxes,
            store=self.store,
            used=self.used,
        )
