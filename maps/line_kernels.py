"""The compiled loops that draw lines into a vector tile (Mapbox Vector Tile 2.1, 4.3): choose, simplify, clip, encode.

A tile's own units: x from its west edge, y down from its north edge.
"""

from __future__ import annotations

import numpy as np

from grid.nearest.kernels import compiled

_MOVE_TO, _LINE_TO = 1, 2
_LINESTRING = 2
# No more than two commands and two points for an edge that comes in and goes out again, each of them in two bytes.
_EDGE_BYTES = 16
# Keys of the fields, lengths, the id and the tags of a feature.
_FEATURE_BYTES = 64
_TAG_BYTES = 6


@compiled
def lines_within(boxes, blocks, block, box, kinds, allowed):  # type: ignore[no-untyped-def]
    """Rows whose boxes meet a box, in order; where `allowed` is not empty, only those with allowed[kinds[row]]."""
    found = np.empty(boxes.shape[0], np.int32)
    count = 0
    for place in range(blocks.shape[0]):
        if not meets(blocks, place, box):
            continue
        for row in range(place * block, min((place + 1) * block, boxes.shape[0])):
            if meets(boxes, row, box) and (allowed.shape[0] == 0 or allowed[kinds[row]]):
                found[count] = row
                count += 1
    return found[:count].copy()


@compiled
def meets(boxes, row, box):  # type: ignore[no-untyped-def]
    """Whether a row's box meets another, edges included."""
    return (
        boxes[row, 0] <= box[2]
        and boxes[row, 2] >= box[0]
        and boxes[row, 1] <= box[3]
        and boxes[row, 3] >= box[1]
    )


@compiled
def put_number(out, at, value):  # type: ignore[no-untyped-def]
    """Writes a number as protobuf's varint; the place after it."""
    while value >= 128:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@compiled
def put_field(out, at, field, data, length):  # type: ignore[no-untyped-def]
    """Writes bytes as a field with a length; the place after it."""
    out[at] = field << 3 | 2
    at = put_number(out, at + 1, length)
    out[at : at + length] = data[:length]
    return at + length


@compiled
def put_part(out, at, points, count, cursor):  # type: ignore[no-untyped-def]
    """Writes one connected line in steps from `cursor` on, which is moved to its end; a single point is nothing."""
    if count < 2:
        return at
    at = put_number(out, at, 1 << 3 | _MOVE_TO)
    for n in range(count):
        if n == 1:
            at = put_number(out, at, (count - 1) << 3 | _LINE_TO)
        for axis in range(2):
            step = points[n, axis] - cursor[axis]
            at = put_number(out, at, (step << 1) ^ (step >> 63))
            cursor[axis] = points[n, axis]
    return at


@compiled
def add_point(points, count, x, y):  # type: ignore[no-untyped-def]
    """Appends a point in whole units unless it is the last one again; how many there are."""
    column = np.int64(np.rint(x))
    row = np.int64(np.rint(y))
    if count > 0 and points[count - 1, 0] == column and points[count - 1, 1] == row:
        return count
    points[count, 0] = column
    points[count, 1] = row
    return count + 1


@compiled
def keep_bends(line, count, tolerance, keep, stack):  # type: ignore[no-untyped-def]
    """Douglas and Peucker: marks the points without which the line would be off by more than the tolerance."""
    keep[:count] = tolerance <= 0.0
    keep[0] = True
    keep[count - 1] = True
    if tolerance <= 0.0:
        return
    stack[0, 0] = 0
    stack[0, 1] = count - 1
    waiting = 1
    while waiting > 0:
        waiting -= 1
        first = stack[waiting, 0]
        last = stack[waiting, 1]
        dx = line[last, 0] - line[first, 0]
        dy = line[last, 1] - line[first, 1]
        length2 = dx * dx + dy * dy
        farthest = tolerance * tolerance
        bend = -1
        for n in range(first + 1, last):
            wx = line[n, 0] - line[first, 0]
            wy = line[n, 1] - line[first, 1]
            t = 0.0
            if length2 > 0.0:
                t = min(max((wx * dx + wy * dy) / length2, 0.0), 1.0)
            distance2 = (wx - t * dx) ** 2 + (wy - t * dy) ** 2
            if distance2 > farthest:
                farthest = distance2
                bend = n
        if bend >= 0:
            keep[bend] = True
            stack[waiting, 0] = first
            stack[waiting, 1] = bend
            stack[waiting + 1, 0] = bend
            stack[waiting + 1, 1] = last
            waiting += 2


@compiled
def inside(start, step, low, high):  # type: ignore[no-untyped-def]
    """Liang and Barsky: from where to where (0 .. 1) an edge lies between low and high; from > to when nowhere."""
    enters = 0.0
    leaves = 1.0
    for axis in range(2):
        if step[axis] == 0.0:
            if start[axis] < low or start[axis] > high:
                return 1.0, 0.0
            continue
        one = (low - start[axis]) / step[axis]
        other = (high - start[axis]) / step[axis]
        enters = max(enters, min(one, other))
        leaves = min(leaves, max(one, other))
    return enters, leaves


@compiled
def put_line(out, at, line, count, keep, low, high, points, cursor):  # type: ignore[no-untyped-def]
    """Writes what of a line's kept points lies between low and high, in as many parts as it takes."""
    start = np.empty(2)
    step = np.empty(2)
    made = 0
    before = 0
    for n in range(1, count):
        if not keep[n]:
            continue
        for axis in range(2):
            start[axis] = line[before, axis]
            step[axis] = line[n, axis] - start[axis]
        before = n
        enters, leaves = inside(start, step, low, high)
        if enters > leaves:
            at = put_part(out, at, points, made, cursor)
            made = 0
            continue
        if enters > 0.0:
            at = put_part(out, at, points, made, cursor)
            made = 0
        if made == 0:
            made = add_point(points, made, start[0] + enters * step[0], start[1] + enters * step[1])
        made = add_point(points, made, start[0] + leaves * step[0], start[1] + leaves * step[1])
        if leaves < 1.0:
            at = put_part(out, at, points, made, cursor)
            made = 0
    return put_part(out, at, points, made, cursor)


@compiled
def draw_features(  # type: ignore[no-untyped-def]
    coords, starts, lines, firsts, ids, wording, words, corner, per_m, tolerance, low, high
):
    """The features of one layer as fields of it, and which words they use, in the order of their numbers there.

    Feature f is made of lines[firsts[f]] .. lines[firsts[f + 1]], has ids[f] (-1: none) and in column c the value
    wording[f, c] (-1: none) of so many words; `corner` is the tile's north-west. What collapses to a point is left out.
    """
    vertices = 0
    longest = 0
    for row in lines:
        count = starts[row + 1] - starts[row]
        vertices += count
        longest = max(longest, count)
    features = firsts.shape[0] - 1
    out = np.empty(vertices * _EDGE_BYTES + features * _FEATURE_BYTES, np.uint8)
    shape = np.empty(vertices * _EDGE_BYTES, np.uint8)
    whole = np.empty(vertices * _EDGE_BYTES + _FEATURE_BYTES, np.uint8)
    tags = np.empty(wording.shape[1] * _TAG_BYTES, np.uint8)
    line = np.empty((longest, 2))
    points = np.empty((longest + 1, 2), np.int64)
    keep = np.empty(longest, np.bool_)
    stack = np.empty((longest + 1, 2), np.int64)
    cursor = np.empty(2, np.int64)
    number_of = np.full(words, -1, np.int64)
    used = np.empty(words, np.int64)
    known = 0
    at = 0
    for feature in range(features):
        drawn = 0
        cursor[:] = 0
        for place in range(firsts[feature], firsts[feature + 1]):
            begin = starts[lines[place]]
            count = starts[lines[place] + 1] - begin
            for n in range(count):
                line[n, 0] = (coords[begin + n, 0] - corner[0]) * per_m
                line[n, 1] = (corner[1] - coords[begin + n, 1]) * per_m
            keep_bends(line, count, tolerance, keep, stack)
            drawn = put_line(shape, drawn, line, count, keep, low, high, points, cursor)
        if drawn == 0:
            continue
        tagged = 0
        for column in range(wording.shape[1]):
            word = wording[feature, column]
            if word < 0:
                continue
            if number_of[word] < 0:
                number_of[word] = known
                used[known] = word
                known += 1
            tagged = put_number(tags, tagged, column)
            tagged = put_number(tags, tagged, number_of[word])
        length = 0
        if ids[feature] >= 0:
            whole[0] = 1 << 3
            length = put_number(whole, 1, ids[feature])
        length = put_field(whole, length, 2, tags, tagged)
        whole[length] = 3 << 3
        whole[length + 1] = _LINESTRING
        length = put_field(whole, length + 2, 4, shape, drawn)
        at = put_field(out, at, 2, whole, length)
    return out[:at].copy(), used[:known].copy()
