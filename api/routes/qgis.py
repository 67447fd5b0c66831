"""`/exports/gridward.qgz`: a QGIS project on this very service, or on the database for analysts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api import tokens
from api.auth import Account
from api.deps import DbSession, Lang, Now, Reach, Reader, ServicesDep
from api.i18n import Language
from api.ogc_access import Access
from api.ogc_collections import Extents
from api.routes.incidents import PROBLEMS
from grid.core.errors import BadInput
from maps.qgis_project import Source, project
from maps.tiles import web_mercator

router = APIRouter(prefix="/exports", tags=["exports"])
LINK_DAYS = 180
_SERVICE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@router.get("/gridward.qgz", responses=PROBLEMS, response_class=Response)
def project_file(
    request: Request, services: ServicesDep, account: Reader, scope: Reach, language: Lang,
    source: Literal["ogc", "postgis"] = "ogc",
    service: Annotated[str, Query(max_length=60)] = "gridward",
) -> Response:  # fmt: skip
    """A project without any secret: QGIS asks for name and password (`ogc`), or takes the connection of that name
    from the reader's pg_service.conf (`postgis`)."""
    if source == "postgis":
        if not _SERVICE.fullmatch(service):
            raise BadInput("request.invalid", field="service", problem="A-Z a-z 0-9 _ . -")
        where = Source(service=service)
    else:
        where = Source(url=f"{str(request.base_url).rstrip('/')}/ogc")
    extents = Extents(services.engine)
    return _file(Access(account, scope), where, language, extents)


@router.post("/gridward.qgz", responses=PROBLEMS, response_class=Response)
def project_with_link(
    request: Request, services: ServicesDep, session: DbSession, account: Reader, scope: Reach,
    language: Lang, now: Now,
) -> Response:  # fmt: skip
    """A project with a link of the reader's own, which opens without being asked; the link stands among the
    reader's tokens, ends after LINK_DAYS, and can be ended there."""
    secret = _link(session, account, now)
    where = Source(url=f"{str(request.base_url).rstrip('/')}/ogc/key/{secret}")
    return _file(Access(account, scope), where, language, Extents(services.engine))


def _link(session: Session, account: Account, now: datetime) -> str:
    scopes = [one for one in ("read", "see_people") if account.may(one)]
    secret, _ = tokens.make(session, account, "QGIS", scopes, LINK_DAYS, now)
    return secret


def _file(access: Access, source: Source, language: Language, extents: Extents) -> Response:
    west, south, east, north = extents.box()
    box_m = (*web_mercator(west, max(south, -85.0)), *web_mercator(east, min(north, 85.0)))
    title = "责任田" if language == "zh" else "Gridward"
    # The database's own layers hold no names.
    names = source.url is not None and access.account.may("see_people")
    body = project(access.layers(), source, language, box_m, title, names=names)
    headers = {
        "Content-Disposition": 'attachment; filename="gridward.qgz"',
        "Cache-Control": "private, no-store",
    }
    return Response(body, media_type="application/x-qgis-project", headers=headers)
