"""`gridward crews`: who holds which post of which grid, at any moment, and who answers for it then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from api.cli.opening import opened
from api.cli.output import Json, finish, language
from api.i18n import translate
from grid.core.errors import BadInput
from grid.crews import grid_crew
from grid.models import HOLDINGS


def crews(
    at: Annotated[str | None, typer.Option(help="Date or moment; now by default.")] = None,
    grid: Annotated[str | None, typer.Option(help="Only the grid with this code.")] = None,
    as_json: Json = False,
) -> None:
    """Show who holds which post. Example: gridward crews --at 2025-03-01 --grid G003"""
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
        finish({"at": moment.isoformat(), "grids": found}, True)
        return
    shown = Table("grid", "name", *(translate(language(), f"post.{post}") for post in HOLDINGS))
    for item in found:
        shown.add_row(
            item["code"], item["name"], *(_cell(item["posts"][post]) for post in HOLDINGS)
        )
    Console(highlight=False).print(shown)


def _cell(post: dict[str, Any]) -> str:
    """The holder; whoever stands in, behind an arrow; a dash for nobody."""
    holder, answering = post["holder"], post["answering"]
    name = holder["name"] if holder else "-"
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
