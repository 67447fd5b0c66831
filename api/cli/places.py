"""`gridward places`: what people taught the gazetteer, and the points that stand for "unknown"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, say
from dispatch.place_needed import forget_place
from grid import learning
from grid.core.datums import to_wgs84

WHO = "command"
app = typer.Typer(
    no_args_is_help=True, help="Places learned from corrections. Example: gridward places learned"
)


@app.command()
def learned(
    undone: Annotated[bool, typer.Option("--all", help="Also what was forgotten again.")] = False,
    as_json: Json = False,
) -> None:
    """List what was learned from corrections. Example: gridward places learned --all"""
    with opened(keep=False) as (_, session):
        rows = learning.learned_list(session, with_undone=undone)
    _listed("learned", rows, as_json)


@app.command()
def forget(
    learned_id: Annotated[int, typer.Argument(metavar="ID", help="From `places learned`.")],
    as_json: Json = False,
) -> None:
    """Undo one correction. Example: gridward places forget 12"""
    with opened() as (_, session):
        forget_place(session, learned_id, WHO, datetime.now(UTC))
    finish({"forgotten": learned_id}, as_json)


@app.command()
def defaults(as_json: Json = False) -> None:
    """List the points that stand for "unknown". Example: gridward places defaults"""
    with opened(keep=False) as (_, session):
        rows = learning.default_point_list(session)
    _listed("default_points", rows, as_json)


@app.command("default-add")
def default_add(
    lon: float,
    lat: float,
    datum: Annotated[str, typer.Option(help="Datum of the point.")] = "wgs84",
    as_json: Json = False,
) -> None:
    """Never believe a point again. Example: gridward places default-add 114.6021 33.6014"""
    with opened() as (_, session):
        point = tuple(float(v) for v in to_wgs84(lon, lat, datum))
        added = learning.add_default_points(session, [(point[0], point[1])], WHO, datetime.now(UTC))
    finish({"added": added}, as_json)


@app.command("default-drop")
def default_drop(
    point_id: Annotated[int, typer.Argument(metavar="ID", help="From `places defaults`.")],
    as_json: Json = False,
) -> None:
    """Believe a point again. Example: gridward places default-drop 3"""
    with opened() as (_, session):
        learning.drop_default_point(session, point_id, datetime.now(UTC))
    finish({"dropped": point_id}, as_json)


def _listed(name: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        finish({name: rows}, True)
        return
    if not rows:
        say("cli.nothing_listed")
    for row in rows:
        words = " · ".join(str(value) for value in row.values() if value is not None)
        typer.echo(words)
