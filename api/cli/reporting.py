"""The report on drawn areas that `gridward import grids|places|boundaries` gives: a table, and a layer to mend by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.output import say
from dispatch.place_changes import PlaceChange, changes, grids_of, seen_now
from grid.area_faults import COLUMNS, area_faults
from grid.core.crs import geometries_to_plane, plane_for
from grid.core.errors import BadInput, Conflict
from grid.core.settings import TownSettings
from grid.sources.fields import Columns
from grid.sources.files import DatumChange, open_frame
from grid.town import town_facts
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


def faults_of_file(
    session: Session,
    file: Path,
    layer: str | None,
    mapping: dict[str, str] | None,
    crs: str | None,
    change: DatumChange,
    *,
    named: str,
    by: str | None = None,
    covering: bool = True,
) -> gpd.GeoDataFrame:
    """Faults of the areas of a file as they were drawn: columns of `grid.area_faults`, and `level` with `by`.

    `named` is the field that tells areas apart; with `by` (a level) each value is a layer of its own. A file
    without areas has none; the town's boundary, if there is one, is what should be covered. Raises as `open_frame`.
    """
    raw, _ = open_frame(file, layer, crs, change, mapping or {})
    shapes = np.asarray(raw.geometry.values, dtype=object)
    if not len(raw) or not (shapely.get_dimensions(shapes) == 2).any():
        return area_faults([], np.array([], dtype=object), 3857)
    columns = Columns(raw, mapping)
    names = columns.text(named).fillna("").astype(str)
    try:
        epsg = town_facts(session).plane_epsg
    except Conflict:
        # The first file of a town may be its boundaries.
        west, south, east, north = raw.total_bounds
        epsg = plane_for((west + east) / 2, (south + north) / 2)
    within = _town(session, epsg)
    levels = columns.text(by).fillna("") if by else pd.Series("", index=raw.index)
    found = []
    for level in sorted(set(levels)):
        rows = (levels == level).to_numpy()
        # A town's own boundary is what is covered, and covers nothing.
        inside = None if by and level.lower() == "town" else within
        faults = area_faults(
            names[rows].tolist(), shapes[rows], epsg, within=inside, covering=covering
        )
        found.append(faults.assign(level=level) if by else faults)
    whole = pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)
    return gpd.GeoDataFrame(whole, geometry="geometry", crs=4326)


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


@contextmanager
def placed_otherwise(
    session: Session, settings: TownSettings, *, asked: bool
) -> Iterator[list[PlaceChange]]:
    """The open incidents that would be placed otherwise by what is loaded within, when that is `asked`; told at the end."""
    found: list[PlaceChange] = []
    now = datetime.now(UTC)
    there = asked and session.scalar(text("select 1 from town")) is not None
    before = seen_now(session, settings, now) if there else {}
    yield found
    if before:
        found += changes(before, seen_now(session, settings, now), grids_of(session))


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


def _town(session: Session, epsg: int) -> shapely.Geometry | None:
    stored = session.scalar(
        text("select st_asbinary(boundary) from town where boundary is not null")
    )
    if stored is None:
        return None
    return shapely.make_valid(geometries_to_plane([shapely.from_wkb(bytes(stored))], epsg)[0])
