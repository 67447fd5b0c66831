"""`gridward import` for the ground: streets, door plates, places, boundaries, grids and cells."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
import typer

from api.cli.differences import (
    layer_target,
    plain_difference,
    say_left_behind,
    show_difference,
    write_layer,
)
from api.cli.grids import From, show_incidents
from api.cli.handing import HandOvers
from api.cli.importing import Crs, DryRun, FileArgument, Layer, Map, app, taken, told
from api.cli.output import Json
from api.cli.reporting import Report, report_target, show_faults, show_placed, write_report
from api.imports import ground
from api.imports.asked import Loaded

Changes = Annotated[
    Path | None,
    typer.Option(help="A layer of what changes: lines before and after (.gpkg, .geojson, .fgb)."),
]

Complete = Annotated[
    bool,
    typer.Option(
        "--complete",
        help="The file has all of the kinds or levels that it holds: what it lacks of them is taken away.",
    ),
]


@app.command()
def osm(
    file: FileArgument,
    name: Annotated[str | None, typer.Option(help="The town's name.")] = None,
    dry_run: DryRun = False,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Import an OpenStreetMap extract. Example: gridward import osm town.osm.pbf"""
    target = layer_target(changes)
    loaded = taken(ground.osm, file, None, dry_run, name=name)
    _streets_told(loaded, target, dry_run, as_json)


@app.command()
def streets(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    name: Annotated[str | None, typer.Option(help="The town's name.")] = None,
    dry_run: DryRun = False,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Import street centre lines. Example: gridward import streets roads.shp --map name=ROADNAME"""
    target = layer_target(changes)
    loaded = taken(ground.streets, file, mapping, dry_run, layer=layer, crs=crs, name=name)
    _streets_told(loaded, target, dry_run, as_json)


@app.command()
def addresses(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import door plates. Example: gridward import addresses plates.csv --map street=ROAD"""
    loaded = taken(ground.addresses, file, mapping, dry_run, layer=layer, crs=crs)
    told(loaded.counts, loaded.refused, dry_run, as_json)


@app.command()
def places(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    report: Report = None,
    complete: Complete = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import named places; a layer that was exported changes its own. Example: gridward import places poi.gpkg --map name=NAME,kind=TYPE"""
    target = report_target(report)
    loaded = taken(ground.places, file, mapping, dry_run, layer=layer, crs=crs, complete=complete)
    result = (
        loaded.counts | _reported(loaded, target, as_json) | show_placed(loaded.placed, as_json)
    )
    told(result, loaded.refused, dry_run, as_json)


@app.command()
def aliases(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import former and short names of streets and places. Example: gridward import aliases names.csv"""
    loaded = taken(ground.aliases, file, mapping, dry_run)
    told(loaded.counts, loaded.refused, dry_run, as_json)


@app.command()
def boundaries(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    report: Report = None,
    complete: Complete = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import towns, townships and communities; a layer that was exported changes its own. Example: gridward import boundaries admin.geojson"""
    target = report_target(report)
    loaded = taken(
        ground.boundaries, file, mapping, dry_run, layer=layer, crs=crs, complete=complete
    )
    result = (
        loaded.counts | _reported(loaded, target, as_json) | show_placed(loaded.placed, as_json)
    )
    told(result, loaded.refused, dry_run, as_json)


@app.command()
def grids(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    report: Report = None,
    from_: From = None,
    hand_over: HandOvers = "offered",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import grids as areas or lists of segments. Example: gridward import grids grids.gpkg --from 2026-01-01"""
    target = report_target(report)
    loaded = taken(
        ground.grids, file, mapping, dry_run, layer=layer, crs=crs, from_=from_, hand_over=hand_over
    )
    result = loaded.counts | _reported(loaded, target, as_json)
    if as_json:
        result["incidents"] = [asdict(one) for one in loaded.incidents]
    else:
        show_incidents(loaded.incidents)
        result["incidents_changing_owner"] = len(loaded.incidents)
    told(result, loaded.refused, dry_run, as_json)


@app.command()
def cells(
    file: FileArgument,
    layer: Layer = None,
    mapping: Map = None,
    crs: Crs = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import standard unit cells (code, area). Example: gridward import cells cells.gpkg --map code=BM"""
    loaded = taken(ground.cells, file, mapping, dry_run, layer=layer, crs=crs)
    told(loaded.counts, loaded.refused, dry_run, as_json)


def _reported(loaded: Loaded, target: Path | None, as_json: bool) -> dict[str, Any]:
    """The faults shown, and written to the file that was asked for."""
    faults: gpd.GeoDataFrame | None = loaded.faults
    if faults is None:
        return {}
    if target is not None:
        write_report(faults, target)
    if not as_json:
        show_faults(faults)
    return {"report_file": str(target)} if target is not None else {}


def _streets_told(loaded: Loaded, target: Path | None, dry_run: bool, as_json: bool) -> None:
    """The result of an import of streets; a dry run shows the difference, `target` gets it as a layer."""
    report, left = loaded.more
    result = dict(loaded.counts)
    if target is not None:
        write_layer(report.streets.changes, target)
        result["changes_file"] = str(target)
    if dry_run and as_json:
        result |= plain_difference(report.streets)
    elif dry_run:
        show_difference(report.streets)
    if not as_json:
        say_left_behind(left)
    told(result, loaded.refused, dry_run, as_json)
