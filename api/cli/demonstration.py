"""`gridward demo`: the invented town, loaded through the same doors as a real one."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import geopandas as gpd
import pandas as pd
import typer
from PIL import Image, ImageDraw
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from api import auth
from api.cli.opening import opened, seed
from api.cli.output import Json, finish, say, steps
from api.services import Services
from dispatch.evidence import store_photo
from dispatch.past import Course, Stations, write_past
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from fixtures.scales import ScaleName
from fixtures.town import InventedTown, make_town
from grid.cells import make_cells
from grid.core.database import Base
from grid.core.errors import Conflict
from grid.dividing import apply, propose
from grid.loading.people import load_crews, load_staff
from grid.loading.places import load_street_marks
from grid.loading.shifts import load_shifts
from grid.loading.towns import load_town
from grid.loading.units import load_units
from grid.models import PostHolding, Staff
from grid.town import town_facts

# Known to everybody, for the invented town only.
SAMPLE_PASSWORD = "gridward-demo"  # noqa: S105
SAMPLE_ROLES = (
    *("operator", "watch_chief", "dispatcher", "collector", "evaluator", "analyst"),
    *("unit_head", "leader", "officer", "cleaner", "gardener", "maintainer"),
)
# A year of a metropolis takes long to live through; --incidents asks for as many as wanted.
INCIDENTS: dict[ScaleName, int] = {"town": 6_000, "city": 10_000, "metropolis": 20_000}
CHECK_MINUTES, CLOSE_MINUTES = 45.0, 20.0
KEPT_TABLES = frozenset({"alembic_version", "spatial_ref_sys"})
APPEND_ONLY = ("history", "seal", "seal_entry")


def demo(
    scale: Annotated[str, typer.Option(help="town, city or metropolis.")] = "town",
    reset: Annotated[
        bool, typer.Option("--reset", help="Empty the database first: everything in it is lost.")
    ] = False,
    if_empty: Annotated[
        bool, typer.Option("--if-empty", help="Do nothing when there is a town already.")
    ] = False,
    incidents: Annotated[
        int | None, typer.Option(help="How many incidents; 6000, 10000 or 20000 by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load the invented town with grids, crews and a year of incidents. Example: gridward demo --reset"""
    chosen = _scale(scale)
    with opened() as (services, session), steps() as step:
        if reset:
            empty_database(session)
            session.commit()
        elif _has_town(session):
            if if_empty:
                finish({"loaded": False}, as_json)
                return
            raise Conflict("demo.not_empty", name=town_facts(session).name)
        if reset:
            seed(services, session)
        step("make")
        town = make_town(
            scale=chosen, incident_count=INCIDENTS[chosen] if incidents is None else incidents
        )
        result = load_demo(services, session, town, step, datetime.now(UTC))
    finish(result, as_json)
    if not as_json:
        say("demo.accounts", password=SAMPLE_PASSWORD, accounts=", ".join(result["accounts"]))


def load_demo(
    services: Services, session: Session, town: InventedTown, step: Any, now: datetime
) -> dict[str, Any]:
    """Streets, division, people, accounts and a year of incidents up to `now`, in the caller's transaction."""
    began = datetime(town.year, 1, 1, tzinfo=services.desk.zone)
    report = load_town(
        session,
        town.streets,
        town.door_plates,
        town.places,
        town.boundaries,
        began,
        merge=True,
        name=town.name,
        name_en=town.name_en,
        progress=step,
    )
    load_street_marks(session, _marks(town))
    step("cells")
    cells = make_cells(session, widen=True)
    step("divide")
    proposal = propose(session, town.grids, progress=lambda share: step(f"divide {share:.0%}"))
    apply(session, proposal, began)
    step("people")
    zone = services.settings.town.time_zone
    staff = load_staff(session, town.staff)
    units = load_units(session, town.units)
    shifts = load_shifts(session, town.shifts(), began, time_zone=zone)
    codes = sorted(name.code for name in proposal.names.values())
    crews = load_crews(session, town.crews(codes), began, time_zone=zone)
    accounts = _accounts(session)
    step("incidents")
    written = write_past(
        session,
        services.desk,
        _lived(town, now),
        _stations(session),
        store_photo(services.evidence, draw_photo()),
        now,
        progress=lambda words: step(f"incidents {words}"),
    )
    session.execute(_CELLS)
    return {
        "town": town.name,
        "segments": report.streets.new,
        "door_plates": report.door_plates,
        "places": report.places,
        "grids": len(codes),
        "balance": round(proposal.division.figures.balance, 4),
        "cells": cells.cells,
        "communities_of_wider_cells": cells.widened,
        "units": units.taken,
        "staff": staff.taken,
        "shifts": shifts.taken,
        "crews": crews.taken,
        "incidents": written,
        "accounts": accounts,
        "refused": sum(len(each.refused) for each in (staff, units, shifts, crews)),
    }


_CELLS = text(
    "update incident i set cell_code = (select c.code from cell c"
    " where st_intersects(c.area, i.point) order by c.code limit 1) where i.point is not null"
)


def _lived(town: InventedTown, now: datetime) -> Iterator[tuple[Report, Course]]:
    """The town's year as the twelve months before `now`: what is older comes back 52 weeks later.

    Whole weeks keep weekdays and, nearly, seasons.
    """
    year = timedelta(days=364)
    rows: list[dict[Any, Any]] = town.incidents.to_dict("records")
    for row in rows:
        at: datetime = row["occurred_at"].to_pydatetime()
        at += max(0, math.ceil((now - year - at) / year)) * year
        point = None
        if not pd.isna(row["lon"]):
            point = GivenPoint(row["lon"], row["lat"], row["datum"] or "wgs84")
        report = Report(
            channel=row["channel"],
            description=row["description"],
            category=row["category"],
            address=_known(row["address"]),
            point=point,
            reporter_name=_known(row["reporter_name"]),
            reporter_phone=_known(row["reporter_phone"]),
            external_id=_known(row["external_id"]),
            occurred_at=at,
        )
        course = Course(
            accept_minutes=float(row["accept_minutes"] + row["dispatch_minutes"]),
            finish_minutes=float(row["finish_minutes"]),
            check_minutes=CHECK_MINUTES,
            close_minutes=CLOSE_MINUTES,
            reworks=int(bool(row["rework"])),
        )
        yield report, course


def _stations(session: Session) -> Stations:
    """Who sat at the centre: the first of each post."""
    found = {
        post: f"staff:{staff_id}"
        for staff_id, post in session.execute(
            select(Staff.id, Staff.post).order_by(Staff.id.desc())
        )
    }
    return Stations(
        **{name: found[name] for name in ("operator", "dispatcher", "collector", "watch_chief")}
    )


def draw_photo() -> bytes:
    """A drawn picture that stands for the photograph after the work: a clean street."""
    image = Image.new("RGB", (640, 480), "#cfe6f5")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 230, 640, 300), fill="#8fbf7f")
    draw.polygon(((0, 480), (640, 480), (400, 260), (240, 260)), fill="#6d7278")
    draw.polygon(((310, 480), (330, 480), (322, 260), (318, 260)), fill="#f2f2f2")
    for x in (70, 520):
        draw.rectangle((x + 22, 190, x + 34, 290), fill="#7a5a3a")
        draw.ellipse((x - 10, 110, x + 66, 210), fill="#4f9a55")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _known(value: object) -> str | None:
    return None if pd.isna(value) else str(value)  # type: ignore[call-overload]


def empty_database(session: Session) -> None:
    """Takes every row of every table of ours away; the append-only trigger is lifted for that moment."""
    tables = [table.name for table in Base.metadata.sorted_tables if table.name not in KEPT_TABLES]
    for table in APPEND_ONLY:
        session.execute(text(f"alter table {table} disable trigger user"))
    session.execute(text(f"truncate {', '.join(tables)} restart identity cascade"))
    for table in APPEND_ONLY:
        session.execute(text(f"alter table {table} enable trigger user"))
    session.execute(text("alter sequence incident_number restart"))


def _accounts(session: Session) -> list[str]:
    """One account for each role, tied to a person of that post, and the administrator."""
    auth.save_account(session, "admin", SAMPLE_PASSWORD, "管理员", "administrator")
    names = ["admin"]
    for role in SAMPLE_ROLES:
        person = session.execute(
            select(Staff.id, Staff.name)
            .outerjoin(PostHolding, PostHolding.staff_id == Staff.id)
            .where(Staff.heads_unit.is_(True) if role == "unit_head" else Staff.post == role)
            .order_by(PostHolding.grid_id.nulls_last(), Staff.id)
            .limit(1)
        ).one_or_none()
        staff_id, name = (person.id, person.name) if person else (None, role)
        auth.save_account(session, role, SAMPLE_PASSWORD, name, role, staff_id)
        names.append(role)
    return names


def _marks(town: InventedTown) -> gpd.GeoDataFrame:
    posts = town.km_posts.rename(columns={"text": "code"}).assign(kind="km_post")
    poles = town.facilities.rename(columns={"number": "code"}).assign(kind="facility")
    columns = ["kind", "street", "code", "geometry"]
    return gpd.GeoDataFrame(pd.concat([posts[columns], poles[columns]]), crs=4326)


def _has_town(session: Session) -> bool:
    return bool(session.scalar(text("select exists (select 1 from segment)")))


def _scale(written: str) -> ScaleName:
    scales: tuple[ScaleName, ...] = ("town", "city", "metropolis")
    for scale in scales:
        if written == scale:
            return scale
    raise typer.BadParameter(f"{', '.join(scales)}", param_hint="--scale")
