"""`gridward import` for people and what they report: staff, units, shifts, crews, leave, past incidents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from api.cli.handing import HandOvers, counts_of, hand_over_of
from api.cli.importing import DryRun, FileArgument, Map, app, mapping_of, told
from api.cli.opening import opened
from api.cli.output import Json, say, steps
from dispatch.archive import import_incidents
from dispatch.following import follow_changes
from grid.loading.absences import load_absences
from grid.loading.people import load_crews, load_staff
from grid.loading.shifts import load_shifts
from grid.loading.units import load_units
from grid.sources.tables import read_table


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
