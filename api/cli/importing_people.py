"""`gridward import` for people and what they report: staff, units, shifts, crews, leave, past incidents."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.handing import HandOvers
from api.cli.importing import DryRun, FileArgument, Map, app, taken, told
from api.cli.output import Json, say
from api.imports import people


@app.command()
def staff(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import people. Example: gridward import staff staff.xlsx --map staff_no=工号,name=姓名

    Columns: staff_no; name; post; unit (code or name); phone; heads_unit (yes); reports_to (number or name).
    """
    loaded = taken(people.staff, file, mapping, dry_run)
    told(loaded.counts, loaded.refused, dry_run, as_json)


@app.command()
def units(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import own teams and contractors. Example: gridward import units units.xlsx --map name=单位,head=负责人

    Columns: name; code; kind (own, contractor); head (staff number or name); parent (code or name).
    """
    loaded = taken(people.units, file, mapping, dry_run)
    told(loaded.counts, loaded.refused, dry_run, as_json)


@app.command()
def shifts(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import who works which hours. Example: gridward import shifts shifts.xlsx --map staff_no=工号,shift=班次

    Columns: staff_no (number or name); shift (its name; none: always at work); weekdays (1-5, 一至五, Mon,Wed);
    from, to (06:00, 14:00); substitute (covers the other hours); valid_from; valid_to.
    """
    loaded = taken(people.shifts, file, mapping, dry_run)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(people.crews, file, mapping, dry_run, hand_over=hand_over)
    told(loaded.counts, loaded.refused, dry_run, as_json)


@app.command()
def absences(
    file: FileArgument, mapping: Map = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import leave with substitutes. Example: gridward import absences leave.xlsx --map staff_no=工号

    Columns: staff_no (number or name); from, to (a plain date is the last day); substitute; reason.
    """
    loaded = taken(people.absences, file, mapping, dry_run)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(people.incidents, file, mapping, dry_run, channel=channel)
    for point in loaded.more.default_points:
        say("cli.default_point", lon=point.lon, lat=point.lat, rows=point.rows, texts=point.texts)
    told(loaded.counts, loaded.refused, dry_run, as_json)
