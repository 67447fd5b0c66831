"""Streets that shifts came near, as lines for a map: what is in view, since a moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.attendance import COVERED_SHARE

MOST_LINES = 5_000
Box = tuple[float, float, float, float]


def patrolled(
    session: Session, people: Sequence[int] | None, since: datetime, box: Box
) -> list[dict[str, Any]]:
    """GeoJSON features (EPSG:4326) of segments in a box that shifts begun since a moment came near, MOST_LINES at most.

    Properties: share (0 to 1, the most that one shift saw), shifts (that saw at least half of it, DECISIONS A8), last_at,
    covered. `people`: only the shifts of these.
    """
    west, south, east, north = box
    rows = session.execute(
        text(
            "select st_asgeojson(s.line, 6) as line, max(c.share)::float8 as share, max(a.began_at) as last_at,"
            " count(*) filter (where c.share >= :enough) as shifts"
            " from segment s join patrol_cover c on c.segment_id = s.id"
            " join attendance a on a.id = c.attendance_id"
            " where s.line && st_makeenvelope(:west, :south, :east, :north, 4326) and s.gone_at is null"
            " and a.began_at >= :since and (cast(:people as bigint[]) is null or a.staff_id = any(:people))"
            " group by s.id order by s.id limit :most"
        ),
        {
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "since": since,
            "enough": COVERED_SHARE,
            "most": MOST_LINES,
            "people": None if people is None else list(people),
        },
    )
    return [
        {
            "type": "Feature",
            "geometry": orjson.loads(row.line),
            "properties": {
                "share": round(row.share, 3),
                "shifts": row.shifts,
                "covered": row.shifts > 0,
                "last_at": row.last_at.isoformat(),
            },
        }
        for row in rows
    ]
