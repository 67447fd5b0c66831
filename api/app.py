"""The web application: services, routes, pages, errors and the live feed put together."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api.base_maps import BaseMaps
from api.believed import ASKED, Believed
from api.errors import add_error_answers
from api.export_desk import ExportDesk
from api.import_desk import ImportDesk
from api.kept_tiles import DRAWERS, KeptTiles
from api.limits import RateLimits
from api.live import LiveFeed
from api.metrics import Metrics, RequestTimes
from api.ogc import mount_ogc
from api.oidc import Provider
from api.open311 import router as open311
from api.pages import routers as page_routers
from api.pages.security import SecurityHeaders
from api.routes import (
    accounts,
    administration,
    base_maps,
    bulk_moves,
    desk,
    duplicates,
    evaluation,
    exports,
    field_reports,
    grids,
    ground,
    health,
    imports,
    incidents,
    intake,
    leave,
    live,
    notices,
    outgoing,
    people,
    places,
    positions,
    presence,
    qgis,
    ready_replies,
    reporters,
    rules,
    saved_filters,
    shift,
    shift_sign_in,
    suggestions,
    systems,
    tiles,
)
from api.services import Services, make_services
from api.shared_question import SharedQuestion
from api.tile_door import TileDoor
from grid.core.connections import Connections, reading_conninfo
from maps.export_formats import load_writers

STATIC = Path(__file__).parent / "static"
# Libraries of exports are loaded beside the work, when the rush after a start is over.
WRITERS_AFTER_S = 15.0
GC_THRESHOLD = (50_000, 20, 100)


async def _writers_loaded() -> None:
    await asyncio.sleep(WRITERS_AFTER_S)
    await anyio.to_thread.run_sync(load_writers)
    gc.freeze()


def make_app(services: Services | None = None) -> FastAPI:
    """The application on given services, or on those of the environment's settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        feed = LiveFeed(app.state.services)
        app.state.live = feed
        await feed.start()
        # The first report of the day must not wait for the gazetteer.
        await anyio.to_thread.run_sync(app.state.services.warm)
        await anyio.to_thread.run_sync(app.state.tiles.warm)
        writers = asyncio.create_task(_writers_loaded())
        # What is there now stays: looking through it for what could go takes a third of a second of somebody's request.
        gc.freeze()
        # A report makes thousands of values and hardly a ring among them: looking for rings at every 700 finds nothing.
        before = gc.get_threshold()
        gc.set_threshold(*GC_THRESHOLD)
        yield
        gc.set_threshold(*before)
        gc.unfreeze()
        writers.cancel()
        await feed.stop()
        await anyio.to_thread.run_sync(app.state.exports.close)
        await anyio.to_thread.run_sync(app.state.imports.close)
        app.state.question.close()
        app.state.connections.close()
        app.state.tiles.close()

    app = FastAPI(
        title="Gridward",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # What there is to measure goes out at /metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services or make_services()
    app.state.exports = ExportDesk(app.state.services)
    database = app.state.services.settings.database
    conninfo = reading_conninfo(database)
    app.state.connections = Connections(conninfo, database.pool_size)
    app.state.question = SharedQuestion(conninfo, ASKED)
    believed = Believed(app.state.question, app.state.services.engine)
    app.state.tiles = KeptTiles(app.state.services.engine, Connections(conninfo, DRAWERS + 1))
    route = tiles.router.routes[0]
    app.add_middleware(TileDoor, tiles=app.state.tiles, believed=believed, route=route)
    web = app.state.services.settings.web
    app.add_middleware(SecurityHeaders)
    app.state.base_maps = BaseMaps(app.state.services.sessions, web)
    app.state.imports = ImportDesk(app.state.services)
    app.state.reports_together = intake.reports_together(app.state.services)
    app.state.limits = RateLimits(web)
    oidc = app.state.services.settings.oidc
    app.state.oidc = Provider(oidc) if oidc.oidc_issuer else None
    app.state.metrics = Metrics(app.state.services)
    app.add_middleware(RequestTimes, metrics=app.state.metrics)
    add_error_answers(app)
    # First, because every address is compared in this order: reports come most often.
    intake.add_to(app)
    for module in (
        qgis,
        exports,
        systems,
        bulk_moves,
        duplicates,
        incidents,
        presence,
        desk,
        saved_filters,
        shift,
        places,
        reporters,
        ground,
        grids,
        accounts,
        live,
        notices,
        outgoing,
        health,
        administration,
        people,
        leave,
        imports,
        base_maps,
        rules,
        tiles,
        field_reports,
        positions,
        shift_sign_in,
        suggestions,
        ready_replies,
        evaluation,
    ):
        app.include_router(module.router)
    for router in page_routers:
        app.include_router(router)
    app.include_router(open311)
    mount_ogc(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
