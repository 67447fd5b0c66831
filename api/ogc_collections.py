"""The layers as collections of the OGC library: made from our own catalogue for each request and its account.

A collection carries the bounds of whoever asks, and every row it gives goes through them; it is made of the
catalogue that the views are made of, so a migration leaves nothing to refresh.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from fastapi import Request
from sqlalchemy import Engine, text
from tipg.collections import Collection, CollectionList, Column, ItemList

from api.layers import keep_territory_now
from api.ogc_access import Access, access_of
from api.ogc_questions import feature_of, filtered, picked
from grid.core.connections import Connections
from grid.core.errors import NotFound
from maps.dictionary import columns_of
from maps.export_filters import Wanted
from maps.features import Page, Turn, count_rows, read_page
from maps.layers import Layer
from maps.tiles import Tile, layer_tile

_TYPES = {
    "integer": "bigint", "number": "float8", "text": "text", "flag": "boolean", "moment": "timestamptz",
    "geometry": "geometry",
}  # fmt: skip
Box = tuple[float, float, float, float]
WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
_MARK = (
    "select coalesce(sum(number), 0)::text || '.' || coalesce(sum(tag), 0)::text"
    " from change_count where part = 'streets'"
)


class Extents:
    """The town's extent, worked out anew when its streets change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: tuple[str, Box] | None = None

    def box(self) -> Box:
        """West, south, east, north of the streets, and of places, door plates and incidents as last analysed."""
        with self._engine.connect() as connection:
            mark = str(connection.scalar(text(_MARK)))
            if self._known is None or self._known[0] != mark:
                self._known = (mark, _extent(connection))
            return self._known[1]


def _extent(connection: Any) -> Box:
    tables = ", ".join(
        f"(st_estimatedextent('public', '{table}', 'point')::geometry)"
        for table in ("incident", "place", "door_plate")
    )
    row = connection.execute(
        text(
            "select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e) from (select st_extent(g) as e from"  # noqa: S608 (fixed words)
            " (select st_extent(line)::geometry as g from segment where gone_at is null"
            f" union all select * from (values {tables}) v) a) b"
        )
    ).one()
    if row[0] is None:
        return WORLD
    # What the database keeps of points is rounded to single precision: a metre on every side.
    west, south, east, north = row
    return (west - 1e-5, south - 1e-5, east + 1e-5, north + 1e-5)


class LayerCollection(Collection):
    """A layer within the bounds of one account."""

    layer: Any
    access: Any
    engine: Any
    connections: Any

    def page(self, wanted: Wanted, turn: Turn) -> Page:
        """Rows of the layer. Raises as `read_page`."""
        if self.layer.name == "territories":
            keep_territory_now(self.engine, datetime.now(UTC))
        page: Page = self.connections.used(lambda one: read_page(one, self.layer, wanted, turn))
        return page

    def count(self, wanted: Wanted, turn: Turn) -> int | None:
        """How many rows there are; None when counting takes too long."""
        count: int | None = self.connections.used(
            lambda one: count_rows(one, self.layer, wanted, turn)
        )
        return count

    async def features(self, *_args: Any, **asked: Any) -> ItemList:
        """One item by its id, for the library's own route."""
        try:
            ids = tuple(int(one) for one in asked["ids_filter"])
        except ValueError:
            ids = ()
        wanted = picked(self.access.wanted(), asked.get("properties"))
        turn = Turn(limit=1, ids=tuple(one for one in ids if abs(one) < 2**63))
        found = await anyio.to_thread.run_sync(self.page, wanted, turn)
        items: Any = [feature_of(found.columns, row) for row in found.rows]
        return ItemList(items=items, matched=len(items), next=None, prev=None)

    async def get_tile(self, *_args: Any, **asked: Any) -> bytes:
        """A vector tile, for the library's own route: filters as for items."""
        tile = Tile(asked["tile"].z, asked["tile"].x, asked["tile"].y)
        wanted, turn = filtered(self, asked)

        def read() -> bytes:
            if self.layer.name == "territories":
                keep_territory_now(self.engine, datetime.now(UTC))
            made: bytes = self.connections.used(
                lambda one: layer_tile(one, self.layer, tile, wanted, turn)
            )
            return made

        return await anyio.to_thread.run_sync(read)


def collection_of(
    layer: Layer, access: Access, engine: Engine, connections: Connections, box: Box = WORLD
) -> LayerCollection:
    """The collection of a layer for an account; `box` is the extent it tells."""
    columns = [
        Column(
            name=entry.column,
            type=_TYPES[entry.type],
            description=f"{entry.zh} {entry.en}",
            **(
                {"geometry_type": layer.geometry, "srid": 4326, "bounds": list(box)}
                if entry.type == "geometry"
                else {}
            ),
        )
        for entry in columns_of(layer, with_names=access.account.may("see_people"))
    ]
    by_name = {column.name: column for column in columns}
    return LayerCollection(
        type="Table",
        id=layer.name,
        table=layer.name,
        title=f"{layer.zh} {layer.en}",
        description=f"{layer.about_zh} {layer.about_en}",
        table_columns=columns,
        properties=columns,
        id_column=by_name["id"],
        geometry_column=by_name["geom"],
        datetime_column=by_name[layer.time] if layer.time else None,
        layer=layer,
        access=access,
        engine=engine,
        connections=connections,
    )


class Collections:
    """What routes ask for: collections within the bounds of whoever asks. Raises NotFound `ogc.collection_unknown`."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine, self._connections = engine, connections
        self._extents = Extents(engine)

    def one(self, request: Request, collectionId: str) -> Collection:  # noqa: N803 (the library's name)
        """The collection of a name, with its extent."""
        return self._named(request, collectionId, self._extents.box())

    def rows(self, request: Request, collectionId: str) -> Collection:  # noqa: N803
        """The same for whoever reads its rows: an extent is not asked for."""
        return self._named(request, collectionId, WORLD)

    def every(self, request: Request) -> CollectionList:
        """All that the account may read."""
        access, box = access_of(request), self._extents.box()
        found: list[Collection] = [
            collection_of(layer, access, self._engine, self._connections, box)
            for layer in access.layers()
        ]
        return CollectionList(collections=found, matched=len(found), next=None, prev=None)

    def _named(self, request: Request, name: str, box: Box) -> Collection:
        access = access_of(request)
        for layer in access.layers():
            if layer.name == name:
                return collection_of(layer, access, self._engine, self._connections, box)
        known = ", ".join(layer.name for layer in access.layers())
        raise NotFound("ogc.collection_unknown", field="collectionId", name=name, known=known)
