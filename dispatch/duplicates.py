"""Reports of one problem beside each other: shown with their score and its signs, never dropped, never merged by itself.

What lies near in place and time comes from the index of points; `likeness` compares it. A new incident that is
very like an earlier open one carries the flag `likely_duplicate`, set by the worker after the commit. Machines (camera,
sensor) repeat themselves: their report is attached to the open incident and counted there.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.duplicate_models import Repeat
from dispatch.incidents import Line
from dispatch.likeness import LikenessRules, Report, attaches, rank
from dispatch.moves import State
from dispatch.scope import Scope
from grid.core.crs import to_plane
from grid.core.errors import NotFound
from grid.core.settings import TownSettings
from grid.core.values import dataclass
from grid.town import town_facts

FLAG = "likely_duplicate"
# Not a problem seen, or known to be another's duplicate.
LEFT_OUT = (State.REFUSED, State.DECLINED, State.VOIDED, State.MERGED)
# A machine's report must not wait behind one that nobody has let in yet.
NOT_LET_IN = (State.REPORTED, State.VERIFYING)
MOST_COMPARED = 200
MACHINE_LOCK = 7_305_119
# Moves after which an incident is compared anew.
COMPARED_AFTER = ("report", "set_place", "set_category", "unmerge")

_ROWS = (
    "select i.id, i.number, i.status, i.channel_code as channel, i.category_code,"
    " c.name_zh, c.name_en, i.description, i.address, i.occurred_at, i.reported_at, i.ended_at,"
    " i.last_repeat_at, st_x(i.point) as lon, st_y(i.point) as lat,"
    " (select min(e.taken_at) from evidence e where e.incident_id = i.id and e.stage = 'before'"
    "  and e.taken_at between i.reported_at - interval '7 days' and i.reported_at) as photo_at"
    " from incident i left join category c on c.code = i.category_code"
)
_NEAR = f"{_ROWS} where i.point && st_makeenvelope(:west, :south, :east, :north, 4326)"
_METRES_A_DEGREE = 110_500.0


@dataclass(frozen=True, slots=True)
class Sought:
    """What duplicates are looked for: lon/lat (WGS 84), category code or None, when it was seen, words."""

    lon: float
    lat: float
    category: str | None
    seen_at: datetime
    words: str = ""
    number: str = ""


def rules_of(settings: TownSettings) -> LikenessRules:
    """The bureau's own rules; a reach within `sure_m`, or a flag below what is shown, is brought up to it."""
    return LikenessRules(
        sure_m=settings.alike_sure_m,
        reach_m=max(settings.alike_reach_m, settings.alike_sure_m),
        half_life_hours=settings.alike_half_life_hours,
        window_hours=settings.alike_window_hours,
        shown_from=settings.alike_shown_from,
        flagged_from=max(settings.alike_flagged_from, settings.alike_shown_from),
        machine_m=settings.machine_m,
        machine_minutes=settings.machine_minutes,
    )


def alike(
    session: Session,
    sought: Sought,
    rules: LikenessRules,
    *,
    scope: Scope | None = None,
    earlier_than: datetime | None = None,
    open_only: bool = False,
    at_least: float | None = None,
) -> list[dict[str, Any]]:
    """Incidents alike enough to be shown, best first, within a reader's scope.

    Each: number, status, channel, category (code, name_zh, name_en or None), description, address, reported_at,
    seen_at, lon, lat, ended, score (0 to 1), distance_m and the signs place, kinship, time, words (None: unknown).
    At most MOST_COMPARED of the newest are compared. Raises Conflict `town.empty`, BadInput `time.naive`.
    """
    window = timedelta(hours=rules.window_hours)
    clauses = [
        "i.occurred_at between :since and :until",
        "i.status <> all(:left_out)",
        "i.number <> :number",
    ]
    values: dict[str, Any] = {
        **box_around(sought.lon, sought.lat, rules.reach_m),
        "since": sought.seen_at - window,
        "until": sought.seen_at + window,
        "left_out": [state.value for state in LEFT_OUT],
        "number": sought.number,
        "most": MOST_COMPARED,
    }
    if open_only:
        clauses.append("i.ended_at is null")
    if earlier_than is not None:
        clauses.append("(i.reported_at, i.number) < (:earlier_than, :number)")
        values["earlier_than"] = earlier_than
    if scope is not None:
        clauses.append(scope.clause)
        values |= scope.values
    rows = session.execute(
        text(
            f"{_NEAR} and {' and '.join(clauses)} order by i.reported_at desc, i.id desc limit :most"
        ),
        values,
    ).all()
    if not rows:
        return []
    epsg = town_facts(session).plane_epsg
    x, y = to_plane(
        [sought.lon, *(r.lon for r in rows)], [sought.lat, *(r.lat for r in rows)], epsg
    )
    new = Report(
        float(x[0]), float(y[0]), sought.category or "", sought.seen_at, sought.words, sought.number
    )
    known = [
        Report(float(x[at]), float(y[at]), row.category_code or "", seen_of(row), words_of(row), row.number)
        for at, row in enumerate(rows, start=1)
    ]  # fmt: skip
    by_number = {row.number: row for row in rows}
    return [
        {
            **_shown(by_number[each.number]),
            "score": each.score,
            "distance_m": round(each.distance_m, 1),
            "place": round(each.place, 3),
            "kinship": each.kinship,
            "time": round(each.time, 3),
            "words": each.words,
        }
        for each in rank(new, known, rules, at_least)
    ]


def sought_of(session: Session, number: str) -> tuple[Sought, datetime] | None:
    """An incident as it is compared, and when it was reported; None while it has no place.

    Raises NotFound `incident.unknown`.
    """
    row = session.execute(
        text(f"{_ROWS} where i.number = :number"), {"number": number}
    ).one_or_none()
    if row is None:
        raise NotFound("incident.unknown", field="number", number=number)
    if row.lon is None:
        return None
    sought = Sought(row.lon, row.lat, row.category_code, seen_of(row), words_of(row), number)
    return sought, row.reported_at


def seen_of(row: Any) -> datetime:
    """When the problem was seen: the photograph before the work goes before what the report says."""
    seen: datetime = row.photo_at or row.occurred_at
    return seen


def words_of(row: Any) -> str:
    """The words of a report, its place in words included."""
    return " ".join(filter(None, (row.description, row.address)))


def flag_likely(
    session: Session, event_ids: Sequence[int], rules: LikenessRules, now: datetime
) -> int:
    """Marks what has come in, or was placed anew, and is very like an earlier open incident; how many changed.

    Called by the worker with live events not yet spread. The version stays: nobody who is looking at the incident is
    told that somebody was faster. One that somebody is just moving is passed over; it is compared when it is shown.
    """
    rows = session.execute(
        text(
            "select distinct i.id, i.number, :flag = any(i.flags) as flagged from live_event e"
            " join history h on h.incident_id = e.incident_id and h.seq between e.first_seq and e.last_seq"
            " join incident i on i.id = e.incident_id"
            " where e.id = any(:ids) and h.move = any(:moves) and i.ended_at is null order by i.id"
        ),
        {"flag": FLAG, "ids": list(event_ids), "moves": list(COMPARED_AFTER)},
    ).all()
    changed = 0
    for row in rows:
        found = sought_of(session, row.number)
        likely = found is not None and bool(
            alike(
                session,
                found[0],
                rules,
                earlier_than=found[1],
                open_only=True,
                at_least=rules.flagged_from,
            )
        )
        if likely != row.flagged and incidents.set_flag(session, row.id, FLAG, likely):
            incidents.announce(session, row.id, now)
            changed += 1
    return changed


@dataclass(frozen=True, slots=True)
class MachineReport:
    """One report of a machine channel that has a place and a category."""

    channel: str
    category: str
    lon: float
    lat: float
    seen_at: datetime
    description: str
    external_id: str | None
    idempotency_key: str | None


def repeated(
    session: Session, idempotency_key: str | None, channel: str, external_id: str | None
) -> tuple[int, str] | None:
    """Id and number of the incident that this very report was attached to before."""
    if idempotency_key is None and external_id is None:
        return None
    row = session.execute(
        text(
            "select i.id, i.number from repeat r join incident i on i.id = r.incident_id"
            " where r.idempotency_key = :key or (r.channel_code = :channel and r.external_id = :id)"
        ),
        {"key": idempotency_key, "channel": channel, "id": external_id},
    ).first()
    return None if row is None else (int(row.id), str(row.number))


def attach(
    session: Session, report: MachineReport, rules: LikenessRules, actor: str, now: datetime
) -> tuple[int, str] | None:
    """Attaches a machine's report to the open incident it repeats: its id and number, None when there is none.

    Same category, within `machine_m`, and within `machine_minutes` of its last sighting; the nearest goes first. The
    report is a line of the record and is counted; the version stays. Two at once for one place wait for each other.
    """
    x, y = to_plane([report.lon], [report.lat], town_facts(session).plane_epsg)
    here = Report(float(x[0]), float(y[0]), report.category, report.seen_at)
    lock_key = f"{report.category}|{round(here.x_m / 50)}|{round(here.y_m / 50)}"
    session.execute(
        text("select pg_advisory_xact_lock(:lock_class, :key)"),
        {"lock_class": MACHINE_LOCK, "key": zlib.crc32(lock_key.encode()) - 2**31},
    )
    window = timedelta(minutes=rules.machine_minutes)
    rows = session.execute(
        text(
            f"{_NEAR} and i.category_code = :category and i.ended_at is null"
            " and i.status <> all(:not_let_in)"
            " and coalesce(i.last_repeat_at, i.occurred_at) between :since and :until"
            " order by i.id limit :most"
        ),
        {
            **box_around(report.lon, report.lat, rules.machine_m),
            "category": report.category,
            "not_let_in": [state.value for state in NOT_LET_IN],
            "since": report.seen_at - window,
            "until": report.seen_at + window,
            "most": MOST_COMPARED,
        },
    ).all()
    near = sorted(_reachable(session, here, rows, rules))
    for distance_m, number in near:
        incident = incidents.lock_incident(session, number, None)
        if incident.ended_at is not None:
            continue
        _keep_repeat(session, incident.id, number, incident.status, report, distance_m, actor, now)
        return incident.id, number
    return None


def _reachable(
    session: Session, here: Report, rows: Iterable[Any], rules: LikenessRules
) -> list[tuple[float, str]]:
    found = []
    epsg = town_facts(session).plane_epsg
    for row in rows:
        x, y = to_plane([row.lon], [row.lat], epsg)
        seen_at = row.last_repeat_at or row.occurred_at
        there = Report(float(x[0]), float(y[0]), row.category_code or "", seen_at)
        if attaches(here, there, rules):
            found.append((math.hypot(here.x_m - there.x_m, here.y_m - there.y_m), str(row.number)))
    return found


def _keep_repeat(
    session: Session,
    incident_id: int,
    number: str,
    status: str,
    report: MachineReport,
    distance_m: float,
    actor: str,
    now: datetime,
) -> None:
    kept = session.scalar(
        insert(Repeat)
        .values(
            incident_id=incident_id,
            channel_code=report.channel,
            external_id=report.external_id,
            idempotency_key=report.idempotency_key,
            description=report.description,
            distance_m=round(distance_m, 2),
            seen_at=report.seen_at,
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Repeat.id)
    )
    if kept is None:
        return
    count = incidents.count_repeat(session, incident_id, report.seen_at)
    detail = {
        "channel": report.channel,
        "external_id": report.external_id,
        "seen_at": report.seen_at.isoformat(),
        "distance_m": round(distance_m, 2),
        "description": report.description,
        "count": count,
    }
    line = Line("repeat", status, status, None, detail)
    incidents.write_history(session, incident_id, number, [line], [actor], now)
    incidents.announce(session, incident_id, now)


def box_around(lon: float, lat: float, metres: float) -> dict[str, float]:
    """A box in degrees that holds everything within some metres; what it holds too much is measured away."""
    high = metres / _METRES_A_DEGREE
    wide = high / max(math.cos(math.radians(lat)), 0.01)
    return {"west": lon - wide, "south": lat - high, "east": lon + wide, "north": lat + high}


def _shown(row: Any) -> dict[str, Any]:
    category = None
    if row.category_code is not None:
        category = {"code": row.category_code, "name_zh": row.name_zh, "name_en": row.name_en}
    return {
        "number": row.number,
        "status": row.status,
        "channel": row.channel,
        "category": category,
        "description": row.description,
        "address": row.address,
        "reported_at": row.reported_at,
        "seen_at": seen_of(row),
        "lon": row.lon,
        "lat": row.lat,
        "ended": row.ended_at is not None,
    }
