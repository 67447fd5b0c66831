"""From what was left to what is sent: one delivery for each notice and channel, made by the worker.

Two queues are read, both written in the transaction of their cause: `notice` (rows not yet spread) and
`live_event` (with the history lines of the same transaction), from which residents and other systems are
told. An advisory lock lets one worker spread at a time. Nothing here commits or sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from dispatch.duplicates import flag_likely
from dispatch.likeness import LikenessRules
from dispatch.models import Notice
from dispatch.moves import ENDED
from dispatch.notice_models import Delivery
from dispatch.resident_templates import ENDINGS, TURNS, turn_of
from grid.core.settings import NoticeSettings
from grid.core.values import dataclass

SPREAD_LOCK = 7_305_115
BATCH = 500
EVENT_KINDS = ("incident.reported", "incident.moved", "incident.ended")

_EVENTS = text(
    "select id, incident_id, first_seq, last_seq from live_event"
    " where spread_at is null and last_seq is not null order by id limit :most"
)
_LINES = text(
    "select e.id as event_id, h.seq, h.move, h.from_status, h.to_status, h.at"
    " from live_event e join history h on h.incident_id = e.incident_id"
    " and h.seq between e.first_seq and e.last_seq where e.id = any(:ids) order by e.id, h.seq"
)
_WEBHOOKS = text("select id, kinds from webhook where ended_at is null order by id")
_SUMMARIES = text(
    "select i.id, i.number, i.status, i.channel_code as channel, i.category_code as category,"
    " k.urgency, st_x(i.point) as lon, st_y(i.point) as lat, g.code as grid, i.reported_at, i.due_at"
    " from incident i left join category k on k.code = i.category_code"
    " left join grid g on g.id = i.grid_id where i.id = any(:ids)"
)
# Who reported these incidents, or one that was merged into them, and wants to hear of it.
_LISTENED = text(
    "select i.id from incident i where i.id = any(:ids) and (exists (select 1 from reporter r"
    " where r.incident_id = i.id and r.tell_by is not null) or exists (select 1 from incident m"
    " join reporter r on r.incident_id = m.id and r.tell_by is not null"
    " where m.merged_into_id = i.id))"
)
_NOTICES = text("select id from notice where spread_at is null order by id limit :most")
_URGENT = (
    "(coalesce((n.detail->>'urgent')::boolean, false) or coalesce(k.urgency = 'emergency', false))"
)
_TO_CONTACTS = text(
    "insert into delivery (notice_id, contact_id, target, lane, urgent, next_at, made_at)"  # noqa: S608
    f" select n.id, c.id, 'contact:' || c.id, c.lane, {_URGENT}, :now, :now"
    " from notice n join incident i on i.id = n.incident_id"
    " left join category k on k.code = i.category_code"
    " left join staff s on s.left_at is null and (s.id = n.staff_id or n.audience = 'unit:' || s.unit_id)"
    " join contact_channel c on c.ended_at is null and (c.kinds = '{}' or n.kind = any(c.kinds))"
    " and (c.staff_id = s.id or c.unit_id = s.unit_id or c.role = s.post"
    " or n.audience = 'unit:' || c.unit_id or n.audience = 'role:' || c.role)"
    " where n.id = any(:ids) and n.audience <> 'resident' on conflict do nothing"
)
_TO_BROWSERS = text(
    "insert into delivery (notice_id, push_id, target, lane, urgent, next_at, made_at)"  # noqa: S608
    f" select n.id, p.id, 'push:' || p.id, p.lane, {_URGENT}, :now, :now"
    " from notice n join incident i on i.id = n.incident_id"
    " left join category k on k.code = i.category_code"
    " join staff s on s.left_at is null and (s.id = n.staff_id or n.audience = 'unit:' || s.unit_id)"
    " join push_subscription p on p.staff_id = s.id and p.ended_at is null"
    " where n.id = any(:ids) on conflict do nothing"
)
_TO_REPORTERS = text(
    "insert into delivery (notice_id, reporter_id, target, lane, next_at, made_at)"
    " select n.id, r.id, 'reporter:' || r.id, r.tell_by, :now, :now"
    " from notice n join incident i on i.id = n.incident_id join lateral ("
    "  select own.* from reporter own where own.incident_id = i.id union all"
    "  select other.* from incident m join reporter other on other.incident_id = m.id"
    "  where m.merged_into_id = i.id and n.kind = any(:endings)"
    " ) r on r.tell_by = any(:gateways)"
    " where n.id = any(:ids) and n.audience = 'resident' on conflict do nothing"
)
_PUSHES_SPREAD = text("update notice set spread_at = :now where id = any(:ids)")
_EVENTS_SPREAD = text("update live_event set spread_at = :now where id = any(:ids)")


@dataclass(frozen=True, slots=True)
class Spread:
    """What one round did; `more` when the queues were longer than one round."""

    notices: int
    events: int
    more: bool


def spread(
    session: Session, settings: NoticeSettings, alike: LikenessRules, now: datetime
) -> Spread:
    """Makes the deliveries of what was left since the last round, and flags what is very like an earlier incident.

    Does nothing while another worker does.
    """
    mine = session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": SPREAD_LOCK})
    if not mine:
        return Spread(0, 0, False)
    events = session.execute(_EVENTS, {"most": BATCH}).all()
    if events:
        _tell_of_events(session, events, now)
        # After the commit of the report, so that nobody who reports waits for it.
        flag_likely(session, [event.id for event in events], alike, now)
    ids = list(session.scalars(_NOTICES, {"most": BATCH}))
    if ids:
        gateways = [k for k, url in (("sms", settings.sms_url), ("mail", settings.mail_url)) if url]
        values = {"ids": ids, "now": now, "gateways": gateways, "endings": list(ENDINGS)}
        for statement in (_TO_CONTACTS, _TO_BROWSERS, _TO_REPORTERS, _PUSHES_SPREAD):
            names = statement.compile().params
            session.execute(statement, {k: v for k, v in values.items() if k in names})
    return Spread(len(ids), len(events), len(ids) == BATCH or len(events) == BATCH)


def event_kinds(moves: Sequence[str], status: str) -> list[str]:
    """What an event is for other systems: reported, moved, ended; one may be all three."""
    later = [move for move in moves if move != "report"]
    ended = bool(later) and status in {str(state) for state in ENDED}
    found = zip(EVENT_KINDS, ("report" in moves, bool(later), ended), strict=True)
    return [kind for kind, holds in found if holds]


def _tell_of_events(session: Session, events: Sequence[Row[Any]], now: datetime) -> None:
    webhooks = session.execute(_WEBHOOKS).all()
    incidents = sorted({event.incident_id for event in events})
    if webhooks:
        wanted = {event.id for event in events}
        listened = set(session.scalars(_LISTENED, {"ids": incidents}))
    else:
        listened = set(session.scalars(_LISTENED, {"ids": incidents}))
        wanted = {event.id for event in events if event.incident_id in listened}
    if wanted:
        lines: dict[int, list[Row[Any]]] = {}
        for line in session.execute(_LINES, {"ids": sorted(wanted)}):
            lines.setdefault(line.event_id, []).append(line)
        told = [event for event in events if lines.get(event.id)]
        _leave_for_residents(
            session, [event for event in told if event.incident_id in listened], lines, now
        )
        if webhooks:
            _leave_for_systems(session, told, lines, webhooks, now)
    session.execute(_EVENTS_SPREAD, {"ids": [event.id for event in events], "now": now})


def _leave_for_residents(
    session: Session, events: Iterable[Row[Any]], lines: dict[int, list[Row[Any]]], now: datetime
) -> None:
    rows = []
    for event in events:
        turn = turn_of([line.move for line in lines[event.id]])
        if turn is None:
            continue
        seq = max(line.seq for line in lines[event.id] if TURNS.get(line.move) == turn)
        rows.append(
            {
                "incident_id": event.incident_id,
                "audience": "resident",
                "kind": turn,
                # The words of the step stay in the record; only where they stand is noted here.
                "detail": {"seq": seq},
                "made_at": now,
            }
        )
    if rows:
        session.execute(insert(Notice), rows)


def _leave_for_systems(
    session: Session,
    events: Sequence[Row[Any]],
    lines: dict[int, list[Row[Any]]],
    webhooks: Sequence[Row[Any]],
    now: datetime,
) -> None:
    ids = sorted({event.incident_id for event in events})
    summaries = {row.id: row for row in session.execute(_SUMMARIES, {"ids": ids})}
    rows: list[dict[str, Any]] = []
    for event in events:
        summary = dict(summaries[event.incident_id]._mapping)
        del summary["id"]
        own = lines[event.id]
        kinds = event_kinds([line.move for line in own], own[-1].to_status)
        payload = {
            "event": event.id,
            "kinds": kinds,
            "incident": {k: _plain(v) for k, v in summary.items()},
            "lines": [
                {
                    name: _plain(getattr(line, name))
                    for name in ("seq", "move", "from_status", "to_status", "at")
                }
                for line in own
            ],
        }
        rows += [
            {
                "event_id": event.id,
                "payload": payload,
                "webhook_id": hook.id,
                "target": f"webhook:{hook.id}",
                "lane": f"webhook:{hook.id}",
                "urgent": True,
                "next_at": now,
                "made_at": now,
            }
            for hook in webhooks
            if not hook.kinds or set(hook.kinds) & set(kinds)
        ]
    if rows:
        session.execute(upsert(Delivery).on_conflict_do_nothing(), rows)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
