"""`gridward grids`: segments moved, a grid split, two merged, one renamed; shown first, in force from a date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from api.cli.handing import HandOvers, hand_over, show_followed
from api.cli.opening import opened
from api.cli.output import Json, finish, say
from api.imports.asked import counts_of, hand_over_of, moment_of
from dispatch.following import Followed, follow_changes
from dispatch.handover import HandOver, incidents_of_plan
from grid.changing import Plan, apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.in_force import withdraw_planned
from grid.models import SIDES
from grid.town import lock_ground

app = typer.Typer(
    no_args_is_help=True,
    help="Grids changed by hand. Example: gridward grids move 1204 1205 --to G003 --dry-run",
)
From = Annotated[
    str | None, typer.Option("--from", help="Date or moment from which it holds; now by default.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show; change nothing.")]
Allow = Annotated[bool, typer.Option("--allow-disconnected", help="A grid in pieces is meant.")]
Segments = Annotated[list[int], typer.Argument(help="Ids of segments.")]
Code = Annotated[str, typer.Argument(help="The grid's code.")]
app.command("hand-over")(hand_over)


@app.command()
def move(
    segments: Segments,
    to: Annotated[str, typer.Option("--to", help="Code of the grid they go to.")],
    side: Annotated[str | None, typer.Option(help="Only one side: left or right.")] = None,
    from_: From = None,
    dry_run: DryRun = False,
    hand_over: HandOvers = "offered",
    allow_disconnected: Allow = False,
    as_json: Json = False,
) -> None:
    """Give segments to another grid. Example: gridward grids move 1204 --to G003 --from 2026-01-01"""
    sides = SIDES if side is None else (side,)
    _change(
        lambda session, at: plan_move(session, segments, to, at, sides),
        from_, dry_run, allow_disconnected, as_json, hand_over,
    )  # fmt: skip


@app.command()
def split(
    code: Code,
    segments: Annotated[
        list[int] | None,
        typer.Argument(help="Ids of the segments of the new grid; half by default."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new grid.")] = None,
    from_: From = None,
    dry_run: DryRun = False,
    hand_over: HandOvers = "offered",
    allow_disconnected: Allow = False,
    as_json: Json = False,
) -> None:
    """Make two grids of one. Example: gridward grids split G003 --name 站前东片"""
    _change(
        lambda session, at: plan_split(session, code, at, name, segments or ()),
        from_, dry_run, allow_disconnected, as_json, hand_over,
    )  # fmt: skip


@app.command()
def merge(
    code: Code,
    into: Annotated[str, typer.Option(help="Code of the grid that stays.")],
    from_: From = None,
    dry_run: DryRun = False,
    hand_over: HandOvers = "offered",
    allow_disconnected: Allow = False,
    as_json: Json = False,
) -> None:
    """Put a grid into another and end it. Example: gridward grids merge G004 --into G003"""
    _change(
        lambda session, at: plan_merge(session, code, into, at),
        from_, dry_run, allow_disconnected, as_json, hand_over,
    )  # fmt: skip


@app.command()
def rename(
    code: Code,
    name: Annotated[str, typer.Argument(help="The new name.")],
    name_en: Annotated[str | None, typer.Option(help="The new name in English.")] = None,
    from_: From = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give a grid another name. Example: gridward grids rename G003 站前片 --name-en "Station" """
    _change(
        lambda session, at: plan_rename(session, code, name, at, name_en),
        from_, dry_run, False, as_json,
    )  # fmt: skip


@app.command()
def withdraw(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take back every change that is planned for later. Example: gridward grids withdraw"""
    with opened(keep=not dry_run) as (_, session):
        taken = withdraw_planned(session, datetime.now(UTC))
    finish({**asdict(taken), "dry_run": dry_run}, as_json)


def _change(
    planned: Callable[[Session, datetime], Plan],
    from_: str | None,
    dry_run: bool,
    allow_disconnected: bool,
    as_json: bool,
    hand_over: str = "offered",
) -> None:
    asked = hand_over_of(hand_over)
    followed = Followed([], [])
    with opened(keep=not dry_run) as (services, session):
        if not dry_run:
            lock_ground(session)
        from_at = moment_of(from_, services.desk.zone, datetime.now(UTC))
        plan = planned(session, from_at)
        incidents = incidents_of_plan(session, plan)
        changed = 0
        if not dry_run:
            changed = apply_plan(
                session, plan, allow_disconnected=allow_disconnected, hand_over=asked
            )
            followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {
        "from": plan.from_at.isoformat(),
        "sides": len(plan.moves),
        "sides_changed": changed,
        "grids_made": [made.code for made in plan.made],
        "grids_ended": list(plan.ended),
        "would_be_disconnected": list(plan.disconnected),
        **counts_of(followed),
    }
    more: dict[str, Any] = {}
    if as_json:
        more = {"moves": list(plan.moves), "handed_over": [asdict(item) for item in followed.moved]}
    else:
        show_followed(followed)
    told({**result, **more}, incidents, dry_run, as_json)


def told(result: dict[str, Any], incidents: list[HandOver], dry_run: bool, as_json: bool) -> None:
    """The result of a change with the open incidents that change owner: as one object, or as tables."""
    shown = [asdict(item) for item in incidents]
    result = {**result, "dry_run": dry_run}
    if as_json:
        finish({**result, "incidents": shown}, True)
        return
    show_incidents(incidents)
    finish({**result, "incidents": len(shown)}, False)
    if dry_run:
        say("cli.dry_run")


def show_incidents(incidents: list[HandOver]) -> None:
    """Open incidents that change owner, as a table."""
    shown = [asdict(item) for item in incidents]
    if not shown:
        return
    table = Table(*shown[0])
    for item in shown:
        table.add_row(*("" if value is None else str(value) for value in item.values()))
    Console(highlight=False).print(table)
