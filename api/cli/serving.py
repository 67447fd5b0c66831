"""`gridward serve`: everything in one process beside the database."""

from __future__ import annotations

import logging
import socket
from typing import Annotated

import typer
import uvicorn

from api.app import make_app
from api.cli.opening import prepare
from api.cli.output import say
from grid.core.errors import BadInput


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info, debug.")] = "info",
) -> None:
    """Start the database, bring it up to date and serve. Example: gridward serve --port 8000"""
    _check_free(host, port)
    services = prepare()
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s %(message)s")
    say("cli.serving", address=f"http://{host}:{port}/")
    uvicorn.run(
        make_app(services),
        host=host,
        port=port,
        log_level=log_level,
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


def _check_free(host: str, port: int) -> None:
    """BadInput `serve.port_taken` before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput("serve.port_taken", field="port", port=port, host=host) from error
