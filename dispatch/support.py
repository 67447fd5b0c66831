"""People who meet with a problem that somebody has reported already, counted on it.

Each is a row of `repeat` and a line of the record, as a machine's repetition is. Residents who say so by themselves are
counted without a name or a number of theirs, and are no reporters: a number can be guessed, and whoever guesses one must
get neither a stranger's words nor a say in the result. Whom the desk itself has on the telephone is a reporter too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.duplicate_models import Repeat
from dispatch.incidents import Line
from dispatch.models import Incident, Reporter
from grid.core.errors import Conflict
from grid.core.values import dataclass

CHANNEL = "citizen"


def support(session: Session, number: str, key: str, actor: str, now: datetime) -> int:
    """Counts one more resident on an open incident, the same `key` once; how many there are.

    Raises NotFound `incident.unknown`; Conflict `support.ended`.
    """
    incident = _open(session, number)
    _counted(
        session, incident, Said(CHANNEL, ""), "supported", f"support|{number}|{key}", actor, now
    )
    return supporters(session, incident.id)


@dataclass(frozen=True, slots=True)
class Said:
    """What one more caller said, by which channel, and who they are (None: not told)."""

    channel: str
    words: str
    name: str | None = None
    phone: str | None = None


def also_reported(
    session: Session, number: str, said: Said, key: str, actor: str, now: datetime
) -> bool:
    """One more caller about an open incident: a reporter of it from now on, their words in its record; the same `key` once.

    True when it was counted now. Raises NotFound `incident.unknown`; Conflict `support.ended`.
    """
    incident = _open(session, number)
    if not _counted(session, incident, said, "also_reported", f"caller|{actor}|{key}", actor, now):
        return False
    if said.name or said.phone:
        session.add(Reporter(incident_id=incident.id, name=said.name, phone=said.phone))
    return True


def _open(session: Session, number: str) -> Incident:
    incident = incidents.lock_incident(session, number, None)
    if incident.ended_at is not None:
        raise Conflict("support.ended", number=number)
    return incident


def _counted(
    session: Session, incident: Incident, said: Said, move: str, key: str, actor: str, now: datetime
) -> bool:
    kept = session.scalar(
        insert(Repeat)
        .values(
            incident_id=incident.id,
            channel_code=said.channel,
            idempotency_key=key,
            description=said.words,
            distance_m=0,
            seen_at=now,
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Repeat.id)
    )
    if kept is None:
        return False
    count = incidents.count_repeat(session, incident.id, now)
    detail = {"channel": said.channel, "count": count}
    line = Line(move, incident.status, incident.status, said.words or None, detail)
    incidents.write_history(session, incident.id, incident.number, [line], [actor], now)
    incidents.announce(session, incident.id, now)
    return True


def supporters(session: Session, incident_id: int) -> int:
    """How many residents said that they meet with it too."""
    found = session.scalar(
        text("select count(*) from repeat where incident_id = :id and channel_code = :channel"),
        {"id": incident_id, "channel": CHANNEL},
    )
    return int(found or 0)
