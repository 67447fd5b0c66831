"""Where a step of the field was made: its distance from the incident for the record, the place itself for a set time.

The place goes with the step as a photograph's does, where the phone may tell it. The rule (DECISIONS.md, A14): of a
step made at the spot it is always kept, of any other only on a shift. The distance is part of the line; the place
stands beside it and is forgotten with the positions of shifts (`dispatch/attendance.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.done_moment import FIELD_ROLES
from dispatch.field_models import StepPlace
from grid.core.bulk import ewkt_point
from grid.core.values import dataclass

AT_THE_SPOT = frozenset(
    {
        *("arrive", "finish_task"),
        *("check_passed", "check_failed", "verify_confirmed", "verify_denied"),
    }
)


@dataclass(frozen=True, slots=True)
class MadeAt:
    """A phone's position at pressing: WGS 84 degrees, and its radius of error in metres if it said so."""

    lon: float
    lat: float
    accuracy_m: float | None = None


def is_kept(session: Session, move: str, role: str, staff_id: int | None, at: datetime) -> bool:
    """Whether the place of a step that somebody made at a moment is kept."""
    if role not in FIELD_ROLES or staff_id is None:
        return False
    return move in AT_THE_SPOT or bool(
        session.scalar(
            text(
                "select exists (select 1 from attendance where staff_id = :staff and began_at <= :at"
                " and coalesce(ended_at, 'infinity') >= :at)"
            ),
            {"staff": staff_id, "at": at},
        )
    )


def told_of(session: Session, incident_id: int, place: MadeAt) -> dict[str, int]:
    """What the record's line says of it: `away_m` from the incident (where that has a place) and `off_m`, its error."""
    away = session.scalar(
        text(
            "select st_distance(coalesce(span, point)::geography, st_geomfromewkt(:at)::geography)"
            " from incident where id = :id"
        ),
        {"id": incident_id, "at": ewkt_point(place.lon, place.lat)},
    )
    told = {} if away is None else {"away_m": round(away)}
    return told if place.accuracy_m is None else {**told, "off_m": round(place.accuracy_m)}


def keep_place(session: Session, incident_id: int, seq: int, place: MadeAt, at: datetime) -> None:
    """Keeps the place of one line of the record."""
    point = ewkt_point(place.lon, place.lat)
    session.add(StepPlace(incident_id=incident_id, seq=seq, at=at, point=point))


def places_of(session: Session, incident_id: int) -> dict[int, dict[str, float]]:
    """The places that are still kept of an incident's record, by line: lon, lat."""
    rows = session.execute(
        text(
            "select seq, st_x(point) as lon, st_y(point) as lat from step_place"
            " where incident_id = :id"
        ),
        {"id": incident_id},
    )
    return {row.seq: {"lon": row.lon, "lat": row.lat} for row in rows}


def distances_of(session: Session, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """How far from each incident the crew arrived and finished, for whoever checks: move, at, away_m, off_m."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in session.execute(
        text(
            "select incident_id, move, coalesce((detail->>'done_at')::timestamptz, at) as at,"
            " (detail->>'away_m')::int as away_m, (detail->>'off_m')::int as off_m from history"
            " where incident_id = any(:ids) and move in ('arrive', 'finish_task')"
            " and detail ? 'away_m' order by incident_id, seq"
        ),
        {"ids": list(ids)},
    ):
        line = {name: value for name, value in row._mapping.items() if name != "incident_id"}
        found.setdefault(row.incident_id, []).append(line)
    return found
