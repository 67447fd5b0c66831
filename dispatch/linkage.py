"""Linkage (联动): the lead's task and the tasks of other posts beside it, and what follows from how they stand. Pure.

An incident is done when the lead and all helpers are. A helper may begin at once or when the lead is done. What
a helper hands back waits for the dispatcher, who gives it to another or does without; what the lead hands back
brings the whole incident back.
"""

from __future__ import annotations

from collections.abc import Sequence

from dispatch.catalogue import CategoryFacts
from dispatch.moves import TASK_OPEN, TASK_REFUSED, TaskState
from grid.core.values import dataclass
from grid.crews import Crew


@dataclass(frozen=True, slots=True)
class Part:
    """One task of the present round, as far as the incident's course depends on it."""

    id: int
    lead: bool
    state: TaskState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from the tasks: a move of the incident, helpers to be offered theirs, helpers open and refused."""

    move: str | None
    offer: tuple[int, ...]
    open: int
    refused: int


@dataclass(frozen=True, slots=True)
class Helper:
    """A task beside the lead's: post, person (None: nobody answers for the post), and when it begins."""

    post: str
    staff_id: int | None
    after_lead: bool


def after_tasks(parts: Sequence[Part]) -> Outcome:
    """What the incident does once the tasks of its present round stand so; withdrawn tasks do not count.

    The lead handed back: `return`, or `not_accepted` when nobody accepted it in time. Lead and helpers done: `submit`.
    """
    counted = [part for part in parts if part.state is not TaskState.WITHDRAWN]
    lead = next((part.state for part in reversed(counted) if part.lead), None)
    helpers = [part for part in counted if not part.lead]
    waiting = tuple(part.id for part in helpers if part.state is TaskState.WAITING)
    refused = sum(part.state in TASK_REFUSED for part in helpers)
    open_ = len(waiting) + sum(part.state in TASK_OPEN for part in helpers)
    move = None
    if lead is TaskState.RETURNED:
        move = "return"
    elif lead is TaskState.LAPSED:
        move = "not_accepted"
    elif lead is TaskState.DONE and not open_ and not refused:
        move = "submit"
    return Outcome(move, waiting if lead is TaskState.DONE else (), open_, refused)


def helpers_of(category: CategoryFacts, crew: Crew, lead_id: int) -> tuple[Helper, ...]:
    """The helpers that a category asks for; a post that the lead answers for too is left to the lead."""
    found: list[Helper] = []
    for post in category.support_posts:
        answering = crew.answering(post)
        person = answering.person.id if answering else None
        known = {lead_id, *(helper.staff_id for helper in found if helper.staff_id is not None)}
        if person not in known:
            found.append(Helper(post, person, post in category.support_after))
    return tuple(found)
