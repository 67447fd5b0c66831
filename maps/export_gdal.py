"""GeoPackage, GeoJSON, FlatGeobuf, KML and shapefiles of lines and areas: Arrow batches straight into GDAL."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from maps.dictionary import columns_of, dictionary
from maps.export_formats import Job, about, renamed
from maps.export_geojson import DECIMALS
from maps.export_styles import qml
from maps.flatgeobuf import write_indexed
from maps.layers import Layer
from maps.package_index import add_index, is_known, noted

# A file half-written at a power cut is thrown away anyway: it has not got its name yet. The index of places goes to
# the disk when it outgrows its share of memory.
pyogrio.set_gdal_config_options(
    {"OGR_SQLITE_SYNCHRONOUS": "OFF", "OGR_GPKG_MAX_RAM_USAGE_RTREE": "28000000"}
)
# 2026-05-01T08:00:00Z
MOMENT_WIDTH = 20
_STYLES = """
create table layer_styles (
    id integer primary key autoincrement not null, f_table_catalog text(256), f_table_schema text(256),
    f_table_name text(256), f_geometry_column text(256), styleName text(30), styleQML text, styleSLD text,
    useAsDefault boolean, description text, owner text(30), ui text(30),
    update_time datetime default (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
_DICTIONARY = """
create table data_dictionary (
    id integer primary key autoincrement not null, layer text, layer_zh text, layer_en text, "column" text,
    type text, unit text, zh text, en text, codes text)
"""
_CONTENTS = """
insert into gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)
values (?, 'attributes', ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ','now'), 0)
"""


def write_geopackage(job: Job) -> None:
    """One layer into the package; the second and later ones beside the first."""
    said = {"IDENTIFIER": f"{job.layer.zh} {job.layer.en}", "DESCRIPTION": about(job)}
    # Moments as the standard wants them, to the millisecond; GDAL's own short form is a warning to older readers.
    options = {**said, "GEOMETRY_NAME": "geom", "DATETIME_PRECISION": "MILLISECOND"}
    if not is_known():
        _write(job, "GPKG", options)
        return
    folder = Path(tempfile.mkdtemp(prefix=".gpkg-", dir=job.file.parent))
    try:
        with (folder / "boxes").open("w+b") as boxes:
            rows = replace(job, batches=noted(job.batches, boxes))
            _write(rows, "GPKG", {**options, "SPATIAL_INDEX": "NO"})
            empty = pa.RecordBatchReader.from_batches(job.batches.schema, [])
            _write(replace(job, batches=empty), "GPKG", options, folder / "pattern.gpkg")
            add_index(job.file, job.layer.name, boxes, folder / "pattern.gpkg")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finish_geopackage(file: Path, layers: tuple[Layer, ...], with_names: bool) -> None:
    """QGIS's styles and the dictionary as tables of the package."""
    names = tuple(layer.name for layer in layers)
    rows = [tuple(row.values()) for row in dictionary(names, with_names=with_names)]
    package = sqlite3.connect(file)
    with package:
        package.execute(_STYLES)
        package.executemany(
            "insert into layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
            " styleName, styleQML, useAsDefault, description) values ('', '', ?, 'geom', ?, ?, 1, ?)",
            [(layer.name, layer.name, qml(layer), layer.about_en) for layer in layers],
        )
        package.execute(_DICTIONARY)
        package.executemany(
            'insert into data_dictionary (layer, layer_zh, layer_en, "column", type, unit, zh, en, codes)'
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        package.execute(_CONTENTS, ("layer_styles", "layer_styles", ""))
        package.execute(
            _CONTENTS, ("data_dictionary", "data_dictionary", "数据字典 Data dictionary")
        )
    package.close()


def write_geojson(job: Job) -> None:
    """RFC 7946, for lines and areas; nine decimals, a tenth of a millimetre."""
    _write(job, "GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": str(DECIMALS)})


def write_flatgeobuf(job: Job) -> None:
    """FlatGeobuf; with its spatial index unless a row has no geometry, which that index cannot hold. Each column says
    in the header what it means.
    """
    job = _explained(job)
    said = {"TITLE": job.layer.en, "DESCRIPTION": about(job)}

    def write(batches: pa.RecordBatchReader, file: Path, index: bool) -> None:
        options = {**said, "SPATIAL_INDEX": "YES" if index else "NO"}
        _write(replace(job, batches=batches), "FlatGeobuf", options, file=file)

    write_indexed(job.batches, job.file, write)


def write_kml(job: Job) -> None:
    """KML with the attributes as ExtendedData; `id` is KML's own word for a placemark, so ours is `gridward_id`."""
    _write(renamed(job, {"id": "gridward_id"}), "KML", layer_options={})


def write_shapes(job: Job, folder: Path, short: dict[str, str]) -> None:
    """The parts of a shapefile of lines or areas, its columns by their `short` names, into a folder."""
    _write(
        _narrow(renamed(job, short), short),
        "ESRI Shapefile",
        {"ENCODING": "UTF-8"},
        folder / f"{job.layer.name}.shp",
    )


def _explained(job: Job) -> Job:
    """The job with the meaning of each column as GDAL knows it: a title, and a description with unit and codes."""
    told = {entry.column: entry for entry in columns_of(job.layer, with_names=job.with_names)}

    def said(field: pa.Field) -> pa.Field:
        entry = told.get(field.name)
        if entry is None or entry.type == "geometry":
            return field
        about = " · ".join(part for part in (entry.en, entry.unit, entry.codes) if part)
        return field.with_metadata(
            {"GDAL:OGR:alternative_name": entry.zh, "GDAL:OGR:comment": about}
        )

    schema = pa.schema([said(field) for field in job.batches.schema])
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in job.batches)
    return replace(job, batches=pa.RecordBatchReader.from_batches(schema, batches))


def _narrow(job: Job, short: dict[str, str]) -> Job:
    """The job with the width of texts that are never longer: in a .dbf every row pays for the widest."""
    widths = {
        short.get(entry.column): MOMENT_WIDTH
        if entry.type == "moment"
        else max(len(code) for code in entry.codes.split(", "))
        for entry in columns_of(job.layer)
        if entry.type == "moment"
        or (entry.type == "text" and entry.codes and "…" not in entry.codes)
    }
    schema = pa.schema(
        [
            f.with_metadata({"GDAL:OGR:width": str(widths[f.name])}) if f.name in widths else f
            for f in job.batches.schema
        ]
    )
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in job.batches)
    return replace(job, batches=pa.RecordBatchReader.from_batches(schema, batches))


def _write(job: Job, driver: str, layer_options: dict[str, str], file: Path | None = None) -> None:
    options: dict[str, Any] = {"append": False}
    if driver == "GPKG":
        # What QGIS and GDAL of Debian 12 know in full.
        options["dataset_options"] = {"VERSION": "1.3"}
    if driver == "KML":
        # KML knows one system and one name for it.
        options["dataset_options"] = {"NameField": "name"}
    pyogrio.write_arrow(
        job.batches,
        str(file or job.file),
        layer=job.layer.name,
        driver=driver,
        geometry_name="geom",
        geometry_type=job.layer.geometry,
        crs=job.target.wkt if not job.target.is_wgs84 else "EPSG:4326",
        layer_options=layer_options,
        **options,
    )
