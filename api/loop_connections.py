"""Connections whose answers the event loop itself waits for: short questions without a thread.

Handing a small tile to a thread and back costs a fifth of the tile. The statements are few, prepared when a
connection is opened, and each gives one value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import anyio.to_thread
import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

_BINARY = 1


class LoopConnections:
    """As many connections as are asked at once, kept open. How many that may be is the caller's to say."""

    def __init__(self, conninfo: str, statements: Mapping[str, str]) -> None:
        self._conninfo = conninfo.encode()
        self._statements = {name.encode(): words.encode() for name, words in statements.items()}
        self._idle: list[PGconn] = []

    async def value(self, name: str, values: Sequence[object]) -> bytes | None:
        """The first value of a statement's first row, in binary form; None for a null.

        Asked again on a new connection where a kept one has gone. Raises psycopg.OperationalError.
        """
        written = [str(value).encode() for value in values]
        if self._idle:
            kept = self._idle.pop()
            try:
                return await self._on(kept, name.encode(), written)
            except psycopg.OperationalError:
                if kept.status == pq.ConnStatus.OK:
                    raise
                # The database was restarted: no kept one is any better.
                self.close()
        opened = await anyio.to_thread.run_sync(self._opened)
        return await self._on(opened, name.encode(), written)

    def close(self) -> None:
        """Ends what is kept open."""
        while self._idle:
            self._idle.pop().finish()

    def _opened(self) -> PGconn:
        connection = pq.PGconn.connect(self._conninfo)
        if connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(connection.get_error_message())
        for name, words in self._statements.items():
            made = connection.prepare(name, words)
            if made.status != pq.ExecStatus.COMMAND_OK:
                problem = made.get_error_message()
                connection.finish()
                raise psycopg.OperationalError(problem)
        return connection

    async def _on(self, connection: PGconn, name: bytes, values: list[bytes]) -> bytes | None:
        try:
            connection.send_query_prepared(name, values, result_format=_BINARY)
            found = await _answer(connection)
        except BaseException as error:
            # Also who goes away before the answer is there: nobody else may read it.
            connection.finish()
            if isinstance(error, psycopg.OperationalError) or not isinstance(error, psycopg.Error):
                raise
            raise psycopg.OperationalError(str(error)) from error
        self._idle.append(connection)
        if found.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(found.get_error_message())
        return found.get_value(0, 0) if found.ntuples else None


async def _answer(connection: PGconn) -> PGresult:
    """The answer to what was just asked, read by the running loop as it comes in."""
    loop = asyncio.get_running_loop()
    whole: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        try:
            connection.consume_input()
            done = not connection.is_busy()
        except psycopg.Error as error:
            if not whole.done():
                whole.set_exception(error)
            return
        if done and not whole.done():
            whole.set_result(None)

    socket = connection.socket
    loop.add_reader(socket, readable)
    try:
        await whole
    finally:
        loop.remove_reader(socket)
    found = connection.get_result()
    while connection.get_result() is not None:
        pass
    if found is None:
        raise psycopg.OperationalError("the connection is gone")
    return found
