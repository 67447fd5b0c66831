"""Lists by filters: every way of gathering a page finds the same, and words are found wherever they stand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch import listing
from dispatch.filters import IncidentFilter, where_of
from dispatch.intake import take_in
from dispatch.reading import list_incidents
from dispatch.reports import Report
from dispatch.scope import Scope, scope_of
from tests.ground import MORNING

SENTENCES = (
    "永胜路与站前路交叉口东北角垃圾满溢",
    "永胜路12号门口路灯不亮",
    "A broken lamp, No. 5 永胜路",
)
CATEGORIES = ("06042", "01001", None)


@pytest.fixture(scope="module")
def filled(town_services: Services) -> Services:
    """Forty reports a minute apart, every third of them ended."""
    with town_services.sessions() as session:
        made = [
            take_in(
                session,
                town_services.desk,
                Report("hotline_12345", SENTENCES[n % 3], CATEGORIES[n % 2]),
                "account:operator",
                MORNING + timedelta(minutes=n // 2),
            )
            for n in range(40)
        ]
        ended = [one.incident_id for one in made[::3]]
        session.execute(
            text(
                "update incident set status = 'closed', queue = null, ended_at = now(),"
                " flags = '{odd}' where id = any(:ids)"
            ),
            {"ids": ended},
        )
        session.commit()
    return town_services


def filters(session: Session) -> list[IncidentFilter]:
    person, unit = session.execute(
        text(
            "select assignee_id, s.id from task t join staff s on s.heads_unit"
            " where assignee_id is not null limit 1"
        )
    ).one()
    grid_id, code = session.execute(
        text("select g.id, g.code from incident i join grid g on g.id = i.grid_id limit 1")
    ).one()
    later = MORNING + timedelta(days=3)
    return [
        IncidentFilter(),
        IncidentFilter(open_only=True),
        IncidentFilter(statuses=("closed",)),
        IncidentFilter(queue="place_needed"),
        IncidentFilter(grid=code, open_only=True),
        IncidentFilter(category="06042", from_at=MORNING + timedelta(minutes=5)),
        IncidentFilter(flag="odd"),
        IncidentFilter(flag="none"),
        IncidentFilter(flag="odd", words="永胜路", statuses=("closed",)),
        IncidentFilter(statuses=("closed", "filed")),
        IncidentFilter(grid="no such grid"),
        IncidentFilter(overdue_at=later),
        IncidentFilter(bbox=(-180, -90, 180, 90)),
        IncidentFilter(words="永胜路"),
        IncidentFilter(words="灯", open_only=True),
        IncidentFilter(words="路灯", post="cleaner"),
        IncidentFilter(words="Lamp, no"),
        IncidentFilter(words="100%_\\'"),
        IncidentFilter(words="  "),
        IncidentFilter(post="cleaner"),
        IncidentFilter(post="cleaner", open_only=True),
        IncidentFilter(assignee_id=person),
        IncidentFilter(scope=scope_of(session, person, "person", later)),
        IncidentFilter(scope=scope_of(session, unit, "unit", later), open_only=True),
        IncidentFilter(scope=Scope((grid_id,), (person, unit))),
        IncidentFilter(scope=Scope((grid_id,), (person, unit)), words="垃圾"),
        IncidentFilter(scope=Scope((grid_id,), (person,)), post="cleaner", open_only=True),
        IncidentFilter(scope=Scope((grid_id,))),
        IncidentFilter(scope=Scope((), (), ((grid_id, "cleaner"), (grid_id, "officer")))),
        IncidentFilter(scope=Scope((), (person,)), words="Lamp, no"),
        IncidentFilter(scope=Scope()),
    ]


# How far is counted, how many are looked at first, among how many reading on goes, and how many people are few.
@pytest.mark.parametrize(
    ("most", "look", "read_on", "few"),
    [
        (3, 5, 20, 0),
        (3, 2, 4, 0),
        (15, 4, 40, 0),
        (15, 9, 10, 20),
        (15, 9, 500, 0),
        (1000, 1000, 12000, 20),
    ],
)
def test_every_way_finds_the_same_page(
    filled: Services,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    look: int,
    read_on: int,
    few: int,
) -> None:
    monkeypatch.setattr(listing, "COUNT_LIMIT", most)
    monkeypatch.setattr(listing, "FIRST_LOOK", look)
    monkeypatch.setattr(listing, "READ_ON", read_on)
    monkeypatch.setattr(listing, "WALK_LIMIT", max(read_on, 10))
    monkeypatch.setattr(listing, "FEW_PEOPLE", few)
    counts = set()
    for asked in filters(session):
        where = where_of(asked)
        for sort, order in listing.SORTS.items():
            plain = list(
                session.scalars(
                    text(f"select i.id from incident i {where.sql()} order by {order}"),
                    where.values,
                )
            )
            for page, size in ((1, 7), (2, 7), (9, 7)):
                found = list_incidents(session, asked, sort, page, size)
                expected = plain[(page - 1) * size : page * size]
                assert [item["id"] for item in found.items] == expected, (asked, sort, page)
                assert found.total == min(len(plain), most)
                assert found.total_is_least == (len(plain) > most)
        counts.add(len(plain))
    assert min(counts) == 0
    assert max(counts) >= 40
    assert len(counts) > 6


def test_a_county_is_counted_whole_and_a_metropolis_is_not(
    filled: Services, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = session.scalar(text("select count(*) from incident"))
    found = list_incidents(session, IncidentFilter(), "number", 1, 5)
    assert (found.total, found.total_is_least) == (every, False)
    monkeypatch.setattr(listing, "LARGE_TABLE", 1)
    monkeypatch.setattr(listing, "LARGE_COUNT_LIMIT", 10)
    found = list_incidents(session, IncidentFilter(), "number", 1, 5)
    assert (found.total, found.total_is_least, len(found.items)) == (10, True, 5)


def test_words_are_what_the_text_says(filled: Services, session: Session) -> None:
    def found(words: str) -> int:
        return list_incidents(session, IncidentFilter(words=words), "number", 1, 50).total

    assert found("12号门口路灯不亮") == 13
    assert found("BROKEN lamp") == 13
    assert found("路12号门口路灯") == 13
    assert found("12号路") == 0
    assert found("12%号") == 0


# Few letters, so that texts meet their words; with what is special to LIKE and to searching.
SIGNS = st.text("永胜路a1B '\\%_&|!:*\n", max_size=8)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SIGNS, SIGNS, st.integers(0, 8), st.integers(1, 8))
def test_no_part_of_a_text_is_missed(
    session: Session, description: str, address: str, begin: int, length: int
) -> None:
    for said in (description, address):
        words = said[begin : begin + length]
        if words:
            assert session.scalar(
                text("select search_grams(:d, :a) @@ search_query(:words)"),
                {"d": description, "a": address, "words": words},
            ), words
