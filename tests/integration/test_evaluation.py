"""The evaluation of the invented town's year against the layer of the same counts, which is written in SQL by other hands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.evaluation import DIMENSIONS, cases, evaluate
from dispatch.evaluation_frame import Asked
from dispatch.indicators import INDICATORS
from grid.core.errors import BadInput

NOW = datetime.now(UTC)
LONG = timedelta(days=400)
# What both count; the layer knows nothing of dispatching, verifying, checking and patrols.
SHARED = (
    *("reported", "on_the_spot", "merged", "filed_with_void", "filed", "due", "due_without_appeal"),
    *("closed", "closed_on_time", "closed_late", "disposed", "disposed_on_time", "overdue"),
    *("reworked", "reopened"),
)


@pytest.fixture(scope="module")
def session(town_services: Services) -> Iterator[Session]:
    with town_services.sessions() as opened:
        yield opened


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked(NOW - LONG, NOW, NOW)


def test_by_grid_as_the_layer_counts(
    town_services: Services, session: Session, asked: Asked
) -> None:
    found = evaluate(session, town_services.desk.catalogue(session), asked, "grid")
    rows = session.execute(
        text(
            "select code, reported, on_the_spot, merged, filed_with_void, filed, due, due_without_appeal, closed,"
            " closed_on_time, closed_late, disposed, disposed_on_time, overdue, reworked, reopened"
            " from gis.evaluation_of(:since, :until) where reported > 0 order by code"
        ),
        {"since": asked.since, "until": asked.until},
    ).mappings()
    layer = {row["code"]: {name: row[name] for name in SHARED} for row in rows}
    mine = {
        row.key: {name: row.figures.counts[name] for name in SHARED}
        for row in found.rows
        if row.key is not None
    }
    assert len(layer) > 10
    assert mine == layer


@pytest.mark.parametrize("by", DIMENSIONS)
def test_parts_add_up_to_the_whole_and_cases_to_their_number(
    town_services: Services, session: Session, asked: Asked, by: str
) -> None:
    catalogue = town_services.desk.catalogue(session)
    found = evaluate(session, catalogue, asked, by)
    for name, whole in found.total.counts.items():
        assert sum(row.figures.counts[name] for row in found.rows) == whole, name
    for name, (above, below) in INDICATORS.items():
        ratio = found.total.indicators[name]
        assert ratio.numerator == found.total.counts[above]
        assert ratio.denominator == found.total.counts[below]
    assert all(row.name_zh for row in found.rows if row.key is not None and by != "post")
    row = next(row for row in found.rows if row.key is not None)
    numbers = cases(session, catalogue, asked, by, row.key, "filed")
    assert len(numbers) == len(set(numbers)) == row.figures.counts["filed"]
    without = [row for row in found.rows if row.key is None]
    left = cases(session, catalogue, asked, by, None, "reported")
    assert len(left) == (without[0].figures.counts["reported"] if without else 0)


def test_a_period_that_is_over_stays_as_it_was(town_services: Services, session: Session) -> None:
    """What happened after the moment is not seen: no closing, no check, no rework of later."""
    catalogue = town_services.desk.catalogue(session)
    # Between the report of one incident and its closing, so that the moment cuts at least one in two.
    until: datetime = session.execute(
        text(
            "select i.reported_at + (h.at - i.reported_at) / 2 from incident i"
            " join history h on h.incident_id = i.id and h.move = 'close' and h.at > i.reported_at"
            " order by i.id limit 1 offset 5"
        )
    ).scalar_one()
    then = evaluate(session, catalogue, Asked(until - LONG, until, until), "grid").total.counts
    now = evaluate(session, catalogue, Asked(until - LONG, until, NOW), "grid").total.counts
    assert then["reported"] == now["reported"]
    closed = session.scalar(
        text(
            "select count(*) from incident i where reported_at >= :since and reported_at < :until"
            " and (select h.to_status from history h where h.incident_id = i.id and h.at <= :until"
            " order by h.seq desc limit 1) = 'closed'"
        ),
        {"since": until - LONG, "until": until},
    )
    assert then["closed"] == closed < now["closed"]


def test_names_of_people_are_withheld(
    town_services: Services, session: Session, asked: Asked
) -> None:
    catalogue = town_services.desk.catalogue(session)
    found = evaluate(session, catalogue, asked, "person", with_people=False)
    assert all(row.key and row.name_zh is None for row in found.rows if row.key is not None)


def test_bad_questions(town_services: Services, session: Session, asked: Asked) -> None:
    catalogue = town_services.desk.catalogue(session)
    with pytest.raises(BadInput, match=r"evaluation\.by_unknown"):
        evaluate(session, catalogue, asked, "street")
    with pytest.raises(BadInput, match=r"evaluation\.period_turned"):
        evaluate(session, catalogue, Asked(NOW, NOW, NOW), "grid")
    with pytest.raises(BadInput, match=r"evaluation\.count_unknown"):
        cases(session, catalogue, asked, "grid", "", "nothing")
