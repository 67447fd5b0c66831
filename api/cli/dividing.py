"""`gridward divide`: grids proposed, or put in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.opening import opened
from api.cli.output import Json, finish, say, steps
from dispatch.reading import incidents_by_segment
from grid.core.errors import BadInput
from grid.dividing import apply as put_in_force
from grid.dividing import propose

BALANCES = ("length", "incidents")


def divide(
    grids: Annotated[int, typer.Option("--grids", help="How many grids.")],
    balance: Annotated[str, typer.Option(help="What is balanced: length or incidents.")] = "length",
    within: Annotated[str | None, typer.Option(help="Keep grids inside: communities.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Start from the division in force, with few hand-overs.")
    ] = False,
    ceiling: Annotated[
        float | None, typer.Option(help="Heaviest grid over the mean, such as 1.05.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same division.")] = 0,
    apply: Annotated[
        bool, typer.Option("--apply", help="Put it in force; without it, only shown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Divide the streets into connected, balanced grids. Example: gridward divide --grids 40 --apply"""
    if balance not in BALANCES:
        known = ", ".join(BALANCES)
        raise BadInput("division.balance_unknown", field="balance", balance=balance, known=known)
    with opened(keep=apply) as (_, session):
        counts = incidents_by_segment(session) if balance == "incidents" else None
        with steps() as step:
            proposal = propose(
                session,
                grids,
                incident_counts=counts,
                within=within,
                keep=keep,
                ceiling=ceiling,
                seed=seed,
                progress=lambda share: step(f"{share:.0%}"),
            )
        changed = put_in_force(session, proposal, datetime.now(UTC)) if apply else 0
    figures = proposal.division.figures
    table = proposal.table()
    result = {
        "grids": grids,
        "applied": apply,
        "balance": round(figures.balance, 4),
        "connected": figures.connected,
        "compactness": round(figures.compactness, 4),
        "cut_streets": figures.cut_streets,
        "ceiling_met": proposal.division.ceiling_met,
        "sides_changed": changed,
        "moved_length_share": figures.moved_length_share,
    }
    if as_json:
        finish({**result, "table": table.to_dict("records")}, True)
        return
    shown = Table("code", "name", "segments", "length_m")
    for row in table.itertuples(index=False):
        shown.add_row(str(row.code), str(row.name), str(row.segments), f"{row.length_m:.0f}")
    Console(highlight=False).print(shown)
    finish(result, False)
    if not apply:
        say("cli.divide_not_applied")
