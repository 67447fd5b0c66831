"""Vector tiles of streets, drawn from the lines in memory (grid/tile_columns.py) by compiled loops.

A small tile takes less than a question to the database would.
"""

from __future__ import annotations

import numpy as np
import psycopg
from numpy.typing import NDArray

from grid.tile_columns import BLOCK, COLUMNS, LineColumns
from maps.export_filters import Box
from maps.line_kernels import draw_features, lines_within
from maps.tiles import BUFFER, EXTENT, Tile

Rows = NDArray[np.int32]
LAYERS = ("segments", "grids")
# From which zoom on a class of street is drawn.
_CLASS_FROM = {9: ("trunk", "primary"), 11: ("trunk", "primary", "secondary", "tertiary")}
# From which zoom on lines keep every bend; before, what is less than half a pixel of a tile drawn at 512 is lost.
SHARP_FROM = 13
_TOLERANCE = 4.0
_CLASS, _LEFT, _RIGHT = (COLUMNS.index(name) for name in ("class", "grid_left", "grid_right"))
# In how many seconds lines must be drawn anew (null: not at all, below 0: first of all), and the newest change that was.
NEWEST = (
    "select case when p.first <= statement_timestamp() then -1 when p.first < 'infinity'"
    " then extract(epoch from p.first - statement_timestamp())::float8 end as due_s,"
    " coalesce((select max(number) from public.tile_change), 0) as newest"
    " from (select min(effective_at) as first from public.tile_pending) p"
)


def newest_change(connection: psycopg.Connection) -> int | None:
    """The number of the newest change of lines; None while lines must be drawn anew first (grid/tile_lines.py)."""
    row = connection.execute(NEWEST, prepare=True, binary=True).fetchone()
    due_s, number = row or (-1.0, 0)
    return None if due_s is not None and due_s <= 0 else int(number)


def shown_in(tile: Tile) -> Box:
    """The tile with its buffer, in EPSG:3857."""
    west, south, east, north = tile.square()
    more = (east - west) * BUFFER / EXTENT
    return west - more, south - more, east + more, north + more


def rows_of(lines: LineColumns, tile: Tile) -> Rows:
    """The lines that a tile shows: on small scales only the larger streets."""
    classes = next((kinds for zoom, kinds in _CLASS_FROM.items() if tile.z <= zoom), None)
    allowed = np.array([] if classes is None else [word in classes for word in lines.words], bool)
    if classes is not None and not len(allowed):
        return np.empty(0, np.int32)
    found: Rows = lines_within(
        lines.boxes, lines.blocks, BLOCK, np.array(shown_in(tile)), lines.wording[:, _CLASS], allowed
    )  # fmt: skip
    return found


def draw_lines(lines: LineColumns, layer: str, tile: Tile, rows: Rows) -> bytes:
    """A tile of `segments` (id, street, class, grid_left, grid_right) or `grids` (code); nothing where nothing is seen.

    The same lines give the same bytes, whichever server draws them.
    """
    keys: tuple[str, ...] = COLUMNS if layer == "segments" else ("code",)
    if layer == "segments":
        ids, wording, firsts = lines.ids[rows], lines.wording[rows], np.arange(len(rows) + 1)
    else:
        rows, firsts, wording = _by_grid(lines, rows)
        ids = np.full(len(wording), -1)
    west, _, east, north = tile.square()
    features, used = draw_features(
        lines.coords, lines.starts, rows, firsts, ids, wording, len(lines.words), (west, north), EXTENT / (east - west),
        0.0 if tile.z >= SHARP_FROM else _TOLERANCE, -float(BUFFER), float(EXTENT + BUFFER),
    )  # fmt: skip
    if not len(features):
        return b""
    return _layer(layer, features.tobytes(), keys, [lines.words[word] for word in used])


def _by_grid(
    lines: LineColumns, rows: Rows
) -> tuple[Rows, NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
    """Lines one grid after another, where each grid's begin, and the grids' words, by code."""
    left, right = lines.wording[rows, _LEFT], lines.wording[rows, _RIGHT]
    # A grid that holds both sides is drawn once.
    codes = np.concatenate([left, np.where(right == left, -1, right)])
    both = np.concatenate([rows, rows])
    held = codes >= 0
    codes, both = codes[held], both[held]
    present = sorted(set(codes.tolist()), key=lambda word: lines.words[word])
    rank = np.zeros(len(lines.words), np.int64)
    rank[present] = np.arange(len(present))
    order = np.lexsort((both, rank[codes]))
    firsts = np.searchsorted(rank[codes][order], np.arange(len(present) + 1))
    return both[order], firsts, np.array(present, np.int32).reshape(-1, 1)


# ---- the rest of a layer (Mapbox Vector Tile 2.1, 4.1), of which there is little -----------------


def _layer(name: str, features: bytes, keys: tuple[str, ...], words: list[str]) -> bytes:
    values = [_field(4, _field(1, word.encode())) for word in words]
    parts = [_field(1, name.encode()), features, *(_field(3, key.encode()) for key in keys), *values]  # fmt: skip
    return _field(3, b"".join([*parts, b"\x28", _number(EXTENT), b"\x78\x02"]))


def _field(number: int, data: bytes) -> bytes:
    return b"".join((bytes([number << 3 | 2]), _number(len(data)), data))


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
