"""The compiled loops that trace the borders between labels on a lattice of squares.

Squares split until one label alone is possible, or until one straight piece of border is proved, by asking
the stated rule itself, to lie within DEVIATION_M of the true one. Where squares of different sizes meet, the
border's point on their common side is found on the side alone, so both have the same point to the last bit:
the pieces fit together without gap. What a square does depends on its place and the segments near it only,
never on the run, so borders traced anew where nothing changed are the same again.

The entry kernels are cached on disk and carry the fingerprint of grid/nearest/kernels.py, which they
compile in; the parts are not cached by themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from grid.nearest import kernels as near

UNIT_M = (
    0.5  # the side of the smallest square; all squares are 2^k units at multiples of their side
)
TILE = 512  # units: borders are chained and thinned inside tiles
ACCEPT = 64  # units: the largest square that may hold a piece of border
UNSEEN = (
    2  # units: squares larger than this split while a segment in them has a label no side shows
)
DEVIATION_M = 0.1
THIN_M = 0.05
SURE_M = 2e-6  # a lead that no rounding and no rule of equals turns
FOUND_M = 0.001
PROBES = 7  # places inside a unit where ground thinner than the unit is looked for
CROSSED = 32  # of so many lines that cross a unit the ground between each two is looked for too
STEPS = 10  # halvings of a unit: a border point is found to half a millimetre

edge_distance2 = near.edge_distance2
corner_distance2 = near.corner_distance2
bounds = near.bounds
pick = near.pick
pick_far = near.pick_far
side_at = near.side_at


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled part of the entry kernels."""
    kernel: Callable[..., Any] = numba.njit(function, nogil=True, error_model="numpy")
    return kernel


@part
def label_at(  # type: ignore[no-untyped-def]
    coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, px, py
):
    """(label, edge, row) of the ground at a point, by the stated rule among the edges work[lo:hi]."""
    edge, row, d2 = pick(coords, vertex_row, rank, ids, work, lo, hi, room, np.int64(-1), px, py)
    if left[row] == right[row]:
        return left[row], edge, row
    _, t = edge_distance2(coords, edge, px, py)
    side = side_at(
        coords, np.int64(row_lo[row]), np.int64(row_hi[row]), edge, t, np.sqrt(d2), px, py
    )
    return left[row] if side == 0 else right[row], edge, row


@part
def lead(rank, ids, row, other):  # type: ignore[no-untyped-def]
    """What the rule of equals adds to (distance of row - distance of other): row wins below zero."""
    if row == other:
        return 0.0
    better = rank[row] < rank[other] or (rank[row] == rank[other] and ids[row] < ids[other])
    return -near.EQUAL_M if better else near.EQUAL_M


@part
def beside(coords, v, x, y):  # type: ignore[no-untyped-def]
    """Signed distance (left > 0) from the line of an edge, or nan where its ends are nearer."""
    dx = coords[v + 1, 0] - coords[v, 0]
    dy = coords[v + 1, 1] - coords[v, 1]
    wx = x - coords[v, 0]
    wy = y - coords[v, 1]
    dot = wx * dx + wy * dy
    length2 = dx * dx + dy * dy
    if dot <= 0.0 or dot >= length2:
        return np.nan
    return (dx * wy - dy * wx) / np.sqrt(length2)


@part
def straight_race(coords, vertex_row, rank, ids, v, w, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """Leads of edge v over w at two points between which both distances change evenly, or nan."""
    a = beside(coords, v, x0, y0)
    b = beside(coords, v, x1, y1)
    c = beside(coords, w, x0, y0)
    d = beside(coords, w, x1, y1)
    band = near.ON_LINE_M  # so near to a line everything counts as right
    if not (a * b > 0.0 and c * d > 0.0 and min(abs(a), abs(b)) > band):
        return np.nan, np.nan
    if min(abs(c), abs(d)) <= band:
        return np.nan, np.nan
    bonus = lead(rank, ids, vertex_row[v], vertex_row[w])
    return abs(a) - abs(c) + bonus, abs(b) - abs(d) + bonus


@part
def grown_ints(array, size):  # type: ignore[no-untyped-def]
    larger = np.empty(size, array.dtype)
    larger[: array.shape[0]] = array
    return larger


@part
def keep_near(coords, work, lo, hi, room, cx, cy, half):  # type: ignore[no-untyped-def]
    """Edges of work[lo:hi] that can be nearest in a square, to work[hi:]; the end."""
    least = np.inf
    for i in range(lo, hi):
        v = work[i]
        d2 = corner_distance2(
            coords[v, 0] - cx,
            coords[v, 1] - cy,
            coords[v + 1, 0] - cx,
            coords[v + 1, 1] - cy,
            0.0,
            0.0,
        )
        room[i - lo] = d2
        least = min(least, d2)
    limit = np.sqrt(least) + 2 * half * 1.4142135623730951 + near.EQUAL_M + near.SLACK_M
    limit2 = limit * limit
    end = hi
    for i in range(lo, hi):
        if room[i - lo] <= limit2:
            work[end] = work[i]
            end += 1
    most = np.inf
    for i in range(hi, end):
        low, high = bounds(coords, work[i], cx, cy, half)
        room[i - hi] = low
        most = min(most, high)
    most += near.EQUAL_M + near.SLACK_M
    stop = hi
    for i in range(hi, end):
        if room[i - hi] <= most:
            work[stop] = work[i]
            stop += 1
    return stop


@part
def labels_possible(coords, vertex_row, left, right, work, lo, hi, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """How many labels (3 for more) the edges work[lo:hi] can give in the box x0..x1, y0..y1."""
    count = 0
    first = np.int64(0)
    second = np.int64(0)
    for i in range(lo, hi):
        v = work[i]
        row = vertex_row[v]
        a = left[row]
        b = right[row]
        if a != b:
            ax = coords[v, 0]
            ay = coords[v, 1]
            dx = coords[v + 1, 0] - ax
            dy = coords[v + 1, 1] - ay
            p = dx * (y0 - ay) - dy * (x0 - ax)
            q = dx * (y0 - ay) - dy * (x1 - ax)
            r = dx * (y1 - ay) - dy * (x0 - ax)
            s = dx * (y1 - ay) - dy * (x1 - ax)
            slack = near.ON_LINE_M * (abs(dx) + abs(dy))
            if min(min(p, q), min(r, s)) > slack:
                b = a
            elif max(max(p, q), max(r, s)) < -slack:
                a = b
        for label in (a, b):
            if count == 0:
                first = label
                count = 1
            elif label != first and count == 1:
                second = label
                count = 2
            elif label != first and label != second:
                return 3
    return count


@part
def unit_point(  # type: ignore[no-untyped-def]
    coords,
    vertex_row,
    row_lo,
    row_hi,
    rank,
    ids,
    left,
    right,
    work,
    lo,
    hi,
    room,
    x0,
    y0,
    x1,
    y1,
    out,
):
    """The border point on one unit of a side, the same whoever asks: (found, label before, after)."""
    before, v, row = label_at(
        coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, x0, y0
    )
    after, w, other = label_at(
        coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, x1, y1
    )
    if before == after:
        return False, before, after
    if row != other and not (
        joined_feet(coords, v, w, x0, y0) or joined_feet(coords, v, w, x1, y1)
    ):
        bonus = lead(rank, ids, row, other)
        a = 0.0
        b = 1.0
        fa = lead_at(coords, v, w, bonus, x0, y0)
        fb = lead_at(coords, v, w, bonus, x1, y1)
        if fa <= 0.0 < fb:
            for _ in range(4):
                t = a + (b - a) * fa / (fa - fb)
                f = lead_at(coords, v, w, bonus, x0 + t * (x1 - x0), y0 + t * (y1 - y0))
                if f <= 0.0:
                    a = t
                    fa = f
                else:
                    b = t
                    fb = f
                if abs(f) < 1e-4:
                    break
            if abs(f) < FOUND_M:
                out[0] = x0 + t * (x1 - x0)
                out[1] = y0 + t * (y1 - y0)
                return True, before, after
    for _ in range(STEPS):
        mx = (x0 + x1) / 2
        my = (y0 + y1) / 2
        label, _, _ = label_at(
            coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, mx, my
        )
        if label == before:
            x0 = mx
            y0 = my
        else:
            x1 = mx
            y1 = my
    out[0] = (x0 + x1) / 2
    out[1] = (y0 + y1) / 2
    return True, before, after


@part
def joined_feet(coords, v, w, x, y):  # type: ignore[no-untyped-def]
    """Whether a point's nearest points on two edges are one: then not the distances decide but the joint."""
    _, s = edge_distance2(coords, v, x, y)
    _, t = edge_distance2(coords, w, x, y)
    ex = coords[v, 0] - coords[w, 0] + s * (coords[v + 1, 0] - coords[v, 0])
    ey = coords[v, 1] - coords[w, 1] + s * (coords[v + 1, 1] - coords[v, 1])
    ex -= t * (coords[w + 1, 0] - coords[w, 0])
    ey -= t * (coords[w + 1, 1] - coords[w, 1])
    return ex * ex + ey * ey < FOUND_M * FOUND_M


@part
def lead_at(coords, v, w, bonus, x, y):  # type: ignore[no-untyped-def]
    a, _ = edge_distance2(coords, v, x, y)
    b, _ = edge_distance2(coords, w, x, y)
    return np.sqrt(a) - np.sqrt(b) + bonus


@part
def crossings(coords, work, lo, hi, x, y, ex, ey, out):  # type: ignore[no-untyped-def]
    """Shares of a unit (from x, y eastward or northward) at which edges cross it, in order; how many."""
    n = 0
    along = 0 if ex > 0.0 else 1
    level = y if ex > 0.0 else x
    start = x if ex > 0.0 else y
    for i in range(lo, hi):
        v = work[i]
        a = coords[v, 1 - along] - level
        b = coords[v + 1, 1 - along] - level
        if (a > 0.0) == (b > 0.0) or n == out.shape[0]:
            continue
        place = coords[v, along] + (coords[v + 1, along] - coords[v, along]) * a / (a - b)
        share = (place - start) / (ex + ey)
        if not 0.0 <= share <= 1.0:
            continue
        k = n
        while k > 0 and out[k - 1] > share:
            out[k] = out[k - 1]
            k -= 1
        out[k] = share
        n += 1
    return n


@part
def thin_ground(  # type: ignore[no-untyped-def]
    coords, vertex_row, row_lo, row_hi, rank, ids, left, right,
    work, lo, hi, room, x, y, ex, ey, outer, found, changes, n,
):  # fmt: skip
    """The two border points of ground that crosses a unit between ends of one label; the new n.

    Between two lines, as at the tip of a sharp turn, ground may be as thin as it likes: it is looked for
    in the middle between each two that cross the unit; elsewhere at PROBES places.
    """
    shares = np.empty(CROSSED + PROBES)
    m = max(crossings(coords, work, lo, hi, x, y, ex, ey, shares[:CROSSED]) - 1, 0)
    for k in range(m):
        shares[k] = (shares[k] + shares[k + 1]) / 2
    for k in range(PROBES):
        shares[m + k] = (k + 1) / (PROBES + 1)
    for k in range(m + PROBES):
        px = x + ex * shares[k]
        py = y + ey * shares[k]
        label, _, _ = label_at(
            coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, px, py
        )
        if label == outer:
            continue
        for half in range(2):
            a = 0.0 if half == 0 else shares[k]
            b = shares[k] if half == 0 else 1.0
            _, before, after = unit_point(
                coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room,
                x + ex * a, y + ey * a, x + ex * b, y + ey * b, found[n],
            )  # fmt: skip
            changes[n, 0] = before
            changes[n, 1] = after
            n += 1
        break
    return n


@part
def side_points(  # type: ignore[no-untyped-def]
    coords, vertex_row, row_lo, row_hi, rank, ids, left, right,
    work, lo, hi, room, stack, i0, j0, along_x, span, found, changes, n,
):  # fmt: skip
    """Border points on a lattice side from (i0, j0) eastward or northward, in that order.

    Appends (x, y) to found and (label before, label after) to changes from n on; returns the new n.
    work has room for a list of hi - lo after hi at every halving of the span.
    """
    ex = UNIT_M if along_x else 0.0
    ey = 0.0 if along_x else UNIT_M
    stack[0, 0] = 0
    stack[0, 1] = span
    stack[0, 2] = lo
    stack[0, 3] = hi
    top = 1
    while top > 0:
        top -= 1
        start = stack[top, 0]
        length = stack[top, 1]
        a = stack[top, 2]
        b = stack[top, 3]
        x0 = i0 * UNIT_M + start * ex
        y0 = j0 * UNIT_M + start * ey
        x1 = x0 + length * ex
        y1 = y0 + length * ey
        mx = (x0 + x1) / 2
        my = (y0 + y1) / 2
        least = np.inf
        for k in range(a, b):
            v = work[k]
            d2 = corner_distance2(
                coords[v, 0] - mx,
                coords[v, 1] - my,
                coords[v + 1, 0] - mx,
                coords[v + 1, 1] - my,
                0.0,
                0.0,
            )
            room[k - a] = d2
            least = min(least, d2)
        limit = np.sqrt(least) + length * UNIT_M + near.EQUAL_M + near.SLACK_M
        limit2 = limit * limit
        end = b
        for k in range(a, b):
            if room[k - a] <= limit2:
                work[end] = work[k]
                end += 1
        if end - b == 1 and left[vertex_row[work[b]]] == right[vertex_row[work[b]]]:
            continue
        if labels_possible(coords, vertex_row, left, right, work, b, end, x0, y0, x1, y1) < 2:
            continue
        at = np.int64(-1)
        if length > 1 and end - b == 2:  # between two straight edges the point is known at once
            fa, fb = straight_race(
                coords, vertex_row, rank, ids, work[b], work[b + 1], x0, y0, x1, y1
            )
            if (fa > SURE_M and fb > SURE_M) or (fa < -SURE_M and fb < -SURE_M):
                continue
            if (fa > SURE_M and fb < -SURE_M) or (fa < -SURE_M and fb > SURE_M):
                at = np.int64(length * fa / (fa - fb))
        elif length == 1:
            at = np.int64(0)
        if at >= 0:
            px = x0 + at * ex
            py = y0 + at * ey
            if n + 2 > found.shape[0]:
                return found.shape[0] + 1
            some, before, after = unit_point(
                coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, b, end, room,
                px, py, px + ex, py + ey, found[n],
            )  # fmt: skip
            if some:
                changes[n, 0] = before
                changes[n, 1] = after
                n += 1
            elif length == 1:
                n = thin_ground(
                    coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, b, end, room,
                    px, py, ex, ey, before, found, changes, n,
                )  # fmt: skip
            if some or length == 1:
                continue
        half = length // 2
        for k in range(2):  # the later half waits below the earlier on the stack
            stack[top, 0] = start + (half if k == 0 else 0)
            stack[top, 1] = half
            stack[top, 2] = b
            stack[top, 3] = end
            top += 1
    return n


@part
def turn_back(found, changes, lo, hi):  # type: ignore[no-untyped-def]
    """Reverse the points lo..hi and swap their labels: the side walked the other way."""
    for k in range((hi - lo) // 2):
        a = lo + k
        b = hi - 1 - k
        for c in range(2):
            found[a, c], found[b, c] = found[b, c], found[a, c]
            changes[a, c], changes[b, c] = changes[b, c], changes[a, c]
    for k in range(lo, hi):
        changes[k, 0], changes[k, 1] = changes[k, 1], changes[k, 0]


@part
def chord_holds(  # type: ignore[no-untyped-def]
    coords,
    vertex_row,
    row_lo,
    row_hi,
    rank,
    ids,
    left,
    right,
    work,
    lo,
    hi,
    room,
    found,
    a_label,
    b_label,
):
    """Whether the chord between the two points found is the border within DEVIATION_M."""
    dx = found[1, 0] - found[0, 0]
    dy = found[1, 1] - found[0, 1]
    length = np.sqrt(dx * dx + dy * dy)
    if length < 4 * DEVIATION_M:
        return True
    if hi - lo == 2:
        fa, fb = straight_race(
            coords, vertex_row, rank, ids, work[lo], work[lo + 1],
            found[0, 0], found[0, 1], found[1, 0], found[1, 1],
        )  # fmt: skip
        # even distances, equal at both ends as far as these were found: equal between
        if max(abs(fa), abs(fb)) < FOUND_M:
            return True
    nx = -dy / length * DEVIATION_M
    ny = dx / length * DEVIATION_M
    for k in range(6):
        share = (k // 2 + 1) / 4
        sign = 1.0 if k % 2 == 0 else -1.0
        x = found[0, 0] + dx * share + sign * nx
        y = found[0, 1] + dy * share + sign * ny
        label, _, _ = label_at(
            coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, x, y
        )
        if label != (a_label if k % 2 == 0 else b_label):
            return False
    return True


@part
def hides_something(  # type: ignore[no-untyped-def]
    coords, vertex_row, row_lo, row_hi, left, right, work, lo, hi, x0, y0, span, a_label, b_label
):
    """Whether ground may lie in a square unseen from its sides.

    The ground of a segment, or of one side of it, reaches its line without a break. So nothing hides
    where no line comes within a unit of the square; where all that do have one label, seen from the
    sides, and none begins and ends inside; or where one line runs through without turning back and the
    labels of both its sides are seen.
    """
    half = span * UNIT_M / 2
    first = np.int64(-1)
    last = np.int64(-1)
    one_row = True
    one_label = True
    for i in range(lo, hi):
        v = np.int64(work[i])
        row = vertex_row[v]
        inside = True
        for end in (row_lo[row], row_hi[row]):
            if abs(coords[end, 0] - x0 - half) > half or abs(coords[end, 1] - y0 - half) > half:
                inside = False
        if inside:
            return True
        if span <= UNSEEN:
            continue
        low, _ = bounds(coords, v, x0 + half, y0 + half, half)
        if low > UNIT_M:
            continue
        for label in (left[row], right[row]):
            if label != a_label and label != b_label:
                return True
        one_label = one_label and left[row] == right[row]
        if first < 0:
            first = v
        else:
            one_label = one_label and left[row] == left[vertex_row[first]]
            dot = (coords[v + 1, 0] - coords[v, 0]) * (coords[first + 1, 0] - coords[first, 0]) + (
                coords[v + 1, 1] - coords[v, 1]
            ) * (coords[first + 1, 1] - coords[first, 1])
            one_row = one_row and row == vertex_row[first] and v == last + 1 and dot > 0.0
        last = v
    return not (one_row or one_label)


@part
def trace_tile(  # type: ignore[no-untyped-def]
    coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, lo, hi, room, i0, j0
):
    """Pieces of border in one tile: ends (n, 4) and labels (n, 2) left and right of start to end."""
    ends = np.empty((256, 4))
    labels = np.empty((256, 2), np.int64)
    n = 0
    stack = np.empty((64, 5), np.int64)
    stack[0, 0] = i0
    stack[0, 1] = j0
    stack[0, 2] = TILE
    stack[0, 3] = lo
    stack[0, 4] = hi
    below = np.empty((64, 4), np.int64)
    found = np.empty((64, 2))
    changes = np.empty((64, 2), np.int64)
    top = 1
    while top > 0:
        top -= 1
        i = stack[top, 0]
        j = stack[top, 1]
        span = stack[top, 2]
        a = stack[top, 3]
        b = stack[top, 4]
        if work.shape[0] < b + 10 * (b - a) + 16:
            work = grown_ints(work, 2 * work.shape[0] + 10 * (b - a) + 16)
        half = span * UNIT_M / 2
        x0 = i * UNIT_M
        y0 = j * UNIT_M
        x1 = x0 + 2 * half
        y1 = y0 + 2 * half
        end = keep_near(coords, work, a, b, room, x0 + half, y0 + half, half)
        count = labels_possible(coords, vertex_row, left, right, work, b, end, x0, y0, x1, y1)
        if count < 2:
            continue
        split = span > ACCEPT
        if not split:
            m = 0
            for side in range(4):  # counter-clockwise from the south-west corner
                before = m
                m = side_points(
                    coords, vertex_row, row_lo, row_hi, rank, ids, left, right,
                    work, b, end, room, below,
                    i + (span if side == 1 else 0), j + (span if side == 2 else 0),
                    side % 2 == 0, span, found, changes, m,
                )  # fmt: skip
                if m > found.shape[0]:
                    break
                if side >= 2:
                    turn_back(found, changes, before, m)
            if m > found.shape[0] or (span > 1 and (m > 2 or m == 1)):
                split = True
            elif span > 1:
                a_label = changes[0, 0]
                b_label = changes[0, 1]
                if m == 0:
                    a_label, _, _ = label_at(
                        coords,
                        vertex_row,
                        row_lo,
                        row_hi,
                        rank,
                        ids,
                        left,
                        right,
                        work,
                        b,
                        end,
                        room,
                        x0,
                        y0,
                    )
                    b_label = a_label
                split = hides_something(
                    coords, vertex_row, row_lo, row_hi, left, right, work, b, end,
                    x0, y0, span, a_label, b_label,
                ) or (
                    m == 2
                    and not chord_holds(
                        coords, vertex_row, row_lo, row_hi, rank, ids, left, right, work, b, end, room,
                        found, a_label, b_label,
                    )
                )  # fmt: skip
            if not split and m > 0:
                if ends.shape[0] < n + m:
                    more = np.empty((2 * ends.shape[0] + m, 4))
                    more[:n] = ends[:n]
                    ends = more
                    tags = np.empty((2 * labels.shape[0] + m, 2), np.int64)
                    tags[:n] = labels[:n]
                    labels = tags
                if m == 2:
                    ends[n, 0] = found[0, 0]
                    ends[n, 1] = found[0, 1]
                    ends[n, 2] = found[1, 0]
                    ends[n, 3] = found[1, 1]
                    labels[n, 0] = changes[0, 0]
                    labels[n, 1] = changes[0, 1]
                    n += 1
                else:
                    mx = found[:m, 0].mean()
                    my = found[:m, 1].mean()
                    for k in range(m):
                        ends[n, 0] = found[k, 0]
                        ends[n, 1] = found[k, 1]
                        ends[n, 2] = mx
                        ends[n, 3] = my
                        labels[n, 0] = changes[k, 0]
                        labels[n, 1] = changes[k, 1]
                        n += 1
        if split:
            step = span // 2
            for quarter in range(4):
                stack[top, 0] = i + (quarter & 1) * step
                stack[top, 1] = j + (quarter >> 1) * step
                stack[top, 2] = step
                stack[top, 3] = b
                stack[top, 4] = end
                top += 1
    return ends[:n], labels[:n], work


@part
def thin(line, n, keep):  # type: ignore[no-untyped-def]
    """Mark in keep the vertices of line[:n] that leave it within THIN_M of what it was."""
    keep[:n] = False
    keep[0] = True
    keep[n - 1] = True
    stack = np.empty((n + 2, 2), np.int64)
    top = 0
    if (
        line[0, 0] == line[n - 1, 0] and line[0, 1] == line[n - 1, 1]
    ):  # a ring keeps its farthest vertex
        far = 0
        most = -1.0
        for k in range(1, n - 1):
            d2 = (line[k, 0] - line[0, 0]) ** 2 + (line[k, 1] - line[0, 1]) ** 2
            if d2 > most:
                most = d2
                far = k
        keep[far] = True
        stack[0, 0] = 0
        stack[0, 1] = far
        stack[1, 0] = far
        stack[1, 1] = n - 1
        top = 2
    else:
        stack[0, 0] = 0
        stack[0, 1] = n - 1
        top = 1
    while top > 0:
        top -= 1
        a = stack[top, 0]
        b = stack[top, 1]
        worst = THIN_M * THIN_M
        at = -1
        for k in range(a + 1, b):
            d2 = corner_distance2(
                line[a, 0], line[a, 1], line[b, 0], line[b, 1], line[k, 0], line[k, 1]
            )
            if d2 > worst:
                worst = d2
                at = k
        if at >= 0:
            keep[at] = True
            stack[top, 0] = a
            stack[top, 1] = at
            stack[top + 1, 0] = at
            stack[top + 1, 1] = b
            top += 2


@part
def nodes_of(ends):  # type: ignore[no-untyped-def]
    """Node numbers of both ends of each piece (n, 2), and how many nodes: equal coordinates, one node."""
    n = ends.shape[0]
    bits = ends.view(np.int64)
    size = 16
    while size < 4 * n:
        size *= 2
    slots = np.full(size, -1, np.int64)
    node = np.empty((n, 2), np.int64)
    count = 0
    owner = np.empty(2 * n, np.int64)
    for k in range(n):
        for e in range(2):
            hx = bits[k, 2 * e]
            hy = bits[k, 2 * e + 1]
            h = (hx * np.int64(-7046029254386353131)) ^ (hy * np.int64(-4417276706812531889))
            slot = ((h >> 32) ^ h) & (size - 1)
            while True:
                other = slots[slot]
                if other < 0:
                    slots[slot] = count
                    owner[count] = 2 * k + e
                    node[k, e] = count
                    count += 1
                    break
                o = owner[other]
                if bits[o >> 1, 2 * (o & 1)] == hx and bits[o >> 1, 2 * (o & 1) + 1] == hy:
                    node[k, e] = other
                    break
                slot = (slot + 1) & (size - 1)
    return node, count


@part
def chain_tile(ends, labels):  # type: ignore[no-untyped-def]
    """The pieces of a tile joined to thinned lines between junctions, each the same in every run.

    Returns vertices (m, 2), offsets (k + 1) and labels (k, 2) left and right.
    """
    n = ends.shape[0]
    node, count = nodes_of(ends)
    degree = np.zeros(count, np.int64)
    first = np.full((count, 2), -1, np.int64)
    for k in range(n):
        for e in range(2):
            at = node[k, e]
            if degree[at] < 2:
                first[at, degree[at]] = k
            degree[at] += 1
    done = np.zeros(n, np.bool_)
    line = np.empty((n + 1, 2))
    keep = np.empty(n + 1, np.bool_)
    vertices = np.empty((n + n + 2, 2))
    keeps = np.empty(n + n + 2, np.bool_)
    offsets = np.zeros(n + 1, np.int64)
    tags = np.empty((n, 2), np.int64)
    used = 0
    lines = 0
    for rings in range(2):
        for k in range(n):
            for e in range(2):
                if done[k] or (rings == 0 and degree[node[k, e]] == 2):
                    continue
                piece = k
                start = e
                m = 1
                line[0, 0] = ends[k, 2 * e]
                line[0, 1] = ends[k, 2 * e + 1]
                a = labels[k, e]
                b = labels[k, 1 - e]
                while True:
                    done[piece] = True
                    far = 1 - start
                    line[m, 0] = ends[piece, 2 * far]
                    line[m, 1] = ends[piece, 2 * far + 1]
                    m += 1
                    at = node[piece, far]
                    if degree[at] != 2:
                        break
                    piece = first[at, 0] if first[at, 0] != piece else first[at, 1]
                    if done[piece]:
                        break
                    start = 0 if node[piece, 0] == at else 1
                closed = line[0, 0] == line[m - 1, 0] and line[0, 1] == line[m - 1, 1]
                if closed and rings == 1:  # begin a ring at its least vertex
                    least = 0
                    for q in range(1, m - 1):
                        if line[q, 0] < line[least, 0] or (
                            line[q, 0] == line[least, 0] and line[q, 1] < line[least, 1]
                        ):
                            least = q
                    turned = np.concatenate((line[least : m - 1], line[: least + 1]))
                    line[:m] = turned
                p = 1 if closed else 0
                q = m - 2 if closed else m - 1
                if line[q, 0] < line[p, 0] or (
                    line[q, 0] == line[p, 0] and line[q, 1] < line[p, 1]
                ):
                    line[:m] = line[:m][::-1].copy()
                    a, b = b, a
                thin(line, m, keep)
                kept = 0
                for q in range(m):
                    vertices[used + q] = line[q]
                    keeps[used + q] = keep[q]
                    kept += keep[q]
                if kept < 4 and closed:
                    keeps[used : used + m] = True
                used += m
                tags[lines, 0] = a
                tags[lines, 1] = b
                lines += 1
                offsets[lines] = used
    part_again(vertices, offsets[: lines + 1], keeps)
    out = 0
    last = 0
    for k in range(lines):
        for q in range(last, offsets[k + 1]):
            if keeps[q]:
                vertices[out] = vertices[q]
                out += 1
        last = offsets[k + 1]
        offsets[k + 1] = out
    return vertices[:out].copy(), offsets[: lines + 1].copy(), tags[:lines].copy()


@part
def turn(ax, ay, bx, by, cx, cy):  # type: ignore[no-untyped-def]
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


@part
def collide(p, q, r, s):  # type: ignore[no-untyped-def]
    """Whether the edges p-q and r-s have more in common than one end."""
    p_r = p[0] == r[0] and p[1] == r[1]
    p_s = p[0] == s[0] and p[1] == s[1]
    q_r = q[0] == r[0] and q[1] == r[1]
    q_s = q[0] == s[0] and q[1] == s[1]
    if p_r or p_s or q_r or q_s:
        if (p_r and q_s) or (p_s and q_r):
            return True
        shared, a, b = (p, q, s) if p_r else (p, q, r) if p_s else (q, p, s) if q_r else (q, p, r)
        along = (a[0] - shared[0]) * (b[0] - shared[0]) + (a[1] - shared[1]) * (b[1] - shared[1])
        return along > 0.0 and turn(shared[0], shared[1], a[0], a[1], b[0], b[1]) == 0.0
    d1 = turn(p[0], p[1], q[0], q[1], r[0], r[1])
    d2 = turn(p[0], p[1], q[0], q[1], s[0], s[1])
    d3 = turn(r[0], r[1], s[0], s[1], p[0], p[1])
    d4 = turn(r[0], r[1], s[0], s[1], q[0], q[1])
    if (d1 > 0.0 and d2 > 0.0) or (d1 < 0.0 and d2 < 0.0):
        return False
    return not ((d3 > 0.0 and d4 > 0.0) or (d3 < 0.0 and d4 < 0.0))


@part
def part_again(vertices, offsets, keeps):  # type: ignore[no-untyped-def]
    """Give lines that thinning made to meet all their vertices back, until none meet but at their ends."""
    lines = offsets.shape[0] - 1
    size = offsets[lines]
    start = np.empty(size, np.int64)
    end = np.empty(size, np.int64)
    line = np.empty(size, np.int64)
    while True:
        n = 0
        for k in range(lines):
            before = offsets[k]
            for q in range(offsets[k] + 1, offsets[k + 1]):
                if keeps[q]:
                    start[n] = before
                    end[n] = q
                    line[n] = k
                    n += 1
                    before = q
        west = np.empty(n)
        for e in range(n):
            west[e] = min(vertices[start[e], 0], vertices[end[e], 0])
        order = np.argsort(west)
        met = False
        for i in range(n):
            e = order[i]
            p = vertices[start[e]]
            q = vertices[end[e]]
            east = max(p[0], q[0])
            low = min(p[1], q[1])
            high = max(p[1], q[1])
            for j in range(i + 1, n):
                f = order[j]
                if west[f] > east:
                    break
                r = vertices[start[f]]
                s = vertices[end[f]]
                if max(r[1], s[1]) < low or min(r[1], s[1]) > high:
                    continue
                if not collide(p, q, r, s):
                    continue
                for k in (line[e], line[f]):
                    for v in range(offsets[k], offsets[k + 1]):
                        if not keeps[v]:
                            keeps[v] = True
                            met = True
        if not met:
            return


def made_for(fingerprint: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two entry kernels; the fingerprint is part of what the disk cache compares."""

    def trace(  # type: ignore[no-untyped-def]
        coords, vertex_row, row_lo, row_hi, rank, ids, left, right, edges, tiles
    ):
        """Borders in the tiles (n, 2) given by their least lattice corner, from all edges that matter there.

        Returns vertices (m, 2), offsets (k + 1), labels (k, 2) left and right, tile number (k).
        """
        work = np.empty(2 * edges.shape[0] + 4096, np.int32)
        room = np.empty(edges.shape[0] + (fingerprint & 1))
        vertices = np.empty((4096, 2))
        offsets = np.zeros(1024, np.int64)
        tags = np.empty((1024, 2), np.int64)
        tile_of = np.empty(1024, np.int64)
        used = 0
        lines = 0
        work[: edges.shape[0]] = edges
        for t in range(tiles.shape[0]):
            ends, labels, work = trace_tile(
                coords, vertex_row, row_lo, row_hi, rank, ids, left, right,
                work, 0, edges.shape[0], room, tiles[t, 0], tiles[t, 1],
            )  # fmt: skip
            if ends.shape[0] == 0:
                continue
            line, starts, found = chain_tile(ends.copy(), labels)
            m = line.shape[0]
            k = found.shape[0]
            if vertices.shape[0] < used + m:
                more = np.empty((2 * vertices.shape[0] + m, 2))
                more[:used] = vertices[:used]
                vertices = more
            if tile_of.shape[0] < lines + k + 1:
                size = 2 * tile_of.shape[0] + k + 1
                offsets = grown_ints(offsets, size)
                tile_of = grown_ints(tile_of, size)
                longer = np.empty((size, 2), np.int64)
                longer[:lines] = tags[:lines]
                tags = longer
            vertices[used : used + m] = line
            for q in range(k):
                tags[lines + q] = found[q]
                tile_of[lines + q] = t
                offsets[lines + q + 1] = used + starts[q + 1]
            used += m
            lines += k
        return (
            vertices[:used].copy(), offsets[: lines + 1].copy(),
            tags[:lines].copy(), tile_of[:lines].copy(),
        )  # fmt: skip

    def ground(coords, vertex_row, edges, chosen, i0, j0, span):  # type: ignore[no-untyped-def]
        """Squares of ACCEPT units (i, j) of the lattice in which a chosen row can be nearest."""
        work = np.empty(4 * edges.shape[0] + 4096, np.int32)
        room = np.empty(edges.shape[0] + (fingerprint & 1))
        work[: edges.shape[0]] = edges
        out = np.empty((256, 2), np.int64)
        n = 0
        stack = np.empty((256, 5), np.int64)
        stack[0, 0] = i0
        stack[0, 1] = j0
        stack[0, 2] = span
        stack[0, 3] = 0
        stack[0, 4] = edges.shape[0]
        top = 1
        while top > 0:
            top -= 1
            i = stack[top, 0]
            j = stack[top, 1]
            side = stack[top, 2]
            a = stack[top, 3]
            b = stack[top, 4]
            if work.shape[0] < 2 * b - a + 16:
                work = grown_ints(work, 2 * work.shape[0] + 16)
            half = side * UNIT_M / 2
            end = keep_near(coords, work, a, b, room, i * UNIT_M + half, j * UNIT_M + half, half)
            some = False
            for k in range(b, end):
                if chosen[vertex_row[work[k]]]:
                    some = True
                    break
            if not some:
                continue
            if side <= ACCEPT:
                if n == out.shape[0]:
                    more = np.empty((2 * n, 2), np.int64)
                    more[:n] = out
                    out = more
                out[n, 0] = i
                out[n, 1] = j
                n += 1
                continue
            step = side // 2
            for quarter in range(4):
                stack[top, 0] = i + (quarter & 1) * step
                stack[top, 1] = j + (quarter >> 1) * step
                stack[top, 2] = step
                stack[top, 3] = b
                stack[top, 4] = end
                top += 1
        return out[:n].copy()

    return near.compiled(trace), near.compiled(ground)


trace, ground = made_for(zlib.crc32(Path(near.__file__).read_bytes()))
