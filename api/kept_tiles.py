"""The tiles that one server process keeps, each until something that it shows has changed."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import anyio.to_thread
import psycopg
from sqlalchemy import Engine

from api.layers import keep_territory_if_free, keep_tile_lines_now
from api.loop_connections import LoopConnections
from grid.core.connections import Connections
from maps.tiles import Tile, change_question, ground_mark, line_question, make_tile, newest_change

# One drawing a core and one that waits for the disk: more would only take connections from everything else.
DRAWERS = 3
KEPT_BYTES = 64 * 1024 * 1024
# Shorter ones are one packet anyway.
PACKED_FROM_BYTES = 1_200


@dataclass(slots=True)
class Made:
    """A tile as it was made: its tag and bytes, and what it depended on.

    `newest`: a tile of lines is as new as the change of this number, or newer. `mark`: a tile of ground was made of this.
    `packed`: the same in gzip, once somebody has asked for it.
    """

    tag: str
    body: bytes
    newest: int = 0
    mark: str = ""
    packed: bytes | None = None

    def pack(self) -> bytes:
        """The tile in gzip."""
        if self.packed is None:
            self.packed = gzip.compress(self.body, 5, mtime=0)
        return self.packed


class KeptTiles:
    """The tiles of one server process; the least used go first. Incidents are never kept: readers differ.

    `drawing` must have the statements of `maps.tiles.LINE_STATEMENTS`.
    """

    def __init__(
        self,
        engine: Engine,
        connections: Connections,
        drawing: LoopConnections,
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        self._engine, self._connections, self._drawing = engine, connections, drawing
        self._most, self._room = most_bytes, anyio.CapacityLimiter(DRAWERS)
        self._kept: OrderedDict[tuple[str, Tile], Made] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.made = 0

    def find(self, layer: str, tile: Tile, newest: int) -> Made | None:
        """A kept tile of lines that is as new as the newest change of all. One of ground is always looked at."""
        if layer == "territories":
            return None
        found = self._known(layer, tile)
        return found if found is not None and found.newest >= newest else None

    async def get(self, layer: str, tile: Tile, newest: int | None = None) -> Made:
        """A tile as of now: the kept one while nothing in it has changed. Raises psycopg.OperationalError.

        `newest`: the newest change of lines, where the caller has asked for it just now and nothing was pending.
        """
        if layer == "territories":
            return await anyio.to_thread.run_sync(self._of_ground, tile, limiter=self._room)
        # Read before the lines: should something change in between, the tile is newer than it says, never older.
        if newest is None:
            newest = await anyio.to_thread.run_sync(self._newest_drawn, limiter=self._room)
        async with self._room:
            return await self._of_lines(layer, tile, newest)

    async def pack(self, made: Made) -> None:
        """Makes the gzip of a tile that is worth it."""
        if made.packed is None and len(made.body) >= PACKED_FROM_BYTES:
            await anyio.to_thread.run_sync(made.pack, limiter=self._room)

    async def _of_lines(self, layer: str, tile: Tile, newest: int) -> Made:
        found = self._known(layer, tile)
        if found is not None:
            if found.newest >= newest:
                return found
            if await self._drawing.value(*change_question(tile, found.newest)) is None:
                found.newest = newest
                return found
        body = await self._drawing.value(*line_question(layer, tile))
        return self._keep(layer, tile, tagged(body or b"", newest=newest))

    def _newest_drawn(self) -> int:
        """The number of the newest change of lines, when what was pending is drawn."""
        while (newest := self._connections.used(newest_change)) is None:
            keep_tile_lines_now(self._engine, datetime.now(UTC))
        return newest

    def _of_ground(self, tile: Tile) -> Made:
        keep_territory_if_free(self._engine, datetime.now(UTC))

        def drawn(connection: psycopg.Connection) -> Made:
            mark = ground_mark(connection, tile)
            found = self._known("territories", tile)
            if found is not None and found.mark == mark:
                return found
            made = tagged(make_tile(connection, "territories", tile), mark=mark)
            return self._keep("territories", tile, made)

        return self._connections.used(drawn)

    def close(self) -> None:
        """Ends the connections."""
        self._connections.close()
        self._drawing.close()

    def forget(self) -> None:
        """Keeps nothing any more."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _known(self, layer: str, tile: Tile) -> Made | None:
        with self._lock:
            found = self._kept.get((layer, tile))
            if found is not None:
                self._kept.move_to_end((layer, tile))
            return found

    def _keep(self, layer: str, tile: Tile, made: Made) -> Made:
        key = (layer, tile)
        with self._lock:
            self.made += 1
            old = self._kept.pop(key, None)
            self._bytes += len(made.body) - (len(old.body) if old else 0)
            self._kept[key] = made
            while self._bytes > self._most and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone.body)
        return made


def tagged(body: bytes, newest: int = 0, mark: str = "") -> Made:
    """A tile with the tag of its content, which a change elsewhere in the town leaves as it is."""
    return Made(hashlib.sha256(body).hexdigest()[:24], body, newest, mark)
