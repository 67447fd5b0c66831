"""`GET /api/v1/evaluation`: every indicator of a period with numerator and denominator, and the cases behind each number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from api.auth import Account
from api.deps import DbSession, Lang, Now, Reach, ServicesDep, allowed
from api.i18n import Language, translate
from api.routes.incidents import PROBLEMS
from dispatch.evaluation import BESIDE, Figures, Row, cases, evaluate
from dispatch.evaluation_frame import Asked
from dispatch.indicators import INDICATORS
from dispatch.scope import Scope
from grid.core.errors import BadInput
from maps.export_filters import parse_moment

router = APIRouter(prefix="/api/v1/evaluation", tags=["evaluation"])
Evaluator = Annotated[Account, Depends(allowed("evaluate"), scope="function")]
MOST_CASES = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """What an address asks for, as it is written there."""

    first: str
    last: str
    at: str
    category: str
    channel: str
    grid: str

    def asked(self, scope: Scope | None, zone: ZoneInfo, now: datetime) -> Asked:
        """From the first of `from` to before `to`; without them this month until now. Judged at `at`, or when the period ended.

        Raises BadInput `export.moment_unreadable`, `report.unreadable`.
        """
        if any("\x00" in getattr(self, name) for name in self.__slots__):
            raise BadInput("report.unreadable")
        until = parse_moment(self.last, zone, "to") or tomorrow(now, zone)
        begin = now.astimezone(zone).date().replace(day=1)
        since = parse_moment(self.first, zone, "from") or datetime.combine(begin, time(), zone)
        at = parse_moment(self.at, zone, "at") or min(now, until)
        return Asked(
            since,
            until,
            min(at, now),
            scope,
            self.category or None,
            self.channel or None,
            self.grid or None,
        )


def tomorrow(now: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the next day in the town."""
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


def asked_period(
    first: Annotated[str, Query(alias="from", max_length=40)] = "",
    last: Annotated[str, Query(alias="to", max_length=40)] = "",
    at: Annotated[str, Query(max_length=40)] = "",
    category: Annotated[str, Query(max_length=40)] = "",
    channel: Annotated[str, Query(max_length=40)] = "",
    grid: Annotated[str, Query(max_length=60)] = "",
) -> Period:
    """The period and filters of the address."""
    return Period(first, last, at, category, channel, grid)


AskedPeriod = Annotated[Period, Depends(asked_period)]


@router.get("", responses=PROBLEMS)
def evaluation(
    session: DbSession,
    services: ServicesDep,
    account: Evaluator,
    scope: Reach,
    language: Lang,
    now: Now,
    period: AskedPeriod,
    by: Annotated[str, Query(max_length=20)] = "grid",
) -> dict[str, Any]:
    """Incidents reported in [from, to) as they stood at `at` (else at `to`, or now), by grid, post, person, unit, leader or category.

    `from` and `to` are dates of the town or moments. `formulas` tells each indicator's two counts; a value without a
    denominator is null. `key` null: incidents that have no such part. Names of people only for who may see them.
    """
    asked = period.asked(scope, services.settings.town.zone, now)
    found = evaluate(
        session,
        services.desk.catalogue(session),
        asked,
        by,
        with_people=account.may("see_people"),
    )
    return {
        "from": asked.since,
        "to": asked.until,
        "at": asked.at,
        "by": by,
        "formulas": {name: list(counted) for name, counted in INDICATORS.items()},
        "beside": list(BESIDE),
        "total": figures_json(found.total),
        "rows": [
            {"key": row.key, "name": name_of(row, by, language), **figures_json(row.figures)}
            for row in found.rows
        ],
    }


@router.get("/cases", responses=PROBLEMS)
def evaluation_cases(
    session: DbSession,
    services: ServicesDep,
    account: Evaluator,
    scope: Reach,
    now: Now,
    period: AskedPeriod,
    count: Annotated[str, Query(max_length=40)],
    by: Annotated[str, Query(max_length=20)] = "grid",
    key: Annotated[str, Query(max_length=60)] = "",
    without: bool = False,
) -> dict[str, Any]:
    """The numbers of the incidents behind one count: of one part by `key`, of those without a part, or of all."""
    asked = period.asked(scope, services.settings.town.zone, now)
    catalogue = services.desk.catalogue(session)
    numbers = cases(session, catalogue, asked, by, None if without else key, count)
    return {"total": len(numbers), "numbers": numbers[:MOST_CASES]}


def figures_json(figures: Figures) -> dict[str, Any]:
    """Counts, and each indicator as numerator, denominator and value."""
    return {
        "counts": figures.counts,
        "indicators": {
            name: {
                "numerator": ratio.numerator,
                "denominator": ratio.denominator,
                "value": None if ratio.value is None else round(ratio.value, 6),
            }
            for name, ratio in figures.indicators.items()
        },
        "mean_disposal_minutes": _rounded(figures.mean_disposal_minutes),
        "median_disposal_minutes": _rounded(figures.median_disposal_minutes),
    }


def name_of(row: Row, by: str, language: Language) -> str | None:
    """Whose figures, in the reader's language."""
    if row.key is None:
        return translate(language, f"evaluation.without_{by}")
    if by == "post":
        return translate(language, f"post.{row.key}")
    return (row.name_en if language == "en" else None) or row.name_zh


def _rounded(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes, 2)
