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
from api.imports.asked import counts_of
from dispatch.following import Followed, follow_changes

HandOvers = Annotated[
    str,
    typer.Option(
        "--hand-over",
        help="Open incidents that come along: offered (nobody has begun), all, none.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show; change nothing.")]


def hand_over(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Hand over what is due by now, and let go on what waited for a person. Example: gridward grids hand-over"""
    with opened(keep=not dry_run) as (services, session):
        followed = follow_changes(session, services.desk, datetime.now(UTC))
    if as_json:
        told = {
            "handed_over": [asdict(item) for item in followed.moved],
            "gone_on": followed.gone_on,
        }
        finish({**told, "dry_run": dry_run}, True)
        return
    show_followed(followed)
    finish({**counts_of(followed), "dry_run": dry_run}, False)
    if dry_run:
        say("cli.dry_run")


def show_followed(followed: Followed) -> None:
    """One line for each incident that went to another grid or person."""
    if not followed.moved:
        return
    table = Table(*asdict(followed.moved[0]))
    for item in followed.moved:
        table.add_row(*("" if value is None else str(value) for value in asdict(item).values()))
    Console(highlight=False).print(table)
