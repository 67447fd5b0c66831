"""One short question to the database that many requests ask at once: one prepared statement on one connection.

Whoever asks gets an answer that was begun after they asked, so it is as true as a question of their own; those who ask
while another answer is on its way share the next one. It needs no thread: on the event loop it costs a fifth of a
question through a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio.to_thread
import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

LONGEST_S = 10.0
_NAME = b"shared"
Row = tuple[bytes | None, ...]


class SharedQuestion:
    """A statement of one parameter, `$1 text[]`: the keys of all who ask. Rows are values in PostgreSQL's text form.

    A key holds letters and digits only. An answer that does not come within LONGEST_S ends the connection.
    """

    def __init__(self, conninfo: str, statement: str) -> None:
        self._conninfo, self._statement = conninfo, statement
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: PGconn | None = None
        self._socket = -1
        self._asked: list[asyncio.Future[list[Row]]] = []
        self._waiting: list[tuple[bytes, asyncio.Future[list[Row]]]] = []
        self._opening: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None

    async def ask(self, key: bytes) -> list[Row]:
        """The rows for this key and for those of others who asked with it. Raises psycopg.OperationalError."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Another loop than before (tests): a connection belongs to one.
            self.close()
            self._loop = loop
        answer: asyncio.Future[list[Row]] = loop.create_future()
        self._waiting.append((key, answer))
        if self._connection is None:
            if self._opening is None:
                self._opening = loop.create_task(self._open())
        elif not self._asked:
            self._send(self._connection)
        return await answer

    def close(self) -> None:
        """Ends the connection; the next question opens another."""
        self._end(psycopg.OperationalError("closed"))
        self._loop = None

    async def _open(self) -> None:
        try:
            connection = await anyio.to_thread.run_sync(self._connected)
        except psycopg.Error as error:
            self._opening = None
            self._end(error)
            return
        self._opening = None
        self._connection, self._socket = connection, connection.socket
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        self._send(connection)

    def _connected(self) -> PGconn:
        connection = pq.PGconn.connect(self._conninfo.encode())
        if connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(connection.get_error_message())
        made = connection.prepare(_NAME, self._statement.encode())
        if made.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(made.get_error_message())
        return connection

    def _send(self, connection: PGconn) -> None:
        keys = {key for key, _ in self._waiting}
        self._asked = [answer for _, answer in self._waiting]
        self._waiting = []
        try:
            connection.send_query_prepared(_NAME, [b"{%b}" % b",".join(keys)])
        except psycopg.Error as error:
            self._end(error)
            return
        self._late = asyncio.get_running_loop().call_later(LONGEST_S, self._too_late)

    def _readable(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.consume_input()
            if connection.is_busy():
                return
            found = connection.get_result()
            while connection.get_result() is not None:
                pass
        except psycopg.Error as error:
            self._end(error)
            return
        if found is None or found.status != pq.ExecStatus.TUPLES_OK:
            problem = found.get_error_message() if found else "the connection is gone"
            self._end(psycopg.OperationalError(problem))
            return
        columns = range(found.nfields)
        rows = [tuple(found.get_value(row, column) for column in columns) for row in range(found.ntuples)]  # fmt: skip
        self._answered(lambda answer: answer.set_result(rows))
        if self._waiting:
            self._send(connection)

    def _too_late(self) -> None:
        self._end(psycopg.OperationalError("no answer"))

    def _answered(self, tell: Callable[[asyncio.Future[list[Row]]], None]) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        asked, self._asked = self._asked, []
        for answer in asked:
            # Whoever has gone away in the meantime has cancelled theirs.
            if not answer.done():
                tell(answer)

    def _end(self, error: psycopg.Error) -> None:
        connection, self._connection = self._connection, None
        self._asked += [answer for _, answer in self._waiting]
        self._waiting = []
        if self._loop is not None and not self._loop.is_closed():
            if connection is not None:
                self._loop.remove_reader(self._socket)
            self._answered(lambda answer: answer.set_exception(error))
        self._asked, self._late = [], None
        if connection is not None:
            connection.finish()
