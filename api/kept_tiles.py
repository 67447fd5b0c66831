"""The tiles that one server process keeps, each until something that it shows has changed."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import anyio.to_thread
import psycopg
from sqlalchemy import Engine

from api.layers import keep_territory_if_free, keep_tile_lines_now
from grid.core.connections import Connections
from grid.tile_columns import LineColumns
from maps.kept_lines import KeptLines
from maps.line_tiles import LAYERS, Rows, draw_lines, newest_change, rows_of, shown_in
from maps.tiles import Tile, ground_mark, make_tile

LOG = logging.getLogger("gridward")
# One drawing a core and one that waits for the disk: more would only take connections from everything else.
DRAWERS = 3
# So few lines are drawn before a thread would have begun; the event loop waits for a quarter of a millisecond.
FEW_LINES = 1_000
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
    """The tiles of one server process; the least used go first. Incidents are never kept: readers differ."""

    def __init__(
        self, engine: Engine, connections: Connections, most_bytes: int = KEPT_BYTES
    ) -> None:
        self._engine, self._connections = engine, connections
        self._lines = KeptLines(connections)
        self._most, self._room = most_bytes, anyio.CapacityLimiter(DRAWERS)
        self._kept: OrderedDict[tuple[str, Tile], Made] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.made = 0

    def warm(self) -> None:
        """Reads the lines and loads the compiled loops that draw them, so that the first tile finds both ready."""
        try:
            lines = self._lines.as_new_as(0)
        except psycopg.Error as error:
            LOG.warning("the lines of map tiles could not be read yet: %s", error)
            return
        world = Tile(0, 0, 0)
        for layer in LAYERS:
            draw_lines(lines, layer, world, rows_of(lines, world)[:1])

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
        lines = self._lines.now
        if lines is None or lines.newest < newest:
            lines = await anyio.to_thread.run_sync(
                self._lines.as_new_as, newest, limiter=self._room
            )
        found = self._known(layer, tile)
        if found is not None and not lines.changes.within(shown_in(tile), found.newest):
            found.newest = max(found.newest, lines.newest)
            return found
        rows = rows_of(lines, tile)
        if len(rows) <= FEW_LINES:
            return self._of_lines(lines, layer, tile, rows)
        return await anyio.to_thread.run_sync(
            self._of_lines, lines, layer, tile, rows, limiter=self._room
        )

    async def pack(self, made: Made) -> None:
        """Makes the gzip of a tile that is worth it."""
        if made.packed is None and len(made.body) >= PACKED_FROM_BYTES:
            await anyio.to_thread.run_sync(made.pack, limiter=self._room)

    def _of_lines(self, lines: LineColumns, layer: str, tile: Tile, rows: Rows) -> Made:
        body = draw_lines(lines, layer, tile, rows)
        return self._keep(layer, tile, tagged(body, newest=lines.newest))

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
