"""`gridward serve`: everything in one process beside the database."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
import uvicorn
from sqlalchemy import text

from api import auth
from api.app import make_app
from api.cli.demonstration import SAMPLE_PASSWORD, SAMPLE_ROLES, load_demo
from api.cli.opening import prepare
from api.cli.output import say, steps
from api.services import Services
from api.worker import working
from fixtures.town import make_town
from grid.core.cluster import Cluster
from grid.core.errors import BadInput, NotAllowed
from grid.core.settings import DatabaseSettings

# In the home: the start time of the database that a server brought up and will take down.
MARK = "served-since"
OTHERS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info, debug.")] = (
        "warning"
    ),
    sample: Annotated[
        bool, typer.Option("--sample", help="Load the invented town when there is no town yet.")
    ] = False,
) -> None:
    """Start the database, bring it up to date and serve. Example: gridward serve --port 8000"""
    _check_free(host, port)
    with suppress(KeyboardInterrupt), leaving_by_signal(), private_database():
        services = prepare()
        if sample:
            _load_sample(services)
        _first_administrator(services)
        logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s %(message)s")
        config = uvicorn.Config(
            make_app(services),
            host=host,
            port=port,
            log_level=log_level,
            access_log=False,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        try:
            server = AnnouncingServer(config, _announcement(services, host, port))
            with working(services) if services.settings.notices.worker else nullcontext():
                server.run()
        finally:
            services.engine.dispose()
        if not server.started:
            raise typer.Exit(1)


class AnnouncingServer(uvicorn.Server):
    """Says where it is once it really listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


@contextmanager
def leaving_by_signal() -> Iterator[None]:
    """A request to end (kill) and a closed terminal leave as Ctrl-C does: in order."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    def end(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    # Under nohup the terminal's end is to be ignored, and stays so.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, end)
    yield


@contextmanager
def private_database() -> Iterator[None]:
    """Starts the private cluster where it is in use; stops it afterwards if a server started it.

    A server that was killed could not stop its database. The mark it left is compared with the
    database's own start time, so that the next server knows whose it is. A database that was
    started by `gridward db start`, or that another program still uses, goes on.
    """
    settings = DatabaseSettings()
    if settings.database_url:
        yield
        return
    cluster = Cluster(settings)
    mark = cluster.home / MARK
    found = cluster.running()
    try:
        cluster.start()
        if not found:
            mark.write_text(_started_at(cluster))
        yield
    finally:
        if _ours_alone(cluster, mark):
            cluster.stop()
            mark.unlink()


def _ours_alone(cluster: Cluster, mark: Path) -> bool:
    if not mark.exists() or not cluster.running():
        return False
    return mark.read_text() == _started_at(cluster) and not _others(cluster)


def _started_at(cluster: Cluster) -> str:
    with psycopg.connect(cluster.url()) as connection:
        row = connection.execute("select pg_postmaster_start_time()::text").fetchone()
    return str(row[0]) if row else ""


def _others(cluster: Cluster) -> bool:
    """Whether somebody else stays connected; our own connections take a moment to end."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        for _ in range(20):
            row = connection.execute(OTHERS).fetchone()
            if not row or not row[0]:
                return False
            time.sleep(0.1)
    return True


def _first_administrator(services: Services) -> None:
    """A town without any account gets an administrator; the one-time password is printed this once."""
    with services.sessions() as session:
        password = auth.first_administrator(session)
        session.commit()
    if password is not None:
        say("account.first_administrator", username="admin", password=password)


def _load_sample(services: Services) -> None:
    with services.sessions() as session:
        there = session.scalar(text("select exists (select 1 from segment)"))
        if there:
            return
        say("cli.sample_loading")
        with steps() as step:
            load_demo(services, session, make_town(), step, datetime.now(UTC))
        session.commit()


def _announcement(services: Services, host: str, port: int) -> Callable[[], None]:
    shown = f"[{host}]" if ":" in host else host
    sample = _sample_accounts(services)

    def announce() -> None:
        say("cli.serving", address=f"http://{shown}:{port}/console")
        if sample:
            accounts = ", ".join(("admin", *SAMPLE_ROLES))
            say("demo.accounts", password=SAMPLE_PASSWORD, accounts=accounts)

    return announce


def _sample_accounts(services: Services) -> bool:
    """Whether the invented town's accounts still open with the password everybody knows."""
    with services.sessions() as session:
        try:
            return (
                auth.check_password(session, "operator", SAMPLE_PASSWORD, datetime.now(UTC))
                is not None
            )
        except NotAllowed:
            return False
        finally:
            session.rollback()


def _check_free(host: str, port: int) -> None:
    """BadInput `serve.port_taken` before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput("serve.port_taken", field="port", port=port, host=host) from error
