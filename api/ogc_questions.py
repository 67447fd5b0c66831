"""What a reader of `/ogc` asks: box, time, filter, order, page; and rows as features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
from fastapi import Path, Query, Request
from morecantile import Tile as LibraryTile

from api.deps import get_services
from grid.core.errors import BadInput, NotFound
from maps.dictionary import columns_of
from maps.export_filters import Box, Wanted, check_filters, parse_box, parse_moment
from maps.features import LARGEST_OFFSET, Turn, cql2_text
from maps.tiles import DEEPEST_ZOOM

CRS84 = frozenset(
    {
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "http://www.opengis.net/def/crs/OGC/0/CRS84",
        "[OGC:CRS84]",
        "OGC:CRS84",
    }
)
# Words of a question that are no column; anything else must be one.
_WORDS = frozenset(
    {
        *("f", "lang", "bbox", "bbox-crs", "crs", "filter-crs", "datetime", "limit", "offset", "after"),
        *("filter", "filter-lang", "sortby", "properties", "ids", "count", "simplify", "bbox-only"),
        *("geom-column", "datetime-column", "minzoom", "maxzoom", "tile_format"),
    }
)  # fmt: skip
Span = tuple[datetime | None, datetime | None]


def bbox_asked(bbox: Annotated[str | None, Query(max_length=200)] = None) -> Box | None:
    """`bbox`: four numbers, or six with heights that are left out. Raises BadInput `bbox.unreadable`."""
    parts = (bbox or "").split(",")
    if len(parts) == 6:
        return parse_box(",".join((*parts[:2], *parts[3:5])))
    return parse_box(bbox)


def time_asked(
    request: Request, datetime: Annotated[str | None, Query(max_length=100)] = None
) -> Span | None:
    """`datetime`: a moment, or two with `/` between of which one may be open (`..`). Raises BadInput `export.moment_unreadable`."""
    if not datetime:
        return None
    zone: ZoneInfo = get_services(request).settings.town.zone
    ends = datetime.split("/")
    if len(ends) > 2:
        raise BadInput("export.moment_unreadable", field="datetime", moment=datetime)
    moments = [None if end in ("", "..") else parse_moment(end, zone, "datetime") for end in ends]
    return moments[0], moments[-1]


def filter_asked(
    filter_: Annotated[str | None, Query(alias="filter", max_length=10_000)] = None,
    filter_lang: Annotated[str, Query(alias="filter-lang", max_length=20)] = "cql2-text",
) -> str | None:
    """`filter` as CQL2 text. Raises BadInput `export.where_unreadable`, `export.where_unsupported`."""
    if not filter_:
        return None
    if filter_lang not in ("cql2-text", "cql2-json"):
        raise BadInput("export.where_unsupported", field="filter-lang", part=filter_lang[:80])
    return cql2_text(filter_, filter_lang)


def tile_asked(z: Annotated[int, Path()], x: Annotated[int, Path()], y: Annotated[int, Path()]) -> LibraryTile:  # fmt: skip
    """A tile there is. Raises NotFound `tile.unknown`."""
    if not (0 <= z <= DEEPEST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound("tile.unknown", tile=f"{z}/{x}/{y}", deepest=DEEPEST_ZOOM)
    return LibraryTile(x, y, z)


def check_words(request: Request, columns: set[str]) -> None:
    """Every parameter means something, and coordinates are CRS84. Raises BadInput `ogc.parameter_unknown`, `ogc.crs_unknown`."""
    for name, value in request.query_params.items():
        if name in ("crs", "bbox-crs", "filter-crs") and value not in CRS84:
            raise BadInput("ogc.crs_unknown", field=name, crs=value[:100])
        if name not in _WORDS and name not in columns:
            known = ", ".join(sorted(columns))
            raise BadInput("ogc.parameter_unknown", field=name, name=name[:80], known=known)


def picked(wanted: Wanted, properties: list[str] | None) -> Wanted:
    """Only some columns; a person's name goes with the id it belongs to."""
    if properties is None:
        return wanted
    return replace(wanted, columns=tuple(name for name in properties if name) or ("id",))


def filtered(collection: Any, asked: Mapping[str, Any]) -> tuple[Wanted, Turn]:
    """What the library has read of a question, as ours. Raises BadInput `request.invalid` for an id that is no number."""
    layer = collection.layer
    wanted = picked(collection.access.wanted(), asked.get("properties"))
    span: Span = asked.get("datetime_filter") or (None, None)
    wanted = replace(wanted, bbox=asked.get("bbox_filter"), where=asked.get("cql_filter"))
    equal = tuple(asked.get("properties_filter") or ())
    if layer.function is not None:
        # What is counted is asked for, not chosen among what was counted.
        only = tuple(value for name, value in equal if name == "category")
        equal = tuple(pair for pair in equal if pair[0] != "category")
        wanted = replace(wanted, from_at=span[0], to_at=span[1], category=only)
        check_filters((layer,), wanted)
    turn = Turn(
        limit=asked.get("limit") or 1000,
        after=asked.get("after"),
        offset=min(asked.get("offset") or 0, LARGEST_OFFSET),
        sort=_sorted_by(asked.get("sortby")),
        ids=_ids(asked.get("ids_filter")),
        equal=equal,
        span=span,
    )
    return wanted, turn


def _sorted_by(written: str | None) -> tuple[tuple[str, bool], ...]:
    keys = [key.strip() for key in (written or "").split(",") if key.strip()]
    return tuple((key.lstrip("+-"), key.startswith("-")) for key in keys)


def _ids(written: list[str] | None) -> tuple[int, ...] | None:
    if written is None:
        return None
    try:
        found = tuple(int(one) for one in written)
    except ValueError as error:
        raise BadInput("request.invalid", field="ids", problem=str(error)) from error
    return tuple(one for one in found if abs(one) < 2**63)


def equal_asked(request: Request, collection: Any) -> tuple[tuple[str, str], ...]:
    """`column=value` parameters."""
    columns = {entry.column for entry in columns_of(collection.layer)}
    return tuple(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name in columns and name != "geom"
    )


def feature_of(columns: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    """A row as a GeoJSON feature; its geometry is put in as the database wrote it."""
    properties = dict(zip(columns, row, strict=True))
    written = properties.pop("geom")
    geometry = None if written is None else orjson.Fragment(written)
    return {"type": "Feature", "id": properties["id"], "geometry": geometry, "properties": properties}  # fmt: skip
