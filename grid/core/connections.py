"""Plain connections for short questions that repeat: each statement is committed by itself and planned once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from grid.core.database import database_url
from grid.core.settings import DatabaseSettings

Given = TypeVar("Given")


def reading_conninfo(settings: DatabaseSettings) -> str:
    """The connection of such questions: it reads only; PostgreSQL's compiler and workers never pay for them.

    Geometry functions are priced so high that both seem to.
    """
    options = (
        f"-csearch_path=public -cstatement_timeout={settings.statement_timeout_ms} -ctimezone=UTC"
    )
    quick = "-cdefault_transaction_read_only=on -cjit=off -cmax_parallel_workers_per_gather=0"
    return make_conninfo(database_url(settings), options=f"{options} {quick}", connect_timeout=10)


class Connections:
    """At most `most` connections, opened when they are needed and kept open."""

    def __init__(self, conninfo: str, most: int = 4) -> None:
        self._conninfo = conninfo
        self._idle: list[psycopg.Connection] = []
        self._room = threading.BoundedSemaphore(most)

    def used(self, work: Callable[[psycopg.Connection], Given]) -> Given:
        """What `work` makes of a connection; done again on a new one where a kept one has gone. Waits for room."""
        with self._room:
            kept = self._kept()
            if kept is not None:
                try:
                    return self._on(kept, work)
                except psycopg.OperationalError:
                    if not kept.closed and not kept.broken:
                        raise
                    # The database was restarted: no kept one is any better.
                    self.close()
            return self._on(psycopg.connect(self._conninfo, autocommit=True), work)

    def close(self) -> None:
        """Ends what is kept open."""
        while (one := self._kept()) is not None:
            one.close()

    def _kept(self) -> psycopg.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _on(
        self, connection: psycopg.Connection, work: Callable[[psycopg.Connection], Given]
    ) -> Given:
        try:
            return work(connection)
        finally:
            if connection.closed or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)
