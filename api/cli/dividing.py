"""`gridward divide` and `gridward divisions`: grids proposed, kept, compared, put in force from a date."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from api.cli.grids import From
from api.cli.handing import HandOvers
from api.cli.opening import opened
from api.cli.output import Json, finish, say, steps
from api.imports.asked import counts_of, hand_over_of, moment_of
from dispatch.following import Followed, follow_changes
from dispatch.reading import incidents_by_segment
from grid.core.errors import BadInput
from grid.dividing import propose
from grid.division import class_weights
from grid.proposals import (
    apply_division,
    division_frame,
    division_table,
    figures_plain,
    store,
    stored_division,
    stored_divisions,
)
from maps.layer_frames import write_frame

BALANCES = ("length", "weighted", "incidents")
Number = Annotated[int, typer.Argument(help="The division's number.")]
divisions = typer.Typer(
    no_args_is_help=True,
    help="Divisions proposed and in force. Example: gridward divisions list",
)


def divide(
    grids: Annotated[int, typer.Option("--grids", help="How many grids.")],
    balance: Annotated[
        str, typer.Option(help="What is balanced: length, weighted or incidents.")
    ] = "length",
    class_weight: Annotated[
        list[str] | None,
        typer.Option(
            "--class-weight",
            help="With weighted: work on a class of street, primary=2; repeatable.",
        ),
    ] = None,
    incidents_from: Annotated[
        str | None, typer.Option(help="With incidents: those since this date.")
    ] = None,
    incidents_to: Annotated[
        str | None, typer.Option(help="With incidents: those until the end of this date.")
    ] = None,
    within: Annotated[str | None, typer.Option(help="Keep grids inside: communities.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Start from the division in force, with few hand-overs.")
    ] = False,
    ceiling: Annotated[
        float | None, typer.Option(help="Heaviest grid over the mean, such as 1.05.")
    ] = None,
    floor: Annotated[
        float | None, typer.Option(help="Lightest grid over the mean, such as 0.9.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same division.")] = 0,
    apply: Annotated[
        bool, typer.Option("--apply", help="Put it in force; without it, only kept as a proposal.")
    ] = False,
    from_: From = None,
    hand_over: HandOvers = "offered",
    as_json: Json = False,
) -> None:
    """Divide the streets into connected, balanced grids. Example: gridward divide --grids 40 --apply"""
    if balance not in BALANCES:
        known = ", ".join(BALANCES)
        raise BadInput("division.balance_unknown", field="balance", balance=balance, known=known)
    weights = _class_weights(class_weight, balance)
    if balance != "incidents" and (incidents_from or incidents_to):
        raise BadInput("division.period_without_incidents", field="incidents_from")
    asked = hand_over_of(hand_over)
    if from_ is not None and not apply:
        raise BadInput("division.from_without_apply", field="from")
    with opened() as (services, session):
        now = datetime.now(UTC)
        from_at = moment_of(from_, services.desk.zone, now)
        counts = None
        if balance == "incidents":
            counts = _counts(session, incidents_from, incidents_to, services.desk.zone)
        with steps() as step:
            proposal = propose(
                session,
                grids,
                incident_counts=counts,
                class_weights=weights,
                within=within,
                keep=keep,
                ceiling=ceiling,
                floor=floor,
                at=from_at,
                seed=seed,
                progress=lambda share: step(f"{share:.0%}"),
            )
        number = store(session, proposal, now)
        # Long work lies between: what holds from now on holds from the moment of writing.
        moment = from_at if from_ is not None else datetime.now(UTC)
        changed, followed = 0, Followed([], [])
        if apply:
            changed = apply_division(session, number, moment, hand_over=asked)
            followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {
        "division": number,
        "applied": apply,
        "balanced_by": balance,
        **({"from": moment.isoformat()} if apply else {}),
        **figures_plain(proposal),
        "sides_changed": changed,
        **counts_of(followed),
    }
    table = proposal.table()
    # Where metres are balanced they stand there already.
    _told(result, table.drop(columns="weight") if balance == "length" else table, as_json)
    if not apply and not as_json:
        say("cli.divide_not_applied", number=number)


@divisions.command("list")
def list_(as_json: Json = False) -> None:
    """Every division made, newest first. Example: gridward divisions list"""
    with opened(keep=False) as (_, session):
        rows = stored_divisions(session)
    if as_json:
        finish({"divisions": rows}, True)
        return
    names = ("grids", "balance", "connected", "compactness", "cut_streets", "moved_length_share")
    shown = Table("division", "made_at", "in_force_from", *names)
    for row in rows:
        held = row["in_force_from"]
        shown.add_row(
            str(row["id"]),
            f"{row['made_at']:%Y-%m-%d %H:%M}",
            f"{held:%Y-%m-%d %H:%M}" if held else "",
            *(str(row["figures"].get(name)) for name in names),
        )
    Console(highlight=False).print(shown)


@divisions.command()
def show(number: Number, as_json: Json = False) -> None:
    """The grids and figures of one division. Example: gridward divisions show 3"""
    with opened(keep=False) as (_, session):
        stored = stored_division(session, number)
        table = division_table(session, number)
    held = stored.in_force_from
    result = {"division": number, "in_force_from": held and held.isoformat(), **stored.figures}
    _told(result, table, as_json)


@divisions.command("apply")
def apply_(
    number: Number,
    from_: From = None,
    hand_over: HandOvers = "offered",
    as_json: Json = False,
) -> None:
    """Put a division in force from a date. Example: gridward divisions apply 3 --from 2026-01-01"""
    asked = hand_over_of(hand_over)
    with opened() as (services, session):
        from_at = moment_of(from_, services.desk.zone, datetime.now(UTC))
        changed = apply_division(session, number, from_at, hand_over=asked)
        followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {"division": number, "from": from_at.isoformat(), "sides_changed": changed}
    finish({**result, **counts_of(followed)}, as_json)


@divisions.command()
def export(
    number: Number,
    out: Annotated[Path, typer.Argument(help="The file; its ending says the format.")],
    as_json: Json = False,
) -> None:
    """Write a division as a layer to look at and compare. Example: gridward divisions export 3 plan.gpkg"""
    with opened(keep=False) as (_, session):
        count = write_frame(division_frame(session, number), f"division_{number}", out)
    finish({"division": number, "features": count, "file": str(out)}, as_json)


def _class_weights(given: list[str] | None, balance: str) -> dict[str, float] | None:
    """The weights of classes when they are what is balanced; BadInput `division.class_weight_unused` otherwise."""
    if balance != "weighted":
        if given:
            raise BadInput("division.class_weight_unused", field="class_weight")
        return None
    told: dict[str, float] = {}
    for pair in given or []:
        name, _, written = pair.partition("=")
        try:
            told[name.strip()] = float(written)
        except ValueError as error:
            raise BadInput(
                "division.class_weight_invalid",
                field="class_weight",
                class_name=name,
                weight=written,
            ) from error
    return class_weights(told)


def _counts(
    session: Session, since: str | None, until: str | None, zone: ZoneInfo
) -> dict[int, int]:
    """Incidents of a period by segment; BadInput `division.no_incidents` when there are none."""
    counts = incidents_by_segment(
        session, _day(since, zone, "incidents_from"), _day(until, zone, "incidents_to", end=True)
    )
    if not counts:
        raise BadInput("division.no_incidents", field="balance")
    return counts


def _day(written: str | None, zone: ZoneInfo, field: str, *, end: bool = False) -> datetime | None:
    """The moment that a date or moment names in the town's zone; of a bare date its begin, or its `end`."""
    if written is None:
        return None
    moment = pd.to_datetime(written, errors="coerce")
    if pd.isna(moment):
        raise BadInput("grids.date_unreadable", field=field, text=written)
    if end and len(written.strip()) <= len("2026-01-31"):
        moment += pd.Timedelta(days=1)
    aware: datetime = (moment if moment.tzinfo else moment.tz_localize(zone)).to_pydatetime()
    return aware


def _told(result: dict[str, Any], table: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        finish({**result, "table": table.to_dict("records")}, True)
        return
    shown = Table("code", "name", "segments", "length_m")
    for row in table.itertuples(index=False):
        shown.add_row(str(row.code), str(row.name), str(row.segments), f"{row.length_m:.0f}")
    Console(highlight=False).print(shown)
    finish(result, False)
