"""Places learned from people: written, undone, listed and read; and the points known to stand for "unknown"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from grid.core.bulk import ewkt_point
from grid.core.crs import to_plane
from grid.core.errors import Conflict, NotFound
from grid.geocode.learned import Learned, Lesson
from grid.geocode.names import key_for
from grid.models import KnownDefaultPoint, LearnedPlace, Town
from grid.town import TownFacts

SAME_DEFAULT_DEGREES = 2e-6
"""A point this near to a default point is that point: 0.2 m, rounding to six decimals and a change of datum."""


@dataclass(frozen=True, slots=True)
class LearnedFact:
    """Where a learned place comes from."""

    words: str
    learned_at: datetime
    incident_number: str | None


def learn(
    session: Session,
    lesson: Lesson,
    lon: float,
    lat: float,
    incident_number: str | None,
    who: str,
    now: datetime,
) -> int:
    """Writes a correction down and lets every process know; returns its id.

    A later correction of the same incident takes the place of the earlier one.
    """
    if incident_number is not None:
        session.execute(
            update(LearnedPlace)
            .where(
                LearnedPlace.incident_number == incident_number, LearnedPlace.undone_at.is_(None)
            )
            .values(undone_at=now, undone_by=who)
        )
    row = LearnedPlace(
        words=lesson.words,
        words_key=key_for(lesson.words)[1],
        street_name=lesson.street or None,
        house_number=lesson.house_number or None,
        point=ewkt_point(lon, lat),
        incident_number=incident_number,
        learned_at=now,
        learned_by=who,
    )
    session.add(row)
    session.flush()
    learned_changed(session)
    return row.id


def forget(session: Session, learned_id: int, who: str, now: datetime) -> str | None:
    """Undoes a correction; returns the number of the incident it came from.

    Raises NotFound `places.learned_unknown`, Conflict `places.forgotten_already`.
    """
    row = session.get(LearnedPlace, learned_id, with_for_update=True)
    if row is None:
        raise NotFound("places.learned_unknown", field="id", id=learned_id)
    if row.undone_at is not None:
        raise Conflict("places.forgotten_already", id=learned_id, words=row.words)
    row.undone_at, row.undone_by = now, who
    session.flush()
    learned_changed(session)
    return row.incident_number


def learned_list(session: Session, *, with_undone: bool) -> list[dict[str, Any]]:
    """All corrections, newest first: id, words, lon, lat, incident, when, by whom, undone when and by whom."""
    rows = session.execute(
        text(
            "select id, words, street_name as street, house_number, st_x(point) as lon,"
            " st_y(point) as lat, incident_number as incident, learned_at, learned_by, undone_at,"
            " undone_by from learned_place where undone_at is null or :all order by id desc"
        ),
        {"all": with_undone},
    )
    return [dict(row._mapping) for row in rows]


def learned_changed(session: Session) -> None:
    """Raises the version of what was learned; every process takes it over before its next answer."""
    session.execute(update(Town).values(learned_version=Town.learned_version + 1))


def read_learned(session: Session, town: TownFacts) -> tuple[list[Learned], dict[int, LearnedFact]]:
    """The corrections in force, in the town's plane, and by id where each comes from."""
    rows = session.execute(
        text(
            "select p.id, p.words, t.id as street_id, p.street_name,"
            " coalesce(p.house_number, '') as house_number, st_x(p.point) as lon,"
            " st_y(p.point) as lat, p.learned_at, p.incident_number"
            " from learned_place p left join street t on t.name = p.street_name"
            " where p.undone_at is null order by p.id"
        )
    ).all()
    x, y = to_plane([r.lon for r in rows], [r.lat for r in rows], town.plane_epsg)
    learned = [
        Learned(r.id, r.words, float(a), float(b), r.street_id, r.house_number)
        for r, a, b in zip(rows, x, y, strict=True)
        if not (r.house_number and r.street_id is None)
    ]
    return learned, {r.id: LearnedFact(r.words, r.learned_at, r.incident_number) for r in rows}


def add_default_points(
    session: Session, points: Sequence[tuple[float, float]], source: str, now: datetime
) -> int:
    """Keeps points (lon, lat in WGS 84) that stand for "unknown"; those known already are left; how many are new."""
    known = read_default_points(session)
    new = [p for p in dict.fromkeys(points) if not is_default_point(known, *p)]
    session.add_all(
        KnownDefaultPoint(point=ewkt_point(*p), source=source, found_at=now) for p in new
    )
    if new:
        session.flush()
        learned_changed(session)
    return len(new)


def drop_default_point(session: Session, point_id: int, now: datetime) -> None:
    """Believes a point again. Raises NotFound `places.default_unknown`."""
    row = session.get(KnownDefaultPoint, point_id, with_for_update=True)
    if row is None or row.undone_at is not None:
        raise NotFound("places.default_unknown", field="id", id=point_id)
    row.undone_at = now
    session.flush()
    learned_changed(session)


def default_point_list(session: Session) -> list[dict[str, Any]]:
    """The default points in force: id, lon, lat, source, found_at."""
    rows = session.execute(
        text(
            "select id, st_x(point) as lon, st_y(point) as lat, source, found_at"
            " from default_point where undone_at is null order by id"
        )
    )
    return [dict(row._mapping) for row in rows]


def read_default_points(session: Session) -> NDArray[np.float64]:
    """The default points in force as (N, 2) lon, lat."""
    rows = session.execute(
        select(text("st_x(point)"), text("st_y(point)"))
        .select_from(KnownDefaultPoint)
        .where(KnownDefaultPoint.undone_at.is_(None))
    ).all()
    return np.array([tuple(row) for row in rows], dtype=np.float64).reshape(-1, 2)


def is_default_point(known: NDArray[np.float64], lon: float, lat: float) -> bool:
    """Whether a point (WGS 84) is one of those that stand for "unknown"."""
    if len(known) == 0:
        return False
    near = np.abs(known - np.array([lon, lat])) <= SAME_DEFAULT_DEGREES
    return bool(near.all(axis=1).any())
