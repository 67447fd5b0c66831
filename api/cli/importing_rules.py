"""`gridward import` for the bureau's rules: categories, filing conditions, stage limits, rules of chasing, the calendar."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.importing import DryRun, FileArgument, Map, app, taken, told
from api.cli.output import Json
from api.imports import rules

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
    loaded = taken(rules.categories, file, mapping, dry_run, from_=from_)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(rules.conditions, file, mapping, dry_run, from_=from_)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(rules.stage_limits, file, mapping, dry_run, from_=from_)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(rules.chase_rules, file, mapping, dry_run, from_=from_)
    told(loaded.counts, loaded.refused, dry_run, as_json)


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
    loaded = taken(rules.calendar, file, mapping, dry_run, official=official)
    told(loaded.counts, loaded.refused, dry_run, as_json)
