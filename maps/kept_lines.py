"""The lines of map tiles in the memory of one server: read once, then brought up to date when they have changed."""

from __future__ import annotations

import threading

from grid.core.connections import Connections
from grid.tile_columns import LineColumns, read_line_columns


class KeptLines:
    """Safe from any thread. What `now` gives is never changed, only followed by something newer."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._reading = threading.Lock()
        self.now: LineColumns | None = None

    def as_new_as(self, newest: int) -> LineColumns:
        """The lines with the change of a number in them, read by one at a time. Raises psycopg.Error."""
        with self._reading:
            known = self.now
            if known is None or known.newest < newest:
                known = self._connections.used(lambda one: read_line_columns(one, self.now))
                self.now = known
            return known
