"""`/tiles/{layer}/{z}/{x}/{y}.mvt`: vector tiles of the town's layers, kept until what they show has changed."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine

from api.deps import Reach, Reader, ServicesDep
from api.layers import keep_territory_if_free, keep_tile_lines_now
from api.routes.incidents import PROBLEMS
from grid.core.errors import NotFound
from maps.export_filters import Wanted
from maps.tiles import DEEPEST_ZOOM, Tile, make_tile, tile_mark

router = APIRouter(prefix="/tiles", tags=["tiles"])
MVT = "application/vnd.mapbox-vector-tile"
KEPT_BYTES = 64 * 1024 * 1024
Named = Literal["segments", "grids", "territories", "incidents"]


@dataclass(frozen=True, slots=True)
class Made:
    """A tile as it was made: what it depended on, its tag, its bytes."""

    mark: str
    etag: str
    body: bytes


class KeptTiles:
    """The tiles of one server process; the least used go first. Incidents are never kept: readers differ."""

    def __init__(self, engine: Engine, most_bytes: int = KEPT_BYTES) -> None:
        self._engine, self._most = engine, most_bytes
        self._kept: OrderedDict[tuple[str, Tile], Made] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.made = 0

    def get(self, layer: str, tile: Tile) -> Made:
        """A tile as of now: the kept one while its mark stands."""
        key = (layer, tile)
        if layer == "territories":
            keep_territory_if_free(self._engine, datetime.now(UTC))
        with self._engine.connect() as connection:
            mark = tile_mark(connection, layer, tile)
            while mark is None:
                connection.rollback()
                keep_tile_lines_now(self._engine, datetime.now(UTC))
                mark = tile_mark(connection, layer, tile)
            with self._lock:
                found = self._kept.get(key)
                if found is not None and found.mark == mark:
                    self._kept.move_to_end(key)
                    return found
            # Read after its mark: should something change in between, the tile is newer than it says, never older.
            made = tagged(mark, make_tile(connection, layer, tile))
        self._keep(key, made)
        return made

    def forget(self) -> None:
        """Keeps nothing any more."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _keep(self, key: tuple[str, Tile], made: Made) -> None:
        with self._lock:
            self.made += 1
            old = self._kept.pop(key, None)
            self._bytes += len(made.body) - (len(old.body) if old else 0)
            self._kept[key] = made
            while self._bytes > self._most and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone.body)


def tagged(mark: str, body: bytes) -> Made:
    """A tile with the tag of its content, which a change elsewhere in the town leaves as it is."""
    return Made(mark, f'"{hashlib.sha256(body).hexdigest()[:24]}"', body)


@router.get("/{layer}/{z}/{x}/{y}.mvt", responses=PROBLEMS, response_class=Response)
def tile(
    layer: Named, z: int, x: int, y: int, request: Request, services: ServicesDep, account: Reader,
    scope: Reach,
) -> Response:  # fmt: skip
    """A vector tile (Web Mercator): `segments`, `grids`, `territories`, or the `incidents` this account may see."""
    if not (0 <= z <= DEEPEST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound("tile.unknown", tile=f"{z}/{x}/{y}", deepest=DEEPEST_ZOOM)
    asked = Tile(z, x, y)
    if layer == "incidents":
        bounds = Wanted(
            limit_sql=scope.clause if scope else None,
            limit_values=scope.values if scope else None,
        )
        with services.engine.connect() as connection:
            found = tagged("", make_tile(connection, layer, asked, bounds))
    else:
        kept: KeptTiles = request.app.state.tiles
        found = kept.get(layer, asked)
    # The browser keeps it for this account alone, and asks every time whether it still stands.
    headers = {
        "ETag": found.etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if not found.body:
        return Response(status_code=204, headers=headers)
    return Response(found.body, media_type=MVT, headers=headers)
