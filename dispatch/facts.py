"""Values the workflow reasons about: who moves, what is known of the incident, what comes with a move, the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from dispatch.moves import ENDED, ClockStep, Move, State
from grid.core.values import dataclass

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wants to move: person (None for a resident or the system), roles, posts held, disposal unit.

    `reporter`: shown to be the reporter otherwise, as by the link the resident was given.
    """

    person: str | None
    roles: frozenset[str] = frozenset()
    posts: frozenset[str] = frozenset()
    unit: str | None = None
    reporter: bool = False


THE_SYSTEM = Actor(None, frozenset({SYSTEM}))


@dataclass(frozen=True, slots=True)
class Facts:
    """What the workflow must know of an incident; persons and units as text keys.

    `unit` is the one the disposal clock runs for; `assignees` hold an open or finished task; `doers` and
    `doer_units` have worked on it. `open_tasks` counts helpers' tasks not yet done and
    `refused_tasks` those that came back and wait for the dispatcher; `helpers` hold one. `with_unit`: the lead task
    is open to a whole unit. `overdue` and `extensions` are the disposal clock's at the moment of asking
    (`progress.facts_now`).
    """

    state: State
    before: State | None = None
    channel: str = ""
    has_place: bool = True
    filing_condition: str | None = None
    unit: str | None = None
    assignees: frozenset[str] = frozenset()
    reporters: frozenset[str] = frozenset()
    doers: frozenset[str] = frozenset()
    doer_units: frozenset[str] = frozenset()
    helpers: frozenset[str] = frozenset()
    with_unit: bool = False
    open_tasks: int = 0
    refused_tasks: int = 0
    overdue: bool = False
    verified: bool = False
    returned: bool = False
    not_accepted: bool = False
    fed_back: bool = False
    question_open: bool = False
    supervised: bool = False
    # Numbers of the merged incidents whose supervision this one carries; empty where it is its own.
    supervision_from: frozenset[str] = frozenset()
    forced: bool = False
    late: bool = False
    extensions: int = 0
    extension_asked_by: str | None = None
    suspensions: int = 0
    suspension_asked_by: str | None = None
    suspended_until: datetime | None = None
    reworks: int = 0
    reopened: int = 0
    closed_at: datetime | None = None
    merged_into: str | None = None
    appeal: str | None = None  # asked | endorsed | granted | refused
    # What the reporter said of the result: satisfied, fairly or dissatisfied; "" without such a word.
    solved_said: str | None = None

    @property
    def ended(self) -> bool:
        """True when nothing more is expected of anybody."""
        return self.state in ENDED

    def but(self, **changes: Any) -> Facts:
        """The same with these changed: as `replace`, which is most of what a move costs with so many fields."""
        other = Facts(*_ALL_OF(self))
        for name, value in changes.items():
            # A name that is no fact has no slot.
            setattr(other, name, value)
        return other


_ALL_OF = attrgetter(*(each.name for each in fields(Facts)))


@dataclass(frozen=True, slots=True)
class Given:
    """What comes with a move; `photos` are the stages (before, during, after) of which at least one photograph is there."""

    reason: str | None = None
    filing_condition: str | None = None
    closing_condition: str | None = None
    category: str | None = None
    to: str | None = None
    instead_of: str | None = None
    unit: str | None = None
    into: str | None = None
    until: datetime | None = None
    place: tuple[float, float] | None = None
    photos: frozenset[str] = frozenset()
    rating: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The bureau's own choices, as settings.

    `also`: stations merged in small bureaus (who holds the first also holds the others); separation of doer and
    checker stays. `verify_first`: channels whose reports wait for a person; every other goes the quick way.
    `unit_station`: False where a crew's own result counts as the unit's feedback. `rework`: runs_on or starts_anew (domain 9.3).
    """

    also: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {
            "administrator": frozenset({"operator", "watch_chief", "dispatcher", "unit_head"})
        }
    )
    verify_first: frozenset[str] = frozenset()
    supervised_channels: frozenset[str] = frozenset({"leader"})
    unit_station: bool = False
    auto_check: bool = True
    check_needed: bool = True
    separate_units: bool = True
    photo_needed: bool = True
    return_before_limit: bool = True
    rework: str = "runs_on"
    max_extensions: int = 2
    max_suspensions: int = 1
    suspension_days: int = 365
    reopen_days: int = 15


@dataclass(frozen=True, slots=True)
class Step:
    """A move found in order: where it leads and what its clocks do."""

    move: Move
    from_state: State
    to_state: State
    clocks: tuple[ClockStep, ...]
