"""What every `gridward import` shares: its options, how it is run, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.opening import opened
from api.cli.output import finish, refused_plain, refused_rows, say, steps
from api.imports.asked import COMMAND, Loaded, Reading, datum_change, mapping_of
from api.imports.kept import write_import_down

__all__ = ["datum_change", "mapping_of"]

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


def taken(
    load: Callable[[Reading], Loaded],
    file: Path,
    mapping: list[str] | None,
    dry_run: bool,
    **options: Any,
) -> Loaded:
    """Takes a file in, or only looks (`dry_run`); `options` as Reading has them."""
    with opened(keep=not dry_run) as (services, session), steps() as step:
        asked = Reading(
            session, services.desk, file, datetime.now(UTC), mapping_of(mapping),
            dry_run=dry_run, step=step, **options,
        )  # fmt: skip
        loaded = load(asked)
        if not dry_run:
            kind = load.__name__.replace("_", "-")
            write_import_down(session, kind, file, loaded, COMMAND, asked.now)
    return loaded


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
