"""`/tiles/{layer}/{z}/{x}/{y}.mvt`: vector tiles of the town's layers, kept until what they show has changed.

Nearly every tile of lines and ground is answered before it comes here (`api/tile_door.py`).
"""

from __future__ import annotations

from typing import Literal

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from api.deps import Reach, Reader
from api.kept_tiles import KeptTiles, tagged
from api.routes.incidents import PROBLEMS
from api.tile_door import answered
from grid.core.connections import Connections
from grid.core.errors import NotFound
from maps.export_filters import Wanted
from maps.tiles import DEEPEST_ZOOM, Tile, make_tile

router = APIRouter(prefix="/tiles", tags=["tiles"])
Named = Literal["segments", "grids", "territories", "incidents"]


@router.get("/{layer}/{z}/{x}/{y}.mvt", responses=PROBLEMS, response_class=Response)
async def tile(
    layer: Named, z: int, x: int, y: int, request: Request, account: Reader, scope: Reach
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
        connections: Connections = request.app.state.connections
        found = tagged(
            await anyio.to_thread.run_sync(
                connections.used, lambda one: make_tile(one, layer, asked, bounds)
            )
        )
    else:
        kept: KeptTiles = request.app.state.tiles
        found = await kept.get(layer, asked)
    status, headers, body = answered(found, request.headers.get("if-none-match", ""), packed=False)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


@router.head("/{layer}/{z}/{x}/{y}.mvt", include_in_schema=False)
async def tile_head(
    layer: Named, z: int, x: int, y: int, request: Request, account: Reader, scope: Reach
) -> Response:  # fmt: skip
    """The same without its bytes."""
    whole = await tile(layer, z, x, y, request, account, scope)
    return Response(b"", whole.status_code, dict(whole.headers))
