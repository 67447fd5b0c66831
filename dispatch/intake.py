"""THE STORY of a new report, top to bottom.

read the ground and the rules → the same report again? → find the place → name post and person →
set the limit → record → task → history → notice → tell the consoles. One transaction, committed by
the caller before its answer leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.catalogue import Catalogue, CatalogueBook, CategoryFacts, ChannelFacts, ConditionFacts
from dispatch.incidents import Line
from dispatch.placing import GivenPoint, Placement, find_place
from dispatch.reasons import Reason, reason
from dispatch.routing import Routed, route
from dispatch.worktime import add, reaches_unofficial
from grid.book import Ground, GroundBook
from grid.core.bulk import ewkt_point
from grid.core.errors import BadInput, Conflict
from grid.core.settings import TownSettings
from grid.crews import crew_at

LONGEST_TEXT = 10_000
# A report's clock may run a little ahead of ours, never more.
CLOCK_AHEAD = timedelta(minutes=10)
# The moves that an incident of a trusted channel makes by itself, each a line of the record.
STRAIGHT_TO_CREW = (
    Line("accept", "reported", "accepted"),
    Line("file", "accepted", "filed"),
    Line("dispatch", "filed", "dispatched"),
    Line("assign", "dispatched", "in_disposal"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What came in; `description` is what was said, `address` the place in words if it stands apart."""

    channel: str
    description: str
    category: str | None = None
    address: str | None = None
    point: GivenPoint | None = None
    reporter_name: str | None = None
    reporter_phone: str | None = None
    external_id: str | None = None
    idempotency_key: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The incident a report became; `created` False when the same report had come before."""

    incident_id: int
    number: str
    created: bool


class Desk:
    """What the intake of one database needs at hand: ground, rules and settings."""

    def __init__(self, settings: TownSettings) -> None:
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)
        self._ground = GroundBook()
        self._catalogue = CatalogueBook(settings)

    def read(self, session: Session) -> tuple[Ground | None, Catalogue]:
        """The ground (None in a town without streets) and the rules as they stand."""
        try:
            ground = self._ground.read(session)
        except Conflict:
            return None, self._catalogue.read(session, 0)
        return ground, self._catalogue.read(session, ground.town.ground_version)


def take_in(session: Session, desk: Desk, report: Report, actor: str, now: datetime) -> Taken:
    """Takes a report in and sees it to a person, or to the queue of what a person must decide.

    `now` is the moment the report arrives. Raises BadInput `channel.unknown`, `category.unknown`,
    `datum.unknown`, `report.empty`, `report.too_long`, `report.in_future`; Conflict
    `incident.key_reused` when an idempotency key comes back with another report.
    """
    _check(report, now)
    ground, rules = desk.read(session)
    channel = rules.channel(report.channel)
    category = rules.category(report.category)
    before = incidents.twin_of(session, report.idempotency_key, channel.code, report.external_id)
    if before is not None:
        return _same(before.id, before.number, before.description, report)
    placement = _place(session, desk, ground, report, now)
    crew = None
    if not placement.waits and placement.located and placement.located.grid:
        located = placement.located
        crew = crew_at(session, located.grid.id, located.segment_id, now) if located.grid else None
    routed = route(placement, category, crew)
    limit = _limit(rules, category, routed, channel, now)
    number = incidents.new_number(session, now, desk.zone)
    reasons = (*placement.reasons, *routed.reasons, *limit.reasons)
    values = {
        **_incident_values(report, channel, category, placement, routed, limit, now),
        "number": number,
        "reason": [r.plain() for r in reasons],
        "ground_version": ground.town.ground_version if ground else 0,
    }
    incident_id = incidents.add_incident(session, values)
    if incident_id is None:
        return _raced(session, report, channel)
    incidents.add_reporter(session, incident_id, report.reporter_name, report.reporter_phone)
    _history(session, incident_id, number, values, actor, now)
    if values["status"] == "in_disposal" and routed.answering is not None:
        give_task(session, incident_id, number, routed, limit.due_at, now, lead=True)
    incidents.announce(session, incident_id, _live(values), now)
    return Taken(incident_id, number, True)


@dataclass(frozen=True, slots=True)
class SetLimit:
    """The limit of an incident: its filing condition, when it is due, and why."""

    condition: ConditionFacts | None = None
    due_at: datetime | None = None
    reasons: tuple[Reason, ...] = ()


def limit_for(
    rules: Catalogue, category: CategoryFacts | None, dispatched_at: datetime
) -> SetLimit:
    """The limit of a category's leading condition, counted from the dispatch (domain notes 3.3)."""
    condition = rules.leading_condition(category.code, dispatched_at) if category else None
    if condition is None:
        return SetLimit()
    due_at = add(dispatched_at, condition.limit, rules.calendar)
    why = [
        reason(
            "limit.of_condition",
            value=condition.limit.value,
            unit=str(condition.limit.unit),
            condition=condition.code,
            name_zh=condition.name_zh,
            name_en=condition.name_en,
        )
    ]
    if reaches_unofficial(dispatched_at, due_at, condition.limit.unit, rules.calendar):
        why.append(reason("limit.unofficial_year", year=rules.calendar.year_of(due_at)))
    return SetLimit(condition, due_at, tuple(why))


def give_task(
    session: Session,
    incident_id: int,
    number: str,
    routed: Routed,
    due_at: datetime | None,
    now: datetime,
    *,
    lead: bool,
) -> None:
    """Puts a part of the incident on the answering person's list and leaves the notice."""
    if routed.answering is None or routed.post is None:
        raise ValueError("a task needs a post and a person")
    person = routed.answering.person
    incidents.add_task(
        session,
        {
            "incident_id": incident_id,
            "post": routed.post,
            "lead": lead,
            "assignee_id": person.id,
            "status": "assigned",
            "assigned_at": now,
            "due_at": due_at,
        },
    )
    detail = {"number": number, "post": routed.post}
    incidents.add_notice(session, incident_id, person.id, "task_assigned", detail, now)


def _check(report: Report, now: datetime) -> None:
    if not report.description.strip() and not (report.address or "").strip() and not report.point:
        raise BadInput("report.empty", field="description")
    for name in ("description", "address"):
        written = getattr(report, name) or ""
        if len(written) > LONGEST_TEXT:
            raise BadInput("report.too_long", field=name, length=len(written), most=LONGEST_TEXT)
        if "\x00" in written:
            raise BadInput("report.unreadable", field=name)
    if report.occurred_at is not None and report.occurred_at > now + CLOCK_AHEAD:
        raise BadInput("report.in_future", field="occurred_at", at=report.occurred_at.isoformat())


def _place(
    session: Session, desk: Desk, ground: Ground | None, report: Report, now: datetime
) -> Placement:
    if ground is None:
        return Placement(waits=True, reasons=(reason("place.no_streets"),))
    texts = tuple(t for t in (report.address, report.description) if t)
    return find_place(session, ground, desk.settings, now, report.point, texts)


def _limit(
    rules: Catalogue,
    category: CategoryFacts | None,
    routed: Routed,
    channel: ChannelFacts,
    now: datetime,
) -> SetLimit:
    """A limit is set when the incident is dispatched, not while it waits for a decision."""
    if routed.queue is not None or not channel.trusted:
        return SetLimit()
    return limit_for(rules, category, now)


def _incident_values(
    report: Report,
    channel: ChannelFacts,
    category: CategoryFacts | None,
    placement: Placement,
    routed: Routed,
    limit: SetLimit,
    now: datetime,
) -> dict[str, Any]:
    straight = routed.queue is None and channel.trusted
    queue = routed.queue if routed.queue is not None or channel.trusted else "to_accept"
    moment = now if straight else None
    return {
        "channel_code": channel.code,
        "external_id": report.external_id,
        "idempotency_key": report.idempotency_key,
        "category_code": category.code if category else None,
        "condition_id": limit.condition.id if limit.condition else None,
        "description": report.description,
        "address": report.address,
        "status": "in_disposal" if straight else "reported",
        "queue": queue,
        "occurred_at": report.occurred_at or now,
        "reported_at": now,
        "filed_at": moment,
        "dispatched_at": moment,
        "due_at": limit.due_at,
        "given_lon": report.point.lon if report.point else None,
        "given_lat": report.point.lat if report.point else None,
        "given_datum": report.point.datum if report.point else None,
        **place_values(placement),
    }


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
        },
        "segment_id": located.segment_id if located else None,
        "side": located.side if located else None,
        "distance_m": round(located.distance_m, 2) if located else None,
        "grid_id": grid.id if grid else None,
        "neighbour_grid_id": located.neighbour.id if located and located.neighbour else None,
    }


def _history(
    session: Session,
    incident_id: int,
    number: str,
    values: dict[str, Any],
    actor: str,
    now: datetime,
) -> None:
    detail = {"reason": values["reason"], "geocoding": values["geocoding"]}
    lines = [Line("report", None, "reported", detail=detail)]
    incidents.write_history(session, incident_id, number, lines, actor, now, first=True)
    if values["status"] == "in_disposal":
        incidents.write_history(session, incident_id, number, STRAIGHT_TO_CREW, "system", now)


def _same(incident_id: int, number: str, description: str, report: Report) -> Taken:
    if report.idempotency_key is not None and description != report.description:
        raise Conflict("incident.key_reused", field="Idempotency-Key", number=number)
    return Taken(incident_id, number, False)


def _raced(session: Session, report: Report, channel: ChannelFacts) -> Taken:
    """Somebody sent the same report a moment before: theirs is the incident."""
    twin = incidents.twin_of(session, report.idempotency_key, channel.code, report.external_id)
    if twin is None:
        raise Conflict("incident.not_recorded")
    return _same(twin.id, twin.number, twin.description, report)


def _live(values: dict[str, Any]) -> dict[str, Any]:
    return {"number": values["number"], "status": values["status"], "queue": values["queue"]}
