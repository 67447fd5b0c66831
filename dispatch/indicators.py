"""Counting rules and indicators (domain 4.1, 4.2) over a plain frame of incidents. Pure, no database.

One row is one incident of the cohort the caller chose (reported, filed or due in the period). Every indicator is a
numerator over a denominator; with nothing in the denominator its value is None, never 0 % or 100 %.
On-the-spot fixes and merged duplicates are in no count but the two that name them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.worktime import to_us
from grid.core.errors import BadInput
from grid.core.values import dataclass

_NEVER = np.iinfo(np.int64).min  # what pandas' NaT becomes

# Columns of the frame: name → (kind, value where the caller has none).
COLUMNS: dict[str, str] = {
    "filed_at": "moment",  # reached filing; empty: not filed
    "filed_late": "flag",  # the acceptance clock was red at filing
    "voided": "flag",
    "merged": "flag",
    "on_the_spot": "flag",
    "suspended": "flag",  # suspended at the moment of counting
    "urgent": "flag",
    "dispatched_at": "moment",  # first dispatch
    "dispatch_due_at": "moment",
    "units": "count",  # different units the incident was dispatched to
    "due_at": "moment",  # disposal limit, pauses and extensions included
    "disposed_at": "moment",  # the unit's feedback
    "closed_at": "moment",
    "reworks": "count",
    "appeal_granted": "flag",
    "verify_asked": "count",
    "verified_on_time": "count",
    "checks_asked": "count",
    "checked_on_time": "count",
    "patrol": "flag",  # reported by a collector or a crew on patrol
    "public": "flag",  # reported by the public
    "public_verified": "flag",
    "missed": "flag",  # the collector should have found it
    "call_backs": "count",  # valid answers
    "satisfied": "count",  # of these, satisfied or very satisfied
}

# Indicator → (numerator, denominator), both names of counts.
INDICATORS: dict[str, tuple[str, str]] = {
    "closing_rate": ("closed", "due"),
    "on_time_closing_rate": ("closed_on_time", "due"),
    "late_closing_rate": ("closed_late", "due"),
    "disposal_rate": ("disposed", "to_dispose"),
    "on_time_disposal_rate": ("disposed_on_time", "to_dispose"),
    "on_time_dispatch_rate": ("dispatched_on_time", "to_dispatch"),
    "dispatch_accuracy": ("dispatched_right", "to_dispatch"),
    "on_time_filing_rate": ("filed_on_time", "filed"),
    "accurate_filing_rate": ("filed", "filed_with_void"),
    "rework_rate": ("reworked", "due"),
    "overdue_rate": ("overdue", "due_without_appeal"),
    "on_time_verify_rate": ("verified_on_time", "verify_asked"),
    "on_time_check_rate": ("checked_on_time", "checks_asked"),
    "valid_report_rate": ("valid_reports", "patrol_reports"),
    "missed_report_rate": ("missed", "filed"),
    "public_report_rate": ("public_verified", "filed"),
    "satisfaction_rate": ("satisfied", "call_backs"),
    "urgent_closing_rate": ("urgent_closed", "urgent_due"),
    "urgent_on_time_closing_rate": ("urgent_closed_on_time", "urgent_due"),
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """An indicator with what it was made of."""

    numerator: int
    denominator: int

    @property
    def value(self) -> float | None:
        """numerator / denominator, or None when there is nothing to divide by."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class CountingRules:
    """Where bureaus differ: suspended incidents leave the due count (domain 9.4) or, as one system does, the filed count."""

    suspended_leave_due: bool = True
    suspended_leave_filed: bool = False


def counts(
    incidents: pd.DataFrame, at: datetime, rules: CountingRules | None = None
) -> pd.DataFrame:
    """One row of counts per incident, as of `at`: integer columns named in INDICATORS, plus totals of their own.

    `incidents` has any of COLUMNS (moments aware; absent columns count as empty). What happened after `at` is not seen
    in moments. An incident closed by force without feedback counts as disposed at its closing.
    Raises BadInput indicators.column_unfit, time.naive.
    """
    known = rules or CountingRules()
    now = to_us(at)
    moments = {
        name: _moments(incidents, name, now) for name, kind in COLUMNS.items() if kind == "moment"
    }
    numbers = {
        name: _numbers(incidents, name) for name, kind in COLUMNS.items() if kind != "moment"
    }
    flag = {name: values > 0 for name, values in numbers.items()}

    counted = ~flag["on_the_spot"] & ~flag["merged"]
    happened = {name: values != _NEVER for name, values in moments.items()}
    filed_with_void = happened["filed_at"] & counted
    filed = filed_with_void & ~flag["voided"]
    if known.suspended_leave_filed:
        filed &= ~flag["suspended"]

    due_at = moments["due_at"]
    disposed_at = np.where(happened["disposed_at"], moments["disposed_at"], moments["closed_at"])
    disposed = filed & (disposed_at != _NEVER)
    late = disposed & happened["due_at"] & (disposed_at > due_at)
    overdue_open = filed & ~disposed & happened["due_at"] & (due_at < now)
    due = disposed | overdue_open
    if known.suspended_leave_due:
        due &= ~flag["suspended"]
    closed = due & happened["closed_at"]
    appealed = flag["appeal_granted"]

    dispatch_due_at, limited = moments["dispatch_due_at"], happened["dispatch_due_at"]
    dispatched = filed & happened["dispatched_at"]
    to_dispatch = dispatched | (filed & limited & (dispatch_due_at < now))
    dispatched_late = dispatched & limited & (moments["dispatched_at"] > dispatch_due_at)

    found: dict[str, NDArray[Any]] = {
        "reported": np.ones(len(incidents), dtype=bool),
        "on_the_spot": flag["on_the_spot"],
        "merged": flag["merged"],
        "filed_with_void": filed_with_void,
        "filed": filed,
        "filed_on_time": filed & ~flag["filed_late"],
        "due": due,
        "due_without_appeal": due & ~appealed,
        "closed": closed,
        "closed_on_time": closed & ~late,
        "closed_late": closed & late,
        "to_dispose": due,
        "disposed": disposed & due,
        "disposed_on_time": disposed & due & ~late,
        "overdue": due & (late | overdue_open) & ~appealed,
        "reworked": due & flag["reworks"],
        "rework_times": np.where(filed, numbers["reworks"], 0),
        "to_dispatch": to_dispatch,
        "dispatched_on_time": dispatched & ~dispatched_late,
        "dispatched_right": dispatched & (numbers["units"] <= 1),
        "verify_asked": np.where(counted, numbers["verify_asked"], 0),
        "verified_on_time": np.where(counted, numbers["verified_on_time"], 0),
        "checks_asked": np.where(counted, numbers["checks_asked"], 0),
        "checked_on_time": np.where(counted, numbers["checked_on_time"], 0),
        "patrol_reports": flag["patrol"] & counted,
        "valid_reports": flag["patrol"] & filed,
        "missed": filed & flag["missed"],
        "public_verified": filed & flag["public"] & flag["public_verified"],
        "call_backs": np.where(counted, numbers["call_backs"], 0),
        "satisfied": np.where(counted, numbers["satisfied"], 0),
        "urgent_due": due & flag["urgent"],
        "urgent_closed": closed & flag["urgent"],
        "urgent_closed_on_time": closed & ~late & flag["urgent"],
    }
    columns = {name: values.astype(np.int64) for name, values in found.items()}
    return pd.DataFrame(columns, index=incidents.index)


def ratios(totals: pd.Series) -> dict[str, Ratio]:
    """Every indicator from summed counts."""
    return {
        name: Ratio(int(totals[above]), int(totals[below]))
        for name, (above, below) in INDICATORS.items()
    }


def measure(
    incidents: pd.DataFrame, at: datetime, rules: CountingRules | None = None
) -> dict[str, Ratio]:
    """Every indicator over all rows. Raises as `counts`."""
    return ratios(counts(incidents, at, rules).sum())


def measure_by(
    incidents: pd.DataFrame, key: str, at: datetime, rules: CountingRules | None = None
) -> dict[str, dict[str, Ratio]]:
    """Every indicator for each value of the column `key` (grid, post, person, unit, leader, category); rows without one are left out.

    Raises BadInput indicators.column_missing, and as `counts`.
    """
    if key not in incidents.columns:
        raise BadInput("indicators.column_missing", "by", column=key)
    counted = counts(incidents, at, rules)
    which, values = pd.factorize(incidents[key], sort=True)
    known = which >= 0
    totals = pd.DataFrame(
        {
            name: np.bincount(which[known], column.to_numpy()[known], len(values)).astype(np.int64)
            for name, column in counted.items()
        }
    )
    return {str(value): ratios(totals.iloc[row]) for row, value in enumerate(values)}


def overdue_multiples(used_minutes: np.ndarray, limit_minutes: np.ndarray) -> np.ndarray:
    """(used - limit) / limit of each closed overdue incident; NaN for one that was in time (domain 4.1)."""
    over = used_minutes - limit_minutes
    return np.where(over > 0, over / limit_minutes, np.nan)


def _moments(incidents: pd.DataFrame, name: str, now: int) -> NDArray[np.int64]:
    """Microseconds since 1970 UTC, _NEVER where nothing has happened by `now`."""
    if name not in incidents.columns:
        return np.full(len(incidents), _NEVER)
    try:
        given = pd.to_datetime(incidents[name], utc=True).astype("datetime64[us, UTC]")
    except (TypeError, ValueError):
        raise BadInput("indicators.column_unfit", name, column=name) from None
    instants = given.dt.tz_localize(None).to_numpy().astype(np.int64)
    # A limit lies ahead as a rule; everything else counts only once it has happened.
    if name in ("due_at", "dispatch_due_at"):
        return instants
    return np.where(instants <= now, instants, _NEVER)


def _numbers(incidents: pd.DataFrame, name: str) -> np.ndarray:
    if name not in incidents.columns:
        return np.zeros(len(incidents), dtype=np.int64)
    try:
        return incidents[name].fillna(0).astype(np.int64).to_numpy()
    except (TypeError, ValueError):
        raise BadInput("indicators.column_unfit", name, column=name) from None
