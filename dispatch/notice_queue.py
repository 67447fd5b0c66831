"""The way of a delivery: claimed and marked "sending" before it is sent, marked again afterwards.

A worker that is killed between sending and marking leaves "sending" behind. Its lock is gone with its
connection, so the next worker knows: what carries an id that the partner can recognise (webhooks, pushes)
is sent again; anything else becomes "uncertain" and is listed for a person. Nothing is sent twice
silently. Nothing here commits: each function is one transaction of the worker's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, text, update
from sqlalchemy.orm import Session

from dispatch.notice_models import Delivery
from dispatch.notice_timing import parse_quiet_hours, pause_after, quiet_until
from grid.core.errors import Conflict, NotFound
from grid.core.settings import NoticeSettings
from grid.core.values import dataclass

# The class of the advisory locks that living workers hold on their ids.
WORKER_LOCK = 7_305_116
LOOKED_AT = 200
LISTED = ("given_up", "uncertain")
# One message with more notices than this is a list nobody reads.
LARGEST_DIGEST = 20

_LIVING = (
    "select objid::bigint from pg_locks where locktype = 'advisory' and classid = :lock_class"
    " and objsubid = 2 and granted"
    " and database = (select oid from pg_database where datname = current_database())"
)
_DUE = text(
    "select d.id, d.target, d.lane, d.urgent, d.attempts, w.quiet_hours, last.sent_at"
    " from (select distinct lane from delivery where state = 'waiting' and next_at <= :now"
    "  and lane <> all(:full)) l"
    " cross join lateral (select * from delivery d where d.state = 'waiting' and d.lane = l.lane"
    "  and d.next_at <= :now order by d.urgent desc, d.next_at, d.id limit :looked_at"
    "  for update skip locked) d"
    " left join contact_channel c on c.id = d.contact_id"
    " left join push_subscription p on p.id = d.push_id"
    " left join notice_wish w on w.staff_id = coalesce(c.staff_id, p.staff_id)"
    " left join lateral (select s.sent_at from delivery s where s.target = d.target"
    "  and s.sent_at is not null order by s.sent_at desc limit 1) last on true"
    " order by d.urgent desc, d.next_at, d.id"
)
_CLAIM = text(
    "update delivery set state = 'sending', attempts = attempts + 1, worker_id = :worker_id,"
    " sending_at = :now where id = any(:ids)"
)
_STALLED = text(
    "select id, attempts, webhook_id is not null or push_id is not null as known_again from delivery"  # noqa: S608
    f" where state = 'sending' and worker_id not in ({_LIVING}) for update skip locked"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries to one target that go out as one message."""

    ids: tuple[int, ...]
    target: str
    lane: str


def claim(
    session: Session,
    worker_id: int,
    on_the_way: dict[str, int],
    free: int,
    settings: NoticeSettings,
    zone: ZoneInfo,
    now: datetime,
) -> list[Batch]:
    """Takes what may be sent now; `on_the_way` counts what this worker sends by lane, `free` is its room.

    What falls into quiet hours, or comes within the digest time after the target's last message, is put
    off, unless one of the target's deliveries is urgent.
    """
    full = [lane for lane, count in on_the_way.items() if count >= settings.lane_sends]
    values = {"now": now, "full": full or [""], "looked_at": LOOKED_AT}
    rows = session.execute(_DUE, values).all() if free > 0 else []
    by_target: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_target.setdefault(row.target, []).append(row)
    busy = dict(on_the_way)
    put_off: list[dict[str, Any]] = []
    batches: list[Batch] = []
    for target, own in by_target.items():
        until = _not_before(own, settings, zone, now)
        if until is not None:
            put_off += [{"row_id": row.id, "until": until} for row in own]
            continue
        lane = own[0].lane
        for part in _messages(target, own):
            if len(batches) < free and busy.get(lane, 0) < settings.lane_sends:
                busy[lane] = busy.get(lane, 0) + 1
                batches.append(Batch(tuple(row.id for row in part), target, lane))
    if put_off:
        statement = update(Delivery).where(Delivery.id == bindparam("row_id"))
        session.connection().execute(statement.values(next_at=bindparam("until")), put_off)
    if batches:
        ids = [one for batch in batches for one in batch.ids]
        session.execute(_CLAIM, {"ids": ids, "worker_id": worker_id, "now": now})
    return batches


def mark_sent(session: Session, batch: Batch, worker_id: int, now: datetime) -> None:
    """The partner has taken the message."""
    _mark(session, batch, worker_id, state="sent", sent_at=now, last_error=None)


def mark_dropped(session: Session, batch: Batch, worker_id: int, code: str) -> None:
    """There is nobody to send to any more."""
    _mark(session, batch, worker_id, state="dropped", last_error=code)


def mark_uncertain(session: Session, batch: Batch, worker_id: int, code: str) -> None:
    """The message may or may not have arrived, and the partner could not tell a second one."""
    _mark(session, batch, worker_id, state="uncertain", last_error=code)


def mark_failed(
    session: Session,
    batch: Batch,
    worker_id: int,
    code: str,
    settings: NoticeSettings,
    now: datetime,
) -> int:
    """The message did not arrive: later again, or given up. Returns how many were given up."""
    rows = session.execute(
        text(
            "select id, attempts from delivery where id = any(:ids) and worker_id = :worker_id"
            " and state in ('sending', 'uncertain') for update"
        ),
        {"ids": list(batch.ids), "worker_id": worker_id},
    ).all()
    return _again(session, rows, code, settings, now)


def recover(session: Session, settings: NoticeSettings, now: datetime) -> list[int]:
    """Sees to what killed workers left in sending; returns the ids that became uncertain."""
    rows = session.execute(_STALLED, {"lock_class": WORKER_LOCK}).all()
    _again(session, [row for row in rows if row.known_again], "worker_died", settings, now)
    lost = [row.id for row in rows if not row.known_again]
    if lost:
        session.execute(
            text(
                "update delivery set state = 'uncertain', last_error = 'worker_died'"
                " where id = any(:ids)"
            ),
            {"ids": lost},
        )
    return lost


def send_again(session: Session, delivery_id: int, now: datetime) -> None:
    """A person sends a listed delivery again, from the first try.

    Raises NotFound `delivery.unknown`; Conflict `delivery.not_listed`.
    """
    row = session.get(Delivery, delivery_id, with_for_update=True)
    if row is None:
        raise NotFound("delivery.unknown", delivery=delivery_id)
    if row.state not in LISTED:
        raise Conflict("delivery.not_listed", delivery=delivery_id, state=row.state)
    row.state, row.attempts, row.next_at, row.last_error = "waiting", 0, now, None
    session.flush()


def next_due(session: Session) -> datetime | None:
    """When the next waiting delivery is due."""
    found: datetime | None = session.scalar(
        text("select min(next_at) from delivery where state = 'waiting'")
    )
    return found


def list_deliveries(
    session: Session, states: Sequence[str], webhook_id: int | None, most: int, before: int | None
) -> list[dict[str, Any]]:
    """Deliveries by state, newest first, without addresses and words; `before` is an id to go on from."""
    rows = session.execute(
        text(
            "select d.id, d.state, d.target, d.lane, d.urgent, d.attempts, d.next_at, d.sending_at,"
            " d.sent_at, d.last_error, d.made_at, d.event_id, n.kind, n.audience, n.staff_id,"
            " s.name as staff_name, coalesce(i.number, d.payload->'incident'->>'number') as number"
            " from delivery d left join notice n on n.id = d.notice_id"
            " left join incident i on i.id = n.incident_id left join staff s on s.id = n.staff_id"
            " where d.state = any(:states) and (cast(:webhook as bigint) is null"
            " or d.webhook_id = :webhook) and (cast(:before as bigint) is null or d.id < :before)"
            " order by d.id desc limit :most"
        ),
        {"states": list(states), "webhook": webhook_id, "before": before, "most": most},
    )
    return [dict(row) for row in rows.mappings()]


def living_workers(session: Session) -> set[int]:
    """Ids of the workers that hold their lock now."""
    return set(session.scalars(text(_LIVING), {"lock_class": WORKER_LOCK}))


def _not_before(
    rows: Iterable[Row[Any]], settings: NoticeSettings, zone: ZoneInfo, now: datetime
) -> datetime | None:
    """Until when a target's deliveries must wait; None: they may go."""
    own = list(rows)
    if any(row.urgent for row in own):
        return None
    first = own[0]
    written = settings.quiet_hours if first.quiet_hours is None else first.quiet_hours
    until = quiet_until(parse_quiet_hours(written), now, zone)
    if until is not None:
        return until
    if first.sent_at is None:
        return None
    gathered = first.sent_at + timedelta(seconds=settings.digest_seconds)
    return gathered if gathered > now else None


def _messages(target: str, rows: list[Row[Any]]) -> list[list[Row[Any]]]:
    """A target's deliveries as messages: events one by one, notices together."""
    size = 1 if target.startswith(("webhook:", "reporter:")) else LARGEST_DIGEST
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _again(
    session: Session, rows: Sequence[Row[Any]], code: str, settings: NoticeSettings, now: datetime
) -> int:
    values, given_up = [], 0
    for row in rows:
        pause = pause_after(max(1, row.attempts), settings.retry_pauses_s)
        given_up += pause is None
        values.append(
            {
                "row_id": row.id,
                "to_state": "given_up" if pause is None else "waiting",
                "until": now if pause is None else now + pause,
            }
        )
    if values:
        statement = update(Delivery).where(Delivery.id == bindparam("row_id"))
        session.connection().execute(
            statement.values(
                state=bindparam("to_state"), next_at=bindparam("until"), last_error=code
            ),
            values,
        )
    return given_up


def _mark(session: Session, batch: Batch, worker_id: int, **values: Any) -> None:
    # A worker that lost its connection for a moment may find its row taken for uncertain: it knows better.
    session.execute(
        update(Delivery)
        .where(
            Delivery.id.in_(batch.ids),
            Delivery.worker_id == worker_id,
            Delivery.state.in_(("sending", "uncertain")),
        )
        .values(**values)
    )
