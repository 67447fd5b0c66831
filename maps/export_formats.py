"""The formats of an export, by the ending of the file: what each can hold, and how it is written from batches."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from grid.core.errors import BadInput
from maps.dictionary import dictionary_csv
from maps.export_crs import Target
from maps.layers import Layer


@dataclass(frozen=True, slots=True)
class Job:
    """What a writer is given: the layer, its batches (attributes, then WKB `geom`), where to, in which system."""

    layer: Layer
    batches: pa.RecordBatchReader
    file: Path
    target: Target
    with_names: bool
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Format:
    """`grows`: the file is only appended to, so it can be sent while it is written. `plain`: moments and flags become text.
    `by_place`: rows come in a spatial order. `quick`: written so much quicker than read that two connections read. `explains`: the dictionary is in the file.
    """

    ending: str
    media_type: str
    write: Callable[[Job], None]
    finish: Callable[[Path, tuple[Layer, ...], bool], None] | None = None
    many_layers: bool = False
    wgs84_only: bool = False
    grows: bool = False
    plain: bool = False
    by_place: bool = False
    quick: bool = False
    explains: bool = False


def _later(place: str) -> Callable[..., None]:
    """A writer that is loaded, with its libraries, when it is first called: GDAL alone is 30 MB."""
    module, _, name = place.partition(":")

    def call(*given: object) -> None:
        getattr(import_module(module), name)(*given)

    return call


_GDAL, _TABLES, _JSON = "maps.export_gdal:", "maps.export_tables:", "maps.export_geojson:"
_SHAPES = "maps.export_shapefile:"
_FORMATS = {
    made.ending: made
    for made in (
        Format("gpkg", "application/geopackage+sqlite3", _later(_GDAL + "write_geopackage"),
               _later(_GDAL + "finish_geopackage"), many_layers=True, explains=True),
        Format("geojson", "application/geo+json", _later(_JSON + "write_geojson"), wgs84_only=True, grows=True),
        Format("fgb", "application/flatgeobuf", _later(_GDAL + "write_flatgeobuf"), by_place=True, explains=True),
        Format("shp.zip", "application/zip", _later(_SHAPES + "write_shapefile"), plain=True, explains=True),
        Format("kml", "application/vnd.google-earth.kml+xml", _later(_GDAL + "write_kml"), wgs84_only=True,
               grows=True, plain=True),
        Format("parquet", "application/vnd.apache.parquet", _later(_TABLES + "write_parquet"), grows=True,
               explains=True, quick=True),
        Format("csv", "text/csv; charset=utf-8", _later(_TABLES + "write_csv"), grows=True),
        Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
               _later(_TABLES + "write_xlsx"), explains=True),
    )
}  # fmt: skip
ENDINGS = ("gpkg", "geojson", "fgb", "parquet", "shp.zip", "kml", "csv", "xlsx")


def load_writers() -> None:
    """Loads every writer's libraries ahead, so that the first reader of a server does not wait for them."""
    for module in (_GDAL, _TABLES, _JSON, _SHAPES):
        import_module(module.rstrip(":"))


def find_format(name: str) -> Format:
    """The format of a file's name. Raises BadInput `export.ending_unknown`."""
    lowered = name.lower()
    for ending in ENDINGS:
        if lowered.endswith(f".{ending}"):
            return _FORMATS[ending]
    ending = "." + lowered.rpartition(".")[2] if "." in lowered else lowered
    raise BadInput(
        "export.ending_unknown",
        field="out",
        ending=ending[:20],
        known=", ".join(f".{e}" for e in ENDINGS),
    )


def with_dictionary(format_: Format) -> Format:
    """The format as a zip of its file and the dictionary as CSV, `{layer}.dictionary.csv`."""

    def write(job: Job) -> None:
        # GDAL takes what is called .zip for a folder.
        bare = _bare(job.file)
        try:
            format_.write(replace(job, file=bare))
        except BaseException:
            bare.unlink(missing_ok=True)
            raise

    def pack(file: Path, layers: tuple[Layer, ...], with_names: bool) -> None:
        bare, (layer,) = _bare(file), layers
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
                packed.write(bare, f"{layer.name}.{format_.ending}")
                words = dictionary_csv((layer.name,), with_names=with_names)
                packed.writestr(dictionary_name(layer.name), words)
        finally:
            bare.unlink(missing_ok=True)

    return replace(
        format_, ending=f"{format_.ending}.zip", media_type="application/zip", write=write, finish=pack,
        grows=False,
    )  # fmt: skip


def renamed(job: Job, names: dict[str, str]) -> Job:
    """The job with other names of its columns."""
    schema = pa.schema([f.with_name(names.get(f.name, f.name)) for f in job.batches.schema])
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in job.batches)
    return replace(job, batches=pa.RecordBatchReader.from_batches(schema, batches))


def about(job: Job) -> str:
    """What the layer is, in both languages, and its system."""
    return f"{job.layer.about_zh} {job.layer.about_en} ({job.target.name})"


def _bare(file: Path) -> Path:
    return file.with_name(f"{file.name}.bare")


def dictionary_name(stem: str) -> str:
    """What the file with a layer's dictionary is called."""
    return f"{stem}.dictionary.csv"


def check_fit(format_: Format, layers: tuple[Layer, ...], target: Target) -> None:
    """Raises BadInput `export.one_layer_only`, `export.wgs84_only` (ending, crs)."""
    if len(layers) > 1 and not format_.many_layers:
        raise BadInput("export.one_layer_only", field="layer", ending=format_.ending)
    if format_.wgs84_only and not target.is_wgs84:
        raise BadInput("export.wgs84_only", field="crs", ending=format_.ending, crs=target.name)
