"""`gridward import`: streets, people and incidents from files; refused rows are said with their reason."""

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
from api.cli.opening import opened
from api.cli.output import Json, finish, refused_plain, refused_rows, say, steps
from api.cli.reporting import (
    Report,
    faults_of_file,
    report_target,
    show_faults,
    write_report,
)
from dispatch.archive import import_incidents
from dispatch.checking import open_on_gone_segments
from dispatch.following import Followed, follow_changes
from dispatch.ground_handover import incidents_at
from grid.area_faults import counts_of as fault_counts
from grid.areas import put_areas
from grid.cells import load_cells
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput, NotFound
from grid.loading.absences import load_absences
from grid.loading.aliases import load_aliases
from grid.loading.grids import GridName, Holding, put_in_force
from grid.loading.people import load_crews, load_staff
from grid.loading.places import load_boundaries, load_places
from grid.loading.shifts import load_shifts
from grid.loading.towns import TownReport, load_addresses, load_town
from grid.loading.units import load_units
from grid.models import SIDES, Segment
from grid.overlay import segments_by_area
from grid.sources import vector
from grid.sources.osm import read_osm
from grid.sources.tables import read_table

# A side as tables write it.
SIDE_WORDS = {"left": "left", "right": "right", "左": "left", "右": "right"}
app = typer.Typer(no_args_is_help=True, help="Files in. Example: gridward import osm town.osm.pbf")
FileArgument = Annotated[Path, typer.Argument(help="The file to read.")]
Layer = Annotated[str | None, typer.Option(help="The layer of a file with several.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="our_field=their_field; may be repeated, or joined by spaces."),
]
Crs = Annotated[
    str | None, typer.Option(help="EPSG:4547, gcj02, bd09 … when the file does not say.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only report; change nothing.")]
Changes = Annotated[
    Path | None,
    typer.Option(help="A layer of what changes: lines before and after (.gpkg, .geojson, .fgb)."),
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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import named places. Example: gridward import places poi.gpkg --map name=NAME,kind=TYPE"""
    target = report_target(report)
    with opened(keep=not dry_run) as (_, session), steps() as step:
        step("read")
        known = mapping_of(mapping)
        frame, refused = vector.read_places(file, layer, known, crs, datum_change)
        faults = _faults(session, file, layer, known, crs, named="name", covering=False)
        changed = load_places(session, frame)
    result = {"read": len(frame), "new_or_changed": changed}
    told(result | _reported(faults, target, as_json), refused, dry_run, as_json)


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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import towns, townships and communities. Example: gridward import boundaries admin.geojson"""
    target = report_target(report)
    with opened(keep=not dry_run) as (_, session), steps() as step:
        step("read")
        known = mapping_of(mapping)
        frame, refused = vector.read_boundaries(file, layer, known, crs, datum_change)
        faults = _faults(session, file, layer, known, crs, named="name", by="level")
        changed = load_boundaries(session, frame)
    result = {"read": len(frame), "new_or_changed": changed}
    told(result | _reported(faults, target, as_json), refused, dry_run, as_json)


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
def staff(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import people. Example: gridward import staff staff.xlsx --map staff_no=工号,name=姓名

    Columns: staff_no; name; post; unit (code or name); phone; heads_unit (yes); reports_to (number or name).
    """
    with opened(keep=not dry_run) as (services, session):
        table = read_table(file, mapping_of(mapping), needed=("staff_no", "name", "post"))
        report = load_staff(session, table)
        followed = follow_changes(session, services.desk, datetime.now(UTC))
    told({"taken": report.taken, **counts_of(followed)}, report.refused, dry_run, as_json)


@app.command()
def units(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import own teams and contractors. Example: gridward import units units.xlsx --map name=单位,head=负责人

    Columns: name; code; kind (own, contractor); head (staff number or name); parent (code or name).
    """
    with opened(keep=not dry_run) as (services, session):
        table = read_table(file, mapping_of(mapping), needed=("name",))
        report = load_units(session, table)
        followed = follow_changes(session, services.desk, datetime.now(UTC))
    told({"taken": report.taken, **counts_of(followed)}, report.refused, dry_run, as_json)


@app.command()
def shifts(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import who works which hours. Example: gridward import shifts shifts.xlsx --map staff_no=工号,shift=班次

    Columns: staff_no (number or name); shift (its name; none: always at work); weekdays (1-5, 一至五, Mon,Wed);
    from, to (06:00, 14:00); substitute (covers the other hours); valid_from; valid_to.
    """
    with opened(keep=not dry_run) as (services, session):
        table = read_table(file, mapping_of(mapping), needed=("staff_no",))
        zone = services.settings.town.time_zone
        now = datetime.now(UTC)
        report = load_shifts(session, table, now, time_zone=zone)
        followed = follow_changes(session, services.desk, now)
    told({"taken": report.taken, **counts_of(followed)}, report.refused, dry_run, as_json)


@app.command()
def crews(
    file: FileArgument,
    mapping: Map = None,
    hand_over: HandOvers = "offered",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import who holds which post. Example: gridward import crews crews.csv

    Columns: grid_code, segment_id or street; officer, cleaner, gardener, maintainer, leader (numbers or names);
    valid_from; valid_to.
    """
    with opened(keep=not dry_run) as (services, session):
        table = read_table(file, mapping_of(mapping), needed=())
        zone = services.settings.town.time_zone
        now = datetime.now(UTC)
        report = load_crews(session, table, now, time_zone=zone, hand_over=hand_over_of(hand_over))
        followed = follow_changes(session, services.desk, now)
    told({"taken": report.taken, **counts_of(followed)}, report.refused, dry_run, as_json)


@app.command()
def absences(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import leave with substitutes. Example: gridward import absences leave.xlsx --map staff_no=工号

    Columns: staff_no (number or name); from, to (a plain date is the last day); substitute; reason.
    """
    with opened(keep=not dry_run) as (services, session):
        table = read_table(file, mapping_of(mapping), needed=("staff_no", "from", "to"))
        report = load_absences(session, table, time_zone=services.settings.town.time_zone)
        followed = follow_changes(session, services.desk, datetime.now(UTC))
    told({"taken": report.taken, **counts_of(followed)}, report.refused, dry_run, as_json)


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


@app.command()
def incidents(
    file: FileArgument,
    mapping: Map = None,
    channel: Annotated[
        str, typer.Option(help="The channel of rows that do not name one.")
    ] = "system",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import reports; each is placed and routed. Example: gridward import incidents year.csv --dry-run"""
    with opened(keep=not dry_run) as (services, session), steps() as step:
        table = read_table(file, mapping_of(mapping), needed=())
        report = import_incidents(
            session,
            services.desk,
            table,
            channel,
            datetime.now(UTC),
            dry_run=dry_run,
            progress=step,
        )
    for point in report.default_points:
        say("cli.default_point", lon=point.lon, lat=point.lat, rows=point.rows, texts=point.texts)
    told(report.plain(), report.refused, dry_run, as_json)


def mapping_of(given: list[str] | None) -> dict[str, str] | None:
    """`our=their` pairs, separated by spaces or commas; BadInput `import.map_unreadable`."""
    pairs: dict[str, str] = {}
    for text in given or []:
        for pair in text.replace(",", " ").split():
            ours, equals, theirs = pair.partition("=")
            if not equals or not ours:
                raise BadInput("import.map_unreadable", field="--map", text=pair)
            pairs[ours] = theirs
    return pairs or None


def datum_change(lon: Any, lat: Any, datum: str) -> Any:
    """The change of datum that the readers call for tables with a `datum` column."""
    return to_wgs84(lon, lat, datum)


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


def told(result: dict[str, Any], refused: list[Any], dry_run: bool, as_json: bool) -> None:
    """Prints what was taken and what was refused, row by row."""
    result = {**result, "dry_run": dry_run, "refused": len(refused)}
    if as_json:
        finish({**result, "refused_rows": refused_plain(refused)}, True)
        return
    refused_rows(refused)
    finish(result, False)
    if dry_run:
        say("cli.dry_run")
