"""The page of exports: layers, format, system and filters chosen; jobs with their progress and files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session

from api.auth import Account
from api.deps import DbSession, Lang, PageAccount, PageReach, allowed, require
from api.pages.console import STATUSES
from api.pages.maps import category_choices, grid_choices
from api.pages.rendering import page
from grid.core.errors import Conflict
from grid.town import town_facts
from maps.crs_search import find_systems
from maps.export_formats import ENDINGS, find_format
from maps.layers import LAYERS

router = APIRouter(include_in_schema=False)
Exporter = Annotated[Account, Depends(allowed("export"), scope="function")]
SHIFTED = ("gcj02", "bd09")


@router.get("/exports")
def exports(
    request: Request, session: DbSession, account: PageAccount, scope: PageReach, language: Lang
) -> Response:
    """Layers to take away; its script asks the JSON interface of /exports."""
    require(account, "export")
    layers = [layer for layer in LAYERS.values() if scope is None or layer.name != "hotspots"]
    return page(
        request,
        "exports.html",
        account=account,
        messages=("exports.", "export.", "common.", "error."),
        layers=layers,
        formats=[find_format(f"x.{ending}") for ending in ENDINGS],
        systems=[asdict(one) for one in find_systems("", _plane(session))],
        town_crs=f"EPSG:{_plane(session)}",
        shifted=SHIFTED,
        statuses=STATUSES,
        categories=category_choices(session, language),
        grids=grid_choices(session),
    )


@router.get("/api/v1/crs")
def systems(
    session: DbSession, account: Exporter, q: Annotated[str, Query(max_length=100)] = ""
) -> list[dict[str, Any]]:
    """Systems of coordinates by EPSG code or name, the town's own zone first: code, name, area."""
    return [asdict(one) for one in find_systems(q, _plane(session))]


def _plane(session: Session) -> int | None:
    try:
        return town_facts(session).plane_epsg
    except Conflict:
        return None
