"""Residents who meet with a problem that somebody has reported already: counted, without a name or a number of theirs.

Each is a row of `repeat` and a line of the record, as a machine's repetition is. They are not reporters: a number can be
guessed, and whoever guesses one must get neither a stranger's words nor a say in the result.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.duplicate_models import Repeat
from dispatch.incidents import Line
from grid.core.errors import Conflict

CHANNEL = "citizen"


def support(session: Session, number: str, key: str, actor: str, now: datetime) -> int:
    """Counts one more resident on an open incident, the same `key` once; how many there are.

    Raises NotFound `incident.unknown`; Conflict `support.ended`.
    """
    incident = incidents.lock_incident(session, number, None)
    if incident.ended_at is not None:
        raise Conflict("support.ended", number=number)
    kept = session.scalar(
        insert(Repeat)
        .values(
            incident_id=incident.id,
            channel_code=CHANNEL,
            idempotency_key=f"support|{number}|{key}",
            description="",
            distance_m=0,
            seen_at=now,
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Repeat.id)
    )
    if kept is not None:
        count = incidents.count_repeat(session, incident.id, now)
        detail = {"channel": CHANNEL, "count": count}
        line = Line("supported", incident.status, incident.status, None, detail)
        incidents.write_history(session, incident.id, number, [line], [actor], now)
        incidents.announce(session, incident.id, now)
    return supporters(session, incident.id)


def supporters(session: Session, incident_id: int) -> int:
    """How many residents said that they meet with it too."""
    found = session.scalar(
        text("select count(*) from repeat where incident_id = :id and channel_code = :channel"),
        {"id": incident_id, "channel": CHANNEL},
    )
    return int(found or 0)
