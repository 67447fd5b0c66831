"""The servers that bench_tiles asks, each in a process of its own under one and the same uvicorn: ours, tipg, and one
that gives bytes and does nothing.

Run: python -m tests.performance.tile_servers ours|tipg|bytes PORT DATABASE_URL
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send


def tipg(url: str) -> FastAPI:
    """tipg by itself on the table of segments, its connections open before the first request."""
    from tipg.collections import register_collection_catalog
    from tipg.database import close_db_connection, connect_to_db
    from tipg.factory import Endpoints
    from tipg.settings import DatabaseSettings, PostgresSettings

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Not checked: its form of an address knows no socket, which its driver does.
        socket: Any = url
        settings = PostgresSettings.model_construct(database_url=socket)
        # PostgreSQL's compiler and workers only slow a tile down.
        asked = {"jit": "off", "max_parallel_workers_per_gather": "0"}
        await connect_to_db(app, schemas=["public"], settings=settings, server_settings=asked)
        tables = DatabaseSettings(schemas=["public"], tables=["public.segment"], functions=[])
        await register_collection_catalog(app, db_settings=tables)
        yield
        await close_db_connection(app)

    app = FastAPI(lifespan=lifespan)
    endpoints: Any = Endpoints
    app.include_router(endpoints(with_tiles_viewer=False).router)
    return app


def ours(url: str) -> FastAPI:
    """The whole application; `/forget` makes it forget its kept tiles."""
    from api.app import make_app
    from api.services import make_services
    from grid.core.settings import DatabaseSettings, Settings, TownSettings, WebSettings

    database = DatabaseSettings(home=Path("."), database_url=url)
    app = make_app(make_services(Settings(database, TownSettings(), WebSettings())))
    app.add_api_route("/forget", app.state.tiles.forget, methods=["GET"])
    app.add_api_route("/made", lambda: app.state.tiles.made, methods=["GET"])
    return app


async def just_bytes(scope: Scope, receive: Receive, send: Send) -> None:
    """`/1000`: a thousand bytes. What a web server and the client cost, and nothing else."""
    if scope["type"] != "http":
        return
    length = int(scope["path"].strip("/") or 0)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(length)})


def main() -> None:
    """Serves until it is told to end."""
    kind, port, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    app: Any = {"ours": lambda: ours(url), "tipg": lambda: tipg(url), "bytes": lambda: just_bytes}[kind]()  # fmt: skip
    # A client that waits while another is asked stays connected.
    uvicorn.run(app, port=port, log_level="warning", access_log=False, server_header=False,
                timeout_keep_alive=300)  # fmt: skip


if __name__ == "__main__":
    main()
