"""The short way of a tile: who asks and whether it still stands are known or asked at once, then the bytes leave.

Stands before the routes and answers for tiles of lines and ground when everything is as usual: a token or a session
that may read, a tile that exists. Whatever is not goes on to the route (`api/routes/tiles.py`), which says what is wrong.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import digest
from api.believed import Believed, Key
from api.deps import SESSION_COOKIE
from api.kept_tiles import KeptTiles, Made
from maps.tiles import DEEPEST_ZOOM, Tile

LOG = logging.getLogger("gridward")
_TYPE = (b"content-type", b"application/vnd.mapbox-vector-tile")
# The browser keeps a tile for this account alone, and asks every time whether it still stands.
KEEPING = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie, Accept-Encoding"}
_KEEPING = [(name.lower().encode(), value.encode()) for name, value in KEEPING.items()]
# Longer numbers are no tile, and long ones are slow to read.
_ADDRESS = re.compile(
    r"/tiles/(segments|grids|territories)/([0-9]{1,8})/([0-9]{1,8})/([0-9]{1,8})\.mvt"
)
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class TileDoor:
    """ASGI middleware; `route` is what metrics call a tile."""

    def __init__(self, app: ASGIApp, tiles: KeptTiles, believed: Believed, route: Any) -> None:
        self._app, self._tiles, self._believed, self._route = app, tiles, believed, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        if scope["type"] == "http" and scope["path"].startswith("/tiles/"):
            try:
                answer = await self._short(scope)
            except Exception as error:
                # The route meets the same trouble, and has an answer for each.
                LOG.info("a tile goes the long way: %s", error)
        if answer is None:
            await self._app(scope, receive, send)
            return
        status, headers, body = answer
        scope["route"] = self._route
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _short(self, scope: Scope) -> Answer | None:
        asked = tile_of(scope["path"])
        if asked is None or scope["method"] != "GET":
            return None
        given: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Of a header that comes twice the first counts, as everywhere.
            if name in _READ and name not in given:
                given[name] = value
        key = key_of(given)
        if key is None:
            return None
        newest = await self._believed.newest_for(key)
        if newest is None:
            return None
        packed = b"gzip" in given.get(b"accept-encoding", b"")
        layer, tile = asked
        found = self._tiles.find(layer, tile, newest) or await self._tiles.get(layer, tile, newest)
        if packed:
            await self._tiles.pack(found)
        return answered(found, given.get(b"if-none-match", b"").decode("latin-1"), packed=packed)


_READ = frozenset({b"authorization", b"cookie", b"accept-encoding", b"if-none-match"})


def tile_of(path: str) -> tuple[str, Tile] | None:
    """The layer and tile of an address `/tiles/LAYER/Z/X/Y.mvt`; None for what the route must look at."""
    found = _ADDRESS.fullmatch(path)
    if found is None:
        return None
    z, x, y = map(int, found.groups()[1:])
    if z > DEEPEST_ZOOM or x >= 2**z or y >= 2**z:
        return None
    return found[1], Tile(z, x, y)


def key_of(headers: dict[bytes, bytes]) -> Key | None:
    """The kind and hash of the key that a request carries, as `get_account` looks for it; None for any other way in."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        return (b"token", digest(secret.strip()).encode()) if scheme.lower() == "bearer" else None
    cookies = cookie_parser(headers.get(b"cookie", b"").decode("latin-1"))
    secret = cookies.get(SESSION_COOKIE, "")
    return (b"session", digest(secret).encode()) if secret else None


def answered(made: Made, known: str, *, packed: bool) -> Answer:
    """Status, headers and bytes for a tile; `known` is what the browser says it has."""
    body, headers = made.body, list(_KEEPING)
    if packed and made.packed is not None:
        body = made.packed
        headers += [(b"etag", f'"{made.tag}-gzip"'.encode())]
    else:
        headers += [(b"etag", f'"{made.tag}"'.encode())]
    # The tag without its end: the same tile in either form.
    if f'"{made.tag}' in known:
        return 304, headers, b""
    if not body:
        return 204, headers, b""
    if body is not made.body:
        headers.append((b"content-encoding", b"gzip"))
    headers += [_TYPE, (b"content-length", str(len(body)).encode())]
    return 200, headers, body
