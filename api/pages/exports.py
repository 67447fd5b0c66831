"""The page of exports: layers, format, system and filters chosen; jobs with their progress and files."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from api.deps import DbSession, Lang, PageAccount, PageReach, require
from api.pages.console import QUEUES, STATUSES
from api.pages.maps import category_choices, channel_choices, grid_choices
from api.pages.rendering import page
from api.routes.systems import plane_of
from dispatch.codes import FLAGS, POSTS
from maps.crs_search import find_systems
from maps.export_formats import ENDINGS, find_format
from maps.layers import LAYERS

router = APIRouter(include_in_schema=False)
SHIFTED = ("gcj02", "bd09")


@router.get("/exports")
def exports(
    request: Request, session: DbSession, account: PageAccount, scope: PageReach, language: Lang
) -> Response:
    """Layers to take away; its script asks the JSON interface of /exports."""
    require(account, "export")
    layers = [layer for layer in LAYERS.values() if scope is None or not layer.whole_town]
    return page(
        request,
        "exports.html",
        account=account,
        messages=("exports.", "export.", "common.", "error."),
        layers=layers,
        formats=[find_format(f"x.{ending}") for ending in ENDINGS],
        systems=[asdict(one) for one in find_systems("", plane_of(session))],
        town_crs=f"EPSG:{plane_of(session)}",
        shifted=SHIFTED,
        statuses=STATUSES,
        queues=QUEUES,
        posts=POSTS,
        flags=FLAGS,
        channels=channel_choices(session, language),
        categories=category_choices(session, language),
        grids=grid_choices(session),
    )
