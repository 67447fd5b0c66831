"""`gridward cells make`: the communities cut into standard unit cells."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, steps
from grid.cells import SIZE_M, make_cells

app = typer.Typer(
    no_args_is_help=True, help="Standard unit cells. Example: gridward cells make --size 100"
)


@app.callback()
def cells() -> None:
    """Standard unit cells. Example: gridward cells make --size 100"""


@app.command()
def make(
    size: Annotated[float, typer.Option(help="Length of a side, metres.")] = SIZE_M,
    widen: Annotated[
        bool,
        typer.Option("--widen", help="Wider cells where a community has more than 999."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Cut every community into cells, in place of the present ones. Example: gridward cells make"""
    with opened() as (_, session), steps() as step:
        step("cells")
        made = make_cells(session, size, widen=widen)
    finish(asdict(made), as_json)
