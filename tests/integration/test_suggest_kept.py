"""Learning categories from the closed incidents of a database: what is taken, kept, used, and when it is not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.jobs import learn_categories
from api.services import Services
from dispatch.suggest import suggest
from dispatch.suggest_kept import (
    KEPT,
    SuggestionBook,
    closed_cases,
    model_list,
    suggestions,
    train_and_keep,
)
from dispatch.suggest_training import LEAST_CASES, Case, train
from fixtures.town import make_town
from grid.core.errors import Conflict

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
WORDS = {"09001": "鬼市又摆出来了", "01004": "水帘洞下面又淹了", "06012": "满地都是鬼画符"}
_CLOSED = text(
    "insert into incident (number, channel_code, category_code, description, status, occurred_at,"
    " reported_at, ended_at, facts, clocks, ground_version)"
    " values (:number, 'patrol', :category, :said, :status, :at, :at, :at, '{}', '[]', 1)"
)


def told(session: Session, count: int, *, status: str = "closed", words: dict[str, str] = WORDS, since: int = 0) -> None:  # fmt: skip
    """So many incidents, an hour apart, taking turns through the categories."""
    codes = sorted(words)
    session.execute(
        _CLOSED,
        [
            {
                "number": f"T-{status}-{since + n}",
                "category": codes[n % len(codes)],
                "said": f"永胜路{n % 90}号附近{words[codes[n % len(codes)]]}",
                "status": status,
                "at": NOW - timedelta(hours=2000 - since - n),
            }
            for n in range(count)
        ],
    )


def test_only_what_is_closed_teaches_and_too_little_teaches_nothing(
    session: Session, town_services: Services
) -> None:
    session.execute(text("update incident set status = 'in_disposal' where status = 'closed'"))
    told(session, 200)
    told(session, 200, status="void")
    taught = closed_cases(session, NOW)
    assert len(taught) == 200
    assert taught[0] == Case("永胜路0号附近水帘洞下面又淹了", "01004")
    with pytest.raises(Conflict) as refused:
        train_and_keep(session, "command", NOW)
    assert refused.value.code == "suggest.too_few_cases"
    assert refused.value.values == {"cases": 200, "needed": LEAST_CASES}
    learn_categories(session, town_services.desk, NOW)
    assert model_list(session) == []
    assert SuggestionBook().read(session) is None


def test_a_category_that_has_ended_counts_for_its_successor(session: Session) -> None:
    session.execute(text("update incident set status = 'in_disposal' where status = 'closed'"))
    told(session, 30)
    session.execute(
        text("update category set ended_at = :now, replaced_by = '09006' where code = '09001'"),
        {"now": NOW},
    )
    session.execute(text("update category set ended_at = :now where code = '06012'"), {"now": NOW})
    assert Counter(c.category for c in closed_cases(session, NOW)) == {"09006": 10, "01004": 10}


def test_the_job_learns_and_every_process_takes_it_over(
    session: Session, town_services: Services
) -> None:
    told(session, LEAST_CASES)
    book, words = SuggestionBook(), "站前路附近的鬼市又摆出来了"
    assert suggest(words) == []
    learn_categories(session, town_services.desk, NOW)
    (row,) = model_list(session)
    assert (row["trained_by"], row["in_use"]) == ("worker", True)
    assert row["keywords_right"] < row["learned_right"]
    assert row["keywords_right"] < row["together_right"]
    learned = book.read(session)
    assert learned is not None
    assert book.read(session) is learned
    codes = sorted(WORDS)
    (best, *_) = suggestions(words, learned, codes, 3)
    assert (best.category, best.source) == ("09001", "learned")
    assert "09001" not in [s.category for s in suggestions(words, learned, ["01004"], 3)]
    # A newer one that is worse than the keywords ends the use of the older.
    session.execute(text("delete from incident where number like 'T-%'"))
    told(session, 240, words=dict.fromkeys(("09001", "09002", "09006"), "垃圾桶满了"))
    told(session, 100, words={"06042": "垃圾桶满了"}, since=240)
    worse = train_and_keep(session, "command", NOW)
    assert not worse.in_use
    assert book.read(session) is None
    assert [r["in_use"] for r in model_list(session)] == [False, False]


def test_only_the_newest_models_are_kept_whole(session: Session) -> None:
    told(session, LEAST_CASES)
    for _ in range(KEPT + 1):
        train_and_keep(session, "command", NOW)
    whole = session.scalars(text("select model is not null from suggestion_model order by id"))
    assert list(whole) == [False, *[True] * KEPT]


def test_on_the_invented_towns_year_it_is_better_than_the_keywords() -> None:
    """The year's sentences come from some 250 turns of phrase, so the figure flatters; the keywords read the same."""
    year = make_town().incidents
    closed = year[year.outcome == "closed"].sort_values("occurred_at").tail(3000)
    made = train([Case(d, c) for d, c in zip(closed.description, closed.category, strict=True)])
    assert made is not None
    model, figures = made
    print(
        f"\n{figures.cases} closed incidents, {figures.categories} categories; of {figures.held_back} held back"
    )
    for way in ("keywords", "learned", "together"):
        print(
            f"  {way:9s} {getattr(figures, way + '_right') / figures.held_back:.3f} right at first"
        )
    print(f"  exponents: sharpness {model.sharpness:.2f}, trust {model.trust:.2f}")
    assert figures.held_back == 600
    assert figures.good_enough
    assert figures.together_right >= figures.keywords_right + 0.1 * figures.held_back
    assert figures.together_right >= 0.9 * figures.held_back
