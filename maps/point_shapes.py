"""The parts of a shapefile of points, a whole batch at a time.

GDAL takes every value by itself and every text as wide as it might be. Here the texts are kept aside while the places are
written, so that each column is as wide as its longest text, and the table is packed as it is made.
Layouts: ESRI Shapefile Technical Description (1998); dBASE III.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from maps.export_rows import ahead
from maps.flatgeobuf import boxes_of

LONGEST_TEXT = 254
NUMBER_WIDTH, NUMBER_DECIMALS = 24, 15
# Readers take up to nine digits for a small whole number, up to eighteen for a large one.
INTEGER_WIDTH, LARGE_WIDTH = 9, 18
_RECORD = np.dtype(
    [("number", ">i4"), ("words", ">i4"), ("kind", "<i4"), ("xy", "<f8", (2,))], align=False
)
_ENTRY = np.dtype([("place", ">i4"), ("words", ">i4")])
_WITHOUT = 12
_HEADER = 100


def write_parts(batches: pa.RecordBatchReader, folder: Path, name: str, packed: ZipFile) -> None:
    """`.shp`, `.shx` and `.dbf` into a zip, from batches of attributes and WKB points `geom` (null: no place).

    Texts beyond 254 bytes are cut between two characters; numbers have at most 24 signs.
    """
    fields = [field for field in batches.schema if field.name != "geom"]
    texts = pa.schema([pa.field(field.name, pa.binary()) for field in fields])
    widths = [_least_width(field.type) for field in fields]
    count = 0
    kept = folder / "texts"
    with (
        _geometry(folder / f"{name}.shp", folder / f"{name}.shx") as add,
        pa.OSFile(str(kept), "wb") as file,
        pa.ipc.new_file(file, texts) as aside,
    ):
        for batch in batches:
            columns = [as_text(batch.column(field.name)) for field in fields]
            widths = [
                max(width, pc.max(pc.binary_length(column)).as_py() or 0)
                for width, column in zip(widths, columns, strict=True)
            ]
            aside.write_batch(pa.RecordBatch.from_arrays(columns, schema=texts))
            add(boxes_of(batch)[:, :2] if batch.num_rows else np.empty((0, 2)))
            count += batch.num_rows
    with packed.open(f"{name}.dbf", "w", force_zip64=True) as table:
        table.write(_table_header(fields, widths, count))
        right = [_is_number(field.type) for field in fields]
        with ahead(_rows(kept, widths, right)) as coming:
            for rows in coming:
                table.write(rows)
        table.write(b"\x1a")
    kept.unlink()
    for ending in ("shp", "shx"):
        packed.write(folder / f"{name}.{ending}", f"{name}.{ending}")


def as_text(column: pa.Array) -> pa.Array:
    """Values as a .dbf has them, UTF-8 in binary; null is empty, and so is a number that is none."""
    kind = column.type
    if pa.types.is_floating(kind):
        column = _number(column)
    elif not pa.types.is_string(kind):
        column = pc.cast(column, pa.string())
    found = pc.fill_null(pc.cast(column, pa.binary()), b"")
    if (pc.max(pc.binary_length(found)).as_py() or 0) > LONGEST_TEXT:
        cut = [v[:LONGEST_TEXT].decode(errors="ignore").encode() for v in found.to_pylist()]
        found = pa.array(cut, pa.binary())
    return found


def _number(column: pa.Array) -> pa.Array:
    shown = pc.cast(pc.if_else(pc.is_finite(column), column, None), pa.string())
    if not pc.any(pc.match_substring_regex(shown, f"e|.{{{NUMBER_WIDTH + 1}}}")).as_py():
        return shown
    return pa.array([_positional(value) for value in column.to_pylist()], pa.string())


def _positional(value: float | None) -> str | None:
    """Without an exponent, which not every reader understands, as long as there is room."""
    if value is None or not np.isfinite(value):
        return None
    text = np.format_float_positional(value, trim="-")
    return text if len(text) <= NUMBER_WIDTH else f"{value:.16e}"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _least_width(kind: pa.DataType) -> int:
    if pa.types.is_floating(kind):
        return NUMBER_WIDTH
    if pa.types.is_integer(kind):
        return INTEGER_WIDTH if kind.bit_width <= 32 else LARGE_WIDTH
    return 1


def _rows(kept: Path, widths: list[int], right: list[bool]) -> Iterator[NDArray[np.uint8]]:
    """The records of each batch, (n, 1 + all widths): the sign of deletion, then every value in its width."""
    ends = np.cumsum([1, *widths])
    with pa.OSFile(str(kept)) as file, pa.ipc.open_file(file) as texts:
        for number in range(texts.num_record_batches):
            batch = texts.get_batch(number)
            rows = np.full((batch.num_rows, int(ends[-1])), ord(" "), "u1")
            for column, begin, width, to_right in zip(
                batch.columns, ends, widths, right, strict=False
            ):
                offsets = np.frombuffer(column.buffers()[1], "<i4", len(column) + 1, column.offset)
                if offsets[-1] == offsets[0]:
                    continue
                length, place = np.diff(offsets)[:, None], np.arange(width)
                filled = place >= width - length if to_right else place < length
                values = np.frombuffer(column.buffers()[2], "u1")[offsets[0] : offsets[-1]]
                rows[:, begin : begin + width][filled] = values
            yield rows


def _table_header(fields: list[Any], widths: list[int], count: int) -> bytes:
    size = 32 + 32 * len(fields) + 1
    # The day of the last change is not known here; a year of 80 says so to nobody's harm.
    head = struct.pack("<4BIHH20x", 3, 80, 1, 1, count, size, 1 + sum(widths))
    told = [
        struct.pack(
            "<11sc4xBB14x",
            field.name.encode(),
            b"N" if _is_number(field.type) else b"C",
            width,
            NUMBER_DECIMALS if pa.types.is_floating(field.type) else 0,
        )
        for field, width in zip(fields, widths, strict=True)
    ]
    return head + b"".join(told) + b"\r"


@contextmanager
def _geometry(shp: Path, shx: Path) -> Iterator[Any]:
    """Takes places (n, 2), NaN for none, and writes both files; their headers when all is there."""
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    place, number = _HEADER, 0

    def add(places: NDArray[np.float64]) -> None:
        nonlocal place, number
        there = np.isfinite(places).all(axis=1)
        box[:2] = np.fmin.reduce(places, initial=np.inf).clip(max=box[:2])
        box[2:] = np.fmax.reduce(places, initial=-np.inf).clip(min=box[2:])
        records = np.zeros(len(places), _RECORD)
        records["number"] = number + 1 + np.arange(len(places))
        records["kind"] = there
        records["xy"] = places
        lengths = np.where(there, _RECORD.itemsize, _WITHOUT)
        records["words"] = (lengths - 8) // 2
        raw = records.view("u1").reshape(len(places), _RECORD.itemsize)
        points.write(raw[np.arange(_RECORD.itemsize) < lengths[:, None]].tobytes())
        entries = np.empty(len(places), _ENTRY)
        entries["place"] = (place + np.cumsum(lengths) - lengths) // 2
        entries["words"] = records["words"]
        index.write(entries.tobytes())
        place, number = place + int(lengths.sum()), number + len(places)

    with shp.open("wb") as points, shx.open("wb") as index:
        points.write(bytes(_HEADER))
        index.write(bytes(_HEADER))
        yield add
        within = box if np.isfinite(box).all() else np.zeros(4)
        for file in (points, index):
            _finish_header(file, within)


def _finish_header(file: BinaryIO, box: NDArray[np.float64]) -> None:
    size = file.tell()
    file.seek(0)
    file.write(struct.pack(">i20xi", 9994, size // 2))
    file.write(struct.pack("<ii8d", 1000, 1, *box.tolist(), 0.0, 0.0, 0.0, 0.0))
