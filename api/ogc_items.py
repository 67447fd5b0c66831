"""`/ogc/collections/{layer}/items`: the pages of a layer, in the place of the library's own route.

The library counts all rows for every page and skips the rows of earlier ones; here a page begins after the last
id, and rows are counted only for whoever asks for so few that the number is what they want.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from api.ogc_collections import LayerCollection
from api.ogc_pages import plain_page
from api.ogc_questions import (
    Span,
    bbox_asked,
    check_words,
    equal_asked,
    feature_of,
    filter_asked,
    filtered,
    time_asked,
)
from maps.export_filters import Box
from maps.features import LARGEST_OFFSET, LARGEST_PAGE, Page

PAGE_SIZE = 1000
# Who asks for so few looks around: GDAL for the number of features, QGIS for the columns.
LOOK_SIZE = 10
GEOJSON = "application/geo+json"
_NO_STORE = {"Cache-Control": "private, no-store"}


def items_router(collection_dependency: Callable[..., Any]) -> APIRouter:
    """The route, on the library's way of finding a collection."""
    router = APIRouter(tags=["OGC Features API"])

    @router.get("/collections/{collectionId}/items", name="items", operation_id="items_by_key")
    def items(
        request: Request,
        bbox: Annotated[Box | None, Depends(bbox_asked)],
        span: Annotated[Span | None, Depends(time_asked)],
        where: Annotated[str | None, Depends(filter_asked)],
        limit: Annotated[int, Query(ge=1)] = PAGE_SIZE,
        after: Annotated[int | None, Query(ge=-(2**63), lt=2**63)] = None,
        offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET)] = 0,
        sortby: Annotated[str | None, Query(max_length=400)] = None,
        properties: Annotated[str | None, Query(max_length=2000)] = None,
        ids: Annotated[str | None, Query(max_length=20_000)] = None,
        count: bool | None = None,
        f: Literal["geojson", "json", "geojsonseq", "csv", "html"] | None = None,
        collection: LayerCollection = Depends(collection_dependency),
    ) -> Response:
        """A page of a layer's features; `next` leads on. `count=true` tells how many there are on all pages."""
        check_words(request, {column.name for column in collection.properties})
        asked = {
            "bbox_filter": bbox, "datetime_filter": span, "cql_filter": where, "sortby": sortby,
            "properties": None if properties is None else [p.strip() for p in properties.split(",")],
            "ids_filter": ids.split(",") if ids else None, "after": after, "offset": offset,
            "limit": min(limit, collection.access.largest_page), "properties_filter": equal_asked(request, collection),
        }  # fmt: skip
        wanted, turn = filtered(collection, asked)
        page = collection.page(wanted, turn)
        matched = None
        first = after is None and offset == 0
        if first and not page.more:
            matched = len(page.rows)
        elif count or (count is None and first and limit <= LOOK_SIZE):
            matched = collection.count(wanted, turn)
        return _answer(request, collection, page, matched, f)

    return router


def _answer(
    request: Request, collection: LayerCollection, page: Page, matched: int | None, form: str | None
) -> Response:
    if form == "csv":
        return _csv(page)
    features = [feature_of(page.columns, row) for row in page.rows]
    if form == "geojsonseq":
        body = b"".join(orjson.dumps(feature) + b"\n" for feature in features)
        return Response(body, media_type="application/geo+json-seq", headers=_NO_STORE)
    data: dict[str, Any] = {
        "type": "FeatureCollection",
        "id": collection.id,
        "title": collection.title,
        "description": collection.description,
        "numberReturned": len(features),
        "links": _links(request, page),
        "features": features,
    }
    if matched is not None:
        data["numberMatched"] = matched
    accepts = request.headers.get("accept", "")
    if form == "html" or (form is None and "text/html" in accepts):
        return plain_page(f"{collection.title}", orjson.loads(orjson.dumps(data)))
    headers = {**_NO_STORE, "Content-Crs": "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"}
    return Response(orjson.dumps(data), media_type=GEOJSON, headers=headers)


def _links(request: Request, page: Page) -> list[dict[str, str]]:
    here = str(request.url.replace(query=""))
    asked = request.query_params
    links = [
        {"href": str(request.url), "rel": "self", "type": GEOJSON, "title": "Items"},
        {"href": here.removesuffix("/items"), "rel": "collection", "type": "application/json", "title": "Collection"},
    ]  # fmt: skip
    if page.more:
        given: dict[str, Any] = {name: asked[name] for name in asked if name != "count"}
        if asked.get("sortby") or asked.get("offset"):
            given["offset"] = int(asked.get("offset", 0)) + len(page.rows)
        else:
            given["after"] = page.rows[-1][page.columns.index("id")]
        # GDAL asks for 10 at a time unless it is told otherwise, and follows where the link leads. Older ones say no name.
        agent = request.headers.get("user-agent", "")
        if given.get("limit") == "10" and (not agent or agent.startswith("GDAL")):
            given["limit"] = LARGEST_PAGE
        if int(given.get("offset", 0)) <= LARGEST_OFFSET:
            links.append(
                {"href": f"{here}?{QueryParams(given)}", "rel": "next", "type": GEOJSON, "title": "Next page"}
            )  # fmt: skip
    return links


def _csv(page: Page) -> Response:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(page.columns)
    writer.writerows(page.rows)
    headers = {**_NO_STORE, "Content-Disposition": 'attachment; filename="items.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
