"""Stretches of a street (A至B段): the line, the segments it runs along with their grids, and the one that holds most."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.reasons import Reason, reason
from grid.core.crs import from_plane
from grid.geocode import lines
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.model import Answer


def span_reasons(parts: tuple[dict[str, Any], ...]) -> tuple[Reason, ...]:
    """Which part of a stretch decides, and whose the others are."""
    if len(parts) < 2:
        return ()
    other_grids = sorted({p["grid"] for p in parts[1:] if p["grid"]} - {parts[0]["grid"]})
    return (
        reason(
            "place.span_on_grids" if other_grids else "place.span_on",
            length_m=round(parts[0]["length_m"]),
            whole_m=round(sum(p["length_m"] for p in parts)),
            others=len(parts) - 1,
            grids=", ".join(other_grids),
        ),
    )


def main_part(answer: Answer, gazetteer: Gazetteer) -> tuple[float, float] | None:
    """The middle of a stretch on the segment that holds most of it, stepped to the side that was said."""
    if answer.match != "span" or not answer.segments or not answer.line:
        return None
    segment = shapely.LineString(
        gazetteer.lines.points(gazetteer.segment_ids.index(answer.segments[0][0]))
    )
    stretch = shapely.buffer(shapely.MultiLineString(list(answer.line)), 0.2)
    parts = shapely.get_parts(shapely.intersection(segment, stretch))
    if len(parts) == 0:
        return None
    longest = max(parts, key=shapely.length)
    line = shapely.get_coordinates(longest).tolist()
    point, tangent = lines.at(line, lines.length(line) / 2)
    return lines.aside(point, tangent, answer.reading.side)[0]


def span_segments(session: Session, answer: Answer, at: datetime) -> tuple[dict[str, Any], ...]:
    """The segments of a stretch with the metres of it on each and the grid that holds it."""
    if answer.match != "span" or not answer.segments:
        return ()
    rows = session.execute(
        text(
            "select distinct on (h.segment_id) h.segment_id, g.code from grid_segment h"
            " join grid g on g.id = h.grid_id where h.segment_id = any(:ids)"
            " and (h.valid @> cast(:at as timestamptz) or h.valid @> statement_timestamp())"
            " order by h.segment_id, h.valid @> cast(:at as timestamptz) desc, h.side"
        ),
        {"ids": [s for s, _ in answer.segments], "at": at},
    )
    grids = {row.segment_id: row.code for row in rows}
    return tuple({"segment_id": s, "length_m": m, "grid": grids.get(s)} for s, m in answer.segments)


def span_line(answer: Answer, epsg: int) -> shapely.LineString | None:
    """The longest part of a span's line, in lon/lat."""
    if answer.match != "span" or not answer.line:
        return None
    part = max(answer.line, key=len)
    lon, lat = from_plane(part[:, 0], part[:, 1], epsg)
    return shapely.LineString(list(zip(lon.tolist(), lat.tolist(), strict=True)))
