"""Which open incidents a file of places or boundaries would put elsewhere, or out of the town: the town is asked
before the file is taken in and after, and both answers are compared. For a look before; nothing is moved by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.placing import find_place
from dispatch.reading import OPEN_STATUSES
from grid.book import Ground, GroundBook
from grid.core.crs import to_plane
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput
from grid.core.settings import TownSettings
from grid.core.values import dataclass
from grid.reach import ON_BOUNDARY_M, Reach

# What a found place may wander without being another one.
SAME_PLACE_M = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How the town places an incident: None, None where it has to wait; `inside`: not beyond the town's boundary."""

    grid: str | None
    x_m: float | None
    y_m: float | None
    inside: bool


@dataclass(frozen=True, slots=True)
class PlaceChange:
    """An open incident that would be placed otherwise: `words` (they mean another place, moved_m away; None where one
    of both has none), `beyond` (its point would lie outside the town) or `within` (it would no longer). `from_grid`: that
    of the incident now, `to_grid`: that of its place then.
    """

    number: str
    why: str
    from_grid: str | None
    to_grid: str | None
    moved_m: int | None = None


def seen_now(session: Session, settings: TownSettings, at: datetime) -> Mapping[str, Seen]:
    """Every open incident as the town, as this session sees it, places it; one that a person has placed by its point."""
    ground = GroundBook().read(session)
    found: dict[str, Seen] = {}
    points: list[tuple[str, str | None, float, float]] = []
    for row in session.execute(_OPEN, {"open": list(OPEN_STATUSES)}).all():
        if row.lon is None or row.by_point:
            place = (
                (row.lon, row.lat)
                if row.lon is not None
                else _given(row.given_lon, row.given_lat, row.given_datum)
            )
            if place is not None:
                points.append((row.number, row.grid, *place))
                continue
        found[row.number] = _by_words(session, ground, settings, at, (row.address, row.description))
    return found | _by_point(ground, settings, points)


def changes(
    before: Mapping[str, Seen], after: Mapping[str, Seen], grids: Mapping[str, str | None]
) -> list[PlaceChange]:
    """The differences by number; `grids`: each open incident's own (`grids_of`)."""
    found = []
    for number, was in sorted(before.items()):
        now = after.get(number)
        if now is None:
            continue
        if was.inside != now.inside:
            why = "within" if now.inside else "beyond"
            found.append(
                PlaceChange(number, why, grids.get(number), now.grid if now.inside else None)
            )
        elif (apart := _apart_m(was, now)) is None or apart > SAME_PLACE_M:
            moved = None if apart is None else round(apart)
            found.append(PlaceChange(number, "words", grids.get(number), now.grid, moved))
    return found


def grids_of(session: Session) -> dict[str, str | None]:
    """The grid's code of every open incident, by number."""
    rows = session.execute(_OPEN, {"open": list(OPEN_STATUSES)})
    return {row.number: row.grid for row in rows}


def _by_words(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    at: datetime,
    texts: tuple[str | None, ...],
) -> Seen:
    said = tuple(words for words in texts if words)
    place = find_place(session, ground, settings, at, None, said)
    inside = "point_outside" not in place.flags
    if place.waits or place.lon is None or place.lat is None:
        return Seen(None, None, None, inside)
    x, y = to_plane([place.lon], [place.lat], ground.town.plane_epsg)
    grid = place.located.grid.code if place.located and place.located.grid else None
    return Seen(grid, float(x[0]), float(y[0]), inside)


def _by_point(
    ground: Ground, settings: TownSettings, points: list[tuple[str, str | None, float, float]]
) -> dict[str, Seen]:
    """A point stays where it is; only the boundary may leave it behind."""
    if not points:
        return {}
    x, y = to_plane([p[2] for p in points], [p[3] for p in points], ground.town.plane_epsg)
    beyond_m = Reach(ground.boundary, settings.reach_m).beyond_m(np.asarray(x), np.asarray(y))
    return {
        number: Seen(grid, float(x[k]), float(y[k]), bool(beyond_m[k] <= ON_BOUNDARY_M))
        for k, (number, grid, _, _) in enumerate(points)
    }


def _given(lon: float | None, lat: float | None, datum: str | None) -> tuple[float, float] | None:
    if lon is None or lat is None:
        return None
    try:
        degrees = to_wgs84(lon, lat, datum or "wgs84")
    except BadInput:
        return None
    found = float(degrees[0]), float(degrees[1])
    return found if all(math.isfinite(part) for part in found) else None


def _apart_m(was: Seen, now: Seen) -> float | None:
    """Metres between both places; None where only one of both has one."""
    if was.x_m is None or now.x_m is None or was.y_m is None or now.y_m is None:
        return 0.0 if was.x_m is None and now.x_m is None else None
    return math.hypot(now.x_m - was.x_m, now.y_m - was.y_m)


_OPEN = text(
    "select i.number, st_x(i.point) as lon, st_y(i.point) as lat, i.given_lon, i.given_lat, i.given_datum,"
    " i.address, i.description, g.code as grid, i.match in ('point', 'pin', 'chosen') or exists ("
    " select 1 from history h where h.incident_id = i.id and h.move = 'set_place') as by_point"
    " from incident i left join grid g on g.id = i.grid_id where i.status = any(:open) order by i.number"
)
