"""Several incidents made one, and apart again: nothing is lost, both records tell of it, and it can be undone.

The merged incident ends in the state `merged`, with its clocks still; its reporter, photographs and words stay its own and
are shown with the lead's, and a leader's supervision (督办) passes to the lead until it is taken out again. What each of its tasks was stands in its record, so that undoing gives them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.asked import Actor, Asked
from dispatch.desk import Desk
from dispatch.incidents import Line
from dispatch.models import History, Incident
from dispatch.moves import State
from dispatch.standing import from_json, to_json
from dispatch.work import Work
from grid.core.errors import BadInput, Conflict, NotFound

MOST_AT_ONCE = 100


def merge(
    session: Session,
    desk: Desk,
    numbers: Sequence[str],
    lead_number: str,
    asked: Asked,
    actor: Actor,
    now: datetime,
) -> None:
    """Merges incidents into a lead that is still open: all of them or none.

    `asked` brings note and version (of the one incident, where only one is merged). Raises NotFound `incident.unknown`;
    BadInput `move.into_missing`, `merge.too_many`; Conflict `merge.into_itself`, `merge.into_ended`, `merge.leads_others`,
    `incident.changed`; and what the workflow's table raises.
    """
    wanted = list(dict.fromkeys(numbers))
    if not wanted or not lead_number:
        raise BadInput("move.into_missing", "into")
    if len(wanted) > MOST_AT_ONCE:
        raise BadInput("merge.too_many", "numbers", most=MOST_AT_ONCE)
    if lead_number in wanted:
        raise Conflict("merge.into_itself", field="into", number=lead_number)
    found = _lock(session, [lead_number, *wanted], asked.version if len(wanted) == 1 else None)
    lead = found[lead_number]
    works = []
    for number in wanted:
        work = Work(session, desk, found[number], actor, now)
        # First whether this person may do it at all, then whether these two fit.
        work.check("merge", Asked("merge", asked.note, lead_number))
        works.append(work)
    _fits(session, lead, [found[number] for number in wanted])
    for work in works:
        work.values["merged_into_id"] = lead.id
        work.incident_move(Asked("merge", asked.note, lead_number))
        work.finish()
    parts = [found[number] for number in wanted]
    passed = frozenset(part.number for part in parts if part.facts.get("supervised"))
    values = _supervised(lead, passed, frozenset())
    _tell_lead(session, lead, "merged_in", parts, asked.note, actor, now, values)
    if values.get("facts", {}).get("supervised"):
        Work(session, desk, lead, actor, now).tell_workers("supervised", asked.note)


def unmerge(
    session: Session, desk: Desk, number: str, asked: Asked, actor: Actor, now: datetime
) -> None:
    """Takes a merged incident out again: state, clocks and tasks as they were when it was merged.

    Raises as `merge`.
    """
    lead_id = session.scalar(select(Incident.merged_into_id).where(Incident.number == number))
    lead_number = session.scalar(select(Incident.number).where(Incident.id == lead_id))
    both = [number] if lead_number is None else [number, lead_number]
    found = _lock(session, both, None)
    incident = found[number]
    if asked.version is not None and asked.version != incident.version:
        raise Conflict(
            "incident.changed", number=number, status=incident.status, version=incident.version
        )
    work = Work(session, desk, incident, actor, now)
    work.kept_tasks = _tasks_when_merged(session, incident.id)
    work.values["merged_into_id"] = None
    work.incident_move(asked)
    work.finish()
    if lead_number is not None:
        lead = found[lead_number]
        values = _supervised(lead, frozenset(), frozenset({number}))
        _tell_lead(session, lead, "split_off", [incident], asked.note, actor, now, values)


def lead_of(session: Session, number: str) -> str | None:
    """The number of the incident that another was merged into; None when it stands for itself."""
    found = session.scalar(
        text(
            "select lead.number from incident i join incident lead on lead.id = i.merged_into_id"
            " where i.number = :number"
        ),
        {"number": number},
    )
    return None if found is None else str(found)


def parts_of(session: Session, incident_id: int) -> list[dict[str, Any]]:
    """What was merged into an incident, oldest first: number, channel, words, moments, its photographs' ids."""
    rows = session.execute(
        text(
            "select i.id, i.number, i.channel_code as channel, i.category_code as category,"
            " i.description, i.address, i.reported_at, i.ended_at as merged_at,"
            " st_x(i.point) as lon, st_y(i.point) as lat,"
            " coalesce((select json_agg(json_build_object('id', e.id, 'stage', e.stage,"
            "  'kind', e.kind) order by e.id) from evidence e where e.incident_id = i.id), '[]') as evidence"
            " from incident i where i.merged_into_id = :id order by i.reported_at, i.id"
        ),
        {"id": incident_id},
    )
    return [dict(row._mapping) for row in rows]


def _lock(session: Session, numbers: Sequence[str], version: int | None) -> dict[str, Incident]:
    """All of them, locked in the order of their ids: two who merge the same ones never wait for each other.

    `version` is the one seen of the only incident to be merged, the last of `numbers`.
    """
    rows = session.scalars(
        select(Incident)
        .where(Incident.number.in_(numbers))
        .order_by(Incident.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = {row.number: row for row in rows}
    for number in numbers:
        if number not in found:
            raise NotFound("incident.unknown", field="number", number=number)
    last = found[numbers[-1]]
    if version is not None and version != last.version:
        raise Conflict(
            "incident.changed", number=last.number, status=last.status, version=last.version
        )
    return found


def _fits(session: Session, lead: Incident, merged: Sequence[Incident]) -> None:
    if lead.ended_at is not None:
        status, into = lead.status, lead_of(session, lead.number) or ""
        if lead.status == State.MERGED.value:
            raise Conflict("merge.into_merged", field="into", number=lead.number, into=into)
        raise Conflict("merge.into_ended", field="into", number=lead.number, status=status)
    row = session.execute(
        text(
            "select lead.number, count(*) as parts from incident i"
            " join incident lead on lead.id = i.merged_into_id"
            " where lead.id = any(:ids) group by lead.number order by lead.number limit 1"
        ),
        {"ids": [incident.id for incident in merged]},
    ).one_or_none()
    if row is not None:
        raise Conflict("merge.leads_others", field="numbers", number=row.number, count=row.parts)


def _tell_lead(
    session: Session,
    lead: Incident,
    name: str,
    others: Sequence[Incident],
    note: str | None,
    actor: Actor,
    now: datetime,
    values: dict[str, Any],
) -> None:
    detail: dict[str, Any] = {}
    if values:
        detail = {"supervised": bool(values["facts"].get("supervised"))}
    lines = [
        Line(name, lead.status, lead.status, note, {"number": other.number, **detail})
        for other in others
    ]
    incidents.change_incident(session, lead, values)
    incidents.write_history(session, lead.id, lead.number, lines, [actor.key] * len(lines), now)
    incidents.announce(session, lead.id, now)


def _supervised(lead: Incident, added: frozenset[str], removed: frozenset[str]) -> dict[str, Any]:
    """The lead's facts with the supervision of its parts, where that changes; one of its own stays its own."""
    standing = from_json(lead.facts, lead.clocks)
    facts = standing.facts
    own = facts.supervised and not facts.supervision_from
    came = (facts.supervision_from | added) - removed
    if own or came == facts.supervision_from:
        return {}
    after = replace(facts, supervised=bool(came), supervision_from=came)
    return {"facts": to_json(replace(standing, facts=after))[0]}


def _tasks_when_merged(session: Session, incident_id: int) -> list[dict[str, Any]]:
    detail = session.scalar(
        select(History.detail)
        .where(History.incident_id == incident_id, History.move == "merge")
        .order_by(History.seq.desc())
        .limit(1)
    )
    tasks: list[dict[str, Any]] = (detail or {}).get("tasks", [])
    return tasks
