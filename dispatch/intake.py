"""THE STORY of a new report, top to bottom.

read the ground and the rules → the same report again? → find the place → name post and person → let the
workflow go as far as it may → record → history → task → notice → tell the consoles. One transaction,
committed by the caller before its answer leaves. Reports that come at the same time go this way together: what is
asked of the database is asked once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.catalogue import (
    Catalogue,
    CatalogueBook,
    CategoryFacts,
    ChannelFacts,
    ConditionFacts,
    last_change,
)
from dispatch.chase_rules import Occasion, plan
from dispatch.decisions import Heard, Versions, answerer_of, decision
from dispatch.duplicates import MachineReport, attach, repeated, rules_of
from dispatch.facts import THE_SYSTEM, Facts, Given, Rules
from dispatch.fresh import Names, row_of
from dispatch.incidents import Line
from dispatch.linkage import Helper, helpers_of
from dispatch.models import INCIDENT_NUMBERS
from dispatch.moves import State
from dispatch.placing import GivenPoint, Placement, find_place
from dispatch.progress import clocks_at_report, queues, quick_path
from dispatch.reasons import Reason, reason
from dispatch.recording import NewIncident, Recorded, record
from dispatch.routing import Routed, route
from dispatch.standing import Standing, accept_by, advance, stage_limits, to_json
from dispatch.tasks import Offer, Timing, facts_with, offer_notices, offers_of, task_values
from dispatch.worktime import reaches_unofficial
from grid.book import Ground, GroundBook
from grid.cells import CELL_AT, cell_at
from grid.change_counts import Marks
from grid.core.bulk import ewkt_point
from grid.core.database import ask
from grid.core.errors import BadInput, Conflict, Trouble
from grid.core.settings import TownSettings
from grid.crews import Crew
from grid.locate import crew_of
from grid.town import town_and_marks, town_facts

LONGEST_TEXT = 10_000
STATIONS = frozenset({"operator", "watch_chief", "dispatcher", "unit_head", "collector"})
# A report's clock may run a little ahead of ours, never more.
CLOCK_AHEAD = timedelta(minutes=10)
# Before it only a mistake of typing: no clock of a bureau reaches back so far.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

_LOOKED_UP = f"""
select (select array_agg(nextval('{INCIDENT_NUMBERS}')) from generate_series(1, %s)),
    (select jsonb_agg(jsonb_build_array(s.id, s.name, u.name)) from staff s
        left join unit u on u.id = s.unit_id where s.id = any(%s::bigint[])),
    (select array_agg(({CELL_AT.format(lon="p.lon", lat="p.lat")}) order by p.ordinality)
        from unnest(%s::float8[], %s::float8[]) with ordinality as p(lon, lat))
"""  # noqa: S608 (made of constants)


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
    # How the reporter wants to hear of it: by sms or mail, in zh or en; none: not told.
    reporter_mail: str | None = None
    tell_by: str | None = None
    language: str | None = None
    external_id: str | None = None
    idempotency_key: str | None = None
    occurred_at: datetime | None = None
    # Found and fixed on the spot by this person (staff:ID): it waits as reported for the photographs and the move.
    fixed_by: str | None = None


@dataclass(frozen=True, slots=True)
class JustTaken:
    """What is known of an incident that was taken in a moment ago, so that its answer reads nothing again."""

    row: dict[str, Any]
    standing: Standing
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Taken:
    """The incident a report became; `created` False when the same report had come before, or a machine's was attached."""

    incident_id: int
    number: str
    created: bool
    # Where it is new: as `dispatch.reading` would give it, how it stands, and the rules it was taken in by.
    new: JustTaken | None = None


class Desk:
    """What the intake of one database needs at hand: ground, catalogue, settings and workflow rules."""

    def __init__(self, settings: TownSettings) -> None:
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)
        self._ground = GroundBook()
        self._catalogue = CatalogueBook(settings)
        self._rules: tuple[Catalogue, Rules] | None = None

    def read(self, session: Session) -> tuple[Ground | None, Catalogue]:
        """The ground (None in a town without streets) and the catalogue as they stand."""
        try:
            ground = self._ground.read(session)
        except Conflict:
            return None, self._catalogue.read(session, (0, last_change(session)))
        town = ground.town
        return ground, self._catalogue.read(session, (town.ground_version, town.rules_version))

    def read_for_report(self, session: Session) -> tuple[Ground | None, Catalogue, Marks | None]:
        """`read`, and in the same statement the counters by which places are found in memory."""
        try:
            town, marks = town_and_marks(session)
        except Conflict:
            return None, self._catalogue.read(session, (0, last_change(session))), None
        ground = self._ground.read(session, town)
        rules = self._catalogue.read(session, (town.ground_version, town.rules_version))
        return ground, rules, marks

    def catalogue(self, session: Session) -> Catalogue:
        """The catalogue alone, for work that reads no words: the gazetteer is not built."""
        town = town_facts(session)
        return self._catalogue.read(session, (town.ground_version, town.rules_version))

    def rules(self, catalogue: Catalogue) -> Rules:
        """The workflow's rules by the bureau's settings: reports of untrusted channels wait for a person.

        Raises BadInput `settings.merged_stations`.
        """
        if self._rules is None or self._rules[0] is not catalogue:
            self._rules = catalogue, self._made_rules(catalogue)
        return self._rules[1]

    def _made_rules(self, catalogue: Catalogue) -> Rules:
        chosen = self.settings
        return Rules(
            also=dict(Rules().also) | merged_stations(chosen.merged_stations),
            verify_first=frozenset(c.code for c in catalogue.channels.values() if not c.trusted),
            unit_station=chosen.unit_station,
            check_needed=chosen.check_needed,
            separate_units=chosen.separate_units,
            photo_needed=chosen.photo_needed,
            rework=chosen.rework,
        )


def merged_stations(written: str) -> dict[str, frozenset[str]]:
    """Stations of one desk as `operator=watch_chief,dispatcher;dispatcher=unit_head`: the first also holds the others.

    Raises BadInput `settings.merged_stations`.
    """
    found: dict[str, frozenset[str]] = {}
    for part in filter(None, (p.strip() for p in written.split(";"))):
        holder, _, others = part.partition("=")
        names = frozenset(name.strip() for name in others.split(",") if name.strip())
        if holder.strip() not in STATIONS or not names or not names <= STATIONS:
            known = ", ".join(sorted(STATIONS))
            raise BadInput(
                "settings.merged_stations",
                field="GRIDWARD_MERGED_STATIONS",
                text=written,
                known=known,
            )
        found[holder.strip()] = names
    return found


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report with who brought it and the moment it arrived."""

    report: Report
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A report that is new, as far as it can be told before anything of it is written: its place and who answers."""

    arrival: Arrival
    channel: ChannelFacts
    category: CategoryFacts | None
    placement: Placement
    routed: Routed
    lead: int | None
    helpers: tuple[Helper, ...]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Of one draft: the number's serial and the cell of its place; of all: name and unit of whoever gets a task."""

    serial: int
    cell: str | None
    people: Mapping[int, tuple[str, str | None]]


def take_in(session: Session, desk: Desk, report: Report, actor: str, now: datetime) -> Taken:
    """Takes a report in and sees it to a person, or to the queue of what a person must decide.

    `now` is the moment the report arrives. Raises BadInput `channel.unknown`, `category.unknown`,
    `datum.unknown`, `point.not_finite`, `report.empty`, `report.too_long`, `report.unreadable`,
    `report.in_future`, `report.long_ago`, `report.no_way_to_tell`; Conflict `incident.key_reused` when a key comes back with another report.
    """
    outcome = take_in_together(session, desk, [Arrival(report, actor, now)])[0]
    if isinstance(outcome, Trouble):
        raise outcome
    if outcome is None:
        raise RuntimeError("a report that came alone was kept waiting")
    return outcome


def take_in_together(
    session: Session, desk: Desk, arrivals: Sequence[Arrival]
) -> list[Taken | Trouble | None]:
    """`take_in` for reports that came at the same time: what became of each, in their order.

    What is wrong with one is its own outcome and keeps no other from being taken in. None: a machine's report in
    company, which may repeat one of the others; to be taken in alone when these are committed.
    """
    ground, catalogue, marks = desk.read_for_report(session)
    outcomes: list[Taken | Trouble | None] = []
    drafts: dict[int, Draft] = {}
    for place, arrival in enumerate(arrivals):
        outcomes.append(None)
        try:
            _check(arrival.report, arrival.at)
            channel = catalogue.channel(arrival.report.channel)
            if channel.machine and len(arrivals) > 1:
                continue
            drafted = _drafted(session, desk, ground, catalogue, marks, channel, arrival)
        except Trouble as wrong:
            outcomes[place] = wrong
            continue
        if isinstance(drafted, Draft):
            drafts[place] = drafted
        else:
            outcomes[place] = drafted
    for place, taken in zip(
        drafts, _opened(session, desk, ground, catalogue, list(drafts.values())), strict=True
    ):
        outcomes[place] = taken
    return outcomes


def _drafted(
    session: Session,
    desk: Desk,
    ground: Ground | None,
    catalogue: Catalogue,
    marks: Marks | None,
    channel: ChannelFacts,
    arrival: Arrival,
) -> Draft | Taken:
    """Where a report lies and who answers for it; the incident it is, or was attached to, where it is not a new one."""
    report, now = arrival.report, arrival.at
    category = catalogue.category_at(report.category, now)
    before = incidents.twin_of(session, report.idempotency_key, channel.code, report.external_id)
    if before is not None:
        return _same(before.id, before.number, before.description, report)
    if channel.machine:
        again = repeated(session, report.idempotency_key, channel.code, report.external_id)
        if again is not None:
            return Taken(*again, False)
    placement = _place(session, desk, ground, report, now, marks)
    if channel.machine and category is not None and not placement.waits:
        attached = _attached(
            session, desk, channel, category, placement, report, arrival.actor, now
        )
        if attached is not None:
            return Taken(*attached, False)
    crew = crew_for(session, placement, now)
    routed = route(placement, category, crew)
    lead = routed.answering.person.id if routed.answering else None
    helpers = linked(desk, category, crew, lead)
    return Draft(arrival, channel, category, placement, routed, lead, helpers)


def _opened(
    session: Session,
    desk: Desk,
    ground: Ground | None,
    catalogue: Catalogue,
    drafts: Sequence[Draft],
) -> list[Taken | Trouble]:
    """The drafts written down as incidents."""
    if not drafts:
        return []
    made = [
        _new_incident(desk, ground, catalogue, draft, looked_up)
        for draft, looked_up in zip(drafts, _looked_up(session, drafts), strict=True)
    ]
    written = record(session, [new for new, _, _ in made])
    return [
        _raced(session, draft)
        if recorded is None
        else _just_taken(draft, new, standing, people, recorded, catalogue)
        for draft, (new, standing, people), recorded in zip(drafts, made, written, strict=True)
    ]


def _new_incident(
    desk: Desk,
    ground: Ground | None,
    catalogue: Catalogue,
    draft: Draft,
    looked_up: LookedUp,
) -> tuple[NewIncident, Standing, Mapping[int, tuple[str, str | None]]]:
    """The rows of a draft, how its incident stands, and the people it names."""
    report, now, actor = draft.arrival.report, draft.arrival.at, draft.arrival.actor
    channel, category, placement = draft.channel, draft.category, draft.placement
    routed, people = draft.routed, looked_up.people
    _, unit = people.get(draft.lead, (None, None)) if draft.lead else (None, None)
    opened = open_incident(
        desk, catalogue, channel, category, placement, routed, actor, now, unit, report.fixed_by
    )
    offers: tuple[Offer, ...] = ()
    if opened.standing.facts.state is State.IN_DISPOSAL and routed.post:
        offers = offers_of(routed.post, draft.lead, None, draft.helpers)
    standing = replace(opened.standing, facts=facts_with(opened.standing.facts, offers))
    number = incidents.number_of(looked_up.serial, now, desk.zone)
    replaced = replaced_by(catalogue, report.category, category)
    reasons = (*placement.reasons, *replaced, *routed.reasons, *opened.reasons)
    values = {
        **report_values(report, channel, category, now),
        **place_values(placement),
        "cell_code": looked_up.cell,
        **standing_values(standing, catalogue, now),
        **stage_moments(opened.lines, now),
        "condition_id": opened.condition.id if opened.condition else None,
        "number": number,
        "reason": [r.plain() for r in reasons],
        "ground_version": ground.town.ground_version if ground else 0,
    }
    town = ground.town if ground else None
    decided = decision(
        Heard(report.description, report.address, given_point(report)),
        values["geocoding"],
        placement,
        category,
        opened.condition,
        answerer_of(routed),
        values["reason"],
        Versions(town.ground_version, town.rules_version) if town else Versions(0, 0),
    )
    timing = Timing(
        now,
        due_at=values["due_at"],
        accept_by=accept_by(now, catalogue.calendar, category, catalogue.stages)
        if offers
        else None,
    )
    new = NewIncident(
        values=values,
        reporter=reporter_values(report),
        lines=[
            Line("report", None, State.REPORTED.value, detail={"decision": decided}),
            *opened.lines,
        ],
        actors=[actor, *["system"] * len(opened.lines)],
        tasks=task_values(offers, timing),
        notices=offer_notices(number, offers, now),
        occasions=occasions_of(standing, catalogue, category, now),
        wake_at=timing.accept_by,
        at=now,
    )
    return new, standing, people


def _just_taken(
    draft: Draft,
    new: NewIncident,
    standing: Standing,
    people: Mapping[int, tuple[str, str | None]],
    recorded: Recorded,
    catalogue: Catalogue,
) -> Taken:
    row = row_of(new, recorded, Names(draft.category, draft.placement, people))
    number = new.values["number"]
    return Taken(recorded.id, number, True, JustTaken(row, standing, catalogue))


def _looked_up(session: Session, drafts: Sequence[Draft]) -> list[LookedUp]:
    """What the drafts need of the database before they are written, in one statement."""
    ids = {one for each in drafts for one in (each.lead, *(h.staff_id for h in each.helpers))}
    places = [each.placement for each in drafts]
    lons = [None if place.waits else place.lon for place in places]
    lats = [None if place.waits else place.lat for place in places]
    asked = [len(drafts), [one for one in ids if one is not None], lons, lats]
    serials, people, cells = ask(session, _LOOKED_UP, asked)[0]
    known = {row[0]: (row[1], row[2]) for row in people or ()}
    return [LookedUp(int(serial), cell, known) for serial, cell in zip(serials, cells, strict=True)]


@dataclass(frozen=True, slots=True)
class Opened:
    """How far the workflow went by itself: the standing, the lines it wrote, the limit's reasons."""

    standing: Standing
    lines: tuple[Line, ...]
    condition: ConditionFacts | None
    reasons: tuple[Reason, ...]


def answer_for(
    session: Session, placement: Placement, category: CategoryFacts | None, at: datetime
) -> Routed:
    """Who answers for a placed report at a moment."""
    return route(placement, category, crew_for(session, placement, at))


def crew_for(session: Session, placement: Placement, at: datetime) -> Crew | None:
    """The crew of a place at a moment; None where nothing is known of the place or no grid holds it."""
    located = placement.located
    if placement.waits or located is None:
        return None
    return crew_of(session, located, at)


def linked(
    desk: Desk, category: CategoryFacts | None, crew: Crew | None, lead: int | None
) -> tuple[Helper, ...]:
    """The helpers that a category brings along, unless the bureau links by hand only."""
    if category is None or crew is None or lead is None or desk.settings.linkage == "by_hand":
        return ()
    return helpers_of(category, crew, lead)


def replaced_by(
    catalogue: Catalogue, written: str | None, category: CategoryFacts | None
) -> tuple[Reason, ...]:
    """Says so where the category that was asked for has ended and another has taken its place."""
    asked = catalogue.category(written)
    if asked is None or category is None or asked.code == category.code:
        return ()
    names = {"name_zh": category.name_zh, "name_en": category.name_en}
    return (reason("category.replaced", before=asked.code, category=category.code, **names),)


def unit_of(session: Session, staff_id: int) -> str | None:
    """The name of a person's unit."""
    rows = ask(
        session,
        "select u.name from staff s join unit u on u.id = s.unit_id where s.id = %s",
        [staff_id],
    )
    return str(rows[0][0]) if rows else None


def go_on(
    desk: Desk,
    catalogue: Catalogue,
    standing: Standing,
    category: CategoryFacts | None,
    routed: Routed,
    now: datetime,
    unit: str | None = None,
) -> Opened:
    """Lets the system make the moves it may make by itself from a reported or accepted incident.

    `unit` is that of the person who answers; the disposal clock runs for it.
    """
    condition = catalogue.leading_condition(category.code, now) if category else None
    rules, limits = (
        desk.rules(catalogue),
        stage_limits(now, catalogue.calendar, category, condition, catalogue.stages),
    )
    answering = routed.answering
    facts = replace(standing.facts, filing_condition=condition.code if condition else None)
    moves = quick_path(facts, rules, assignee_known=answering is not None)
    current, lines = standing, []
    person = f"staff:{answering.person.id}" if answering else None
    for move in moves:
        given = Given(
            filing_condition=condition.code if condition else None,
            to=person if move in ("dispatch", "assign") else None,
            unit=unit if move == "dispatch" else None,
        )
        current, line = advance(
            current, move, THE_SYSTEM, given, limits, rules, catalogue.calendar, now
        )
        lines.append(line)
    due_at = current.due_at(catalogue.calendar)
    return Opened(
        current, tuple(lines), condition, limit_reasons(catalogue, condition, due_at, now)
    )


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


def occasions_of(
    standing: Standing, catalogue: Catalogue, category: CategoryFacts | None, now: datetime
) -> tuple[Occasion, ...]:
    """When somebody is to be told of the clocks of an incident."""
    urgency = category.urgency if category else None
    return plan(standing.clocks, catalogue.chase_rules, urgency, catalogue.calendar)


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


def _check(report: Report, now: datetime) -> None:
    if not report.description.strip() and not (report.address or "").strip() and not report.point:
        raise BadInput("report.empty", field="description")
    addresses = {"sms": report.reporter_phone, "mail": report.reporter_mail}
    if report.tell_by is not None and not addresses.get(report.tell_by):
        raise BadInput("report.no_way_to_tell", field="reporter.tell_by", tell_by=report.tell_by)
    for name in ("description", "address", "external_id", "reporter_name", "reporter_phone"):
        written = getattr(report, name) or ""
        if len(written) > LONGEST_TEXT:
            raise BadInput("report.too_long", field=name, length=len(written), most=LONGEST_TEXT)
        if "\x00" in written:
            raise BadInput("report.unreadable", field=name)
    if report.occurred_at is not None and report.occurred_at > now + CLOCK_AHEAD:
        raise BadInput("report.in_future", field="occurred_at", at=report.occurred_at.isoformat())
    if report.occurred_at is not None and report.occurred_at < EARLIEST:
        raise BadInput("report.long_ago", field="occurred_at", at=report.occurred_at.isoformat())


def _place(
    session: Session,
    desk: Desk,
    ground: Ground | None,
    report: Report,
    now: datetime,
    marks: Marks | None,
) -> Placement:
    if ground is None:
        return Placement(waits=True, reasons=(reason("place.no_streets"),))
    texts = tuple(t for t in (report.address, report.description) if t)
    return find_place(session, ground, desk.settings, now, report.point, texts, marks)


def open_incident(
    desk: Desk,
    catalogue: Catalogue,
    channel: ChannelFacts,
    category: CategoryFacts | None,
    placement: Placement,
    routed: Routed,
    actor: str,
    now: datetime,
    unit: str | None = None,
    fixed_by: str | None = None,
) -> Opened:
    """A new incident as reported, and as far as it goes by itself; what its finder has fixed goes nowhere."""
    facts = Facts(
        state=State.REPORTED,
        channel=channel.code,
        has_place=not placement.waits,
        reporters=frozenset({actor} | ({fixed_by} if fixed_by else set())),
        supervised=channel.code in Rules().supervised_channels,
    )
    reply = channel.reply_limit(now, category.urgency if category else None, catalogue.calendar)
    limits = stage_limits(now, catalogue.calendar, category, None, catalogue.stages, reply)
    reported = Standing(facts, clocks_at_report(limits, now))
    if fixed_by is not None:
        return Opened(reported, (), None, ())
    return go_on(desk, catalogue, reported, category, routed, now, unit)


def limit_reasons(
    catalogue: Catalogue,
    condition: ConditionFacts | None,
    due_at: datetime | None,
    now: datetime,
) -> tuple[Reason, ...]:
    if condition is None or due_at is None:
        return ()
    why = reason(
        "limit.of_condition",
        value=condition.limit.value,
        unit=str(condition.limit.unit),
        condition=condition.code,
        name_zh=condition.name_zh,
        name_en=condition.name_en,
    )
    if reaches_unofficial(now, due_at, condition.limit.unit, catalogue.calendar):
        year = catalogue.calendar.year_of(due_at)
        return (why, reason("limit.unofficial_year", year=year))
    return (why,)


def report_values(
    report: Report, channel: ChannelFacts, category: CategoryFacts | None, now: datetime
) -> dict[str, Any]:
    """An incident's columns of what came in."""
    return {
        "channel_code": channel.code,
        "external_id": report.external_id,
        "idempotency_key": report.idempotency_key,
        "category_code": category.code if category else None,
        "description": report.description,
        "address": report.address,
        "occurred_at": report.occurred_at or now,
        "reported_at": now,
        "given_lon": report.point.lon if report.point else None,
        "given_lat": report.point.lat if report.point else None,
        "given_datum": report.point.datum if report.point else None,
    }


def given_point(report: Report) -> tuple[float, float, str] | None:
    """The point as it came in, with its datum."""
    point = report.point
    return (point.lon, point.lat, point.datum) if point else None


def reporter_values(report: Report) -> dict[str, Any] | None:
    """The columns of whoever reported; None for an anonymous report."""
    if not (report.reporter_name or report.reporter_phone or report.reporter_mail):
        return None
    return {
        "name": report.reporter_name,
        "phone": report.reporter_phone,
        "mail": report.reporter_mail,
        "tell_by": report.tell_by,
        "language": report.language,
    }


def _attached(
    session: Session,
    desk: Desk,
    channel: ChannelFacts,
    category: CategoryFacts,
    placement: Placement,
    report: Report,
    actor: str,
    now: datetime,
) -> tuple[int, str] | None:
    """The open incident that a machine's report repeats, with the report attached to it."""
    if placement.lon is None or placement.lat is None:
        return None
    again = MachineReport(
        channel=channel.code,
        category=category.code,
        lon=placement.lon,
        lat=placement.lat,
        seen_at=report.occurred_at or now,
        description=report.description,
        external_id=report.external_id,
        idempotency_key=report.idempotency_key,
    )
    return attach(session, again, rules_of(desk.settings), actor, now)


def _same(incident_id: int, number: str, description: str, report: Report) -> Taken:
    if report.idempotency_key is not None and description != report.description:
        raise Conflict("incident.key_reused", field="Idempotency-Key", number=number)
    return Taken(incident_id, number, False)


def _raced(session: Session, draft: Draft) -> Taken | Trouble:
    """Somebody sent the same report a moment before: theirs is the incident."""
    report, channel = draft.arrival.report, draft.channel
    twin = incidents.twin_of(session, report.idempotency_key, channel.code, report.external_id)
    if twin is None:
        return Conflict("incident.not_recorded")
    try:
        return _same(twin.id, twin.number, twin.description, report)
    except Conflict as reused:
        return reused
