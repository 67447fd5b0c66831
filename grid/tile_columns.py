"""The lines of map tiles as arrays in memory, read from `tile_line` and brought up to date by what `tile_change` notes.

A change notes the envelope of each line before and after it, so whatever is no longer as it was lies within a noted
box: those lines are read again and the others stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.int32]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
# What `wording` has a column of.
COLUMNS = ("street", "class", "grid_left", "grid_right")
# Lines of a strip stand in the order of their southern ends, so that neighbours mostly share a block.
STRIP_M = 1000.0
# More than the whole world of EPSG:3857 from south to north.
_BEYOND_M = 1e8
BLOCK = 64
# Beyond so many boxes at once, reading everything is quicker.
MANY_BOXES = 1000
# So many boxes are remembered; whoever asks further back is told that everything may have changed.
MOST_BOXES = 20_000
_WKB_HEAD_BYTES = 9
_AT_ONCE = 10_000
_READ = (
    "select segment_id, street, class, grid_left, grid_right, st_asbinary(geom, 'NDR') from public.tile_line"
)  # fmt: skip
_CHANGED = (
    " where segment_id in (select l.segment_id from public.tile_change c"
    " join public.tile_line l on l.geom && c.box where c.number > %s)"
)
_BOXES = (
    "select number, st_xmin(box), st_ymin(box), st_xmax(box), st_ymax(box) from public.tile_change"
    " where number > %s order by number"
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after the change number `since`: its number and box (west, south, east, north), EPSG:3857."""

    since: int
    numbers: Ints
    boxes: Floats

    def within(self, box: Box, after: int) -> bool:
        """Whether anything within a box may have changed after the change of a number."""
        if after < self.since:
            return True
        later = self.boxes[self.numbers.searchsorted(after, side="right") :]
        return bool(_meeting(later, np.array(box)).any())


@dataclass(frozen=True, slots=True)
class LineColumns:
    """Lines in EPSG:3857 as of the change `newest`, neighbours together; the same lines always in the same order.

    starts[row] .. starts[row + 1]: the vertices of a line. wording[row, column]: a number in `words`, -1 for none.
    """

    newest: int
    changes: Changes
    words: tuple[str, ...]
    ids: Ints
    wording: Words
    coords: Floats
    starts: Ints
    boxes: Floats
    blocks: Floats


@dataclass(frozen=True, slots=True)
class _Rows:
    ids: Ints
    wording: Words
    coords: Floats
    starts: Ints
    boxes: Floats


def read_line_columns(
    connection: psycopg.Connection[Any], before: LineColumns | None = None
) -> LineColumns:
    """All lines as of now; of those read before only what has changed is read again."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        connection.execute("set local statement_timeout = 0")
        if before is not None:
            noted = np.array(connection.execute(_BOXES, [before.newest]).fetchall(), np.float64)
            if not len(noted):
                return before
            boxes = np.unique(noted[:, 1:], axis=0)
            if len(boxes) <= MANY_BOXES and not _covers(boxes, before):
                return _with_changes(connection, before, noted, boxes)
        row = connection.execute("select coalesce(max(number), 0) from public.tile_change").fetchone()  # fmt: skip
        newest = int(row[0]) if row else 0
        numbers: dict[str, int] = {}
        found = _rows(connection, _READ, [], numbers)
        nothing = Changes(newest, np.empty(0, np.int64), np.empty((0, 4)))
        return _arranged(newest, nothing, numbers, found, np.arange(len(found.ids)))


def _with_changes(
    connection: psycopg.Connection[Any], before: LineColumns, noted: Floats, boxes: Floats
) -> LineColumns:
    numbers = {word: number for number, word in enumerate(before.words)}
    found = _rows(connection, _READ + _CHANGED, [before.newest], numbers)
    # PostGIS compares boxes that are a little larger, so a line may come back whose own box meets none.
    gone = np.isin(before.ids, found.ids)
    for box in boxes:
        near = np.flatnonzero(_meeting(before.blocks, box))
        rows = (near[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        rows = rows[rows < len(gone)]
        gone[rows[_meeting(before.boxes[rows], box)]] = True
    both = _Rows(
        np.concatenate([before.ids, found.ids]),
        np.concatenate([before.wording, found.wording]),
        np.concatenate([before.coords, found.coords]),
        np.concatenate([before.starts, before.starts[-1] + found.starts[1:]]),
        np.concatenate([before.boxes, found.boxes]),
    )
    rows = np.concatenate([np.flatnonzero(~gone), len(gone) + np.arange(len(found.ids))])
    newest = int(noted[-1, 0])
    changes = before.changes
    if len(changes.numbers) + len(noted) > MOST_BOXES:
        changes = Changes(before.newest, np.empty(0, np.int64), np.empty((0, 4)))
    changes = Changes(
        changes.since,
        np.concatenate([changes.numbers, noted[:, 0].astype(np.int64)]),
        np.concatenate([changes.boxes, noted[:, 1:]]),
    )
    return _arranged(newest, changes, numbers, both, rows)


def _rows(
    connection: psycopg.Connection[Any], query: str, values: list[int], numbers: dict[str, int]
) -> _Rows:
    """The lines of a query as they come; words that are new get the next number."""
    ids, wording, counts, points = [], [], [], []
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query.encode(), values)
        # In pieces, so that a large town's rows are never all there as Python's objects.
        while rows := cursor.fetchmany(_AT_ONCE):
            own, *words, shapes = zip(*rows, strict=True)
            ids.append(np.array(own, np.int64))
            numbered = [
                [-1 if word is None else numbers.setdefault(word, len(numbers)) for word in column]
                for column in words
            ]
            wording.append(np.array(numbered, np.int32).T)
            counts.append(np.array([(len(one) - _WKB_HEAD_BYTES) // 16 for one in shapes]))
            points.append(np.frombuffer(b"".join([one[_WKB_HEAD_BYTES:] for one in shapes])))
    if not ids:
        return _Rows(np.empty(0, np.int64), np.empty((0, len(COLUMNS)), np.int32), np.empty((0, 2)),
                     np.zeros(1, np.int64), np.empty((0, 4)))  # fmt: skip
    coords, starts = np.concatenate(points).reshape(-1, 2), _starts(np.concatenate(counts))
    boxes = _joined(coords, coords, starts[:-1])
    return _Rows(np.concatenate(ids), np.concatenate(wording), coords, starts, boxes)


def _arranged(
    newest: int, changes: Changes, numbers: dict[str, int], found: _Rows, rows: Ints
) -> LineColumns:
    """The chosen rows in their steady order, with a box around each block of lines."""
    order = _steady_order(found.boxes[rows], found.ids[rows])
    rows = rows[order]
    boxes = found.boxes[rows]
    counts = np.diff(found.starts)[rows]
    starts = _starts(counts)
    vertices = np.repeat(found.starts[rows] - starts[:-1], counts) + np.arange(starts[-1])
    blocks = _joined(boxes[:, :2], boxes[:, 2:], np.arange(0, len(rows), BLOCK))
    return LineColumns(
        newest, changes, tuple(numbers), found.ids[rows], found.wording[rows], np.take(found.coords, vertices, axis=0),
        starts, boxes, blocks,
    )  # fmt: skip


def _steady_order(boxes: Floats, ids: Ints) -> Ints:
    """Strip by strip from the west, each from the south, equal places by id: what was in order already costs little."""
    places = np.floor(boxes[:, 0] / STRIP_M) * _BEYOND_M + boxes[:, 1]
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    equal = sorted_places[1:] == sorted_places[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    # Sorting all by place and id at once would be most of all the work after a change.
    order[tied] = order[tied][np.lexsort((ids[order[tied]], sorted_places[tied]))]
    return order


def _joined(low: Floats, high: Floats, firsts: Ints) -> Floats:
    """The box around each run of corners."""
    if not len(firsts):
        return np.empty((0, 4))
    ends = (np.minimum.reduceat(low, firsts, axis=0), np.maximum.reduceat(high, firsts, axis=0))
    return np.hstack(ends)


def _starts(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _covers(boxes: Floats, lines: LineColumns) -> bool:
    """Whether one of the boxes holds every line: then everything was drawn anew."""
    if not len(lines.blocks):
        return True
    low, high = lines.blocks[:, :2].min(axis=0), lines.blocks[:, 2:].max(axis=0)
    return bool(((boxes[:, :2] <= low) & (boxes[:, 2:] >= high)).all(axis=1).any())


def _meeting(boxes: Floats, box: Floats) -> NDArray[np.bool_]:
    """Which boxes meet another, edges included."""
    west, south, east, north = box
    meeting: NDArray[np.bool_] = (
        (boxes[:, 0] <= east)
        & (boxes[:, 2] >= west)
        & (boxes[:, 1] <= north)
        & (boxes[:, 3] >= south)
    )
    return meeting
