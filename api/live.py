"""The live feed: one LISTEN connection a process, server-sent events to every console.

An event's id is that of its row in `live_event`. Ids are given before commit, so a smaller id may be
committed after a larger one: a reader that comes back is sent the last MARGIN events again, and takes
each incident by its version. Nothing is lost over a dropped line or a restarted server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
import orjson
import psycopg
from sse_starlette import ServerSentEvent

from api import live_readers
from api.live_readers import Reader
from api.services import Services
from dispatch.incidents import LIVE_CHANNEL
from dispatch.reading import live_since, newest_live_id
from dispatch.scope import Scope, visible
from grid.core.database import database_url

LOG = logging.getLogger("gridward.live")
MARGIN = 200
BATCH = 1000
QUEUE_LENGTH = 2000
RETRY_MS = 2000
# Also asked without a notification, in case the listening connection was down for a moment.
ASK_AGAIN_SECONDS = 15.0
# Between two readings: many commits at once are read together.
PAUSE_SECONDS = 0.1
STOP_AGAIN_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Stream:
    """One open stream: who reads it, and what waits to be sent; None in the queue is its end."""

    reader: Reader
    queue: asyncio.Queue[dict[str, Any] | None] = field(
        default_factory=lambda: asyncio.Queue(QUEUE_LENGTH)
    )


class LiveFeed:
    """Fans committed changes out to the streams of this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._streams: set[Stream] = set()
        self._woken = asyncio.Event()
        self._last_id = 0
        self._sent: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to listen; to be stopped with `stop`."""
        self._last_id = await anyio.to_thread.run_sync(self._newest)
        self._tasks = [
            asyncio.create_task(work()) for work in (self._listen, self._pump, self._look_again)
        ]

    async def stop(self) -> None:
        """Ends the streams and the listening connection."""
        for stream in self._streams:
            stream.queue.put_nowait(None)
        # Asked again: a library may take a cancellation for its own when a message comes at the same turn.
        while waiting := [task for task in self._tasks if not task.done()]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting, timeout=STOP_AGAIN_SECONDS)

    async def events(
        self, last_event_id: str | None, reader: Reader
    ) -> AsyncIterator[ServerSentEvent]:
        """The stream of one reader: what it missed since `last_event_id`, then what comes.

        Who has no id yet is told the newest one, so that nothing is missed over a line that breaks before the first
        change. A reader with a scope hears only of what lies within it. The stream ends when its reader may read no longer.
        """
        stream = Stream(reader)
        self._streams.add(stream)
        try:
            yield ServerSentEvent(comment="gridward", retry=RETRY_MS)
            if last_event_id and last_event_id.isdigit():
                since = max(0, int(last_event_id) - MARGIN)
                while missed := await anyio.to_thread.run_sync(self._since, since):
                    for before in missed:
                        if await self._shown(before, stream.reader.scope):
                            yield _message(before)
                    since = missed[-1]["id"]
                    if len(missed) < BATCH:
                        break
            else:
                yield ServerSentEvent(data="{}", event="hello", id=str(self._last_id))
            while (event := await stream.queue.get()) is not None:
                if await self._shown(event, stream.reader.scope):
                    yield _message(event)
        finally:
            self._streams.discard(stream)

    @property
    def readers(self) -> int:
        """How many streams are open in this process."""
        return len(self._streams)

    async def _shown(self, event: dict[str, Any], scope: Scope | None) -> bool:
        return scope is None or await anyio.to_thread.run_sync(self._within, scope, event["number"])

    def _within(self, scope: Scope, number: str) -> bool:
        with self._services.sessions() as session:
            return visible(session, scope, number)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(live_readers.CHECK_SECONDS)
            streams = list(self._streams)
            if not streams:
                continue
            try:
                found = await anyio.to_thread.run_sync(
                    self._looked_at, [each.reader for each in streams]
                )
            except Exception:
                # Without an answer of the database there is nothing to be told either.
                LOG.exception("live feed could not look at its readers again")
                continue
            for stream in streams:
                reader = found[stream.reader]
                if reader is None:
                    self._end(stream)
                else:
                    stream.reader = reader

    def _looked_at(self, readers: list[Reader]) -> dict[Reader, Reader | None]:
        with self._services.sessions() as session:
            return live_readers.looked_at(session, readers, datetime.now(UTC))

    def _newest(self) -> int:
        with self._services.sessions() as session:
            return newest_live_id(session)

    def _since(self, last_id: int) -> list[dict[str, Any]]:
        with self._services.sessions() as session:
            return live_since(session, last_id, BATCH)

    def _unsent(self) -> list[dict[str, Any]]:
        """What is new, and what was committed late among the last MARGIN ids."""
        with self._services.sessions() as session:
            since = max(0, self._last_id - MARGIN)
            return live_since(session, since, BATCH, sorted(self._sent))

    async def _listen(self) -> None:
        url = database_url(self._services.settings.database)
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
                async with connection:
                    await connection.execute(f"listen {LIVE_CHANNEL}")
                    self._woken.set()
                    async for _ in connection.notifies():
                        self._woken.set()
            except psycopg.Error as error:
                LOG.warning("live feed lost its connection, trying again: %s", error)
                await asyncio.sleep(1)

    async def _pump(self) -> None:
        while True:
            # Not `asyncio.wait_for`: before Python 3.12 it loses a cancellation that meets the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_AGAIN_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            try:
                events = await anyio.to_thread.run_sync(self._unsent)
            except Exception:
                # One bad reading must not end all streams.
                LOG.exception("live feed could not read")
                await asyncio.sleep(1)
                continue
            for event in events:
                self._sent.add(event["id"])
                self._fan_out(event)
            if events:
                self._last_id = max(self._last_id, events[-1]["id"])
                floor = self._last_id - MARGIN
                self._sent = {known for known in self._sent if known > floor}
            if len(events) >= BATCH:
                self._woken.set()
            await asyncio.sleep(PAUSE_SECONDS)

    def _fan_out(self, event: dict[str, Any]) -> None:
        for stream in list(self._streams):
            try:
                stream.queue.put_nowait(event)
            except asyncio.QueueFull:
                # A reader that does not read is let go; it comes back with its last id.
                self._end(stream)

    def _end(self, stream: Stream) -> None:
        self._streams.discard(stream)
        if stream.queue.full():
            stream.queue.get_nowait()
        stream.queue.put_nowait(None)


def _message(event: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(data=orjson.dumps(event).decode(), event="incident", id=str(event["id"]))
