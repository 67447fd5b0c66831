"""The daily seal: one hash over every history line written on a day, chained to the seal before.

A line belongs to the day on which its transaction began, by the database's clock and in the town's zone; a day is
sealed when it is over and no transaction of it is open any more. A seal keeps the hash of each line it covers, so
that a line rewritten together with all later ones of its incident is still found and named. Whoever rewrites
lines, their hashes and every later seal is found by a seal kept outside the database (`gridward seal --to FILE`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from dispatch.chain import Seal, seal
from dispatch.desk import Desk
from dispatch.seal_models import SealRow
from grid.checking import SHOWN, Finding

BATCH = 2000
HASH_BYTES = 32
# Where a day ends first: safe for a reader who does not know the town's own zone.
EARLIEST_ZONE = ZoneInfo("Pacific/Kiritimati")
# A moment for a transaction to begin after the clock was read.
GRACE = timedelta(minutes=2)

# Lines without a gap make one entry: of two transactions about midnight the later may carry the earlier day.
_ENTRIES = text("""
    insert into seal_entry (incident_id, first_seq, day, hashes)
    select incident_id, min(seq), :day, string_agg(decode(hash, 'hex'), ''::bytea order by seq)
    from (
        select incident_id, seq, hash,
            seq - row_number() over (partition by incident_id order by seq) as run
        from history where written_at >= :since and written_at < :until
    ) line group by incident_id, run
""")
_WRITTEN = text(
    "select hash from history where written_at >= :since and written_at < :until"
    " order by incident_id, seq"
)
_COVERED = text("select hashes from seal_entry where day = :day order by incident_id, first_seq")
_CHANGED = text("""
    with kept as (
        select e.incident_id, e.first_seq + k as seq,
            encode(substr(e.hashes, k * 32 + 1, 32), 'hex') as hash
        from seal_entry e cross join lateral generate_series(0, length(e.hashes) / 32 - 1) k
    )
    select i.number, kept.incident_id, kept.seq,
        case when h.hash is null then 'missing' else 'changed' end as kind
    from kept left join history h on h.incident_id = kept.incident_id and h.seq = kept.seq
    left join incident i on i.id = kept.incident_id
    where h.hash is distinct from kept.hash order by kept.incident_id, kept.seq
""")
_INSERTED = text("""
    select i.number, h.incident_id, h.seq from history h
    left join incident i on i.id = h.incident_id
    where h.written_at < :until and not exists (
        select 1 from seal_entry e where e.incident_id = h.incident_id and e.first_seq <= h.seq
        and h.seq < e.first_seq + length(e.hashes) / 32)
    order by h.incident_id, h.seq
""")
_OPEN_SINCE = text(
    "select min(xact_start) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)
_FIRST = text("select min(written_at) from history")


def seal_days(session: Session, zone: ZoneInfo, now: datetime) -> list[Seal]:
    """Seals every day that is over and not sealed yet; the new seals in order. The caller commits."""
    # Two at once would seal the same day twice.
    session.execute(text("lock table seal in exclusive mode"))
    before = _last(session)
    day = before.day + timedelta(days=1) if before else _first_day(session, zone)
    made: list[Seal] = []
    while day is not None and _is_over(session, day, zone, now):
        before = _seal_day(session, before, day, zone, now)
        made.append(before)
        day += timedelta(days=1)
    return made


def seal_record(session: Session, desk: Desk, now: datetime) -> None:
    """Seals what is over in the town's own zone; to be called every hour, since a day may wait for an open transaction."""
    seal_days(session, desk.zone, now)


def seals(session: Session) -> list[Seal]:
    """Every seal, the oldest first."""
    rows = session.scalars(select(SealRow).order_by(SealRow.day))
    return [Seal(row.day, row.lines, row.hash) for row in rows]


def check_seals(session: Session, zone: ZoneInfo) -> list[Finding]:
    """Lines that are not as they were sealed, and days whose seal does not fit; empty when all is well.

    Of one incident the first wrong line is named: the later ones are chained to it.
    """
    stored = seals(session)
    wrong: list[str] = []
    before: Seal | None = None
    for one in stored:
        if seal(before, one.day, _hashes(session, one.day)) != one:
            wrong.append(one.day.isoformat())
        elif before is not None and one.day != before.day + timedelta(days=1):
            wrong.append((before.day + timedelta(days=1)).isoformat())
        before = one
    lines: dict[int, str] = {}
    for row in session.execute(_CHANGED):
        lines.setdefault(row.incident_id, _named(row.number, row.incident_id, row.seq, row.kind))
    if stored:
        until = _beginning(stored[-1].day + timedelta(days=1), zone)
        for row in session.execute(_INSERTED, {"until": until}):
            name = _named(row.number, row.incident_id, row.seq, "inserted")
            lines.setdefault(row.incident_id, name)
    found: list[Finding] = []
    if lines:
        things = list(lines.values())
        found.append(
            Finding("record.sealed_line", len(things), things[:SHOWN], "gridward db restore FILE")
        )
    if wrong:
        found.append(
            Finding("record.seal_broken", len(wrong), wrong[:SHOWN], "gridward db restore FILE")
        )
    return found


def check_kept(session: Session, kept: Mapping[date, str]) -> list[Finding]:
    """Days whose seal is another than the one kept outside the database, or is gone."""
    present = {one.day: one.hash for one in seals(session)}
    wrong = sorted(day.isoformat() for day, known in kept.items() if present.get(day) != known)
    if not wrong:
        return []
    repair = "gridward db restore FILE"
    return [Finding("record.seal_replaced", len(wrong), wrong[:SHOWN], repair)]


def _seal_day(
    session: Session, before: Seal | None, day: date, zone: ZoneInfo, now: datetime
) -> Seal:
    span = {"since": _beginning(day, zone), "until": _beginning(day + timedelta(days=1), zone)}
    # Read and written under one snapshot's rule: the day is over, nothing is added to it any more.
    made = seal(before, day, _lines(session, span))
    columns = {"day": made.day, "lines": made.lines, "hash": made.hash, "sealed_at": now}
    session.execute(insert(SealRow), [columns])
    session.execute(_ENTRIES, {"day": day, **span})
    return made


def _lines(session: Session, span: dict[str, Any]) -> Iterator[str]:
    for (line_hash,) in session.execute(_WRITTEN.execution_options(yield_per=BATCH), span):
        yield line_hash


def _hashes(session: Session, day: date) -> Iterator[str]:
    for (stored,) in session.execute(_COVERED.execution_options(yield_per=BATCH), {"day": day}):
        whole = bytes(stored).hex()
        for at in range(0, len(whole), 2 * HASH_BYTES):
            yield whole[at : at + 2 * HASH_BYTES]


def _last(session: Session) -> Seal | None:
    row = session.scalar(select(SealRow).order_by(SealRow.day.desc()).limit(1))
    return Seal(row.day, row.lines, row.hash) if row else None


def _first_day(session: Session, zone: ZoneInfo) -> date | None:
    first: datetime | None = session.scalar(_FIRST)
    return first.astimezone(zone).date() if first else None


def _is_over(session: Session, day: date, zone: ZoneInfo, now: datetime) -> bool:
    end = _beginning(day + timedelta(days=1), zone) + GRACE
    if now < end:
        return False
    oldest: datetime | None = session.scalar(_OPEN_SINCE)
    return oldest is None or oldest >= end


def _beginning(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _named(number: str | None, incident_id: int, seq: int, kind: str) -> str:
    return f"{number or f'id {incident_id}'} #{seq} {kind}"
