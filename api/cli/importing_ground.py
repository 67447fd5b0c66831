"""`gridward import` for the ground: streets, door plates, places, boundaries, grids and cells."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
import pandas as pd
import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.cli.differences import (
    layer_target,
    plain_difference,
    say_left_behind,
    show_difference,
    write_layer,
)
from api.cli.grids import From, moment_of, show_incidents
from api.cli.handing import HandOvers, counts_of, hand_over_of
from api.cli.importing import (
    Crs,
    DryRun,
    FileArgument,
    Layer,
    Map,
    app,
    datum_change,
    mapping_of,
    told,
)
from api.cli.opening import opened
from api.cli.output import Json, steps
from api.cli.reporting import (
    Report,
    faults_of_file,
    placed_otherwise,
    report_target,
    show_faults,
    show_placed,
    write_report,
)
from dispatch.checking import open_on_gone_segments
from dispatch.following import Followed, follow_changes
from dispatch.ground_handover import incidents_at
from grid.area_faults import counts_of as fault_counts
from grid.areas import put_areas
from grid.cells import load_cells
from grid.core.errors import BadInput, NotFound
from grid.loading.aliases import load_aliases
from grid.loading.boundaries import load_boundaries
from grid.loading.grids import GridName, Holding, put_in_force
from grid.loading.places import load_places
from grid.loading.towns import TownReport, load_addresses, load_town
from grid.models import SIDES, Segment
from grid.overlay import segments_by_area
from grid.sources import vector
from grid.sources.osm import read_osm
from grid.sources.tables import read_table

# A side as tables write it.
SIDE_WORDS = {"left": "left", "right": "right", "左": "left", "右": "right"}
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
    with opened(keep=not dry_run) as (_, session), steps() as step:
        town = read_osm(file, progress=step)
        report = load_town(
            session,
            town.streets,
            town.door_plates,
            town.places,
            town.boundaries,
            datetime.now(UTC),
            merge=True,
            name=name,
            progress=step,
        )
        left = open_on_gone_segments(session)
    result = report.plain() | {"source": town.counts}
    _streets_told(report, result, left, town.refused, target, dry_run, as_json)


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
    with opened(keep=not dry_run) as (_, session), steps() as step:
        step("read")
        lines, refused = vector.read_streets(file, layer, mapping_of(mapping), crs, datum_change)
        report = load_town(
            session,
            lines,
            _empty_frame(),
            _empty_frame(),
            _empty_frame(),
            datetime.now(UTC),
            merge=False,
            name=name,
            progress=step,
        )
        left = open_on_gone_segments(session)
    _streets_told(report, report.plain(), left, refused, target, dry_run, as_json)


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
    with opened(keep=not dry_run) as (_, session), steps() as step:
        step("read")
        plates, refused = vector.read_addresses(file, layer, mapping_of(mapping), crs, datum_change)
        step("write")
        changed = load_addresses(session, plates)
    told({"read": len(plates), "new_or_changed": changed}, refused, dry_run, as_json)


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
    with opened(keep=not dry_run) as (services, session), steps() as step:
        step("read")
        known = mapping_of(mapping)
        frame, refused = vector.read_places(file, layer, known, crs, datum_change)
        faults = _faults(session, file, layer, known, crs, named="name", covering=False)
        with placed_otherwise(session, services.settings.town, asked=dry_run) as placed:
            loaded = load_places(session, frame, complete=complete)
    result = {"read": len(frame), **loaded.plain(), **_reported(faults, target, as_json)}
    told(result | show_placed(placed, as_json), refused, dry_run, as_json)


@app.command()
def aliases(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import former and short names of streets and places. Example: gridward import aliases names.csv"""
    with opened(keep=not dry_run) as (_, session):
        table = read_table(file, mapping_of(mapping), needed=("alias", "name"))
        report = load_aliases(session, table)
    told({"taken": report.taken, "new": report.new}, report.refused, dry_run, as_json)


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
    with opened(keep=not dry_run) as (services, session), steps() as step:
        step("read")
        known = mapping_of(mapping)
        frame, refused = vector.read_boundaries(file, layer, known, crs, datum_change)
        faults = _faults(session, file, layer, known, crs, named="name", by="level")
        with placed_otherwise(session, services.settings.town, asked=dry_run) as placed:
            loaded = load_boundaries(session, frame, complete=complete)
    result = {"read": len(frame), **loaded.plain(), **_reported(faults, target, as_json)}
    told(result | show_placed(placed, as_json), refused, dry_run, as_json)


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
    target, asked = report_target(report), hand_over_of(hand_over)
    followed = Followed([], [])
    with opened(keep=not dry_run) as (services, session), steps() as step:
        step("read")
        known = mapping_of(mapping)
        frame, refused = vector.read_grids(file, layer, known, crs, datum_change)
        names = {
            row.code: GridName(row.code, row.name or row.code)
            for row in frame.itertuples(index=False)
        }
        from_at = moment_of(from_, services.desk.zone, datetime.now(UTC))
        drawn = not ("segment_id" in frame and frame["segment_id"].notna().any())
        faults = None
        if not drawn:
            ids = set(session.scalars(select(Segment.id).where(Segment.gone_at.is_(None))))
            holdings = _listed(frame, ids)
        else:
            faults = _faults(session, file, layer, known, crs, named="code")
            holdings = segments_by_area(session, frame)
        step("write")
        changed = put_in_force(session, list(names.values()), holdings, from_at, hand_over=asked)
        if drawn:
            put_areas(session, frame, from_at)
        incidents = incidents_at(session, from_at)
        if not dry_run:
            followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {
        "grids": len(names), "sides_changed": changed, "from": from_at.isoformat(),
        **counts_of(followed), **_reported(faults, target, as_json),
    }  # fmt: skip
    if as_json:
        result["incidents"] = [asdict(one) for one in incidents]
    else:
        show_incidents(incidents)
        result["incidents_changing_owner"] = len(incidents)
    told(result, refused, dry_run, as_json)


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
    with opened(keep=not dry_run) as (_, session), steps() as step:
        step("read")
        named = mapping_of(mapping) or {"code": "code"}
        known = {"name": named.get("code", "code"), **named}
        frame, refused = vector.read_grids(file, layer, known, crs, datum_change)
        step("write")
        taken, more = load_cells(session, frame)
    told({"taken": taken}, [*refused, *more], dry_run, as_json)


def _faults(
    session: Session, file: Path, layer: str | None, mapping: dict[str, str] | None, crs: str | None,
    *, named: str, by: str | None = None, covering: bool = True,
) -> gpd.GeoDataFrame:  # fmt: skip
    return faults_of_file(
        session, file, layer, mapping, crs, datum_change, named=named, by=by, covering=covering
    )


def _reported(
    faults: gpd.GeoDataFrame | None, target: Path | None, as_json: bool
) -> dict[str, Any]:
    """The faults counted by kind, shown, and written to the file that was asked for."""
    if faults is None:
        return {}
    if target is not None:
        write_report(faults, target)
    if not as_json:
        show_faults(faults)
    counted = {f"faults_{kind}": n for kind, n in fault_counts(faults).items()}
    return counted | ({"report_file": str(target)} if target is not None else {})


def _listed(frame: pd.DataFrame, known: set[int]) -> list[Holding]:
    """One grid for both sides of a segment, or for the side that a row names; a later row goes before.

    Raises NotFound `crews.segment_unknown`; BadInput `grids.side_unknown`.
    """
    codes: dict[tuple[int, str], str] = {}
    for row in frame.itertuples(index=False):
        written = str(row.segment_id).strip()
        if not written.isdigit() or int(written) not in known:
            raise NotFound("crews.segment_unknown", field="segment_id", segment_id=written)
        told = row.side.strip().lower() if isinstance(row.side, str) else ""
        if told and told not in SIDE_WORDS:
            raise BadInput("grids.side_unknown", field="side", side=told)
        for side in (SIDE_WORDS[told],) if told else SIDES:
            codes[int(written), side] = str(row.code)
    return [Holding(segment_id, side, code) for (segment_id, side), code in codes.items()]


def _empty_frame() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"geometry": []}, crs=4326)


def _streets_told(
    report: TownReport,
    result: dict[str, Any],
    left: list[str],
    refused: list[Any],
    target: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """The result of an import of streets; a dry run shows the difference, `target` gets it as a layer."""
    result = {**result, "open_incidents_on_gone_segments": len(left)}
    if target is not None:
        write_layer(report.streets.changes, target)
        result["changes_file"] = str(target)
    if dry_run and as_json:
        result |= plain_difference(report.streets)
    elif dry_run:
        show_difference(report.streets)
    if not as_json:
        say_left_behind(left)
    told(result, refused, dry_run, as_json)
