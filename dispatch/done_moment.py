"""When a step of the field was done: the phone's moment counts where it can be true, else the server's. Pure.

Without network a step is received long after it was done. The rule (DECISIONS.md, A11): the moment told by the phone
counts when the step is one of the field's, made by somebody of the field; when it does not lie in the future, not before
the step before it, and not longer ago than the town allows. Otherwise the moment of receipt counts, and the
record keeps what was told and why it did not count.
"""

from __future__ import annotations

from dataclasses import field
from datetime import UTC, datetime, timedelta

from grid.core.values import dataclass

FIELD_MOVES = frozenset(
    {
        *("accept_task", "arrive", "finish_task", "return_task"),
        *("check_passed", "check_failed", "verify_confirmed", "verify_denied"),
    }
)
FIELD_ROLES = frozenset({"officer", "cleaner", "gardener", "maintainer", "collector"})
# What the system does at once because of a field step happened with it; whatever waits for somebody begins at receipt.
HAPPENS_WITH = frozenset({"assign", "submit", "feed_back"})
# A phone's clock may run ahead by so much and still mean now.
CLOCK_ERROR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class DoneMoment:
    """What counts, and what the record's line keeps beside it (`done_at`; or `told_at` with `not_counted`)."""

    at: datetime
    kept: dict[str, str] = field(default_factory=dict)


def done_moment(
    told: datetime | None,
    move: str,
    role: str,
    not_before: datetime | None,
    furthest_back: timedelta,
    received: datetime,
) -> DoneMoment:
    """The moment that counts for a step; `not_before` is that of the step before it.

    `not_counted` is one of: not_field, future, before_last_step, too_old.
    """
    if told is None:
        return DoneMoment(received)
    why = None
    if move not in FIELD_MOVES or role not in FIELD_ROLES:
        why = "not_field"
    elif told > received + CLOCK_ERROR:
        why = "future"
    elif told >= received:
        return DoneMoment(received)
    elif received - told > furthest_back:
        why = "too_old"
    elif not_before is not None and told < not_before:
        why = "before_last_step"
    if why is not None:
        return DoneMoment(received, {"told_at": _written(told), "not_counted": why})
    return DoneMoment(told, {"done_at": _written(told)})


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
