"""What every `gridward import` shares: its options, the pairs of `--map`, and what it says at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.output import finish, refused_plain, refused_rows, say
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput

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
