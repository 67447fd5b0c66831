"""Geocoders outside, asked about incidents that wait for a place: after the commit, by a worker, never at intake.

What they say is one more candidate for the person who decides; it never places an incident by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.desk import Desk
from dispatch.incidents import Line
from dispatch.models import Incident
from dispatch.place_needed import QUEUE
from dispatch.reasons import reason
from grid.book import Ground
from grid.core.crs import to_plane
from grid.core.settings import OutsideSettings
from grid.geocode.fold import fold
from grid.learning import is_default_point
from grid.locate import locate
from grid.models import OutsideAnswer
from grid.outside import Found, Outside
from grid.reach import Reach

CONFIDENCE = 0.3
LONGEST_WORDS = 200
BATCH = 20


def ask_outside(
    session: Session, desk: Desk, outside: Outside, incident_id: int, now: datetime
) -> int:
    """Adds what the services outside offer to a waiting incident's candidates; returns how many were added.

    Answers are kept and asked once. The incident is locked only after they have come; the caller commits.
    Candidates outside the town, on a default point, or within 30 m of one that is there are left out.
    """
    incident = session.get(Incident, incident_id)
    ground, _ = desk.read(session)
    if incident is None or incident.queue != QUEUE or ground is None or not outside.sources:
        return 0
    words = (incident.address or incident.description).strip()[:LONGEST_WORDS]
    if not words:
        return 0
    known = _kept(session, outside, words, now)
    fresh = outside.ask(words, skip=frozenset(known))
    for source, found in fresh.items():
        _keep(session, source, words, found, now)
    number = incident.number
    incident = incidents.lock_incident(session, number, None)
    if incident.queue != QUEUE:
        return 0
    before = list(incident.geocoding.get("candidates", []))
    added = _candidates(session, desk, ground, {**known, **fresh}, before, now)
    if not added:
        return 0
    geocoding = {**incident.geocoding, "candidates": [*before, *added]}
    sources = dict.fromkeys(c["source"] for c in added)
    reasons = [reason("place.outside_source", source=name).plain() for name in sources]
    incidents.change_incident(
        session, incident, {"geocoding": geocoding, "reason": [*incident.reason, *reasons]}
    )
    line = Line("outside_candidates", incident.status, incident.status, detail={"added": added})
    incidents.write_history(session, incident.id, number, [line], ["system"], now)
    incidents.announce(session, incident.id, now)
    return len(added)


def sweep_outside(session: Session, desk: Desk, now: datetime, batch: int = BATCH) -> int:
    """Asks about the newest waiting incidents that were not asked about; a job's function. How many got candidates."""
    outside = _of_environment()
    if not outside.sources:
        return 0
    ids = session.scalars(
        text(
            "select i.id from incident i where i.queue = :queue and not exists"
            " (select 1 from outside_answer o where o.words = left(btrim(coalesce(i.address,"
            " i.description)), :longest) and o.asked_at > :since)"
            " order by i.reported_at desc limit :batch"
        ),
        {
            "queue": QUEUE,
            "longest": LONGEST_WORDS,
            "since": now - timedelta(days=outside.settings.keep_days),
            "batch": batch,
        },
    ).all()
    return sum(ask_outside(session, desk, outside, each, now) > 0 for each in ids)


@lru_cache(maxsize=1)
def _of_environment() -> Outside:
    return Outside(OutsideSettings())


def _kept(session: Session, outside: Outside, words: str, now: datetime) -> dict[str, list[Found]]:
    since = now - timedelta(days=outside.settings.keep_days)
    rows = session.scalars(
        select(OutsideAnswer).where(
            OutsideAnswer.words == words,
            OutsideAnswer.asked_at > since,
            OutsideAnswer.source.in_([s.name for s in outside.sources]),
        )
    )
    return {row.source: [Found(**each) for each in row.found] for row in rows}


def _keep(session: Session, source: str, words: str, found: list[Found], now: datetime) -> None:
    rows = [{"label": f.label, "lon": f.lon, "lat": f.lat} for f in found]
    statement = insert(OutsideAnswer).values(source=source, words=words, asked_at=now, found=rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "words"],
            set_={"asked_at": statement.excluded.asked_at, "found": statement.excluded.found},
        )
    )


def _candidates(
    session: Session,
    desk: Desk,
    ground: Ground,
    found: dict[str, list[Found]],
    before: list[dict[str, Any]],
    now: datetime,
) -> list[dict[str, Any]]:
    added: list[dict[str, Any]] = []
    reach = Reach(ground.boundary, desk.settings.reach_m)
    for source, offers in found.items():
        for offer in offers:
            x, y = (float(v) for v in to_plane(offer.lon, offer.lat, ground.town.plane_epsg))
            near = locate(session, x, y, now, neighbour_m=0.0)
            if near is None or not reach.holds(*np.array([[x], [y], [near.distance_m]]))[0]:
                continue
            if is_default_point(ground.default_points, offer.lon, offer.lat):
                continue
            if any(_same(offer, each) for each in (*before, *added)):
                continue
            added.append(
                {
                    "label": fold(offer.label)[:100],
                    "lon": round(offer.lon, 7),
                    "lat": round(offer.lat, 7),
                    "match": "outside",
                    "confidence": CONFIDENCE,
                    "source": source,
                }
            )
    return added


def _same(offer: Found, candidate: dict[str, Any]) -> bool:
    """Within about 30 m."""
    apart = max(abs(offer.lon - candidate["lon"]), abs(offer.lat - candidate["lat"]))
    return bool(apart < 3e-4)
