"""THE STORY of a new report, top to bottom.

read the ground and the rules → the same report again? → find the place → name post and person → let the
workflow go as far as it may → record → history → task → notice → tell the consoles. One transaction,
committed by the caller before its answer leaves. Reports that come at the same time go this way together: what is
asked of the database is asked once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.catalogue import CategoryFacts, ChannelFacts
from dispatch.decisions import Heard, Versions, answerer_of, decision
from dispatch.desk import Desk, Known
from dispatch.duplicates import MachineReport, attach, repeated, rules_of
from dispatch.first_steps import crew_for, linked, occasions_of, open_incident, replaced_by
from dispatch.fresh import Names, row_of
from dispatch.incident_columns import place_values, stage_moments, standing_values
from dispatch.incidents import Line
from dispatch.linkage import Helper
from dispatch.models import INCIDENT_NUMBERS
from dispatch.moves import State
from dispatch.placement import Placement
from dispatch.placing import find_place
from dispatch.reasons import reason
from dispatch.recording import NewIncident, Recorded, record
from dispatch.reports import (
    Arrival,
    JustTaken,
    Report,
    Taken,
    check_report,
    given_point,
    report_values,
    reporter_values,
)
from dispatch.routing import Routed, route
from dispatch.standing import Standing, accept_by
from dispatch.tasks import Offer, Timing, facts_with, offer_notices, offers_of, task_values
from grid.cells import CELL_AT
from grid.core.database import ask
from grid.core.errors import Conflict, Trouble
from grid.core.values import dataclass

_LOOKED_UP = f"""
select (select array_agg(nextval('{INCIDENT_NUMBERS}')) from generate_series(1, %s)),
    (select jsonb_agg(jsonb_build_array(s.id, s.name, u.name)) from staff s
        left join unit u on u.id = s.unit_id where s.id = any(%s::bigint[])),
    (select array_agg(({CELL_AT.format(lon="p.lon", lat="p.lat")}) order by p.ordinality)
        from unnest(%s::float8[], %s::float8[]) with ordinality as p(lon, lat))
"""  # noqa: S608 (made of constants)


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
    known = desk.read_for_report(session)
    outcomes: list[Taken | Trouble | None] = []
    drafts: dict[int, Draft] = {}
    for place, arrival in enumerate(arrivals):
        outcomes.append(None)
        try:
            check_report(arrival.report, arrival.at)
            channel = known.catalogue.channel(arrival.report.channel)
            if channel.machine and len(arrivals) > 1:
                continue
            drafted = _drafted(session, desk, known, channel, arrival)
        except Trouble as wrong:
            outcomes[place] = wrong
            continue
        if isinstance(drafted, Draft):
            drafts[place] = drafted
        else:
            outcomes[place] = drafted
    for place, taken in zip(
        drafts, _opened(session, desk, known, list(drafts.values())), strict=True
    ):
        outcomes[place] = taken
    return outcomes


def _drafted(
    session: Session,
    desk: Desk,
    known: Known,
    channel: ChannelFacts,
    arrival: Arrival,
) -> Draft | Taken:
    """Where a report lies and who answers for it; the incident it is, or was attached to, where it is not a new one."""
    report, now = arrival.report, arrival.at
    category = known.catalogue.category_at(report.category, now)
    before = incidents.twin_of(session, report.idempotency_key, channel.code, report.external_id)
    if before is not None:
        return _same(before.id, before.number, before.description, report)
    if channel.machine:
        again = repeated(session, report.idempotency_key, channel.code, report.external_id)
        if again is not None:
            return Taken(*again, False)
    placement = _place(session, desk, known, report, now)
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
    known: Known,
    drafts: Sequence[Draft],
) -> list[Taken | Trouble]:
    """The drafts written down as incidents."""
    if not drafts:
        return []
    made = [
        _new_incident(desk, known, draft, looked_up)
        for draft, looked_up in zip(drafts, _looked_up(session, drafts), strict=True)
    ]
    written = record(session, [new for new, _, _ in made])
    return [
        _raced(session, draft)
        if recorded is None
        else _just_taken(draft, new, standing, people, recorded, known)
        for draft, (new, standing, people), recorded in zip(drafts, made, written, strict=True)
    ]


def _new_incident(
    desk: Desk,
    known: Known,
    draft: Draft,
    looked_up: LookedUp,
) -> tuple[NewIncident, Standing, Mapping[int, tuple[str, str | None]]]:
    """The rows of a draft, how its incident stands, and the people it names."""
    report, now, actor = draft.arrival.report, draft.arrival.at, draft.arrival.actor
    ground, catalogue = known.ground, known.catalogue
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
    known: Known,
) -> Taken:
    row = row_of(new, recorded, Names(draft.category, draft.placement, people))
    number = new.values["number"]
    return Taken(recorded.id, number, True, JustTaken(row, standing, known))


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


def _place(
    session: Session,
    desk: Desk,
    known: Known,
    report: Report,
    now: datetime,
) -> Placement:
    if known.ground is None:
        return Placement(waits=True, reasons=(reason("place.no_streets"),))
    texts = tuple(t for t in (report.address, report.description) if t)
    return find_place(session, known.ground, desk.settings, now, report.point, texts, known.marks)


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
