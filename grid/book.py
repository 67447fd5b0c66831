"""The ground as the geocoder reads it: built once a ground version, shared by all threads of a process.

A process never answers from an old ground: every use asks the database for the version first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.crs import to_plane
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.learned import taught
from grid.geocode.model import GazetteerData
from grid.learning import LearnedFact, read_default_points, read_learned
from grid.reach import read_boundary
from grid.town import TownFacts, town_facts


@dataclass(frozen=True, slots=True)
class Ground:
    """The town's facts and its gazetteer with what people taught it, of one version; and points not to be believed."""

    town: TownFacts
    gazetteer: Gazetteer
    learned: dict[int, LearnedFact] = field(default_factory=dict)
    default_points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    # In the plane; None where none was imported.
    boundary: shapely.Geometry | None = None


class GroundBook:
    """Keeps the newest ground of one database; `read` is safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ground: Ground | None = None
        self._imported: tuple[TownFacts, Gazetteer] | None = None

    def read(self, session: Session, town: TownFacts | None = None) -> Ground:
        """The ground as the session sees it; Conflict `town.empty` before any street was imported.

        `town`: the town's facts, where they were read already.
        """
        town = town or town_facts(session)
        ground = self._ground
        if ground is not None and ground.town == town:
            return ground
        with self._lock:
            if self._ground is None or self._ground.town != town:
                self._ground = self._read(session, town)
            return self._ground

    def _read(self, session: Session, town: TownFacts) -> Ground:
        """A change of rules or of what was learned costs a moment; only changed streets build the gazetteer anew."""
        imported = replace(town, learned_version=0, rules_version=0)
        if self._imported is None or self._imported[0] != imported:
            self._imported = imported, Gazetteer.build(gazetteer_data(session, town))
        learned, facts = read_learned(session, town)
        gazetteer = taught(self._imported[1], learned)
        boundary = read_boundary(session, town.plane_epsg)
        return Ground(town, gazetteer, facts, read_default_points(session), boundary)


def gazetteer_data(session: Session, town: TownFacts) -> GazetteerData:
    """Reads the gazetteer's columns from the tables; coordinates in the town's plane."""
    streets = session.execute(text("select id, name, names from street order by id")).all()
    segments = session.execute(
        text(
            "select id, coalesce(street_id, -1) as street_id, st_asbinary(line_plane) as line,"
            " from_crossing_id, to_crossing_id, coalesce(left_from, -1) as left_from,"
            " coalesce(left_to, -1) as left_to, coalesce(right_from, -1) as right_from,"
            " coalesce(right_to, -1) as right_to"
            " from segment where gone_at is null order by id"
        )
    ).all()
    lines = shapely.from_wkb([bytes(row.line) for row in segments])
    coordinates, owners = shapely.get_coordinates(np.asarray(lines), return_index=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(segments)))])
    plates = session.execute(
        text(
            "select street_id, house_number, coalesce(segment_id, -1) as segment_id,"
            " coalesce(side, '') as side, st_x(point) as lon, st_y(point) as lat"
            " from door_plate where street_id is not null order by id"
        )
    ).all()
    places = session.execute(
        text(
            "select id, name, names, kind, coalesce(address, '') as address,"
            " st_x(point) as lon, st_y(point) as lat,"
            " case when area is null then 40.0 else"
            " greatest(sqrt(st_area(area::geography) / pi()), 40.0) end as spread_m"
            " from place order by id"
        )
    ).all()
    communities = session.execute(
        text(
            "select name, st_x(c) as lon, st_y(c) as lat,"
            " sqrt(st_area(area::geography) / pi()) as spread_m"
            " from (select name, area, st_pointonsurface(area) as c from boundary"
            " where level = 'community') b order by name"
        )
    ).all()
    aliases = _aliases(session)
    posts = _marks(session, "km_post")
    facilities = _marks(session, "facility")
    plate_x, plate_y = _plane(plates, town)
    place_x, place_y = _plane(places, town)
    community_x, community_y = _plane(communities, town)
    post_x, post_y = _plane(posts, town)
    facility_x, facility_y = _plane(facilities, town)
    return GazetteerData(
        street_id=[r.id for r in streets],
        street_name=[r.name for r in streets],
        street_other_names=[
            [*_other_names(r.names), *aliases.get(("street", r.name), ())] for r in streets
        ],
        segment_id=[r.id for r in segments],
        segment_street=[r.street_id for r in segments],
        segment_xy=coordinates,
        segment_offset=offsets,
        from_node=[r.from_crossing_id for r in segments],
        to_node=[r.to_crossing_id for r in segments],
        left_from=[r.left_from for r in segments],
        left_to=[r.left_to for r in segments],
        right_from=[r.right_from for r in segments],
        right_to=[r.right_to for r in segments],
        plate_street=[r.street_id for r in plates],
        plate_number=[r.house_number for r in plates],
        plate_x_m=plate_x,
        plate_y_m=plate_y,
        plate_segment=[r.segment_id for r in plates],
        plate_side=[r.side for r in plates],
        place_id=[r.id for r in places],
        place_name=[r.name for r in places],
        place_other_names=[
            [*_other_names(r.names), *aliases.get(("place", r.name), ())] for r in places
        ],
        place_kind=[r.kind for r in places],
        place_address=[r.address for r in places],
        place_x_m=place_x,
        place_y_m=place_y,
        place_spread_m=np.array([r.spread_m for r in places], dtype=np.float64),
        community_name=[r.name for r in communities],
        community_x_m=community_x,
        community_y_m=community_y,
        community_spread_m=np.array([r.spread_m for r in communities], dtype=np.float64),
        km_post_street=[r.street_id for r in posts],
        km_post_code=[r.code for r in posts],
        km_post_x_m=post_x,
        km_post_y_m=post_y,
        facility_street=[r.street_id for r in facilities],
        facility_code=[r.code for r in facilities],
        facility_x_m=facility_x,
        facility_y_m=facility_y,
    )


def _aliases(session: Session) -> dict[tuple[str, str], list[str]]:
    """(kind, name) -> the other names that were told for it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in session.execute(text("select kind, name, alias from alias order by id")):
        found.setdefault((row.kind, row.name), []).append(row.alias)
    return found


def _marks(session: Session, kind: str) -> Iterable[Any]:
    return session.execute(
        text(
            "select t.id as street_id, m.code, st_x(m.point) as lon, st_y(m.point) as lat"
            " from street_mark m join street t on t.name = m.street_name"
            " where m.kind = :kind order by m.id"
        ),
        {"kind": kind},
    ).all()


def _plane(rows: Iterable[Any], town: TownFacts) -> tuple[Any, Any]:
    return to_plane([r.lon for r in rows], [r.lat for r in rows], town.plane_epsg)


def _other_names(names: dict[str, Any]) -> list[str]:
    """Every name besides the first: foreign, former and short ones; several stand apart by `;`."""
    found: list[str] = []
    for value in names.values():
        parts = value if isinstance(value, list) else str(value).split(";")
        found += [part.strip() for part in parts if part.strip()]
    return found
