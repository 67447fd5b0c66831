"""What a message is made of, read at the moment of sending: nothing personal is kept with a delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from dispatch.models import Notice
from dispatch.notice_models import PushSubscription
from dispatch.notice_queue import Batch
from grid.core.errors import NotFound
from grid.core.values import dataclass

_ROWS = text(
    "select d.id, d.urgent, d.payload, n.kind, n.detail, told.number, told.category_code,"
    " k.name_zh, k.name_en, told.address, st.name as street, i.due_at, h.note, u.name as unit,"
    " c.kind as contact_kind, c.url as contact_url, c.ended_at as contact_ended, s.left_at,"
    " coalesce(c.language, w.language) as staff_language, p.id as push_id, p.endpoint, p.p256dh,"
    " p.auth, p.ended_at as push_ended, hook.url as hook_url, hook.secret, hook.ended_at as hook_ended,"
    " r.id as reporter_id, r.phone, r.mail, r.tell_by, r.language as reporter_language"
    " from delivery d left join notice n on n.id = d.notice_id"
    " left join incident i on i.id = n.incident_id"
    " left join reporter r on r.id = d.reporter_id"
    # Whoever reported one that was merged hears of it by the number and in the words known to them.
    " left join incident told on told.id = coalesce(r.incident_id, i.id)"
    " left join category k on k.code = told.category_code"
    " left join segment g on g.id = told.segment_id left join street st on st.id = g.street_id"
    " left join history h on h.incident_id = n.incident_id and h.seq = (n.detail->>'seq')::int"
    " left join lateral (select t.assignee_id from task t where t.incident_id = i.id and t.lead"
    "  order by t.id desc limit 1) lead on true"
    " left join staff doer on doer.id = lead.assignee_id left join unit u on u.id = doer.unit_id"
    " left join contact_channel c on c.id = d.contact_id"
    " left join push_subscription p on p.id = d.push_id"
    " left join staff s on s.id = coalesce(c.staff_id, p.staff_id)"
    " left join notice_wish w on w.staff_id = s.id"
    " left join webhook hook on hook.id = d.webhook_id"
    " where d.id = any(:ids) order by d.id"
)


_INCIDENT = text(
    "select i.number, i.category_code, k.name_zh, k.name_en, coalesce(i.address, st.name) as place,"
    " i.due_at, u.name as unit from incident i left join category k on k.code = i.category_code"
    " left join segment g on g.id = i.segment_id left join street st on st.id = g.street_id"
    " left join lateral (select t.assignee_id from task t where t.incident_id = i.id and t.lead"
    "  order by t.id desc limit 1) lead on true"
    " left join staff doer on doer.id = lead.assignee_id left join unit u on u.id = doer.unit_id"
    " where i.number = :number"
)


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """One notice with what its words may name."""

    kind: str
    detail: dict[str, Any]
    number: str
    category_code: str | None
    category: dict[str, str | None]
    place: str | None
    due_at: datetime | None
    unit: str | None
    note: str | None
    urgent: bool


@dataclass(frozen=True, slots=True)
class ToSend:
    """A message's way and content; `way` is contact, push, webhook, reporter, or gone."""

    way: str
    language: str | None
    notices: tuple[NoticeFacts, ...]
    address: dict[str, Any]
    payload: dict[str, Any] | None = None


def to_send(session: Session, batch: Batch) -> ToSend:
    """What a batch needs; way `gone` when its channel has ended or its reporter is not to be told."""
    rows = session.execute(_ROWS, {"ids": list(batch.ids)}).all()
    first = rows[0]
    way = batch.target.partition(":")[0]
    notices = tuple(
        NoticeFacts(
            row.kind,
            row.detail,
            row.number,
            row.category_code,
            {"zh": row.name_zh, "en": row.name_en},
            row.address or row.street,
            row.due_at,
            row.unit,
            row.note,
            row.urgent,
        )
        for row in rows
        if row.kind is not None
    )
    language = first.staff_language
    address: dict[str, Any] = {}
    there = first.left_at is None
    if way == "contact":
        there = there and first.contact_ended is None
        address = {"kind": first.contact_kind, "url": first.contact_url}
    elif way == "push":
        there = there and first.push_ended is None
        address = {
            "id": first.push_id,
            "endpoint": first.endpoint,
            "keys": {"p256dh": first.p256dh, "auth": first.auth},
        }
    elif way == "webhook":
        there = first.hook_ended is None
        address = {"url": first.hook_url, "secret": first.secret}
    else:
        language = first.reporter_language
        told_at = first.phone if first.tell_by == "sms" else first.mail
        there = first.reporter_id is not None and bool(first.tell_by) and bool(told_at)
        address = {"kind": first.tell_by, "url": told_at}
    return ToSend(way if there else "gone", language, notices, address, first.payload)


def notice_facts(session: Session, number: str) -> NoticeFacts:
    """An incident as a message about it would name it. Raises NotFound `incident.unknown`."""
    row = session.execute(_INCIDENT, {"number": number}).one_or_none()
    if row is None:
        raise NotFound("incident.unknown", field="number", number=number)
    return NoticeFacts(
        kind="",
        detail={},
        number=row.number,
        category_code=row.category_code,
        category={"zh": row.name_zh, "en": row.name_en},
        place=row.place,
        due_at=row.due_at,
        unit=row.unit,
        note=None,
        urgent=False,
    )


def end_push(session: Session, push_id: int, now: datetime) -> None:
    """A browser's push service no longer knows it."""
    session.execute(
        update(PushSubscription).where(PushSubscription.id == push_id).values(ended_at=now)
    )


def notices_of(
    session: Session, staff_id: int | None, role: str, most: int, *, unseen: bool
) -> list[dict[str, Any]]:
    """A person's notices and those to their role and unit, newest first."""
    rows = session.execute(
        text(
            "select n.id, n.kind, n.detail, n.audience, n.made_at, n.seen_at, i.number, i.status,"
            " i.category_code, k.name_zh, k.name_en, coalesce(i.address, st.name) as place, i.due_at"
            " from notice n join incident i on i.id = n.incident_id"
            " left join category k on k.code = i.category_code"
            " left join segment g on g.id = i.segment_id left join street st on st.id = g.street_id"
            " where (n.staff_id = :staff or n.audience = any(:audiences))"
            " and (not :unseen or n.seen_at is null) order by n.id desc limit :most"
        ),
        {
            "staff": staff_id,
            "audiences": audiences(session, staff_id, role),
            "unseen": unseen,
            "most": most,
        },
    )
    return [dict(row) for row in rows.mappings()]


def told_about(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """What went out about an incident, oldest first: kind, audience (staff, role:…, unit:…, resident, system), name, post,
    made_at, seen_at and `ways`: id, way (a contact's kind, push, webhook, sms, mail), state, attempts, next_at, sent_at,
    last_error.

    A notice without ways stands in its receiver's list in the application alone. Systems are told of events: their kind
    is the last of the event's kinds.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in session.execute(_TOLD, {"id": incident_id}).mappings():
        key = ("notice", row["notice_id"]) if row["notice_id"] else ("event", row["delivery_id"])
        told = found.setdefault(
            key,
            {
                **{name: row[name] for name in ("kind", "name", "post", "made_at", "seen_at")},
                "audience": "staff" if row["staff_id"] else row["audience"],
                "ways": [],
            },
        )
        if row["delivery_id"] is not None:
            names = ("way", "state", "attempts", "next_at", "sent_at", "last_error")
            told["ways"].append({"id": row["delivery_id"], **{name: row[name] for name in names}})
    return list(found.values())


_WAY = (
    "coalesce(c.kind, case when d.push_id is not null then 'push' when d.webhook_id is not null"
    " then 'webhook' when d.reporter_id is not null then d.lane end) as way, d.state, d.attempts,"
    " d.next_at, d.sent_at, d.last_error"
)
_TOLD = text(
    "select * from (select n.id as notice_id, n.kind, n.audience, n.staff_id,"  # noqa: S608 (our own text)
    " coalesce(s.name, u.name) as name, s.post, n.made_at, n.seen_at, d.id as delivery_id,"
    f" {_WAY} from notice n left join staff s on s.id = n.staff_id"
    " left join unit u on n.audience = 'unit:' || u.id left join delivery d on d.notice_id = n.id"
    " left join contact_channel c on c.id = d.contact_id where n.incident_id = :id"
    " union all select null, d.payload->'kinds'->>-1, 'system', null, h.name, null, d.made_at, null,"
    f" d.id, {_WAY} from live_event e join delivery d on d.event_id = e.id"
    " left join webhook h on h.id = d.webhook_id left join contact_channel c on c.id = d.contact_id"
    " where e.incident_id = :id) told order by made_at, notice_id, delivery_id"
)


def mark_seen(
    session: Session, staff_id: int | None, role: str, ids: Sequence[int], now: datetime
) -> None:
    """A person has read these; others' are left alone."""
    session.execute(
        update(Notice)
        .where(
            Notice.id.in_(ids),
            Notice.seen_at.is_(None),
            (Notice.staff_id == staff_id) | Notice.audience.in_(audiences(session, staff_id, role)),
        )
        .values(seen_at=now)
    )


def audiences(session: Session, staff_id: int | None, role: str) -> list[str]:
    """The audiences somebody belongs to beside themselves: the role and the unit."""
    found = [f"role:{role}"]
    if staff_id is not None:
        unit = session.scalar(text("select unit_id from staff where id = :id"), {"id": staff_id})
        found += [f"unit:{unit}"] if unit is not None else []
    return found
