"""The evaluation on a page: the period against the one before, parts by rank, the cases behind each number, a sheet to print."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response

from api.deps import DbSession, Lang, Now, PageAccount, PageReach, ServicesDep, require
from api.i18n import Language, translate
from api.pages.maps import category_choices, channel_choices, grid_choices
from api.pages.rendering import page
from api.routes.evaluation import Period, name_of
from dispatch import reading
from dispatch.evaluation import DIMENSIONS, Evaluation, Row, cases, evaluate
from dispatch.evaluation_frame import Asked
from dispatch.indicators import INDICATORS
from grid.core.errors import BadInput
from maps.export_filters import parse_moment

router = APIRouter(include_in_schema=False)
# The columns of the table: counts, then indicators. Of the rest the notes tell.
COUNTS = ("reported", "filed", "due", "closed", "overdue", "reworked", "reopened", "supervised")
RATES = (
    *("closing_rate", "on_time_closing_rate", "on_time_disposal_rate", "overdue_rate"),
    *("rework_rate", "dispatch_accuracy", "on_time_check_rate", "satisfaction_rate"),
)
CARDS = ("reported", "filed", "due", "closed", "overdue")
CARD_RATES = ("closing_rate", "on_time_closing_rate", "rework_rate", "satisfaction_rate")
# Of these less is better.
FEWER = frozenset({"overdue_rate", "rework_rate", "late_closing_rate", "missed_report_rate"})
SORTS = ("key", *COUNTS, *RATES, "mean_disposal_minutes")
MOST_CASES = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the page's form says; `to` is the last day."""

    first: str
    last: str
    by: str
    sort: str
    category: str
    channel: str
    grid: str

    def address(self, **changed: str) -> str:
        """The same in an address, with something changed."""
        names = {"first": "from", "last": "to"}
        given = {names.get(name, name): getattr(self, name) for name in self.__slots__} | changed
        return urlencode({name: value for name, value in given.items() if value})


def chosen(
    first: Annotated[str, Query(alias="from", max_length=40)] = "",
    last: Annotated[str, Query(alias="to", max_length=40)] = "",
    by: Annotated[str, Query(max_length=20)] = "grid",
    sort: Annotated[str, Query(max_length=40)] = "key",
    category: Annotated[str, Query(max_length=40)] = "",
    channel: Annotated[str, Query(max_length=40)] = "",
    grid: Annotated[str, Query(max_length=60)] = "",
) -> Chosen:
    """The form as the address has it."""
    return Chosen(first, last, by, sort, category, channel, grid)


ChosenNow = Annotated[Chosen, Depends(chosen)]


@router.get("/evaluation")
def evaluation_page(
    request: Request, session: DbSession, services: ServicesDep, account: PageAccount,
    scope: PageReach, language: Lang, now: Now, form: ChosenNow,
) -> Response:  # fmt: skip
    """`/evaluation`: figures of a period by one dimension, beside those of the period before it."""
    require(account, "evaluate")
    zone = services.settings.town.zone
    asked = replace(_asked(form, zone, now), scope=scope)
    catalogue = services.desk.catalogue(session)
    found = evaluate(session, catalogue, asked, form.by, with_people=account.may("see_people"))
    last = evaluate(session, catalogue, _before(asked), form.by, with_people=False)
    shown = replace(form, first=f"{_day(asked.since, zone)}", last=f"{_last_day(asked, zone)}")
    return page(
        request,
        "evaluation.html",
        account=account,
        form=shown,
        found=found,
        before=last.total,
        rows=_ranked(found, form.sort),
        name_of=lambda row: name_of(row, form.by, language),
        periods=_periods(now.astimezone(zone).date()),
        dimensions=DIMENSIONS,
        counts=COUNTS,
        rates=RATES,
        cards=CARDS,
        card_rates=CARD_RATES,
        fewer=FEWER,
        formulas=INDICATORS,
        at=f"{asked.at.astimezone(zone):%Y-%m-%d %H:%M}",
        categories=category_choices(session, language),
        channels=channel_choices(session, language),
        grids=grid_choices(session),
    )


@router.get("/evaluation/cases")
def cases_page(
    request: Request, session: DbSession, services: ServicesDep, account: PageAccount, scope: PageReach,
    language: Lang, now: Now, form: ChosenNow, count: Annotated[str, Query(max_length=40)] = "filed",
    key: Annotated[str, Query(max_length=60)] = "", without: bool = False,
) -> Response:  # fmt: skip
    """`/evaluation/cases`: the incidents behind one number of the table."""
    require(account, "evaluate")
    zone = services.settings.town.zone
    asked = replace(_asked(form, zone, now), scope=scope)
    catalogue = services.desk.catalogue(session)
    numbers = cases(session, catalogue, asked, form.by, None if without else key, count)
    rows = reading.by_number(session, numbers[:MOST_CASES])
    return page(
        request,
        "evaluation_cases.html",
        account=account,
        form=form,
        count=count,
        total=len(numbers),
        rows=rows,
        moment=lambda at: "" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}",
    )


@router.get("/evaluation.csv")
def evaluation_sheet(
    session: DbSession, services: ServicesDep, account: PageAccount, scope: PageReach,
    language: Lang, now: Now, form: ChosenNow,
) -> Response:  # fmt: skip
    """Every count and indicator of the table, as a sheet: a rate with its numerator and denominator."""
    require(account, "evaluate")
    zone = services.settings.town.zone
    asked = replace(_asked(form, zone, now), scope=scope)
    catalogue = services.desk.catalogue(session)
    found = evaluate(session, catalogue, asked, form.by, with_people=account.may("see_people"))
    days = f"{_day(asked.since, zone):%Y%m%d}-{_last_day(asked, zone):%Y%m%d}"
    return Response(
        _sheet(found, form.by, language).encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="evaluation-{form.by}-{days}.csv"'},
    )


def _asked(form: Chosen, zone: ZoneInfo, now: datetime) -> Asked:
    """The form's days as a period: `to` is the last day of it."""
    last = parse_moment(form.last, zone, "to")
    if last is not None:
        day = last.astimezone(zone).date() + timedelta(days=1)
        last = datetime.combine(day, time(), zone)
    until = "" if last is None else last.isoformat()
    period = Period(form.first, until, "", form.category, form.channel, form.grid)
    if form.sort not in SORTS:
        raise BadInput("list.sort_unknown", field="sort", sort=form.sort, known=", ".join(SORTS))
    return period.asked(None, zone, now)


def _before(asked: Asked) -> Asked:
    """As long a period just before, as it stood when it had lasted as long as this one has."""
    length = asked.until - asked.since
    return replace(
        asked,
        since=asked.since - length,
        until=asked.since,
        at=max(asked.at - length, asked.since - length),
    )


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def _last_day(asked: Asked, zone: ZoneInfo) -> date:
    return _day(asked.until - timedelta(microseconds=1), zone)


def _periods(today: date) -> list[tuple[str, date, date]]:
    """What is asked for most: today, this week, this and the last month, this quarter and year."""
    month = today.replace(day=1)
    last_month = (month - timedelta(days=1)).replace(day=1)
    return [
        ("today", today, today),
        ("week", today - timedelta(days=today.weekday()), today),
        ("month", month, today),
        ("last_month", last_month, month - timedelta(days=1)),
        ("quarter", today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), today),
        ("year", today.replace(month=1, day=1), today),
    ]


def _ranked(found: Evaluation, sort: str) -> list[Row]:
    """The best first; parts without a value, and incidents without a part, last."""
    if sort == "key":
        return list(found.rows)

    def value(row: Row) -> float | None:
        if sort in COUNTS:
            return float(row.figures.counts[sort])
        if sort == "mean_disposal_minutes":
            return row.figures.mean_disposal_minutes
        return row.figures.indicators[sort].value

    less = sort in FEWER or sort == "mean_disposal_minutes"

    def place(row: Row) -> tuple[bool, bool, float]:
        known = value(row)
        return row.key is None, known is None, (1 if less else -1) * (known or 0.0)

    return sorted(found.rows, key=place)


def _sheet(found: Evaluation, by: str, language: Language) -> str:
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\r\n")
    counted = list(found.total.counts)
    heads = [translate(language, f"evaluation.by.{by}"), translate(language, "evaluation.name")]
    heads += [translate(language, f"count.{name}") for name in counted]
    for name in INDICATORS:
        shown = translate(language, f"indicator.{name}")
        heads += [shown, f"{shown} ({translate(language, 'evaluation.numerator')})"]
        heads += [f"{shown} ({translate(language, 'evaluation.denominator')})"]
    heads += [translate(language, f"evaluation.{kind}_minutes") for kind in ("mean", "median")]
    sheet.writerow(heads)
    everything = Row("", translate(language, "evaluation.total"), None, found.total)
    for row in (*found.rows, everything):
        figures = row.figures
        named = row.name_zh if row is everything else name_of(row, by, language)
        cells: list[object] = [_plain(row.key or ""), _plain(named or "")]
        cells += [figures.counts[name] for name in counted]
        for name in INDICATORS:
            ratio = figures.indicators[name]
            value = "" if ratio.value is None else round(ratio.value, 6)
            cells += [value, ratio.numerator, ratio.denominator]
        for minutes in (figures.mean_disposal_minutes, figures.median_disposal_minutes):
            cells.append("" if minutes is None else round(minutes, 1))
        sheet.writerow(cells)
    return out.getvalue()


def _plain(written: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{written}" if written[:1] in ("=", "+", "-", "@", "\t") else written
