"""Open incidents handed over with their ground or post: the option, the command, what it shows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.opening import opened
from api.cli.output import Json, finish, say
from dispatch.handover import Moved, hand_over_due
from grid.core.errors import BadInput
from grid.models import HAND_OVERS

HandOvers = Annotated[
    str,
    typer.Option(
        "--hand-over",
        help="Open incidents that come along: offered (nobody has begun), all, none.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show; change nothing.")]


def hand_over_of(written: str) -> str:
    """One of HAND_OVERS; BadInput `hand_over.unknown`."""
    if written not in HAND_OVERS:
        known = ", ".join(HAND_OVERS)
        raise BadInput("hand_over.unknown", field="hand_over", text=written, known=known)
    return written


def hand_over(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Hand over what is due by now: incidents whose ground or post has passed. Example: gridward grids hand-over"""
    with opened(keep=not dry_run) as (services, session):
        moved = hand_over_due(session, services.desk, datetime.now(UTC))
    if as_json:
        finish({"handed_over": [asdict(item) for item in moved], "dry_run": dry_run}, True)
        return
    show_moved(moved)
    finish({"handed_over": len(moved), "dry_run": dry_run}, False)
    if dry_run:
        say("cli.dry_run")


def show_moved(moved: list[Moved]) -> None:
    """One line for each incident that went to another grid or person."""
    if not moved:
        return
    table = Table(*asdict(moved[0]))
    for item in moved:
        table.add_row(*("" if value is None else str(value) for value in asdict(item).values()))
    Console(highlight=False).print(table)
