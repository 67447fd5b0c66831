"""`gridward grids`: areas given and taken back, listed; the territory kept."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.grids import Code, DryRun, From, app, told
from api.cli.opening import opened
from api.cli.output import Json, finish, steps
from api.imports.asked import counts_of, datum_change, moment_of
from dispatch.area_handover import incidents_of_areas
from dispatch.following import Followed, follow_changes
from grid.given_areas import (
    NamedArea,
    apply_areas,
    areas_frame,
    place_area,
    plan_give,
    plan_take,
)
from grid.kept_territory import keep_territory
from grid.sources.files import open_frame
from grid.town import lock_ground


@app.command("give-area")
def give_area(
    code: Code,
    place: Annotated[
        list[str] | None, typer.Option(help="Name or number of a place; may be repeated.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file of areas.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer of a file with several.")] = None,
    crs: Annotated[str | None, typer.Option(help="EPSG:4547, gcj02 … as in imports.")] = None,
    name: Annotated[str | None, typer.Option(help="The name of an area without one.")] = None,
    from_: From = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give a park, market or square to a grid. Example: gridward grids give-area G003 --place 人民公园"""
    with opened(keep=not dry_run) as (services, session):
        if not dry_run:
            lock_ground(session)
        from_at = moment_of(from_, services.desk.zone, datetime.now(UTC))
        areas = [place_area(session, one) for one in place or ()]
        if file is not None:
            areas += _areas_of_file(file, layer, crs, name)
        plan = plan_give(session, code, areas, from_at)
        incidents = incidents_of_areas(session, plan)
        ids: list[int] = []
        followed = Followed([], [])
        if not dry_run:
            ids = apply_areas(session, plan)
            followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {
        "grid": code,
        "from": from_at.isoformat(),
        "areas": len(plan.gives),
        "area_m2": round(plan.area_m2(), 1),
        "area_ids": ids,
        **counts_of(followed),
    }
    told(result, incidents, dry_run, as_json)


@app.command("take-area")
def take_area(
    areas: Annotated[list[int], typer.Argument(help="Numbers of areas, as listed.")],
    from_: From = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take areas back: the nearest segment decides again. Example: gridward grids take-area 12"""
    with opened(keep=not dry_run) as (services, session):
        if not dry_run:
            lock_ground(session)
        from_at = moment_of(from_, services.desk.zone, datetime.now(UTC))
        plan = plan_take(session, areas, from_at)
        incidents = incidents_of_areas(session, plan)
        followed = Followed([], [])
        if not dry_run:
            apply_areas(session, plan)
            followed = follow_changes(session, services.desk, datetime.now(UTC))
    result = {"from": from_at.isoformat(), "areas": len(plan.takes), "area_ids": list(plan.takes)}
    told({**result, **counts_of(followed)}, incidents, dry_run, as_json)


@app.command("areas")
def areas(
    past: Annotated[bool, typer.Option("--all", help="Past and planned ones too.")] = False,
    as_json: Json = False,
) -> None:
    """The areas of grids, drawn and given. Example: gridward grids areas"""
    with opened(keep=False) as (_, session):
        frame = areas_frame(session, None if past else datetime.now(UTC))
    rows = frame.drop(columns="geometry").astype(object).where(frame.notna(), None)
    shown = rows.to_dict("records")
    if as_json:
        finish({"areas": shown}, True)
        return
    table = Table(*rows.columns)
    for row in shown:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(highlight=False).print(table)


@app.command("territory")
def territory(
    anew: Annotated[bool, typer.Option("--anew", help="All of it, not only what changed.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the kept territory up to date. Example: gridward grids territory"""
    with opened() as (_, session), steps() as step:
        step("territory")
        done = keep_territory(session, datetime.now(UTC), anew=anew)
    finish(asdict(done), as_json)


def _areas_of_file(
    file: Path, layer: str | None, crs: str | None, name: str | None
) -> list[NamedArea]:
    frame, _ = open_frame(file, layer, crs, datum_change, {})
    column = next((c for c in frame.columns if str(c).lower() in ("name", "名称")), None)
    names = [None] * len(frame) if column is None else frame[column].tolist()
    return [
        NamedArea(str(own) if isinstance(own, str) and own.strip() else name or file.stem, shape)
        for own, shape in zip(names, frame.geometry, strict=True)
    ]
