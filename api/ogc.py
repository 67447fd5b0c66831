"""`/ogc`: the layers as OGC API Features and Tiles, by the library tipg, behind our accounts.

The library gives the documents of the standard and its routes; the rows come from our own catalogue and filters
(`ogc_collections.py`, `maps/features.py`), over the connections that everything else uses. `ogc_access.py` stands
before all of it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import tipg.factory
from fastapi import FastAPI, Request, Response
from morecantile import tms as tile_matrices
from morecantile.defaults import TileMatrixSets
from sqlalchemy.exc import DataError
from starlette.responses import RedirectResponse
from tipg import dependencies, errors

from api.errors import add_error_answers, problem
from api.ogc_access import OgcDoor, access_of
from api.ogc_collections import Collections
from api.ogc_items import items_router
from api.ogc_pages import PlainPages
from api.ogc_questions import bbox_asked, filter_asked, tile_asked, time_asked

LOG = logging.getLogger("gridward")
_CONFORMS = [
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
]
# One matrix: that of web maps. Others would be tiles that nobody draws.
_MATRICES = TileMatrixSets({"WebMercatorQuad": tile_matrices.get("WebMercatorQuad")})


@dataclass
class _Endpoints(tipg.factory.Endpoints):
    """The library's routes, with what the filters understand said as well."""

    @property
    def conforms_to(self) -> list[str]:
        return [*super().conforms_to, *_CONFORMS]


class _NoPool:
    """The library opens a connection for a collection, which has its own."""

    def acquire(self) -> _NoPool:
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_error: object) -> None:
        return None


def mount_ogc(parent: FastAPI) -> None:
    """Puts the service under `/ogc` of an application whose services stand in its state."""
    # Tiles are called by their layer, not "default".
    tipg.factory.mvt_settings.set_mvt_layername = True
    app = FastAPI(title="Gridward", version="1", openapi_url="/api", docs_url=None, redoc_url=None)
    app.state = parent.state
    found = Collections(parent.state.services.engine, parent.state.connections)
    app.state.pool = _NoPool()
    pages: Any = PlainPages()
    endpoints = _Endpoints(
        collection_dependency=found.one,
        collections_dependency=found.every,
        supported_tms=_MATRICES,
        with_tiles_viewer=False,
        title="Gridward",
        templates=pages,
    )
    app.include_router(items_router(found.rows))
    app.include_router(endpoints.router)
    app.dependency_overrides |= {
        dependencies.bbox_query: bbox_asked,
        dependencies.datetime_query: time_asked,
        dependencies.filter_query: filter_asked,
        dependencies.TileParams: tile_asked,
    }

    @app.get("/api.html", name="swagger_ui_html", include_in_schema=False)
    def documentation(request: Request) -> Response:
        # The usual pages of this kind load their scripts from elsewhere.
        return RedirectResponse(f"{request.scope['root_path']}/api")

    _add_answers(app)
    parent.mount("/ogc", OgcDoor(app), name="ogc")


def _add_answers(app: FastAPI) -> None:
    """Our answers for the library's errors, without addresses in the log: they may hold somebody's link."""
    add_error_answers(app)

    @app.exception_handler(errors.TiPgError)
    def library(request: Request, error: errors.TiPgError) -> Response:
        if isinstance(error, errors.NotFound):
            return problem(request, 404, "ogc.item_unknown")
        return problem(request, 422, "request.invalid", values={"field": "", "problem": str(error)})

    @app.exception_handler(DataError)
    def unusable(request: Request, error: DataError) -> Response:
        return problem(request, 422, "report.unreadable")

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        LOG.exception("unexpected failure of /ogc for %s", _who(request), exc_info=error)
        return problem(request, 500, "server.failed")


def _who(request: Request) -> Any:
    return access_of(request).account.username
