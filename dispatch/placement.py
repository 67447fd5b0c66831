"""What a place is here: a point as it was given, and where a report lies with how that was found."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.models import Incident
from dispatch.reasons import Reason
from grid.core.values import dataclass
from grid.locate import GridRef, Located


@dataclass(frozen=True, slots=True)
class GivenPoint:
    """A point as it came in: longitude, latitude (or x, y of a projected datum) and its datum."""

    lon: float
    lat: float
    datum: str
    # Set by a person who saw the map: never taken for a default point.
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a report lies and how that was found; `waits` when a person must decide."""

    waits: bool
    match: str = "none"
    confidence: float = 0.0
    spread_m: float | None = None
    lon: float | None = None
    lat: float | None = None
    span: shapely.LineString | None = None
    located: Located | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    # Of a stretch: each segment it runs along with the metres of it there and the grid, most first.
    segments: tuple[dict[str, Any], ...] = ()

    def point(self) -> GivenPoint | None:
        """The place as a point in WGS 84; None when none is known."""
        if self.lon is None or self.lat is None:
            return None
        return GivenPoint(self.lon, self.lat, "wgs84", by_hand=True)


def stored_placement(session: Session, incident: Incident) -> Placement:
    """Where a recorded incident lies, as it was written down; for naming its person again."""
    row = session.execute(
        text(
            "select s.street_id, t.name as street, g.id, g.code, g.name, st_x(i.point) as lon,"
            " st_y(i.point) as lat from segment s left join incident i on i.id = :incident"
            " left join street t on t.id = s.street_id left join grid g on g.id = :grid"
            " where s.id = :segment"
        ),
        {"grid": incident.grid_id, "segment": incident.segment_id, "incident": incident.id},
    ).one_or_none()
    if row is None or incident.segment_id is None:
        return Placement(waits=True)
    grid = None if row.id is None else GridRef(row.id, row.code, row.name)
    located = Located(
        segment_id=incident.segment_id,
        street_id=row.street_id,
        street=row.street,
        side=incident.side or "",
        distance_m=incident.distance_m or 0.0,
        along_m=0.0,
        grid=grid,
        neighbour=None,
        neighbour_distance_m=None,
        held_then=True,
    )
    return Placement(waits=False, lon=row.lon, lat=row.lat, located=located)
