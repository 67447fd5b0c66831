"""GeoParquet, CSV and XLSX: written from batches without GDAL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import shapely

from grid.core.errors import BadInput
from maps.dictionary import dictionary
from maps.export_formats import Job
from maps.export_rows import shapes_of
from maps.flatgeobuf import boxes_of

if TYPE_CHECKING:
    from openpyxl import Workbook

# Batches of about a megabyte in one row group.
GROUP_BATCHES = 8
# So many rows show which columns repeat themselves.
SEEN_ROWS = 1_000
SHEET_ROWS = 1_048_575
# Signs that XML cannot hold.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
LONGEST_CELL = 32_767


def write_parquet(job: Job) -> None:
    """GeoParquet 1.1: WKB column `geometry`, its system as PROJJSON, the bounds; the dictionary beside it."""
    import pyarrow.parquet as pq

    plain = pa.schema([f.remove_metadata() for f in job.batches.schema]).remove_metadata()
    names = [name if name != "geom" else "geometry" for name in plain.names]
    schema = pa.schema([f.with_name(name) for f, name in zip(plain, names, strict=True)])
    bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def named() -> Iterator[pa.RecordBatch]:
        for batch in job.batches:
            # Turned, so that each edge lies together: along rows of four numpy takes twenty times as long.
            edges = np.ascontiguousarray(boxes_of(batch).T)
            bounds[:2] = np.fmin(bounds[:2], np.fmin.reduce(edges[:2], axis=1, initial=np.inf))
            bounds[2:] = np.fmax(bounds[2:], np.fmax.reduce(edges[2:], axis=1, initial=-np.inf))
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    groups = _groups(named(), schema)
    first = next(groups)
    options = {"use_dictionary": _repeating(first), "compression": "zstd", "compression_level": 1}
    with pq.ParquetWriter(str(job.file), schema, **options) as writer:
        for group in chain([first], groups):
            writer.write_table(group)
        words = orjson.dumps(dictionary((job.layer.name,), with_names=job.with_names)).decode()
        writer.add_key_value_metadata(
            {"geo": orjson.dumps(_geo(job, bounds)).decode(), "gridward:dictionary": words}
        )


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The first batch by itself, so that a reader need not wait; then many together."""
    yield pa.Table.from_batches(list(islice(batches, 1)), schema)
    while together := list(islice(batches, GROUP_BATCHES)):
        yield pa.Table.from_batches(together, schema)


def _repeating(rows: pa.Table) -> list[str]:
    """Columns whose values come again: a dictionary of the others is half of all work, for nothing."""
    # Counted here: Arrow's functions take longer to load than a thousand rows.
    seen = {name: rows[name].slice(0, SEEN_ROWS).combine_chunks() for name in rows.schema.names}
    return [
        name
        for name, values in seen.items()
        if not pa.types.is_binary(values.type) and 4 * _distinct(values) <= len(values)
    ]


def _distinct(values: pa.Array) -> int:
    # A moment as its number: Python's calendar ends before PostgreSQL's.
    numbers = values.view(pa.int64()) if pa.types.is_timestamp(values.type) else values
    return len(set(numbers.to_pylist()))


def _geo(job: Job, bounds: Any) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [job.layer.geometry],
        "crs": job.target.projjson(),
    }
    if np.isfinite(bounds).all():
        column["bbox"] = bounds.tolist()
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def write_csv(job: Job) -> None:
    """UTF-8 with a header: the attributes, then `x`, `y`, `wkt` and `crs`; x is east or longitude."""
    import pyarrow.csv

    schema = _with_places(job.batches.schema)
    with pyarrow.csv.CSVWriter(str(job.file), schema) as writer:
        for batch in job.batches:
            writer.write_batch(_placed(batch, job, schema))


def write_xlsx(job: Job) -> None:
    """A workbook: the rows, and the dictionary on a second sheet. Moments are the town's time, which Excel cannot say.

    Raises BadInput `export.too_many_rows`.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    try:
        _fill_book(book, job)
        book.save(job.file)
    finally:
        # A sheet that is let go half-written complains when it is collected, in whatever runs then.
        for sheet in book.worksheets:
            if not sheet.closed:
                sheet.close()


def _fill_book(book: Workbook, job: Job) -> None:
    from openpyxl.cell import WriteOnlyCell

    sheet = book.create_sheet(job.layer.name)
    sheet.freeze_panes = "A2"
    schema = _with_places(job.batches.schema)

    def cell(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(job.zone).replace(tzinfo=None)
        if not isinstance(value, str):
            return value
        fit = _UNFIT.sub("", value)[:LONGEST_CELL]
        if not fit.startswith("="):
            return fit
        # A text stays a text, also when it begins like a formula.
        made = WriteOnlyCell(sheet, value=fit)
        made.data_type = "s"
        return made

    sheet.append(schema.names)
    count = 0
    for batch in job.batches:
        count += batch.num_rows
        if count > SHEET_ROWS:
            raise BadInput("export.too_many_rows", field="out", most=SHEET_ROWS, ending="xlsx")
        columns = [column.to_pylist() for column in _placed(batch, job, schema).columns]
        for row in zip(*columns, strict=True):
            sheet.append([cell(value) for value in row])
    about = book.create_sheet("dictionary")
    rows = dictionary((job.layer.name,), with_names=job.with_names)
    about.append(list(rows[0]))
    for entry in rows:
        about.append(list(entry.values()))
    about.append([])
    about.append([f"CRS: {job.target.name}", f"Time zone: {job.zone}"])


def _with_places(schema: pa.Schema) -> pa.Schema:
    fields = [f.remove_metadata() for f in schema if f.name != "geom"]
    places = [("x", pa.float64()), ("y", pa.float64()), ("wkt", pa.string()), ("crs", pa.string())]
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in places)])


def _placed(batch: pa.RecordBatch, job: Job, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with x, y (of the point, or of one on the geometry), WKT and the system's name."""
    shapes = shapes_of(batch)
    points = shapes if job.layer.geometry == "Point" else shapely.point_on_surface(shapes)
    there = np.array([shape is not None for shape in points], dtype=bool)
    decimals = 9 if job.target.degrees else 4
    text = shapely.to_wkt(shapes, rounding_precision=decimals, trim=True)
    names = [name for name in batch.schema.names if name != "geom"]
    arrays = [
        *(batch.column(name) for name in names),
        pa.array(shapely.get_x(points), mask=~there),
        pa.array(shapely.get_y(points), mask=~there),
        pa.array(text, type=pa.string()),
        pa.array([job.target.name] * batch.num_rows, type=pa.string()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
