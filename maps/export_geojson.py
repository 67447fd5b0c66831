"""GeoJSON of points, a whole batch at a time: a third of what GDAL takes, which makes an object of every value."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from maps.export_formats import Job
from maps.flatgeobuf import boxes_of

# A tenth of a millimetre.
DECIMALS = 9
_BETWEEN = b",\n"
_UNFIT = r'[\x00-\x1f"\\]'


def write_geojson(job: Job) -> None:
    """RFC 7946: longitude and latitude in WGS 84; a row without a place has the geometry null."""
    if job.layer.geometry != "Point":
        from maps import export_gdal

        export_gdal.write_geojson(job)
        return
    with job.file.open("wb") as file:
        name = orjson.dumps(job.layer.name).decode()
        file.write(f'{{\n"type": "FeatureCollection",\n"name": {name},\n"features": [\n'.encode())
        begun = False
        for batch in job.batches:
            if not batch.num_rows:
                continue
            if begun:
                file.write(_BETWEEN)
            file.write(features(batch))
            begun = True
        file.write(b"\n]\n}\n")


def features(batch: pa.RecordBatch) -> memoryview:
    """The rows as features with a comma between."""
    parts: list[object] = ['{"type":"Feature","properties":{']
    comma = ""
    for name in batch.schema.names:
        if name != "geom":
            parts += [f"{comma}{orjson.dumps(name).decode()}:", written(batch.column(name))]
            comma = ","
    parts += ['},"geometry":', _points(batch), "}" + _BETWEEN.decode(), ""]
    rows = pc.binary_join_element_wise(
        *parts, null_handling="replace", null_replacement="null"
    )  # fmt: skip
    # The values of a column of text lie one behind the other: together they are the file.
    ends = np.frombuffer(rows.buffers()[1], "<i4")
    whole = memoryview(rows.buffers()[2])
    return whole[int(ends[rows.offset]) : int(ends[rows.offset + len(rows)]) - len(_BETWEEN)]


def written(column: pa.Array) -> pa.Array:
    """Values as JSON writes them, as text; null stays null."""
    kind = column.type
    if pa.types.is_string(kind):
        if pc.any(pc.match_substring_regex(column, _UNFIT)).as_py():
            shown = [None if v is None else orjson.dumps(v).decode() for v in column.to_pylist()]
            return pa.array(shown, pa.string())
        return pc.binary_join_element_wise('"', column, '"', "")
    if pa.types.is_floating(kind):
        return _number(column)
    if pa.types.is_timestamp(kind):
        return _moment(column)
    return pc.cast(column, pa.string())


def _number(column: pa.Array) -> pa.Array:
    finite = pc.if_else(pc.is_finite(column), column, None)
    shown = pc.cast(finite, pa.string())
    # 40 of a measured column is 40.0, or a reader takes the column for whole numbers.
    bare = pc.fill_null(pc.match_substring_regex(shown, "^-?[0-9]+$"), False)
    if not pc.any(bare).as_py():
        return shown
    return pc.if_else(bare, pc.binary_join_element_wise(shown, ".0", ""), shown)


def _moment(column: pa.Array) -> pa.Array:
    """As 2026-05-01T00:00:00Z, with its quotes, and a fraction where one of the column has one."""
    exact = pc.cast(column, pa.timestamp("us", column.type.tz))
    micros = pc.fill_null(exact.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    seconds, fraction = np.divmod(micros, 1_000_000)
    digits = 0 if not fraction.any() else 3 if not (fraction % 1000).any() else 6
    days, second = np.divmod(seconds, 86_400)
    day = days.astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    form = '"0000-00-00T00:00:00' + ("." + "0" * digits if digits else "") + 'Z"'
    text = np.tile(np.frombuffer(form.encode(), "u1"), (len(micros), 1))
    for at, length, value in (
        (1, 4, month.astype("datetime64[Y]").astype(np.int64) + 1970),
        (6, 2, month.astype(np.int64) % 12 + 1),
        (9, 2, (day - month).astype(np.int64) + 1),
        (12, 2, second // 3600),
        (15, 2, second // 60 % 60),
        (18, 2, second % 60),
        (21, digits, fraction // 10 ** (6 - digits)),
    ):
        for place in range(length):
            text[:, at + place] += (value // 10 ** (length - 1 - place) % 10).astype("u1")
    ends = np.arange(len(micros) + 1, dtype="<i4") * len(form)
    shown = pa.StringArray.from_buffers(len(micros), pa.py_buffer(ends), pa.py_buffer(text))
    return pc.if_else(column.is_valid(), shown, None) if column.null_count else shown


def _points(batch: pa.RecordBatch) -> pa.Array:
    places = np.round(boxes_of(batch)[:, :2], DECIMALS)
    lon, lat = (pc.cast(pa.array(places[:, axis]), pa.string()) for axis in (0, 1))
    there = pa.array(np.isfinite(places).all(axis=1))
    shown = pc.binary_join_element_wise('{"type":"Point","coordinates":[', lon, ",", lat, "]}", "")
    return pc.if_else(there, shown, None)
