"""The compiled loops of the nearest-segment index and of its stated rule.

All kernels live in one file because the compiler's cache watches one file at a time: a helper
elsewhere could change without its callers being compiled again. No fast-math anywhere: the bulk
path and the single path must agree to the last bit.

Layout of the ground inside: vertex v of a segment starts the edge (v, v + 1) unless it is the last of
its row; `vertex_row[v]` is the row, or -1 when the segment was taken away. A leaf is a square with the
edges that can be nearest (first part) or nearest of another segment (second part) for a point in it;
its record holds start, middle and stop of its list in the pool, and the bound of the second in cm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

EQUAL_M = (
    1e-6  # above the rounding of plane coordinates (1e-9 m), below anything a tape can measure
)
ON_LINE_M = 0.001  # so near to a line a point counts as right of it
SAME_M = 1e-6  # of a line that runs over itself the first part counts, whatever the rounding
SLACK_M = 4e-6  # so that rounding at a leaf's border never hides an edge
LEAF_NEAREST = 16
LEAF_LISTED = 48
LEAF_MIN_M = 2.0
FAR = 1.5  # from this many sides away lists may grow with the square of the distance
DEPTH_MAX = 24
TIGHT_UP_TO = 48
BLOCK = 64
TINY = 1e-300  # divides for an edge without length
COARSE_BITS = 8
PAGE_BITS = 9  # leaf records lie in pages of 512, so that a change copies a few pages only
ENDLESS_CM = 2**31 - 1
RINGS = 400  # a point farther than so many cells from every line is looked for elsewhere


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled without the interpreter lock, cached on disk where a folder can be written."""
    kernel: Callable[..., Any]
    try:
        kernel = numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # nowhere to write a cache: compile in memory
        kernel = numba.njit(function, nogil=True, error_model="numpy")
    return kernel


@compiled
def edge_distance2(coords, v, px, py):  # type: ignore[no-untyped-def]
    """(squared distance, t in 0..1) from a point to the edge (v, v + 1)."""
    x0 = coords[v, 0]
    y0 = coords[v, 1]
    dx = coords[v + 1, 0] - x0
    dy = coords[v + 1, 1] - y0
    wx = px - x0
    wy = py - y0
    t = (wx * dx + wy * dy) / max(dx * dx + dy * dy, TINY)
    t = min(max(t, 0.0), 1.0)
    ex = wx - t * dx
    ey = wy - t * dy
    return ex * ex + ey * ey, t


@compiled
def corner_cross(coords, before, after, vertex, px, py):  # type: ignore[no-untyped-def]
    """Left (> 0) or right (< 0) of a corner by the sum of its two edges' unit directions."""
    ax = coords[before + 1, 0] - coords[before, 0]
    ay = coords[before + 1, 1] - coords[before, 1]
    bx = coords[after + 1, 0] - coords[after, 0]
    by = coords[after + 1, 1] - coords[after, 1]
    a = np.sqrt(ax * ax + ay * ay)
    b = np.sqrt(bx * bx + by * by)
    nx = ax / a + bx / b
    ny = ay / a + by / b
    wx = px - coords[vertex, 0]
    wy = py - coords[vertex, 1]
    if nx * nx + ny * ny < 1e-24:  # the line turns straight back: the edge coming in decides
        return ax * wy - ay * wx
    return nx * wy - ny * wx


@compiled
def edge_is_real(coords, v):  # type: ignore[no-untyped-def]
    return coords[v, 0] != coords[v + 1, 0] or coords[v, 1] != coords[v + 1, 1]


@compiled
def side_at(coords, lo, hi, v, t, distance, px, py):  # type: ignore[no-untyped-def]
    """0 left or 1 right of the line lo..hi (last vertex) at edge v, share t: the stated rule."""
    if distance <= ON_LINE_M:
        return 1
    closed = coords[lo, 0] == coords[hi, 0] and coords[lo, 1] == coords[hi, 1]
    before = v
    after = v
    if t <= 0.0 or not edge_is_real(coords, v):  # nearest is the edge's start: look back and ahead
        before = v - 1
        while before >= lo and not edge_is_real(coords, before):
            before -= 1
        if before < lo and closed:
            before = hi - 1
            while before >= lo and not edge_is_real(coords, before):
                before -= 1
        while after < hi and not edge_is_real(coords, after):
            after += 1
    elif t >= 1.0:
        after = v + 1
        while after < hi and not edge_is_real(coords, after):
            after += 1
        if after >= hi and closed:
            after = lo
            while after < hi and not edge_is_real(coords, after):
                after += 1
    has_before = before >= lo and edge_is_real(coords, before)
    has_after = after < hi and edge_is_real(coords, after)
    if not has_before and not has_after:
        return 1  # a line without length has no sides
    if not has_before:
        before = after
    if not has_after:
        after = before
    vertex = v + 1 if t >= 1.0 else v
    return 0 if corner_cross(coords, before, after, vertex, px, py) > 0.0 else 1


@compiled
def fill_along(coords, lo, hi, along):  # type: ignore[no-untyped-def]
    """Metres along the line at each vertex lo..hi, summed from its start."""
    total = 0.0
    along[lo] = 0.0
    for v in range(lo, hi):
        dx = coords[v + 1, 0] - coords[v, 0]
        dy = coords[v + 1, 1] - coords[v, 1]
        total += np.sqrt(dx * dx + dy * dy)
        along[v + 1] = total


@compiled
def fill_all_along(coords, row_lo, row_hi, along):  # type: ignore[no-untyped-def]
    for row in range(row_lo.shape[0]):
        fill_along(coords, np.int64(row_lo[row]), np.int64(row_hi[row]), along)


@compiled
def nearest_edge(coords, lo, hi, px, py):  # type: ignore[no-untyped-def]
    """The first edge of the line lo..hi at the least distance: (v, least squared distance)."""
    best = np.inf
    for v in range(lo, hi):
        d2, _ = edge_distance2(coords, v, px, py)
        best = min(best, d2)
    limit = np.sqrt(best) + SAME_M
    for v in range(lo, hi):
        d2, _ = edge_distance2(coords, v, px, py)
        if np.sqrt(d2) <= limit:
            return v, best
    return lo, best


@compiled
def beyond_edge(coords, v, px, py):  # type: ignore[no-untyped-def]
    """Metres by which a point lies beyond the nearer end of an edge, in the edge's direction; 0 beside it."""
    wx = px - coords[v, 0]
    wy = py - coords[v, 1]
    dx = coords[v + 1, 0] - coords[v, 0]
    dy = coords[v + 1, 1] - coords[v, 1]
    length = np.sqrt(dx * dx + dy * dy)
    if length == 0.0:  # no direction: as if it pointed straight away
        return np.sqrt(wx * wx + wy * wy)
    along = (wx * dx + wy * dy) / length
    return max(0.0, max(-along, along - length))


@compiled
def locate_kernel(coords, px, py):  # type: ignore[no-untyped-def]
    """(distance, along, side, beyond) of a point on one whole line; beyond decides among equals."""
    hi = coords.shape[0] - 1
    along = np.empty(hi + 1)
    fill_along(coords, 0, hi, along)
    v, d2 = nearest_edge(coords, 0, hi, px, py)
    _, t = edge_distance2(coords, v, px, py)
    distance = np.sqrt(d2)
    side = side_at(coords, 0, hi, v, t, distance, px, py)
    beyond = np.inf
    for u in range(hi):
        other2, _ = edge_distance2(coords, u, px, py)
        if np.sqrt(other2) <= distance + SAME_M:
            beyond = min(beyond, beyond_edge(coords, u, px, py))
    return distance, along[v] + t * (along[v + 1] - along[v]), side, beyond


@compiled
def cells_crossed(coords, v, west, south, cell, columns, out, n):  # type: ignore[no-untyped-def]
    """Numbers of the cells that an edge passes through, and a little more, to out[n:] if it has room; new n."""
    x0 = (coords[v, 0] - west) / cell
    y0 = (coords[v, 1] - south) / cell
    x1 = (coords[v + 1, 0] - west) / cell
    y1 = (coords[v + 1, 1] - south) / cell
    if x1 < x0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    slope = (y1 - y0) / max(x1 - x0, TINY)
    for column in range(int(x0), int(x1) + 1):
        a = y0 + slope * (max(x0, float(column)) - x0)
        b = y0 + slope * (min(x1, column + 1.0) - x0)
        if int(x0) == int(x1):
            a, b = y0, y1
        for row in range(int(min(a, b) - 1e-6), int(max(a, b) + 1e-6) + 1):
            if n < out.shape[0]:
                out[n] = row * columns + column
            n += 1
    return n


@compiled
def fill_cells(coords, offsets, west, south, cell, columns, rows):  # type: ignore[no-untyped-def]
    """Edges by cell of a raster: (starts of each cell, edges, row of each vertex)."""
    vertex_row = np.empty(coords.shape[0], np.int32)
    counts = np.zeros(columns * rows + 1, np.int64)
    some = np.empty(64, np.int64)
    for turn in range(2):
        if turn == 1:
            for k in range(columns * rows):
                counts[k + 1] += counts[k]
            edges = np.empty(counts[columns * rows], np.int32)
        for line in range(offsets.shape[0] - 1):
            for v in range(offsets[line], offsets[line + 1]):
                vertex_row[v] = line
                if v + 1 == offsets[line + 1]:
                    continue
                n = cells_crossed(coords, v, west, south, cell, columns, some, 0)
                if n > some.shape[0]:
                    some = np.empty(2 * n, np.int64)
                    n = cells_crossed(coords, v, west, south, cell, columns, some, 0)
                for k in range(n):
                    if turn == 0:
                        counts[some[k] + 1] += 1
                    else:
                        edges[counts[some[k]]] = v
                        counts[some[k]] += 1
    starts = np.zeros(columns * rows + 1, np.int64)
    starts[1:] = counts[: columns * rows]
    return starts, edges, vertex_row


@compiled
def lines_near(  # type: ignore[no-untyped-def]
    coords, offsets, starts, edges, vertex_row, west, south, cell, columns, rows, px, py, reach
):
    """Lines at most `reach` farther from a point than the nearest: (n, 5) of row, distance, along, side, beyond.

    Rings of cells are searched about the point's own. Empty when the point lies outside the raster or too far
    from every line.
    """
    column = int(np.floor((px - west) / cell))
    row = int(np.floor((py - south) / cell))
    nothing = np.empty((0, 5))
    if not (0 <= column < columns and 0 <= row < rows):
        return nothing
    inner = min(
        min(px - west - column * cell, west + (column + 1) * cell - px),
        min(py - south - row * cell, south + (row + 1) * cell - py),
    )
    best = np.inf
    found = np.empty(32, np.int32)
    least = np.empty(32)
    n = 0
    for ring in range(RINGS):
        limit = np.sqrt(best) + reach
        if ring > 0 and inner + (ring - 1) * cell > limit:
            break
        if ring == RINGS - 1:
            return nothing
        for r in range(max(row - ring, 0), min(row + ring, rows - 1) + 1):
            step = 1 if abs(r - row) == ring else max(2 * ring, 1)
            for c in range(column - ring, column + ring + 1, step):
                if not 0 <= c < columns:
                    continue
                for i in range(starts[r * columns + c], starts[r * columns + c + 1]):
                    v = edges[i]
                    d2, _ = edge_distance2(coords, v, px, py)
                    if np.sqrt(d2) > limit:
                        continue
                    if d2 < best:
                        best = d2
                        limit = np.sqrt(best) + reach
                    line = vertex_row[v]
                    at = 0
                    while at < n and found[at] != line:
                        at += 1
                    if at == n:
                        if n == found.shape[0]:
                            found = grown(found, 2 * n)
                            least = grown(least, 2 * n)
                        found[n] = line
                        least[n] = d2
                        n += 1
                    else:
                        least[at] = min(least[at], d2)
    limit = np.sqrt(best) + reach
    out = np.empty((n, 5))
    kept = 0
    for k in range(n):
        if np.sqrt(least[k]) <= limit:
            line = coords[offsets[found[k]] : offsets[found[k] + 1]]
            distance, along, side, beyond = locate_kernel(line, px, py)
            out[kept, 0] = found[k]
            out[kept, 1] = distance
            out[kept, 2] = along
            out[kept, 3] = side
            out[kept, 4] = beyond
            kept += 1
    return out[:kept]


@compiled
def beyond_row(coords, vertex_row, pool, lo, hi, room, wide, row, px, py):  # type: ignore[no-untyped-def]
    """(least distance, beyond) of a row among the edges pool[lo:hi] whose room is at most `wide`."""
    least = np.inf
    for i in range(lo, hi):
        if room[i - lo] <= wide and vertex_row[pool[i]] == row:
            least = min(least, room[i - lo])
    least = np.sqrt(least)
    beyond = np.inf
    for i in range(lo, hi):
        if (
            room[i - lo] <= wide
            and vertex_row[pool[i]] == row
            and np.sqrt(room[i - lo]) <= least + SAME_M
        ):
            beyond = min(beyond, beyond_edge(coords, pool[i], px, py))
    return least, beyond


@compiled
def among_equals(coords, vertex_row, rank, ids, pool, lo, hi, room, wide, limit, px, py):  # type: ignore[no-untyped-def]
    """The row that wins among those of pool[lo:hi] within `limit` metres: least beyond, rank, id."""
    least_beyond = np.inf
    for i in range(lo, hi):
        if room[i - lo] <= wide:
            distance, beyond = beyond_row(
                coords, vertex_row, pool, lo, hi, room, wide, vertex_row[pool[i]], px, py
            )
            if distance <= limit:
                least_beyond = min(least_beyond, beyond)
    row = np.int64(-1)
    for i in range(lo, hi):
        if room[i - lo] <= wide:
            other = np.int64(vertex_row[pool[i]])
            if row >= 0 and not (
                rank[other] < rank[row] or (rank[other] == rank[row] and ids[other] < ids[row])
            ):
                continue
            distance, beyond = beyond_row(
                coords, vertex_row, pool, lo, hi, room, wide, other, px, py
            )
            if distance <= limit and beyond <= least_beyond + SAME_M:
                row = other
    return row


@compiled
def pick(coords, vertex_row, rank, ids, pool, lo, hi, room, exclude, px, py):  # type: ignore[no-untyped-def]
    """The winner among the edges pool[lo:hi], rows other than `exclude`: (edge, row, squared distance).

    `room` holds at least hi - lo numbers.
    """
    best = np.inf
    for i in range(lo, hi):
        d2, _ = edge_distance2(coords, pool[i], px, py)
        room[i - lo] = d2
        if exclude >= 0 and vertex_row[pool[i]] == exclude:
            room[i - lo] = np.inf
        best = min(best, room[i - lo])
    if best == np.inf:
        return np.int64(-1), np.int64(-1), best
    limit = np.sqrt(best) + EQUAL_M
    wide = (limit + 2 * SAME_M) ** 2
    edge = np.int64(-1)
    close = 0
    rows = 1
    for i in range(lo, hi):
        if room[i - lo] <= wide:
            if close > 0 and vertex_row[pool[i]] != vertex_row[edge]:
                rows = 2
            edge = np.int64(pool[i])
            close += 1
    row = np.int64(vertex_row[edge])
    if close == 1:
        return edge, row, best
    if rows > 1:
        row = among_equals(coords, vertex_row, rank, ids, pool, lo, hi, room, wide, limit, px, py)
    best = np.inf
    for i in range(lo, hi):
        if room[i - lo] <= wide and vertex_row[pool[i]] == row:
            best = min(best, room[i - lo])
    limit = np.sqrt(best) + SAME_M
    edge = np.int64(coords.shape[0])
    for i in range(lo, hi):
        if (
            room[i - lo] <= wide
            and pool[i] < edge
            and vertex_row[pool[i]] == row
            and np.sqrt(room[i - lo]) <= limit
        ):
            edge = np.int64(pool[i])
    return edge, row, best


@compiled
def pick_far(coords, vertex_row, rank, ids, boxes, vertices, exclude, px, py):  # type: ignore[no-untyped-def]
    """The same winner for a point outside the tree, by the boxes of blocks of edges."""
    bound2 = np.inf
    for b in range(boxes.shape[0]):
        if boxes[b, 0] > boxes[b, 2]:
            continue
        dx = max(boxes[b, 0] - px, 0.0, px - boxes[b, 2])
        dy = max(boxes[b, 1] - py, 0.0, py - boxes[b, 3])
        if dx * dx + dy * dy >= bound2:
            continue
        for v in range(b * BLOCK, min((b + 1) * BLOCK, vertices - 1)):
            if vertex_row[v] < 0 or vertex_row[v + 1] != vertex_row[v] or vertex_row[v] == exclude:
                continue
            d2, _ = edge_distance2(coords, v, px, py)
            bound2 = min(bound2, d2)
    if bound2 == np.inf:
        return np.int64(-1), np.int64(-1), np.inf
    limit = np.sqrt(bound2) + EQUAL_M + SLACK_M
    found = np.empty(16, np.int32)
    n = 0
    for b in range(boxes.shape[0]):
        if boxes[b, 0] > boxes[b, 2]:
            continue
        dx = max(boxes[b, 0] - px, 0.0, px - boxes[b, 2])
        dy = max(boxes[b, 1] - py, 0.0, py - boxes[b, 3])
        if np.sqrt(dx * dx + dy * dy) > limit:
            continue
        for v in range(b * BLOCK, min((b + 1) * BLOCK, vertices - 1)):
            if vertex_row[v] < 0 or vertex_row[v + 1] != vertex_row[v] or vertex_row[v] == exclude:
                continue
            d2, _ = edge_distance2(coords, v, px, py)
            if np.sqrt(d2) <= limit:
                if n == found.shape[0]:
                    larger = np.empty(2 * n, np.int32)
                    larger[:n] = found
                    found = larger
                found[n] = v
                n += 1
    room = np.empty(n)
    return pick(coords, vertex_row, rank, ids, found, 0, n, room, np.int64(exclude), px, py)


@compiled
def edges_about(coords, vertex_row, rank, ids, boxes, vertices, cx, cy, half):  # type: ignore[no-untyped-def]
    """All edges that can be nearest to a point of the square about (cx, cy), and more; sorted."""
    _, _, d2 = pick_far(coords, vertex_row, rank, ids, boxes, vertices, np.int64(-1), cx, cy)
    limit = np.sqrt(d2) + 2 * half * 1.4142135623730951 + EQUAL_M + SLACK_M
    found = np.empty(1024, np.int32)
    n = 0
    for b in range(boxes.shape[0]):
        if boxes[b, 0] > boxes[b, 2]:
            continue
        dx = max(boxes[b, 0] - cx, 0.0, cx - boxes[b, 2])
        dy = max(boxes[b, 1] - cy, 0.0, cy - boxes[b, 3])
        if dx * dx + dy * dy > limit * limit:
            continue
        for v in range(b * BLOCK, min((b + 1) * BLOCK, vertices - 1)):
            if vertex_row[v] < 0 or vertex_row[v + 1] != vertex_row[v]:
                continue
            d2, _ = edge_distance2(coords, v, cx, cy)
            if d2 <= limit * limit:
                if n == found.shape[0]:
                    larger = np.empty(2 * n, np.int32)
                    larger[:n] = found
                    found = larger
                found[n] = v
                n += 1
    return found[:n].copy()


@compiled
def block_boxes(coords, vertex_row, vertices, which, boxes):  # type: ignore[no-untyped-def]
    """Boxes (west, south, east, north) of the edges of each block in `which`."""
    for b in which:
        boxes[b, 0] = np.inf
        boxes[b, 1] = np.inf
        boxes[b, 2] = -np.inf
        boxes[b, 3] = -np.inf
        for v in range(b * BLOCK, min((b + 1) * BLOCK, vertices - 1)):
            if vertex_row[v] >= 0 and vertex_row[v + 1] == vertex_row[v]:
                for end in range(v, v + 2):
                    boxes[b, 0] = min(boxes[b, 0], coords[end, 0])
                    boxes[b, 1] = min(boxes[b, 1], coords[end, 1])
                    boxes[b, 2] = max(boxes[b, 2], coords[end, 0])
                    boxes[b, 3] = max(boxes[b, 3], coords[end, 1])


@compiled
def corner_distance2(x0, y0, x1, y1, px, py):  # type: ignore[no-untyped-def]
    """Squared distance from a point to an edge, for bounds only: quick, not to the last bit."""
    dx = x1 - x0
    dy = y1 - y0
    t = ((px - x0) * dx + (py - y0) * dy) * (1.0 / max(dx * dx + dy * dy, TINY))
    t = min(max(t, 0.0), 1.0)
    ex = px - x0 - t * dx
    ey = py - y0 - t * dy
    return ex * ex + ey * ey


@compiled
def bounds(coords, v, cx, cy, half):  # type: ignore[no-untyped-def]
    """(least, greatest) distance bounds from the points of a square to the edge (v, v + 1)."""
    x0 = coords[v, 0] - cx
    y0 = coords[v, 1] - cy
    x1 = coords[v + 1, 0] - cx
    y1 = coords[v + 1, 1] - cy
    a = corner_distance2(x0, y0, x1, y1, -half, -half)
    b = corner_distance2(x0, y0, x1, y1, half, -half)
    c = corner_distance2(x0, y0, x1, y1, -half, half)
    d = corner_distance2(x0, y0, x1, y1, half, half)
    most = max(max(a, b), max(c, d))
    dx = x1 - x0
    dy = y1 - y0
    apart = (
        min(x0, x1) > half
        or max(x0, x1) < -half
        or min(y0, y1) > half
        or max(y0, y1) < -half
        or abs(x0 * dy - y0 * dx) > half * (abs(dx) + abs(dy))
    )
    if not apart:
        return 0.0, np.sqrt(most)
    least = min(min(a, b), min(c, d))
    ex = max(abs(x0) - half, 0.0)
    ey = max(abs(y0) - half, 0.0)
    least = min(least, ex * ex + ey * ey)
    ex = max(abs(x1) - half, 0.0)
    ey = max(abs(y1) - half, 0.0)
    least = min(least, ex * ex + ey * ey)
    return np.sqrt(least), np.sqrt(most)


@compiled
def sift_roughly(coords, vertex_row, given, lo, hi, kept, at, room, cx, cy, half):  # type: ignore[no-untyped-def]
    """Edges of given[lo:hi] within the second segment's distance of a square, to kept[at:]; the end."""
    first = np.inf
    second = np.inf
    first_row = np.int32(-1)
    for i in range(lo, hi):
        v = given[i]
        d2 = corner_distance2(
            coords[v, 0] - cx,
            coords[v, 1] - cy,
            coords[v + 1, 0] - cx,
            coords[v + 1, 1] - cy,
            0.0,
            0.0,
        )
        room[i - lo] = d2
        if d2 < second:
            row = vertex_row[v]
            if row == first_row:
                first = min(first, d2)
            elif d2 < first:
                second = first
                first = d2
                first_row = row
            else:
                second = d2
    limit = np.sqrt(second) + 2 * half * 1.4142135623730951 + EQUAL_M + SLACK_M
    limit2 = limit * limit
    end = at
    for i in range(lo, hi):
        if room[i - lo] <= limit2:
            kept[end] = given[i]
            end += 1
    return end


@compiled
def sift(coords, vertex_row, given, lo, hi, kept, at, lows, highs, cx, cy, half):  # type: ignore[no-untyped-def]
    """Edges of given[lo:hi] that matter in a square, written to kept[at:], in given's order of rows.

    Returns (end, first, second, nearest): every point of the square has one segment within `first`
    metres and two within `second`; `nearest` edges can be nearest. An edge stays when it can be
    nearest of all, or nearest of its own segment while that may be the second.
    """
    first = np.inf
    second = np.inf
    first_row = np.int32(-1)
    for i in range(lo, hi):
        v = given[i]
        low, high = bounds(coords, v, cx, cy, half)
        lows[i - lo] = low
        highs[i - lo] = high
        if high < second:
            row = vertex_row[v]
            if row == first_row:
                first = min(first, high)
            elif high < first:
                second = first
                first = high
                first_row = row
            else:
                second = high
    reach = second if second < np.inf else first
    end = at
    nearest = 0
    i = lo
    while i < hi:
        row = vertex_row[given[i]]
        j = i
        own = np.inf
        while j < hi and vertex_row[given[j]] == row:
            own = min(own, highs[j - lo])
            j += 1
        limit = min(own, reach) + EQUAL_M + SLACK_M
        for k in range(i, j):
            if lows[k - lo] <= limit:
                kept[end] = given[k]
                lows[end - at] = lows[k - lo]
                end += 1
                if lows[k - lo] <= first + EQUAL_M + SLACK_M:
                    nearest += 1
        i = j
    return end, first, second, nearest


@compiled
def whole_cm(metres):  # type: ignore[no-untyped-def]
    """Metres as whole centimetres, rounded up."""
    return np.int32(min(np.ceil(metres * 100.0) + 1.0, float(ENDLESS_CM)))


@compiled
def record_of(pages, leaf):  # type: ignore[no-untyped-def]
    """Where the record of a leaf is in the store."""
    return (np.int64(pages[leaf >> PAGE_BITS]) << PAGE_BITS) + (leaf & ((1 << PAGE_BITS) - 1))


@compiled
def grown(array, size):  # type: ignore[no-untyped-def]
    larger = np.empty(size, array.dtype)
    larger[: array.shape[0]] = array
    return larger


@compiled
def write_leaf(kept, at, end, lows, first, pool, used):  # type: ignore[no-untyped-def]
    """Copy a leaf's list to the pool, the edges that can be nearest first; returns the two ends."""
    limit = first + EQUAL_M + SLACK_M
    middle = used
    for k in range(at, end):
        if lows[k - at] <= limit:
            pool[middle] = kept[k]
            middle += 1
    stop = middle
    for k in range(at, end):
        if lows[k - at] > limit:
            pool[stop] = kept[k]
            stop += 1
    return middle, stop


@compiled
def grow_tree(coords, vertex_row, edges, west, south, size, depth0, ix0, iy0):  # type: ignore[no-untyped-def]
    """The subtree of the square (depth0, ix0, iy0) of a root square, by splitting until lists are short.

    Returns children (first of four nodes, or -1 - leaf), leaf records, leaf places (depth, ix, iy), and
    the pool of edges.
    """
    n = edges.shape[0]
    work = np.empty(4 * n + 4096, np.int32)
    work[:n] = edges
    lows = np.empty(n + 1)
    highs = np.empty(n + 1)
    children = np.empty(1024, np.int32)
    leaf_list = np.empty((512, 4), np.int32)
    leaf_place = np.empty((512, 3), np.int32)
    pool = np.empty(4096, np.int32)
    nodes = 1
    leaves = 0
    used = 0
    stack = np.empty((4 * DEPTH_MAX + 8, 6), np.int64)
    stack[0, 0] = 0
    stack[0, 1] = depth0
    stack[0, 2] = ix0
    stack[0, 3] = iy0
    stack[0, 4] = 0
    stack[0, 5] = n
    top = 1
    while top > 0:
        top -= 1
        node = stack[top, 0]
        depth = stack[top, 1]
        ix = stack[top, 2]
        iy = stack[top, 3]
        lo = stack[top, 4]
        hi = stack[top, 5]
        cell = size / (1 << depth)
        half = cell / 2
        cx = west + ix * cell + half
        cy = south + iy * cell + half
        if work.shape[0] < hi + (hi - lo) + 16:
            work = grown(work, 2 * work.shape[0] + hi)
        end = sift_roughly(coords, vertex_row, work, lo, hi, work, hi, highs, cx, cy, half)
        first = np.inf
        second = np.inf
        near = LEAF_NEAREST + 1
        leaf = False
        stuck = 2 * (end - hi) > hi - lo or depth >= DEPTH_MAX
        if end - hi <= TIGHT_UP_TO or stuck:
            end, first, second, near = sift(
                coords, vertex_row, work, hi, end, work, hi, lows, highs, cx, cy, half
            )
            away = lows[: max(end - hi, 1)].min() / (FAR * cell)
            patience = max(1.0, away * away)
            leaf = near <= patience * LEAF_NEAREST and end - hi <= patience * LEAF_LISTED
            leaf = leaf or depth >= DEPTH_MAX or cell <= LEAF_MIN_M
        if leaf:
            if leaves == leaf_list.shape[0]:
                more = np.empty((2 * leaves, 4), np.int32)
                more[:leaves] = leaf_list
                leaf_list = more
                places = np.empty((2 * leaves, 3), np.int32)
                places[:leaves] = leaf_place
                leaf_place = places
            if pool.shape[0] < used + (end - hi):
                pool = grown(pool, 2 * pool.shape[0] + (end - hi))
            middle, stop = write_leaf(work, hi, end, lows, first, pool, used)
            leaf_list[leaves, 0] = used
            leaf_list[leaves, 1] = middle
            leaf_list[leaves, 2] = stop
            leaf_place[leaves, 0] = depth
            leaf_place[leaves, 1] = ix
            leaf_place[leaves, 2] = iy
            leaf_list[leaves, 3] = whole_cm(second)
            children[node] = -1 - leaves
            used = stop
            leaves += 1
            continue
        if children.shape[0] < nodes + 4:
            children = grown(children, 2 * children.shape[0])
        children[node] = nodes
        for quarter in range(4):
            stack[top, 0] = nodes + quarter
            stack[top, 1] = depth + 1
            stack[top, 2] = 2 * ix + (quarter & 1)
            stack[top, 3] = 2 * iy + (quarter >> 1)
            stack[top, 4] = hi
            stack[top, 5] = end
            top += 1
        nodes += 4
    return (
        children[:nodes].copy(),
        leaf_list[:leaves].copy(),
        leaf_place[:leaves].copy(),
        pool[:used].copy(),
    )


@compiled
def fill_table(children, root, depth0, ix0, iy0, bits, table):  # type: ignore[no-untyped-def]
    """Enter a subtree into the table of 2^bits x 2^bits squares: a node to go on from, or a leaf."""
    stack = np.empty((4 * DEPTH_MAX + 8, 4), np.int64)
    stack[0, 0] = root
    stack[0, 1] = depth0
    stack[0, 2] = ix0
    stack[0, 3] = iy0
    top = 1
    while top > 0:
        top -= 1
        node = stack[top, 0]
        depth = stack[top, 1]
        ix = stack[top, 2]
        iy = stack[top, 3]
        child = children[node]
        if depth == bits or child < 0:
            entry = node if child >= 0 else child
            span = 1 << (bits - depth)
            for row in range(iy * span, (iy + 1) * span):
                for column in range(ix * span, (ix + 1) * span):
                    table[(row << bits) + column] = entry
            continue
        for quarter in range(4):
            stack[top, 0] = child + quarter
            stack[top, 1] = depth + 1
            stack[top, 2] = 2 * ix + (quarter & 1)
            stack[top, 3] = 2 * iy + (quarter >> 1)
            top += 1


@compiled
def leaf_of(children, table, bits, west, south, size, px, py):  # type: ignore[no-untyped-def]
    """The leaf that holds a point, or -1 outside the root square."""
    u = (px - west) / size
    w = (py - south) / size
    if not (u >= 0.0 and w >= 0.0 and u < 1.0 and w < 1.0):
        return np.int64(-1)
    full = 1 << DEPTH_MAX
    ux = np.int64(u * full)
    uy = np.int64(w * full)
    shift = DEPTH_MAX - bits
    entry = np.int64(table[((uy >> shift) << bits) + (ux >> shift)])
    while entry >= 0:
        shift -= 1
        child = children[entry] + ((ux >> shift) & 1) + 2 * ((uy >> shift) & 1)
        entry = np.int64(children[child])
        if entry >= 0:
            entry = child
    return -1 - entry


@compiled
def places(x, y, lo, hi, west, south, size):  # type: ignore[no-untyped-def]
    """A place for each of the points lo..hi, neighbours together, so that edges stay in the cache."""
    side = 1 << COARSE_BITS
    counts = np.zeros(side * side + 1, np.int32)
    place = np.empty(hi - lo, np.int32)
    scale = side / size
    for i in range(lo, hi):
        u = (x[i] - west) * scale
        w = (y[i] - south) * scale
        key = np.int64(side * side - 1)
        if u >= 0.0 and w >= 0.0 and u < side and w < side:
            key = (np.int64(w) << COARSE_BITS) + np.int64(u)
        place[i - lo] = key
        counts[key + 1] += 1
    for k in range(side * side):
        counts[k + 1] += counts[k]
    for i in range(hi - lo):
        key = place[i]
        place[i] = counts[key]
        counts[key] += 1
    return place


@compiled
def search(  # type: ignore[no-untyped-def]
    coords,
    vertices,
    along,
    vertex_row,
    row_lo,
    row_hi,
    rank,
    ids,
    children,
    table,
    bits,
    pages,
    records,
    pool,
    boxes,
    west,
    south,
    size,
    x,
    y,
    lo,
    hi,
    second,
    out_row,
    out_distance,
    out_along,
    out_side,
    out_second,
    out_second_distance,
):
    """Answer the points lo..hi of x, y into the out arrays.

    Many points are first put in an order in which neighbours stand together, and their answers back.
    """
    n = hi - lo
    many = n > 4096
    place = places(x, y, lo, hi, west, south, size) if many else np.empty(0, np.int32)
    points = np.empty((n, 2))
    for i in range(n):
        k = place[i] if many else i
        points[k, 0] = x[lo + i]
        points[k, 1] = y[lo + i]
    answers = np.empty((n, 6))
    room = np.empty(256)
    none = np.int64(-1)
    for k in range(n):
        px = points[k, 0]
        py = points[k, 1]
        answers[k, 0] = -1.0
        answers[k, 1] = np.inf
        answers[k, 2] = np.nan
        answers[k, 3] = -1.0
        answers[k, 4] = -1.0
        answers[k, 5] = np.inf
        if not (np.isfinite(px) and np.isfinite(py)):
            continue
        leaf = leaf_of(children, table, bits, west, south, size, px, py)
        start = np.int64(0)
        stop = np.int64(0)
        if leaf >= 0:
            record = record_of(pages, leaf)
            start = np.int64(records[record, 0])
            middle = np.int64(records[record, 1])
            stop = np.int64(records[record, 2])
            if stop - start > room.shape[0]:
                room = np.empty(2 * (stop - start))
            edge, row, d2 = pick(
                coords, vertex_row, rank, ids, pool, start, middle, room, none, px, py
            )
        else:
            edge, row, d2 = pick_far(coords, vertex_row, rank, ids, boxes, vertices, none, px, py)
        if row < 0:
            continue
        _, t = edge_distance2(coords, edge, px, py)
        distance = np.sqrt(d2)
        answers[k, 0] = row
        answers[k, 1] = distance
        answers[k, 2] = along[edge] + t * (along[edge + 1] - along[edge])
        answers[k, 3] = side_at(
            coords, np.int64(row_lo[row]), np.int64(row_hi[row]), edge, t, distance, px, py
        )
        if second:
            if leaf >= 0:
                _, other, d2 = pick(
                    coords, vertex_row, rank, ids, pool, start, stop, room, row, px, py
                )
            else:
                _, other, d2 = pick_far(coords, vertex_row, rank, ids, boxes, vertices, row, px, py)
            answers[k, 4] = other
            answers[k, 5] = np.sqrt(d2)
    for i in range(n):
        k = place[i] if many else i
        out_row[lo + i] = np.int64(answers[k, 0])
        out_distance[lo + i] = answers[k, 1]
        out_along[lo + i] = answers[k, 2]
        out_side[lo + i] = np.int8(answers[k, 3])
        if second:
            out_second[lo + i] = np.int64(answers[k, 4])
            out_second_distance[lo + i] = answers[k, 5]


@compiled
def reached(place, record, west, south, size):  # type: ignore[no-untyped-def]
    """The box (west, south, east, north) outside which nothing matters to a leaf."""
    cell = size / (1 << place[0])
    left = west + place[1] * cell
    low = south + place[2] * cell
    reach = record[3] / 100.0 + EQUAL_M + 2 * SLACK_M if record[3] < ENDLESS_CM else np.inf
    return left - reach, low - reach, left + cell + reach, low + cell + reach


@compiled
def page_boxes(pages, records, leaf_place, west, south, size, which, boxes):  # type: ignore[no-untyped-def]
    """The boxes of `reached` around all leaves of each page in `which`, into boxes."""
    for page in which:
        boxes[page, 0] = np.inf
        boxes[page, 1] = np.inf
        boxes[page, 2] = -np.inf
        boxes[page, 3] = -np.inf
        last = min((page + 1) << PAGE_BITS, leaf_place.shape[0])
        for leaf in range(page << PAGE_BITS, last):
            record = records[record_of(pages, leaf)]
            a, b, c, d = reached(leaf_place[leaf], record, west, south, size)
            boxes[page, 0] = min(boxes[page, 0], a)
            boxes[page, 1] = min(boxes[page, 1], b)
            boxes[page, 2] = max(boxes[page, 2], c)
            boxes[page, 3] = max(boxes[page, 3], d)


@compiled
def touched_leaves(pages, records, leaf_place, boxes, west, south, size, box):  # type: ignore[no-untyped-def]
    """Leaves to which something inside `box` can matter: no farther than their second bound."""
    found = np.empty(256, np.int64)
    n = 0
    for page in range(boxes.shape[0]):
        around = boxes[page]
        if not (
            around[0] <= box[2]
            and around[1] <= box[3]
            and around[2] >= box[0]
            and around[3] >= box[1]
        ):
            continue
        last = min((page + 1) << PAGE_BITS, leaf_place.shape[0])
        for leaf in range(page << PAGE_BITS, last):
            record = records[record_of(pages, leaf)]
            a, b, c, d = reached(leaf_place[leaf], record, west, south, size)
            if a <= box[2] and b <= box[3] and c >= box[0] and d >= box[1]:
                if n == found.shape[0]:
                    found = grown(found, 2 * n)
                found[n] = leaf
                n += 1
    return found[:n].copy()


@compiled
def leaves_with(leaves, pages, records, pool, lo, hi):  # type: ignore[no-untyped-def]
    """Those of `leaves` whose list holds an edge of the vertices lo..hi."""
    kept = np.empty(leaves.shape[0], np.int64)
    n = 0
    for leaf in leaves:
        record = record_of(pages, leaf)
        for i in range(records[record, 0], records[record, 2]):
            if lo <= pool[i] <= hi:
                kept[n] = leaf
                n += 1
                break
    return kept[:n].copy()


@compiled
def listed_edges(leaves, pages, records, pool, lo, hi):  # type: ignore[no-untyped-def]
    """Edges in the lists of `leaves`, each once, sorted, without those of the vertices lo..hi."""
    total = 0
    for leaf in leaves:
        record = record_of(pages, leaf)
        total += records[record, 2] - records[record, 0]
    edges = np.empty(total, np.int32)
    n = 0
    for leaf in leaves:
        record = record_of(pages, leaf)
        for i in range(records[record, 0], records[record, 2]):
            if not lo <= pool[i] <= hi:
                edges[n] = pool[i]
                n += 1
    return np.unique(edges[:n])


@compiled
def relist(  # type: ignore[no-untyped-def]
    coords, vertex_row, leaves, pages, records, leaf_place, pool, edges, own, west, south, size
):
    """New lists for `leaves`: from `edges` alone, or (own) from each leaf's list and `edges`.

    Returns the entries to append to the pool, and the leaves' new records with places counted from
    the first of these entries.
    """
    fresh = np.empty(4096, np.int32)
    used = 0
    out = np.empty((leaves.shape[0], 4), np.int32)
    for k in range(leaves.shape[0]):
        leaf = leaves[k]
        record = record_of(pages, leaf)
        start = records[record, 0]
        stop = records[record, 2]
        given = edges
        if own:
            given = np.empty(stop - start + edges.shape[0], np.int32)
            given[: stop - start] = np.sort(pool[start:stop])
            given[stop - start :] = edges
        n = given.shape[0]
        lows = np.empty(n + 1)
        highs = np.empty(n + 1)
        kept = np.empty(n + 1, np.int32)
        cell = size / (1 << leaf_place[leaf, 0])
        half = cell / 2
        cx = west + leaf_place[leaf, 1] * cell + half
        cy = south + leaf_place[leaf, 2] * cell + half
        end = sift_roughly(coords, vertex_row, given, 0, n, kept, 0, highs, cx, cy, half)
        end, first, second, _ = sift(
            coords, vertex_row, kept, 0, end, kept, 0, lows, highs, cx, cy, half
        )
        if fresh.shape[0] < used + end:
            fresh = grown(fresh, 2 * fresh.shape[0] + end)
        middle, after = write_leaf(kept, 0, end, lows, first, fresh, used)
        out[k, 0] = used
        out[k, 1] = middle
        out[k, 2] = after
        out[k, 3] = whole_cm(second)
        used = after
    return fresh[:used].copy(), out


@compiled
def big_end_first(data, at, size):  # type: ignore[no-untyped-def]
    """The whole number of `size` bytes at `at`, most significant first."""
    value = np.int64(np.int8(data[at]))
    for k in range(1, size):
        value = (value << 8) | np.int64(data[at + k])
    return value


@compiled
def copied_lines(data, head):  # type: ignore[no-untyped-def]
    """Rows of PostgreSQL's binary copy after `head` bytes, each three bigints and a line as little-endian WKB.

    Returns (numbers (n, 3), coordinates of all lines, starts of each line (n + 1)).
    """
    rows = 0
    vertices = 0
    at = np.int64(head)
    while at + 2 <= data.shape[0] and big_end_first(data, at, 2) > 0:
        at += 2 + 3 * 12
        size = big_end_first(data, at, 4)
        vertices += (size - 9) // 16
        rows += 1
        at += 4 + size
    numbers = np.empty((rows, 3), np.int64)
    offsets = np.zeros(rows + 1, np.int64)
    coords = np.empty((vertices, 2))
    flat = coords.reshape(-1).view(np.uint8)
    at = np.int64(head)
    for row in range(rows):
        at += 2
        for column in range(3):
            numbers[row, column] = big_end_first(data, at + 4, 8)
            at += 12
        size = big_end_first(data, at, 4)
        count = (size - 9) // 16
        start = offsets[row]
        flat[16 * start : 16 * (start + count)] = data[at + 13 : at + 13 + 16 * count]
        offsets[row + 1] = start + count
        at += 4 + size
    return numbers, coords, offsets
