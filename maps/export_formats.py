"""The formats of an export, by the ending of the file: what each can hold, and how it is written from batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from grid.core.errors import BadInput
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
    `by_place`: rows come in a spatial order.
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


def _later(place: str) -> Callable[..., None]:
    """A writer that is loaded, with its libraries, when it is first called: GDAL alone is 30 MB."""
    module, _, name = place.partition(":")

    def call(*given: object) -> None:
        getattr(import_module(module), name)(*given)

    return call


_GDAL, _TABLES, _JSON = "maps.export_gdal:", "maps.export_tables:", "maps.export_geojson:"
_FORMATS = {
    made.ending: made
    for made in (
        Format("gpkg", "application/geopackage+sqlite3", _later(_GDAL + "write_geopackage"),
               _later(_GDAL + "finish_geopackage"), many_layers=True),
        Format("geojson", "application/geo+json", _later(_JSON + "write_geojson"), wgs84_only=True, grows=True),
        Format("fgb", "application/flatgeobuf", _later(_GDAL + "write_flatgeobuf"), by_place=True),
        Format("shp.zip", "application/zip", _later(_GDAL + "write_shapefile"), plain=True),
        Format("kml", "application/vnd.google-earth.kml+xml", _later(_GDAL + "write_kml"), wgs84_only=True,
               grows=True, plain=True),
        Format("parquet", "application/vnd.apache.parquet", _later(_TABLES + "write_parquet"), grows=True),
        Format("csv", "text/csv; charset=utf-8", _later(_TABLES + "write_csv"), grows=True),
        Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
               _later(_TABLES + "write_xlsx")),
    )
}  # fmt: skip
ENDINGS = ("gpkg", "geojson", "fgb", "parquet", "shp.zip", "kml", "csv", "xlsx")


def load_writers() -> None:
    """Loads every writer's libraries ahead, so that the first reader of a server does not wait for them."""
    for module in (_GDAL, _TABLES, _JSON):
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


def check_fit(format_: Format, layers: tuple[Layer, ...], target: Target) -> None:
    """Raises BadInput `export.one_layer_only`, `export.wgs84_only` (ending, crs)."""
    if len(layers) > 1 and not format_.many_layers:
        raise BadInput("export.one_layer_only", field="layer", ending=format_.ending)
    if format_.wgs84_only and not target.is_wgs84:
        raise BadInput("export.wgs84_only", field="crs", ending=format_.ending, crs=target.name)
