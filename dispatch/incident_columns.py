"""The columns of an incident that follow from its place and its standing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from dispatch.incidents import Line
from dispatch.placement import Placement
from dispatch.progress import queues
from dispatch.standing import Standing, to_json
from grid.cells import cell_at
from grid.core.bulk import ewkt_point


def standing_values(standing: Standing, catalogue: Catalogue, now: datetime) -> dict[str, Any]:
    """An incident's columns of state: status, queue and limits."""
    facts, clocks = to_json(standing)
    waiting = queues(standing.at(now, catalogue.calendar).facts)
    return {
        "facts": facts,
        "clocks": clocks,
        "status": standing.facts.state.value,
        "queue": waiting[0] if waiting else None,
        "due_at": standing.due_at(catalogue.calendar),
        "amber_at": standing.amber_at(catalogue.calendar),
        "reply_due_at": standing.reply_due_at(catalogue.calendar),
    }


def stage_moments(lines: Iterable[Line], now: datetime) -> dict[str, datetime]:
    """The columns of the moments of filing and dispatch, where these lines tell of them."""
    moments = {"file": "filed_at", "dispatch": "dispatched_at"}
    return {moments[line.move]: now for line in lines if line.move in moments}


def place_values(placement: Placement) -> dict[str, Any]:
    """An incident's columns of place; a place that a person must decide is not stored as known."""
    located = None if placement.waits else placement.located
    known = located is not None and placement.lon is not None and placement.lat is not None
    grid = located.grid if located else None
    return {
        "flags": list(placement.flags),
        "point": ewkt_point(placement.lon, placement.lat) if known else None,
        "span": None if placement.span is None or not known else f"SRID=4326;{placement.span.wkt}",
        "match": placement.match if known else "none",
        "confidence": placement.confidence if known else 0.0,
        "spread_m": placement.spread_m if known else None,
        "geocoding": {
            "reading": placement.reading,
            "candidates": list(placement.candidates),
            **({"segments": list(placement.segments)} if known and placement.segments else {}),
        },
        "segment_id": located.segment_id if located else None,
        "side": located.side if located else None,
        "distance_m": round(located.distance_m, 2) if located else None,
        "grid_id": grid.id if grid else None,
        "neighbour_grid_id": located.neighbour.id if located and located.neighbour else None,
    }


def cell_of(session: Session, placement: Placement) -> str | None:
    """The standard unit cell of a place that is known."""
    return None if placement.waits else cell_at(session, placement.lon, placement.lat)
