"""`gridward import` for the bureau's rules: categories, filing conditions, stage limits, rules of chasing, the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from api.cli.importing import DryRun, FileArgument, Map, app, mapping_of, told
from api.cli.opening import opened
from api.cli.output import Json
from dispatch import catalogue_import
from dispatch.rules_log import beginning
from grid.core.errors import BadInput
from grid.sources.tables import read_table

FromDay = Annotated[
    str | None, typer.Option("--from", help="The day from which it holds; at once by default.")
]


@app.command()
def categories(
    file: FileArgument,
    mapping: Map = None,
    from_: FromDay = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import categories with posts and limits. Example: gridward import categories categories.csv --from 2027-01-01

    Columns: code, name_zh; name_en, class_zh, class_en, kind, role, support_roles, support_after, urgency, aliases;
    deadline_value, deadline_unit (of the leading condition); ended, replaced_by. What is not told stays.
    """
    with opened(keep=not dry_run) as (services, session):
        now = datetime.now(UTC)
        begins = _begins(from_, services.desk.zone, now)
        table = read_table(file, mapping_of(mapping), needed=("code", "name_zh"))
        report = catalogue_import.load_categories(session, table, now, begins)
    told({"taken": report.taken}, report.refused, dry_run, as_json)


@app.command()
def conditions(
    file: FileArgument,
    mapping: Map = None,
    from_: FromDay = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import filing conditions and their limits. Example: gridward import conditions conditions.csv --dry-run

    Columns: category, number; name_zh, name_en, value, unit, closing_zh, closing_en.
    """
    with opened(keep=not dry_run) as (services, session):
        now = datetime.now(UTC)
        begins = _begins(from_, services.desk.zone, now)
        table = read_table(file, mapping_of(mapping), needed=("category", "number"))
        report = catalogue_import.load_conditions(session, table, now, begins)
    told({"taken": report.taken}, report.refused, dry_run, as_json)


@app.command("stage-limits")
def stage_limits(
    file: FileArgument,
    mapping: Map = None,
    from_: FromDay = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import the limits of the stages. Example: gridward import stage-limits limits.csv

    Columns: stage (accept, verify, dispatch, task, check, close), value, unit; urgency, area_class.
    """
    with opened(keep=not dry_run) as (services, session):
        now, zone = datetime.now(UTC), services.desk.zone
        begins = _begins(from_, zone, now)
        table = read_table(file, mapping_of(mapping), needed=("stage", "value", "unit"))
        report = catalogue_import.load_stage_limits(session, table, zone, now, begins)
    told({"taken": report.taken}, report.refused, dry_run, as_json)


@app.command("chase-rules")
def chase_rules(
    file: FileArgument,
    mapping: Map = None,
    from_: FromDay = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import the rules of chasing. Example: gridward import chase-rules rules.csv

    Columns: code, clock, share, tell; urgency, after_value, after_unit.
    """
    with opened(keep=not dry_run) as (services, session):
        now = datetime.now(UTC)
        begins = _begins(from_, services.desk.zone, now)
        table = read_table(file, mapping_of(mapping), needed=("code", "clock", "share", "tell"))
        report = catalogue_import.load_chase_rules(session, table, now, begins)
    told({"taken": report.taken}, report.refused, dry_run, as_json)


@app.command()
def calendar(
    file: FileArgument,
    mapping: Map = None,
    official: Annotated[
        bool, typer.Option("--official", help="These years are as published.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import days off and shifted workdays. Example: gridward import calendar 2027.csv --official

    Columns: day (2027-01-01), is_workday (yes or no), name_zh; name_en.
    """
    with opened(keep=not dry_run) as (_, session):
        now = datetime.now(UTC)
        table = read_table(file, mapping_of(mapping), needed=("day", "is_workday", "name_zh"))
        who = catalogue_import.SYSTEM
        report = catalogue_import.load_calendar(session, table, official, who, now)
    told({"taken": report.taken}, report.refused, dry_run, as_json)


def _begins(written: str | None, zone: ZoneInfo, now: datetime) -> datetime:
    if written is None:
        return now
    try:
        return beginning(date.fromisoformat(written), zone, now)
    except ValueError as error:
        raise BadInput("calendar.day_unreadable", field="--from", day=written) from error
