"""The report on drawn areas that `gridward import grids|places|boundaries` gives: a table, and a layer to mend by."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
import pyogrio
import shapely
import typer
from rich.console import Console
from rich.table import Table

from api.cli.output import say
from dispatch.place_changes import PlaceChange
from grid.area_faults import COLUMNS
from grid.core.errors import BadInput
from maps.layer_frames import DRIVERS

LAYER = "area_faults"
SHOWN = 10
Report = Annotated[
    Path | None,
    typer.Option(
        help="A layer of broken shapes, overlaps, gaps and slivers (.gpkg, .geojson, .fgb)."
    ),
]


def report_target(file: Path | None) -> Path | None:
    """The file of a report, known to be writable before the work begins.

    Raises BadInput `export.ending_unknown`, `export.folder_missing`.
    """
    if file is None:
        return None
    if file.suffix.lower() not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise BadInput("export.ending_unknown", field="--report", ending=file.suffix, known=known)
    if not file.resolve().parent.is_dir():
        raise BadInput("export.folder_missing", field="--report", folder=str(file.parent))
    return file


def write_report(faults: gpd.GeoDataFrame, target: Path) -> None:
    """Writes the faults as one layer; an empty one says that nothing was found."""
    fresh = target.with_name(f".{target.stem}.new{target.suffix}")
    try:
        fresh.unlink(missing_ok=True)
        pyogrio.write_dataframe(
            faults.set_geometry(_multi(faults)), fresh, driver=DRIVERS[target.suffix.lower()], layer=LAYER,
            geometry_type="MultiPolygon",
        )  # fmt: skip
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def show_faults(faults: gpd.GeoDataFrame) -> None:
    """Prints the largest of each kind; the layer has all."""
    if not len(faults):
        return
    table = Table(*[name for name in COLUMNS if name != "geometry"])
    for row in faults.groupby("kind", sort=False).head(SHOWN).itertuples(index=False):
        table.add_row(*(str(getattr(row, name)) for name in COLUMNS if name != "geometry"))
    Console(highlight=False).print(table)
    say("cli.area_faults", n=len(faults))


def show_placed(placed: list[PlaceChange], as_json: bool) -> dict[str, Any]:
    """These incidents as a table, or in the object that is printed."""
    told = [asdict(one) for one in placed]
    if as_json:
        return {"incidents": told}
    if told:
        table = Table(*told[0])
        for one in told:
            table.add_row(*("" if value is None else str(value) for value in one.values()))
        Console(highlight=False).print(table)
    return {"incidents_placed_otherwise": len(told)}


def _multi(faults: gpd.GeoDataFrame) -> gpd.GeoSeries:
    shapes = [
        shape if isinstance(shape, shapely.MultiPolygon) else shapely.MultiPolygon([shape])
        for shape in faults.geometry
    ]
    return gpd.GeoSeries(shapes, index=faults.index, crs=4326)
