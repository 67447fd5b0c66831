"""What somebody asks of an incident: who moves, what, and to whom it is given; plain values."""

from __future__ import annotations

from datetime import datetime

from dispatch import workflow as flow
from dispatch.step_places import MadeAt
from grid.core.values import dataclass

POSTS = frozenset({"officer", "cleaner", "gardener", "maintainer"})
# Moves whose `to` names a person or a unit.
GIVING = frozenset({"dispatch", "assign", "reassign", "add_task", "send_verify", "hand_over"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who moves: the account's key, its role and the person behind it."""

    key: str
    role: str
    staff_id: int | None
    # The person's unit, id and name, where it is known already.
    unit: tuple[int | None, str | None] | None = None

    @property
    def person(self) -> str:
        """The key the workflow knows this person by."""
        return f"staff:{self.staff_id}" if self.staff_id is not None else self.key

    def in_workflow(self, unit: str | None = None) -> flow.Actor:
        """As the workflow's table sees it."""
        posts = frozenset({self.role}) & POSTS
        return flow.Actor(self.person, frozenset({self.role}), posts, unit)


THE_CLOCK = Actor("system", flow.SYSTEM, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """A move as asked: `to` is a staff id, a unit's name or another incident's number, as the move wants.

    `task` names one task by its id where it is not the actor's own or the lead's; `after_lead` lets an added task
    begin when the lead's is done. `done_at`: when it was done, told by a phone that had no network.
    `rating`: how content a reporter is.
    """

    move: str
    note: str | None = None
    to: str | int | None = None
    until: datetime | None = None
    condition: str | None = None
    category: str | None = None
    version: int | None = None
    task: int | None = None
    after_lead: bool = False
    # By which rule somebody is named, where it is not by hand: hand_over.
    rule: str | None = None
    done_at: datetime | None = None
    rating: str | None = None
    # Where the phone was when it was made.
    made_at: MadeAt | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom work is given to: a person or a whole unit, in a post."""

    post: str
    staff_id: int | None
    unit_id: int | None
    unit: str | None
