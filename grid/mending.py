"""What `gridward check` can mend by itself: periods cut to the lives they hang on, gaps closed, areas made valid and
set apart, the territory made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import SHARED_M2, as_area
from grid.core.bulk import ewkb
from grid.core.errors import Conflict
from grid.kept_territory import keep_territory, standing
from grid.periods import mend_periods
from grid.town import ground_changed, lock_ground


@dataclass(frozen=True, slots=True)
class GroundMended:
    """How much was mended: periods cut and lengthened, areas changed; whether the territory was made anew."""

    periods_cut: int
    periods_lengthened: int
    areas: int
    territory: bool


def mend_ground(session: Session, now: datetime) -> GroundMended:
    """Mends what can be mended without a decision by people; Conflict `town.empty`."""
    lock_ground(session)
    periods = mend_periods(session)
    areas = _mend_areas(session)
    if periods.cut or periods.lengthened or areas:
        ground_changed(session)
    territory = standing(session, now).kept_version is not None
    if territory:
        try:
            keep_territory(session, now, anew=True)
        except Conflict:
            # A side without a grid: said by the check itself, with its own repair.
            territory = False
    return GroundMended(periods.cut, periods.lengthened, areas, territory)


def _mend_areas(session: Session) -> int:
    """Makes areas valid; ground that two grids have at one moment stays with what was given, then the lower code."""
    changed: set[int] = set()
    rows = session.execute(
        text(
            "select id, st_asbinary(area_plane) as area from grid_area"
            " where not st_isvalid(area_plane) or st_area(area_plane) = 0"
        )
    ).all()
    for row in rows:
        _put(session, row.id, shapely.from_wkb(bytes(row.area)))
        changed.add(row.id)
    pairs = session.execute(
        text(
            "select a.id as first, b.id as second from grid_area a join grid g on g.id = a.grid_id"
            " join grid_area b on b.id <> a.id and b.valid && a.valid and b.area_plane && a.area_plane"
            " join grid o on o.id = b.grid_id and o.code <> g.code"
            " where (a.kind <> 'given', g.code, a.id) < (b.kind <> 'given', o.code, b.id)"
            " and st_area(st_intersection(a.area_plane, b.area_plane)) > :least"
            " order by a.kind <> 'given', g.code, a.id, b.id"
        ),
        {"least": SHARED_M2},
    ).all()
    for pair in pairs:
        one, other = _area(session, pair.first), _area(session, pair.second)
        if one is not None and other is not None:
            _put(session, pair.second, shapely.difference(other, one))
            changed.add(pair.second)
    return len(changed)


def _area(session: Session, area_id: int) -> shapely.Geometry | None:
    stored = session.scalar(
        text("select st_asbinary(area_plane) from grid_area where id = :id"), {"id": area_id}
    )
    return None if stored is None else shapely.from_wkb(bytes(stored))


def _put(session: Session, area_id: int, shape: shapely.Geometry) -> None:
    area = as_area(shape)
    if area is None:
        session.execute(text("delete from grid_area where id = :id"), {"id": area_id})
        return
    session.execute(
        text(
            "update grid_area set area_plane = st_geomfromewkb(decode(:area, 'hex')) where id = :id"
        ),
        {"id": area_id, "area": ewkb(area, None)},
    )
