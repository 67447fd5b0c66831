"""GeoPackage's spatial index, packed at the end from boxes noted beside the rows.

GDAL puts row after row into an R*-tree and, beyond its share of memory, into one on the disk: two thirds of the whole
work. Here the tree is packed from its leaves up, in its own tables: https://sqlite.org/rtree.html#the_shadow_tables,
nodes as sqlite's ext/rtree/rtree.c tells them. The triggers that keep it true when somebody edits are GDAL's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maps.flatgeobuf import boxes_of

CHUNK_ROWS = 100_000
_AT_ONCE = 10_000
_TOGETHER = 100
_CELL = np.dtype([("id", ">i8"), ("box", ">f4", (4,))])
_HEAD = 4
_ROOT = 1


@cache
def is_known() -> bool:
    """Whether this Python's SQLite knows R*-trees."""
    with closing(sqlite3.connect(":memory:")) as database:
        told = {row[0] for row in database.execute("pragma compile_options")}
    return "ENABLE_RTREE" in told


def noted(batches: pa.RecordBatchReader, boxes: BinaryIO) -> pa.RecordBatchReader:
    """The batches as they are; the box of each row's `geom` is noted in a file (west, east, south, north as 32 bits)."""

    def flow() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                boxes.write(_rounded(boxes_of(batch)).tobytes())
            yield batch

    return pa.RecordBatchReader.from_batches(batches.schema, flow())


def add_index(file: Path, table: str, boxes: BinaryIO, pattern: Path) -> None:
    """Packs the index of a layer whose rows were numbered from 1 as noted; `pattern` is the same layer, empty, with GDAL's."""
    tree = f"rtree_{table}_geom"
    with closing(sqlite3.connect(pattern)) as made:
        extensions = made.execute(
            "select sql from sqlite_master where name = 'gpkg_extensions'"
        ).fetchone()[0]
        said = made.execute(
            "select * from gpkg_extensions where extension_name = 'gpkg_rtree_index'"
        ).fetchall()
        triggers = made.execute("select sql from sqlite_master where type = 'trigger' and name like 'rtree%'").fetchall()  # fmt: skip
    with closing(sqlite3.connect(file, isolation_level=None)) as package:
        package.execute("pragma synchronous = off")
        package.execute("pragma journal_mode = off")
        package.execute("begin")
        package.execute(f'create virtual table "{tree}" using rtree(id, minx, maxx, miny, maxy)')
        _pack(package, tree, boxes)
        for (trigger,) in triggers:
            package.execute(trigger)
        if not package.execute("select 1 from sqlite_master where name = 'gpkg_extensions'").fetchone():  # fmt: skip
            package.execute(extensions)
        package.executemany("insert into gpkg_extensions values (?, ?, ?, ?, ?)", said)
        package.execute("commit")


def _pack(package: sqlite3.Connection, tree: str, boxes: BinaryIO) -> None:
    size = package.execute(f'select length(data) from "{tree}_node"').fetchone()[0]  # noqa: S608
    most = (size - _HEAD) // _CELL.itemsize
    numbers, around = _leaves(package, tree, boxes, most, size)
    depth = 0
    while len(numbers) > 1:
        cells = _cells(numbers, around)
        begins = np.arange(0, len(cells), most)
        last = len(begins) == 1
        above = np.array([_ROOT]) if last else int(numbers[-1]) + 1 + np.arange(len(begins))
        depth += 1
        nodes = _nodes(cells, begins, most, size, depth if last else 0)
        _insert(package, f"{tree}_node", above, nodes)
        _insert(package, f"{tree}_parent", numbers, np.repeat(above, most)[: len(numbers)])  # fmt: skip
        numbers, around = above, _joined(around, begins)


def _leaves(
    package: sqlite3.Connection, tree: str, boxes: BinaryIO, most: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Writes the lowest nodes, a chunk of rows at a time; their numbers and boxes."""
    rows = boxes.tell() // 16
    alone = rows <= most
    numbers, found, free = [], [], _ROOT + 1
    boxes.seek(0)
    for begin in range(0, rows, CHUNK_ROWS):
        chunk = np.frombuffer(boxes.read(16 * CHUNK_ROWS), "<f4").reshape(-1, 4)
        there = np.flatnonzero(np.isfinite(chunk).all(axis=1))
        if not len(there):
            continue
        order = there[_side_by_side(chunk[there], most)]
        begins = np.arange(0, len(order), most)
        above = np.array([_ROOT]) if alone else free + np.arange(len(begins))
        free += len(begins)
        nodes = _nodes(_cells(begin + 1 + order, chunk[order]), begins, most, size, 0)
        _insert(package, f"{tree}_node", above, nodes)
        holders = np.zeros(len(chunk), np.int64)
        holders[order] = np.repeat(above, most)[: len(order)]
        _insert(package, f"{tree}_rowid", begin + 1 + there, holders[there])
        numbers.append(above)
        found.append(_joined(chunk[order], begins))
    if sum(map(len, numbers)) == 1 and numbers[0][0] != _ROOT:
        # One leaf of a long layer with few places: it is the root itself.
        leaf = int(numbers[0][0])
        package.execute(f'delete from "{tree}_node" where nodeno = {_ROOT}')  # noqa: S608
        package.execute(f'update "{tree}_node" set nodeno = {_ROOT} where nodeno = {leaf}')  # noqa: S608
        package.execute(f'update "{tree}_rowid" set nodeno = {_ROOT}')  # noqa: S608
    if not numbers:
        return np.empty(0, np.int64), np.empty((0, 4), np.float32)
    return np.concatenate(numbers), np.concatenate(found)


def _side_by_side(boxes: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """An order in which every `most` lie together: strips from west to east, in each from south to north."""
    across = np.argsort(boxes[:, 0] + boxes[:, 1], kind="stable")
    strips = max(1, round((len(boxes) / most) ** 0.5))
    strip = np.empty(len(boxes), np.int64)
    strip[across] = np.arange(len(boxes)) * strips // len(boxes)
    return np.lexsort((boxes[:, 2] + boxes[:, 3], strip))


def _rounded(boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    """West, south, east, north as west, east, south, north in 32 bits, never smaller than they were."""
    exact = boxes[:, [0, 2, 1, 3]]
    near = exact.astype("<f4")
    outward = np.array([-np.inf, np.inf, -np.inf, np.inf], np.float32)
    short = np.where(outward < 0, near > exact, near < exact)
    return np.where(short, np.nextafter(near, outward), near).astype("<f4")


def _cells(ids: NDArray[Any], boxes: NDArray[np.float32]) -> NDArray[Any]:
    cells = np.empty(len(ids), _CELL)
    cells["id"], cells["box"] = ids, boxes
    return cells


def _nodes(cells: NDArray[Any], begins: NDArray[Any], most: int, size: int, depth: int) -> list[bytes]:  # fmt: skip
    """The content of the nodes that hold the cells from each begin on; only the root tells a depth."""
    made = []
    for begin in begins.tolist():
        held = cells[begin : begin + most]
        head = depth.to_bytes(2, "big") + len(held).to_bytes(2, "big")
        made.append((head + held.tobytes()).ljust(size, b"\0"))
    return made


def _joined(boxes: NDArray[np.float32], begins: NDArray[Any]) -> NDArray[np.float32]:
    low = np.minimum.reduceat(boxes[:, [0, 2]], begins)
    high = np.maximum.reduceat(boxes[:, [1, 3]], begins)
    return np.column_stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]])


def _insert(
    package: sqlite3.Connection,
    table: str,
    keys: NDArray[np.int64],
    values: Sequence[Any] | NDArray[np.int64],
) -> None:
    """Numbers a hundred to a statement, in half the time; few at once, each is an object while it is handed over."""
    begin = 0
    if isinstance(values, np.ndarray):
        statement = _statement(table, _TOGETHER)
        pairs = np.column_stack([keys, values])
        whole = len(pairs) // _TOGETHER * _TOGETHER
        for begin in range(0, whole, _AT_ONCE):
            some = pairs[begin : min(begin + _AT_ONCE, whole)]
            package.executemany(statement, some.reshape(-1, 2 * _TOGETHER).tolist())
        begin, values = whole, values[whole:].tolist()
    package.executemany(_statement(table, 1), zip(keys[begin:].tolist(), values, strict=True))


def _statement(table: str, rows: int) -> str:
    places = ", ".join(["(?, ?)"] * rows)
    return f'insert or replace into "{table}" values {places}'  # noqa: S608
