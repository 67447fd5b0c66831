"""Thematic maps: the list, a map on a page, the same as a file that opens offline, as PNG and as PDF."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.deps import (
    DbSession,
    Lang,
    Now,
    PageAccount,
    PageReach,
    ServicesDep,
    get_language,
    require,
)
from api.i18n import Language, translate
from api.layers import keep_territory_now
from api.pages.console import QUEUES, STATUSES
from api.pages.rendering import first_base_map, page, standalone
from api.pages.security import nonce_of
from api.services import Services
from dispatch.codes import FLAGS, POSTS
from dispatch.scope import Scope
from grid.core.errors import BadInput, Conflict, NotFound
from grid.town import town_facts
from maps.drawing import Drawing, Words
from maps.export_filters import parse_box, parse_moment
from maps.page import render
from maps.print_map import print_map
from maps.thematic import MAPS, thematic_map
from maps.thematic_frames import MapFilter
from maps.thematic_page import inlined, thematic_folium

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).resolve().parent.parent / "static"
# What a map without a period shows.
DAYS = 90
# So many segments are traced within a moment of waiting.
SOON_TRACED = 5_000
PRINTS = {"png": "image/png", "pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class MapFilters:
    """The console's filters and a period, as the address has them; `to` as a date is the last day shown."""

    status: str
    queue: str
    category: str
    grid: str
    q: str
    first: str
    last: str
    by: str
    channel: str = ""
    post: str = ""
    assignee: str = ""
    flag: str = ""
    overdue: str = ""
    bbox: str = ""
    where: str = ""

    def of(self, scope: Scope | None, zone: ZoneInfo, now: datetime) -> MapFilter:
        """For the reader's scope. Raises BadInput `export.moment_unreadable`, `report.unreadable`, `bbox.unreadable`."""
        if any("\x00" in getattr(self, name) for name in self.__slots__):
            raise BadInput("report.unreadable")
        if self.assignee and not (self.assignee.isascii() and self.assignee.isdigit()):
            raise BadInput("request.invalid", field="assignee", problem=self.assignee)
        # "Overdue" is no queue that an incident is put in.
        overdue = self.overdue not in ("", "0", "false") or self.queue == "overdue"
        until = parse_moment(self.last, zone, "to")
        if until is None:
            tomorrow = now.astimezone(zone).date() + timedelta(days=1)
            until = datetime.combine(tomorrow, time(), zone)
        elif len(self.last.strip()) == 10:
            until = datetime.combine(until.date() + timedelta(days=1), time(), zone)
        since = parse_moment(self.first, zone, "from") or until - timedelta(days=DAYS)
        return MapFilter(
            statuses=() if self.status in ("", "open") else (self.status,),
            open_only=self.status == "open",
            queue=None if self.queue == "overdue" else self.queue or None,
            channel=self.channel or None,
            post=self.post or None,
            assignee_id=int(self.assignee[:18]) if self.assignee else None,
            flag=self.flag or None,
            overdue_at=now if overdue else None,
            bbox=parse_box(self.bbox),
            where=self.where or None,
            category=self.category or None,
            grid=self.grid or None,
            words=self.q or None,
            from_at=since,
            to_at=until,
            scope=scope,
        )

    def address(self) -> dict[str, str]:
        """What is asked, for links."""
        names = {"first": "from", "last": "to"}
        return {
            names.get(name, name): value
            for name in self.__slots__
            if (value := getattr(self, name))
        }

    def export_address(self, first: datetime, last: datetime) -> str:
        """The same for the page of exports, whose period ends before its last day."""
        given = {name: value for name, value in self.address().items() if name != "by"}
        days = {"from": f"{first:%Y-%m-%d}", "to": f"{last + timedelta(days=1):%Y-%m-%d}"}
        return f"/exports?{urlencode({**given, **days, 'layer': 'incidents'})}"


def map_filters(
    status: Annotated[str, Query(max_length=40)] = "",
    queue: Annotated[str, Query(max_length=40)] = "",
    category: Annotated[str, Query(max_length=40)] = "",
    grid: Annotated[str, Query(max_length=60)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    first: Annotated[str, Query(alias="from", max_length=40)] = "",
    last: Annotated[str, Query(alias="to", max_length=40)] = "",
    by: Annotated[str, Query(max_length=40)] = "",
    channel: Annotated[str, Query(max_length=40)] = "",
    post: Annotated[str, Query(max_length=40)] = "",
    assignee: Annotated[str, Query(max_length=18)] = "",
    flag: Annotated[str, Query(max_length=40)] = "",
    overdue: Annotated[str, Query(max_length=5)] = "",
    bbox: Annotated[str, Query(max_length=200)] = "",
    where: Annotated[str, Query(max_length=10_000)] = "",
) -> MapFilters:
    """The filters of the address."""
    return MapFilters(
        status,
        queue,
        category,
        grid,
        q,
        first,
        last,
        by,
        channel,
        post,
        assignee,
        flag,
        overdue,
        bbox,
        where,
    )


Asked = Annotated[MapFilters, Depends(map_filters)]


@router.get("/maps")
def maps_list(request: Request, account: PageAccount) -> Response:
    """Every thematic map, with what it tells."""
    require(account, "console")
    return page(request, "maps.html", account=account, maps=MAPS)


@router.get("/maps/{name}")
def one_map(
    name: str, request: Request, session: DbSession, services: ServicesDep, account: PageAccount,
    scope: PageReach, language: Lang, now: Now, asked: Asked, download: bool = False,
) -> Response:  # fmt: skip
    """`/maps/{name}`: the page; `.html` one file without a network, `.png` and `.pdf` the print."""
    require(account, "console")
    stem, _, ending = name.partition(".")
    if ending not in ("", "html", *PRINTS):
        raise NotFound("maps.unknown", field="name", name=name, known=", ".join(MAPS))
    words: Words = partial(translate, language)
    zone = services.settings.town.zone
    filters = asked.of(scope, zone, now)
    if stem in MAPS and MAPS[stem].grounds:
        _keep_ground(session, services, now)
    drawing = thematic_map(
        session, stem, asked.by or None, filters, now, words, zone,
        with_names=account.may("see_people"), english=language == "en",
    )  # fmt: skip
    first, last = _days(filters, zone)
    file = f"{stem}-{first:%Y%m%d}-{last:%Y%m%d}.{ending}"
    if ending in PRINTS:
        body = _printed(session, drawing, words, now.astimezone(zone), ending, language)
        return Response(body, media_type=PRINTS[ending], headers=_sent(file, download))
    if ending == "html":
        html = _file(request, services, session, drawing, words, now.astimezone(zone))
        return HTMLResponse(html, headers=_sent(file, download=True))
    pieces = render(thematic_folium(drawing, words, first_base_map(request)), nonce_of(request))
    shown = asked.address()
    return page(
        request,
        "map.html",
        account=account,
        map_pieces=pieces,
        drawing=drawing,
        kind=MAPS[stem],
        name=stem,
        asked=asked,
        first=f"{first:%Y-%m-%d}",
        last=f"{last:%Y-%m-%d}",
        query=f"?{urlencode({**shown, 'lang': language})}",
        statuses=STATUSES,
        queues=QUEUES,
        categories=category_choices(session, language),
        grids=grid_choices(session),
        posts=POSTS,
        flags=FLAGS,
        channels=channel_choices(session, language),
        export_address=asked.export_address(first, last) if account.may("export") else "",
    )


def _keep_ground(session: Session, services: Services, now: datetime) -> None:
    """The territory made where none is kept yet, in a town where that takes a moment; else streets are drawn."""
    kept, segments, grids = session.execute(
        text(
            "select exists (select 1 from kept_territory), (select count(*) from segment where gone_at is null),"
            " exists (select 1 from grid where valid @> statement_timestamp())"
        )
    ).one()
    if not kept and grids and segments <= SOON_TRACED:
        keep_territory_now(services.engine, now)


def _days(filters: MapFilter, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A moment in the first and one in the last day of the period, in the town's zone."""
    until = filters.to_at or datetime.max.replace(tzinfo=zone)
    since = filters.from_at or until
    return since.astimezone(zone), (until - timedelta(microseconds=1)).astimezone(zone)


def _file(
    request: Request, services: Services, session: Session, drawing: Drawing, words: Words, now: datetime
) -> str:  # fmt: skip
    """The map with everything inside; tiles of other hosts stay out."""
    pieces = render(thematic_folium(drawing, words), "")
    html = standalone(
        request, "map_file.html", map=pieces, drawing=drawing, town=_town(session, get_language(request))[0],
        made_at=f"{now:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    return inlined(html.replace(' nonce=""', ""), STATIC)


def _printed(
    session: Session, drawing: Drawing, words: Words, now: datetime, kind: str, language: Language
) -> bytes:
    town, epsg = _town(session, language)
    return print_map(drawing, words, town, epsg, now, kind)


def _town(session: Session, language: str) -> tuple[str, int]:
    try:
        facts = town_facts(session)
    except Conflict:
        raise Conflict("town.empty") from None
    return (facts.name_en if language == "en" and facts.name_en else facts.name), facts.plane_epsg


def _sent(file: str, download: bool) -> dict[str, str]:
    way = "attachment" if download else "inline"
    return {
        "Content-Disposition": f'{way}; filename="gridward-{file}"',
        "Cache-Control": "private, no-store",
    }


def category_choices(session: Session, language: Language) -> list[tuple[str, str]]:
    """Categories that incidents have, by name: those without one would only be empty maps."""
    column = "name_en" if language == "en" else "name_zh"
    rows = session.execute(
        text(
            f"select k.code, k.{column} as name from category k where exists"  # noqa: S608 (two fixed names)
            " (select 1 from incident i where i.category_code = k.code) order by k.code"
        )
    )
    return [(row.code, row.name) for row in rows]


def channel_choices(session: Session, language: Language) -> list[tuple[str, str]]:
    """Channels by code and name."""
    column = "name_en" if language == "en" else "name_zh"
    rows = session.execute(text(f"select code, {column} as name from channel order by code"))  # noqa: S608
    return [(row.code, row.name) for row in rows]


def grid_choices(session: Session) -> list[tuple[str, str]]:
    """Grids in force: code, and code with name."""
    rows = session.execute(
        text("select code, name from grid where valid @> statement_timestamp() order by code")
    )
    return [
        (row.code, row.code if row.name == row.code else f"{row.code} {row.name}") for row in rows
    ]
