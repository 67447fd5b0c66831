"""Tasks given: rows for lead and helpers, each with its notice; a helper without anybody waits for the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dispatch import incidents
from dispatch.facts import Facts
from dispatch.linkage import Helper
from dispatch.moves import TaskState
from grid.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """A task to be given: to a person, to a whole unit, or (a helper's only) to nobody yet."""

    post: str
    staff_id: int | None
    lead: bool
    unit_id: int | None = None
    after_lead: bool = False

    @property
    def state(self) -> TaskState:
        """Offered at once, waiting for the lead, or lapsed when nobody answers for the post."""
        if self.staff_id is None and self.unit_id is None:
            return TaskState.LAPSED
        return TaskState.WAITING if self.after_lead else TaskState.OFFERED


@dataclass(frozen=True, slots=True)
class Timing:
    """When tasks are given, in which round, and until when they are to be accepted and done."""

    now: datetime
    round: int = 1
    due_at: datetime | None = None
    accept_by: datetime | None = None


def offers_of(
    post: str, staff_id: int | None, unit_id: int | None, helpers: Sequence[Helper]
) -> tuple[Offer, ...]:
    """The lead's task and those of the helpers."""
    lead = Offer(post, staff_id, True, unit_id)
    return lead, *(Offer(h.post, h.staff_id, False, None, h.after_lead) for h in helpers)


def facts_with(facts: Facts, offers: Sequence[Offer]) -> Facts:
    """The facts once the helpers among the offers have their tasks."""
    helpers = [offer for offer in offers if not offer.lead]
    if not helpers:
        return facts
    people = {f"staff:{offer.staff_id}" for offer in helpers if offer.staff_id is not None}
    lapsed = sum(offer.state is TaskState.LAPSED for offer in helpers)
    return replace(
        facts,
        helpers=facts.helpers | people,
        open_tasks=facts.open_tasks + len(helpers) - lapsed,
        refused_tasks=facts.refused_tasks + lapsed,
    )


def give(
    session: Session, incident_id: int, number: str, offers: Sequence[Offer], timing: Timing
) -> None:
    """Writes the tasks and leaves a notice for each that is offered now."""
    rows = [{"incident_id": incident_id, **row} for row in task_values(offers, timing)]
    incidents.add_tasks(session, rows)
    for offer in offers:
        if offer.state is TaskState.OFFERED:
            tell_offered(
                session, incident_id, number, offer.post, offer.staff_id, offer.unit_id, timing.now
            )


def task_values(offers: Sequence[Offer], timing: Timing) -> list[dict[str, Any]]:
    """The columns of the tasks of offers, without the incident's id."""
    return [_row(offer, timing) for offer in offers]


def offer_notices(number: str, offers: Sequence[Offer], now: datetime) -> list[dict[str, Any]]:
    """The columns of the notices that go with offers, without the incident's id."""
    return [
        _notice(number, offer.post, offer.staff_id, offer.unit_id, now)
        for offer in offers
        if offer.state is TaskState.OFFERED
    ]


def tell_offered(
    session: Session,
    incident_id: int,
    number: str,
    post: str,
    staff_id: int | None,
    unit_id: int | None,
    now: datetime,
) -> None:
    """Leaves the notice of an offered task for its person, or for everybody of its unit."""
    values = _notice(number, post, staff_id, unit_id, now)
    incidents.add_notice(
        session,
        incident_id,
        staff_id,
        values["kind"],
        values["detail"],
        now,
        audience=values["audience"],
    )


def _notice(
    number: str, post: str, staff_id: int | None, unit_id: int | None, now: datetime
) -> dict[str, Any]:
    return incidents.notice_values(
        staff_id,
        "task_offered",
        {"number": number, "post": post},
        now,
        audience="staff" if staff_id is not None else f"unit:{unit_id}",
    )


def _row(offer: Offer, timing: Timing) -> dict[str, Any]:
    nobody = offer.state is TaskState.LAPSED
    return {
        "post": offer.post,
        "lead": offer.lead,
        "after_lead": offer.after_lead,
        "round": timing.round,
        "assignee_id": offer.staff_id,
        "unit_id": offer.unit_id,
        "status": offer.state.value,
        "assigned_at": timing.now,
        "due_at": timing.due_at,
        "accept_by": timing.accept_by if offer.state is TaskState.OFFERED else None,
        "ended_at": timing.now if nobody else None,
        "ended_by": "system" if nobody else None,
    }
