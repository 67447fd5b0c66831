"""`gridward crews`: who holds which post of which grid, at any moment, and who answers for it then; hand-over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from api.cli.handing import hand_over
from api.cli.opening import opened
from api.cli.output import Json, finish, language, say
from api.i18n import translate
from grid.core.errors import BadInput
from grid.crews import grid_crew
from grid.models import HOLDINGS

SHOWN = 10
crews = typer.Typer(
    invoke_without_command=True,
    help="Who holds which post. Example: gridward crews --at 2025-03-01 --grid G003",
)
crews.command("hand-over")(hand_over)


@crews.callback()
def show(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(help="Date or moment; now by default.")] = None,
    grid: Annotated[str | None, typer.Option(help="Only the grid with this code.")] = None,
    as_json: Json = False,
) -> None:
    """Show who holds which post. Example: gridward crews --at 2025-03-01 --grid G003"""
    if context.invoked_subcommand is not None:
        return
    with opened(keep=False) as (services, session):
        moment = _moment(at, services.desk.zone)
        codes = [grid] if grid else list(
            session.scalars(
                text(
                    "select code from grid where valid @> cast(:at as timestamptz) order by code"
                ),
                {"at": moment},
            )
        )  # fmt: skip
        found = [grid_crew(session, code, moment) for code in codes]
    if as_json:
        missing = {item["code"]: item["missing_posts"] for item in found if item["missing_posts"]}
        finish({"at": moment.isoformat(), "grids": found, "missing_posts": missing}, True)
        return
    shown = Table("grid", "name", *(translate(language(), f"post.{post}") for post in HOLDINGS))
    for item in found:
        shown.add_row(
            item["code"], item["name"], *(_cell(item["posts"][post]) for post in HOLDINGS)
        )
    Console(highlight=False).print(shown)
    _say_missing(found)


def _say_missing(found: list[dict[str, Any]]) -> None:
    """Names the grids that have not somebody in all four posts, a few of them."""
    gaps = [
        f"{item['code']} {translate(language(), f'post.{post}')}"
        for item in found
        for post in item["missing_posts"]
    ]
    if gaps:
        say("cli.posts_missing", count=len(gaps), things=", ".join(gaps[:SHOWN]))


def _cell(post: dict[str, Any]) -> str:
    """The holder with the shifts in force; whoever stands in, behind an arrow; a dash for nobody."""
    holder, answering = post["holder"], post["answering"]
    name = holder["name"] if holder else "-"
    if holder and holder["shifts"]:
        hours = (f"{s['name']} {s['begins']}-{s['ends']}".strip() for s in holder["shifts"])
        name = f"{name} ({', '.join(dict.fromkeys(hours))})"
    if answering is None or answering["standing"] == "holder":
        return str(name)
    return f"{name} → {answering['name']}"


def _moment(written: str | None, zone: ZoneInfo) -> datetime:
    if written is None:
        return datetime.now(UTC)
    moment = pd.to_datetime(written, errors="coerce")
    if pd.isna(moment):
        raise BadInput("grids.date_unreadable", field="at", text=written)
    aware: datetime = (moment if moment.tzinfo else moment.tz_localize(zone)).to_pydatetime()
    return aware
