"""The hot loop of the refinement, compiled by numba: moves over borders that leave every grid connected.

State arrays are changed in place; `refine.py` makes and names them. All quantities are relative: weights to the mean
grid, masses (length) to the mean grid's, coordinates to the radius of a usual grid.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Rows of `grids`: weight, mass, mass*x, mass*y, mass*(x²+y²), highest weight, lowest weight, usual weight.
WEIGHT, MASS, MX, MY, MR, HIGH, LOW, USUAL = range(8)
# Places in `price`.
OVER, UNDER, UNEVEN, SPREAD, PIECE, CUT, CROSSING, MOVED = range(8)
# Where segments meet in a crowd the crossing term is left out: it would cost more to count than it tells.
_CROWD = 48
# The most segments that move together with the one that held them.
_TRAIN = 200


@njit(cache=True, nogil=True)
def _random(state):  # type: ignore[no-untyped-def]
    """xorshift64*: the same stream everywhere, whatever the version of numpy or numba."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(2685821657736338717)


@njit(cache=True, nogil=True)
def _below(state, bound):  # type: ignore[no-untyped-def]
    return np.int64((_random(state) >> np.uint64(11)) % np.uint64(bound))


@njit(cache=True, nogil=True)
def _grid_cost(grids, g, price, w, m, mx, my, mr):  # type: ignore[no-untyped-def]
    """What grid g costs with (w, m, mx, my, mr) added to it."""
    weight = grids[WEIGHT, g] + w
    mass = grids[MASS, g] + m
    cost = 0.0
    over = weight - grids[HIGH, g]
    if over > 0.0:
        cost += price[OVER] * (over + 10.0 * over * over)
    under = grids[LOW, g] - weight
    if under > 0.0:
        cost += price[UNDER] * (under + 10.0 * under * under)
    off = weight - grids[USUAL, g]
    cost += price[UNEVEN] * off * off
    if mass > 0.0:
        sx = grids[MX, g] + mx
        sy = grids[MY, g] + my
        cost += price[SPREAD] * (grids[MR, g] + mr - (sx * sx + sy * sy) / mass)
    return cost


@njit(cache=True, nogil=True)
def _slot(street_start, used, slot_grid, street, g):  # type: ignore[no-untyped-def]
    begin = street_start[street]
    for k in range(begin, begin + used[street]):
        if slot_grid[k] == g:
            return k
    return np.int64(-1)


@njit(cache=True, nogil=True)
def _seam_cost(  # type: ignore[no-untyped-def]
    s, g, h, label, home, mass, street, street_start, used, slot_grid, slot_count,
    seg_start, seg_ports, port_start, port_segs, price,
):  # fmt: skip
    """Change of the cost of streets, crossings and hand-overs when segment s alone goes from g to h."""
    cost = 0.0
    road = street[s]
    if road >= 0:
        change = 0
        k = _slot(street_start, used, slot_grid, road, g)
        if slot_count[k] == 1:
            change -= 1
        if _slot(street_start, used, slot_grid, road, h) < 0:
            change += 1
        if change != 0:
            cost += price[PIECE] * change
            if change > 0 and used[road] == 1:
                cost += price[CUT]
            if change < 0 and used[road] == 2:
                cost -= price[CUT]
    for i in range(seg_start[s], seg_start[s + 1]):
        p = seg_ports[i]
        if port_start[p + 1] - port_start[p] > _CROWD:
            continue
        leaves = 1
        enters = 1
        for j in range(port_start[p], port_start[p + 1]):
            t = port_segs[j]
            if t != s:
                if label[t] == g:
                    leaves = 0
                elif label[t] == h:
                    enters = 0
        cost += price[CROSSING] * (enters - leaves)
    if home[s] >= 0:
        if home[s] == g:
            cost += price[MOVED] * mass[s]
        elif home[s] == h:
            cost -= price[MOVED] * mass[s]
    return cost


@njit(cache=True, nogil=True)
def _shift(  # type: ignore[no-untyped-def]
    s, g, h, label, weight, mass, x, y, street, street_start, used, slot_grid, slot_count,
    grids, count,
):  # fmt: skip
    """Move segment s from g to h in every table."""
    label[s] = h
    m = mass[s]
    mx = m * x[s]
    my = m * y[s]
    mr = m * (x[s] * x[s] + y[s] * y[s])
    grids[WEIGHT, g] -= weight[s]
    grids[WEIGHT, h] += weight[s]
    grids[MASS, g] -= m
    grids[MASS, h] += m
    grids[MX, g] -= mx
    grids[MX, h] += mx
    grids[MY, g] -= my
    grids[MY, h] += my
    grids[MR, g] -= mr
    grids[MR, h] += mr
    count[g] -= 1
    count[h] += 1
    road = street[s]
    if road >= 0:
        k = _slot(street_start, used, slot_grid, road, g)
        slot_count[k] -= 1
        if slot_count[k] == 0:
            last = street_start[road] + used[road] - 1
            slot_grid[k] = slot_grid[last]
            slot_count[k] = slot_count[last]
            used[road] -= 1
        k = _slot(street_start, used, slot_grid, road, h)
        if k < 0:
            k = street_start[road] + used[road]
            slot_grid[k] = h
            slot_count[k] = 0
            used[road] += 1
        slot_count[k] += 1


@njit(cache=True, nogil=True)
def _flood(  # type: ignore[no-untyped-def]
    first, s, g, label, seg_start, seg_ports, port_start, port_segs, mark, seen, stamp, queue, at,
):  # fmt: skip
    """All of grid g without s that hangs together with `first`, into queue[at:]; returns the end."""
    mark[first] = stamp
    queue[at] = first
    end = at + 1
    while at < end:
        t = queue[at]
        at += 1
        for i in range(seg_start[t], seg_start[t + 1]):
            p = seg_ports[i]
            if seen[p] == stamp:
                continue
            seen[p] = stamp
            for j in range(port_start[p], port_start[p + 1]):
                o = port_segs[j]
                if o != s and label[o] == g and mark[o] != stamp:
                    mark[o] = stamp
                    queue[end] = o
                    end += 1
    return end


@njit(cache=True, nogil=True)
def _cut_off(  # type: ignore[no-untyped-def]
    s, g, label, size_g, seg_start, seg_ports, port_start, port_segs, mark, seen, clock, one, two,
):  # fmt: skip
    """What falls off grid g when s leaves it: the smaller side, into `one`. Returns its size, or -1 = leave alone.

    A segment has two ends, so it is enough to search from both at once until they meet or one runs dry; segments
    that hold links have more ends and are searched whole.
    """
    heads = 0
    port_a = np.int64(-1)
    port_b = np.int64(-1)
    for i in range(seg_start[s], seg_start[s + 1]):
        p = seg_ports[i]
        for j in range(port_start[p], port_start[p + 1]):
            t = port_segs[j]
            if t != s and label[t] == g:
                heads += 1
                if heads == 1:
                    port_a = p
                else:
                    port_b = p
                break
    if heads <= 1:
        return np.int64(0)
    if heads > 2:
        stamp = clock[0]
        clock[0] += 2
        end = np.int64(0)
        best_at = np.int64(0)
        best = np.int64(0)
        for i in range(seg_start[s], seg_start[s + 1]):
            p = seg_ports[i]
            for j in range(port_start[p], port_start[p + 1]):
                t = port_segs[j]
                if t != s and label[t] == g and mark[t] != stamp:
                    begin = end
                    end = _flood(
                        t, s, g, label, seg_start, seg_ports, port_start, port_segs,
                        mark, seen, stamp, two, begin,
                    )  # fmt: skip
                    if end - begin > best:
                        best = end - begin
                        best_at = begin
        if end - best > _TRAIN:
            return np.int64(-1)
        n = np.int64(0)
        for k in range(end):
            if k < best_at or k >= best_at + best:
                one[n] = two[k]
                n += 1
        return n
    stamp_a = clock[0]
    stamp_b = clock[0] + 1
    clock[0] += 2
    end_a = np.int64(0)
    end_b = np.int64(0)
    seen[port_a] = stamp_a
    for j in range(port_start[port_a], port_start[port_a + 1]):
        t = port_segs[j]
        if t != s and label[t] == g:
            mark[t] = stamp_a
            one[end_a] = t
            end_a += 1
    seen[port_b] = stamp_b
    for j in range(port_start[port_b], port_start[port_b + 1]):
        t = port_segs[j]
        if t != s and label[t] == g:
            if mark[t] == stamp_a:
                return np.int64(0)
            mark[t] = stamp_b
            two[end_b] = t
            end_b += 1
    at_a = np.int64(0)
    at_b = np.int64(0)
    while True:
        if at_a == end_a:
            if end_a > _TRAIN:
                return np.int64(-1)
            return end_a
        t = one[at_a]
        at_a += 1
        for i in range(seg_start[t], seg_start[t + 1]):
            p = seg_ports[i]
            if seen[p] == stamp_a:
                continue
            if seen[p] == stamp_b:
                return np.int64(0)
            seen[p] = stamp_a
            for j in range(port_start[p], port_start[p + 1]):
                o = port_segs[j]
                if o == s or label[o] != g or mark[o] == stamp_a:
                    continue
                if mark[o] == stamp_b:
                    return np.int64(0)
                mark[o] = stamp_a
                one[end_a] = o
                end_a += 1
        if at_b == end_b:
            if end_b > _TRAIN:
                return np.int64(-1)
            for k in range(end_b):
                one[k] = two[k]
            return end_b
        t = two[at_b]
        at_b += 1
        for i in range(seg_start[t], seg_start[t + 1]):
            p = seg_ports[i]
            if seen[p] == stamp_b:
                continue
            if seen[p] == stamp_a:
                return np.int64(0)
            seen[p] = stamp_b
            for j in range(port_start[p], port_start[p + 1]):
                o = port_segs[j]
                if o == s or label[o] != g or mark[o] == stamp_b:
                    continue
                if mark[o] == stamp_a:
                    return np.int64(0)
                mark[o] = stamp_b
                two[end_b] = o
                end_b += 1


@njit(cache=True, nogil=True)
def anneal(  # type: ignore[no-untyped-def]
    trials, heat, random, label, home, weight, mass, x, y, street, street_start, used, slot_grid,
    slot_count, grids, count, seg_start, seg_ports, port_start, port_segs, price, mark, seen, clock,
    one, two,
):  # fmt: skip
    """Try `trials` moves at one temperature; returns how many were made.

    A move takes a segment over to the grid of a neighbour. If that would cut the grid it leaves, the smaller part
    that would fall off goes with it (a cul-de-sac follows its mouth). Accepted by Metropolis' rule.
    """
    made = 0
    size = label.shape[0]
    for _ in range(trials):
        s = _below(random, size)
        ports = seg_start[s + 1] - seg_start[s]
        p = seg_ports[seg_start[s] + _below(random, ports)]
        many = port_start[p + 1] - port_start[p]
        if many < 2:
            continue
        g = label[s]
        h = label[port_segs[port_start[p] + _below(random, many)]]
        if h == g or count[g] == 1:
            continue
        luck = (np.float64(_random(random) >> np.uint64(11)) + 1.0) / 9007199254740993.0
        allowed = -heat * np.log(luck) if heat > 0.0 else -1e-12
        w = weight[s]
        m = mass[s]
        mx = m * x[s]
        my = m * y[s]
        mr = m * (x[s] * x[s] + y[s] * y[s])
        before = _grid_cost(grids, g, price, 0.0, 0.0, 0.0, 0.0, 0.0) + _grid_cost(
            grids, h, price, 0.0, 0.0, 0.0, 0.0, 0.0
        )
        change = (
            _grid_cost(grids, g, price, -w, -m, -mx, -my, -mr)
            + _grid_cost(grids, h, price, w, m, mx, my, mr)
            - before
            + _seam_cost(
                s, g, h, label, home, mass, street, street_start, used, slot_grid, slot_count,
                seg_start, seg_ports, port_start, port_segs, price,
            )
        )  # fmt: skip
        # A train may pay where its first wagon does not; it is too dear to look every time.
        if change > allowed and _below(random, 8) != 0:
            continue
        fallen = _cut_off(
            s, g, label, count[g], seg_start, seg_ports, port_start, port_segs,
            mark, seen, clock, one, two,
        )  # fmt: skip
        if fallen == 0:
            if change <= allowed:
                _shift(
                    s, g, h, label, weight, mass, x, y, street, street_start, used, slot_grid,
                    slot_count, grids, count,
                )  # fmt: skip
                made += 1
            continue
        if fallen < 0 or fallen + 1 >= count[g]:
            continue
        seams = 0.0
        for k in range(fallen + 1):
            t = s if k == 0 else one[k - 1]
            seams += _seam_cost(
                t, g, h, label, home, mass, street, street_start, used, slot_grid, slot_count,
                seg_start, seg_ports, port_start, port_segs, price,
            )  # fmt: skip
            _shift(
                t, g, h, label, weight, mass, x, y, street, street_start, used, slot_grid,
                slot_count, grids, count,
            )  # fmt: skip
        after = _grid_cost(grids, g, price, 0.0, 0.0, 0.0, 0.0, 0.0) + _grid_cost(
            grids, h, price, 0.0, 0.0, 0.0, 0.0, 0.0
        )
        if after - before + seams <= allowed:
            made += 1
            continue
        for k in range(fallen, -1, -1):
            t = s if k == 0 else one[k - 1]
            _shift(
                t, h, g, label, weight, mass, x, y, street, street_start, used, slot_grid,
                slot_count, grids, count,
            )  # fmt: skip
    return made
