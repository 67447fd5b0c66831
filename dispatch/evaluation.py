"""The evaluation of a period: every indicator by grid, post, person, unit, leader or category, and the cases behind each number.

The counting rules are those of `dispatch/indicators.py`; whose an incident is, and how it stood, `dispatch/evaluation_frame.py`
says. A person's figures are of the incidents whose lead task was last theirs; a leader's of the grids they lead at `at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from dispatch.evaluation_frame import Asked, incidents_frame
from dispatch.indicators import CountingRules, Ratio, counts, ratios
from grid.core.errors import BadInput
from grid.core.values import dataclass

DIMENSIONS = ("grid", "post", "person", "unit", "leader", "category")
# Told beside the indicators, which know neither (leader's expectations 5 and 13).
BESIDE = ("supervised", "reopened")
_NAMES = {
    # The name that a grid of this code bore last.
    "grid": "select distinct on (code) code as key, name as zh, name_en as en from grid"
    " where code = any(:keys) order by code, upper(valid) desc nulls first, id desc",
    "person": "select id as key, name as zh, name as en from staff where id = any(:keys)",
    "leader": "select id as key, name as zh, name as en from staff where id = any(:keys)",
    "unit": "select id as key, name as zh, name as en from unit where id = any(:keys)",
    "category": "select code as key, name_zh as zh, name_en as en from category where code = any(:keys)",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts, indicators and the time from sending out to disposal of some incidents; minutes are None without any."""

    counts: dict[str, int]
    indicators: dict[str, Ratio]
    mean_disposal_minutes: float | None
    median_disposal_minutes: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """Whose figures: key (None: incidents that have none), names (None for a post, or where names are withheld)."""

    key: str | None
    name_zh: str | None
    name_en: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of all incidents asked for, and of each part by one dimension, in order of their keys."""

    asked: Asked
    by: str
    total: Figures
    rows: tuple[Row, ...]


def evaluate(
    session: Session,
    catalogue: Catalogue,
    asked: Asked,
    by: str,
    rules: CountingRules | None = None,
    *,
    with_people: bool = True,
) -> Evaluation:
    """Every indicator by one of DIMENSIONS. Raises BadInput `evaluation.by_unknown`, `evaluation.period_turned`."""
    _check(asked, by)
    frame = incidents_frame(session, catalogue, asked)
    counted = _counted(frame, asked, rules)
    rows = []
    which, keys = pd.factorize(frame[by], sort=True)
    names = _names(session, by, list(keys), with_people=with_people)
    for at, key in [*enumerate(keys), (-1, None)]:
        of_it = which == at
        if of_it.any():
            zh, en = names.get(_plain(key), (None, None)) if key is not None else (None, None)
            figures = _figures(counted[of_it], frame["disposal_minutes"][of_it])
            rows.append(Row(None if key is None else str(_plain(key)), zh, en, figures))
    return Evaluation(asked, by, _figures(counted, frame["disposal_minutes"]), tuple(rows))


def cases(
    session: Session,
    catalogue: Catalogue,
    asked: Asked,
    by: str,
    key: str | None,
    count: str,
    rules: CountingRules | None = None,
) -> list[str]:
    """The numbers of the incidents behind one count, in order; of one part where `key` says so, of all for "".

    `key` None: of the incidents without such a part. Raises BadInput as `evaluate`, and `evaluation.count_unknown`.
    """
    _check(asked, by)
    frame = incidents_frame(session, catalogue, asked)
    counted = _counted(frame, asked, rules)
    if count not in counted.columns:
        known = ", ".join(counted.columns)
        raise BadInput("evaluation.count_unknown", field="count", count=count, known=known)
    wanted = counted[count] > 0
    if key is None:
        wanted &= frame[by].isna()
    elif key:
        wanted &= frame[by].map(lambda value: None if pd.isna(value) else str(_plain(value))) == key
    return [str(number) for number in frame["number"][wanted]]


def _check(asked: Asked, by: str) -> None:
    if by not in DIMENSIONS:
        raise BadInput("evaluation.by_unknown", field="by", by=by, known=", ".join(DIMENSIONS))
    if asked.since >= asked.until:
        raise BadInput("evaluation.period_turned", field="to")


def _counted(frame: pd.DataFrame, asked: Asked, rules: CountingRules | None) -> pd.DataFrame:
    counted = counts(frame, asked.at, rules)
    for name in BESIDE:
        counted[name] = np.where(counted["filed"] > 0, frame[name], 0).astype(np.int64)
    return counted


def _figures(counted: pd.DataFrame, minutes: pd.Series) -> Figures:
    totals = counted.sum()
    known = pd.to_numeric(minutes[counted["disposed"] > 0], errors="coerce").dropna()
    return Figures(
        counts={str(name): int(value) for name, value in totals.items()},
        indicators=ratios(totals),
        mean_disposal_minutes=float(known.mean()) if len(known) else None,
        median_disposal_minutes=float(known.median()) if len(known) else None,
    )


def _names(
    session: Session, by: str, keys: Sequence[Any], *, with_people: bool
) -> dict[Any, tuple[str, str | None]]:
    if by not in _NAMES or not keys or (by in ("person", "leader") and not with_people):
        return {}
    rows = session.execute(text(_NAMES[by]), {"keys": [_plain(key) for key in keys]})
    return {row.key: (row.zh, row.en) for row in rows}


def _plain(key: Any) -> Any:
    """A staff or unit id has become a float where some incidents have none."""
    return int(key) if isinstance(key, (float, np.floating, np.integer)) else key
