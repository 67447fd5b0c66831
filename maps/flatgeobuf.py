"""FlatGeobuf's spatial index, written beside the rows instead of out of memory.

GDAL keeps an entry of every feature until the file is closed: 200 bytes a row. Here the rows come in the order of
PostGIS's Hilbert curve, GDAL writes them as they come, and the packed R-tree over them is put in front of them
afterwards. Layout: https://flatgeobuf.org (version 3): magic, header, index (root first), features.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from maps.export_rows import shapes_of

NODE = np.dtype([("box", "<f8", (4,)), ("offset", "<u8")])
NODE_SIZE = 16
_MAGIC = 8
_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 16_384
# Places of fields in the header's table.
_ENVELOPE, _COUNT = 1, 8
# A point as WKB.
_POINT = np.dtype([("order", "u1"), ("kind", "<u4"), ("xy", "<f8", (2,))])
Write = Callable[[pa.RecordBatchReader, Path, bool], None]


def write_indexed(batches: pa.RecordBatchReader, file: Path, write: Write) -> None:
    """Writes `batches` (WKB in `geom`, in a spatial order) as a FlatGeobuf, indexed unless a row has no geometry.

    `write(batches, file, index)` is how GDAL writes one, with or without its own index.
    """
    folder = Path(tempfile.mkdtemp(prefix=".fgb-", dir=file.parent))
    try:
        first = next((batch for batch in batches if batch.num_rows), None)
        if first is None:
            write(batches, file, False)
            return
        pattern, rows = folder / "header.fgb", folder / "rows.fgb"
        with (folder / "boxes").open("w+b") as boxes:
            noted = _noted(first, batches, boxes)
            write(pa.RecordBatchReader.from_batches(batches.schema, noted), rows, False)
            if _any_missing(boxes):
                rows.replace(file)
                return
            write(pa.RecordBatchReader.from_batches(batches.schema, [first]), pattern, True)
            with file.open("wb") as whole, rows.open("rb") as features:
                _put_together(_header(pattern), boxes, features, whole)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _noted(
    first: pa.RecordBatch, rest: pa.RecordBatchReader, boxes: BinaryIO
) -> Iterator[pa.RecordBatch]:
    """The batches as they are; the box of each row is noted in a file."""
    boxes.write(boxes_of(first).tobytes())
    yield first
    for batch in rest:
        boxes.write(boxes_of(batch).tobytes())
        yield batch


def _any_missing(boxes: BinaryIO) -> bool:
    """Whether a row has no place: the index cannot hold it."""
    boxes.seek(0)
    while packed := boxes.read(32 * _CHUNK_ROWS):
        if np.isnan(np.frombuffer(packed, "<f8")).any():
            return True
    return False


def boxes_of(batch: pa.RecordBatch) -> NDArray[np.float64]:
    """West, south, east, north of each geometry, (n, 4)."""
    column = batch.column("geom")
    if pa.types.is_binary(column.type) and column.null_count == 0 and column.offset == 0:
        offsets = np.frombuffer(column.buffers()[1], "<i4", batch.num_rows + 1)
        if (np.diff(offsets) == _POINT.itemsize).all():
            points = np.frombuffer(column.buffers()[2], _POINT, batch.num_rows, int(offsets[0]))
            if (points["order"] == 1).all():
                return np.hstack([points["xy"], points["xy"]])
    return np.ascontiguousarray(shapely.bounds(shapes_of(batch)), dtype="<f8")


def _put_together(header: bytearray, boxes: BinaryIO, features: BinaryIO, whole: BinaryIO) -> None:
    count = boxes.seek(0, 2) // 32
    levels = _upper_levels(boxes, count)
    begin = _end_of_header(features)
    _set_field(header, _COUNT, "<Q", count)
    _set_envelope(header, levels[-1]["box"][0])
    whole.write(header)
    for level in reversed(levels):
        whole.write(level.tobytes())
    boxes.seek(0)
    offsets = _feature_offsets(features, begin)
    while packed := boxes.read(32 * _CHUNK_ROWS):
        leaves = np.empty(len(packed) // 32, NODE)
        leaves["box"] = np.frombuffer(packed, "<f8").reshape(-1, 4)
        leaves["offset"] = np.fromiter(offsets, "<u8", len(leaves))
        whole.write(leaves.tobytes())
    features.seek(begin)
    shutil.copyfileobj(features, whole, _CHUNK_BYTES)


def _upper_levels(boxes: BinaryIO, count: int) -> list[NDArray[Any]]:
    """The nodes above the leaves, the lowest level first; a node's offset is the number of its first child, root = 0."""
    boxes.seek(0)
    lowest = []
    while packed := boxes.read(32 * NODE_SIZE * 1024):
        lowest.append(_joined(np.frombuffer(packed, "<f8").reshape(-1, 4)))
    found = [np.concatenate(lowest)]
    while len(found[-1]) > 1:
        found.append(_joined(found[-1]))
    sizes = [count, *(len(level) for level in found)]
    levels = []
    for place, nodes in enumerate(found):
        level = np.empty(len(nodes), NODE)
        level["box"] = nodes
        # The level below begins where all that are above it end.
        level["offset"] = sum(sizes[place + 1 :]) + np.arange(len(nodes)) * NODE_SIZE
        levels.append(level)
    return levels


def _joined(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """One box around every sixteen."""
    begins = np.arange(0, len(boxes), NODE_SIZE)
    low = np.minimum.reduceat(boxes[:, :2], begins)
    return np.hstack([low, np.maximum.reduceat(boxes[:, 2:], begins)])


def _feature_offsets(features: BinaryIO, begin: int) -> Iterator[int]:
    """Where each feature begins, from the first one on: every one says its own length."""
    features.seek(begin)
    buffer, place, offset = features.read(_CHUNK_BYTES), 0, 0
    size = struct.Struct("<I").unpack_from
    while True:
        if place + 4 > len(buffer):
            # A feature may be longer than what is read at once.
            features.seek(begin + offset)
            buffer, place = features.read(_CHUNK_BYTES), 0
            if len(buffer) < 4:
                return
        yield offset
        step = size(buffer, place)[0] + 4
        place += step
        offset += step


def _header(pattern: Path) -> bytearray:
    with pattern.open("rb") as file:
        return bytearray(file.read(_end_of_header(file)))


def _end_of_header(file: BinaryIO) -> int:
    file.seek(_MAGIC)
    end = _MAGIC + 4 + struct.unpack("<I", file.read(4))[0]
    file.seek(0)
    return int(end)


def _field(header: bytearray, number: int) -> int:
    """Where a field of the header's table (a flatbuffer) stands."""
    begin = _MAGIC + 4
    table = begin + struct.unpack_from("<I", header, begin)[0]
    words = table - struct.unpack_from("<i", header, table)[0]
    return int(table + struct.unpack_from("<H", header, words + 4 + 2 * number)[0])


def _set_field(header: bytearray, number: int, form: str, value: int) -> None:
    struct.pack_into(form, header, _field(header, number), value)


def _set_envelope(header: bytearray, box: NDArray[np.float64]) -> None:
    place = _field(header, _ENVELOPE)
    vector = place + struct.unpack_from("<I", header, place)[0]
    struct.pack_into("<4d", header, vector + 4, *box.tolist())
