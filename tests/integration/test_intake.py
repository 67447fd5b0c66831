"""The story of a report: placed, routed, limited, or waiting for a person; never lost, never twice."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import geopandas as gpd
import pytest
import shapely
from pyproj import Geod
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.archive import import_incidents
from dispatch.checking import check_record
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import history_of, one_incident
from dispatch.reports import Report, Taken
from dispatch.steps import Actor, Asked, PlaceGiven, fix_place, make_move
from fixtures.town import InventedTown, make_town
from grid.core.datums import from_wgs84
from grid.core.errors import BadInput, Conflict, NotAllowed, NotFound
from tests.ground import LADDER, MORNING, at, load_lines, two_grids

SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"
OVERFLOW = "06042"
GEOD = Geod(ellps="WGS84")
OPERATOR = Actor("account:operator", "operator", None)


@pytest.fixture(scope="module")
def drawn() -> InventedTown:
    """The invented town as frames: what the database was loaded from."""
    return make_town(incident_count=1)


@pytest.fixture(scope="module")
def streets(drawn: InventedTown) -> gpd.GeoDataFrame:
    return drawn.streets


def apart_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(GEOD.inv(*one, *other)[2])


def crossing(streets: gpd.GeoDataFrame, one: str, other: str) -> tuple[float, float]:
    """Where two streets of the town meet, from the drawn lines alone."""
    lines = [shapely.union_all(streets[streets["name"] == name].geometry) for name in (one, other)]
    middle = shapely.intersection(*lines).centroid
    return middle.x, middle.y


def report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "channel": "hotline_12345",
        "description": SENTENCE,
        "category": OVERFLOW,
    }
    return Report(**(values | changes))


def taken(
    services: Services, session: Session, now: datetime = MORNING, **changes: Any
) -> dict[str, Any]:
    made = take_in(session, services.desk, report(**changes), "account:test", now)
    return one_incident(session, made.number)


def codes(row: dict[str, Any]) -> list[str]:
    return [item["code"] for item in row["reason"]]


def grid_and_cleaner(session: Session, lon: float, lat: float, street: str) -> tuple[str, str]:
    """Grid and cleaner of the nearest segment of a street, by PostGIS's own geography."""
    row = session.execute(
        text(
            "select g.code, f.name from segment s join street t on t.id = s.street_id"
            " join grid_segment h on h.segment_id = s.id and upper_inf(h.valid)"
            " join grid g on g.id = h.grid_id join post_holding p on p.grid_id = g.id"
            " and p.post = 'cleaner' join staff f on f.id = p.staff_id where t.name = :street"
            " order by st_distance(s.line::geography, st_makepoint(:lon, :lat)::geography) limit 1"
        ),
        {"street": street, "lon": lon, "lat": lat},
    ).one()
    return row[0], row[1]


# The sentence of the README.


def test_a_sentence_becomes_a_task_on_a_named_persons_list(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    row = taken(town_services, session)
    lon, lat = crossing(streets, "永胜路", "站前路")
    assert row["match"] == "crossing"
    assert apart_m((row["lon"], row["lat"]), (lon, lat)) < 40
    assert row["lon"] > lon
    assert row["lat"] > lat
    assert row["street"] in ("永胜路", "站前路")
    grid, person = grid_and_cleaner(session, row["lon"], row["lat"], row["street"])
    assert row["grid_code"] == grid
    (task,) = row["tasks"]
    assert (task["post"], task["assignee_name"], task["status"]) == ("cleaner", person, "offered")
    assert (row["status"], row["queue"]) == ("in_disposal", None)


def test_the_limit_is_four_working_hours_over_the_noon_break(
    town_services: Services, session: Session
) -> None:
    # Office hours 08-12 and 14-18: from 09:00 three hours to noon and one after 14:00.
    row = taken(town_services, session)
    assert row["due_at"] == MORNING.replace(hour=15)
    assert row["tasks"][0]["due_at"] == row["due_at"]
    # On Friday 2025-05-30 at 17:00 one hour is left; Monday 06-02 is the Dragon Boat holiday.
    friday = MORNING.replace(month=5, day=30, hour=17)
    late = taken(town_services, session, friday)
    assert late["due_at"] == MORNING.replace(day=3, hour=11)


def test_the_reason_tells_every_step(town_services: Services, session: Session) -> None:
    row = taken(town_services, session)
    steps = [code for code in codes(row) if code != "grid.border"]
    assert steps == [
        *("place.words", "segment.nearest", "grid.holds", "post.by_category"),
        *("person.holder", "limit.of_condition"),
    ]


def test_the_record_tells_who_did_what_and_its_chain_holds(
    town_services: Services, session: Session
) -> None:
    row = taken(town_services, session)
    lines = [(line["move"], line["actor"]) for line in history_of(session, row["id"])]
    assert lines == [
        ("report", "account:test"),
        *((move, "system") for move in ("accept", "file", "dispatch", "assign")),
    ]
    assert check_record(session) == []


def test_the_person_is_told_in_the_same_transaction(
    town_services: Services, session: Session
) -> None:
    row = taken(town_services, session)
    notices = session.execute(
        text("select staff_id, kind from notice where incident_id = :id"), {"id": row["id"]}
    ).all()
    assert [tuple(n) for n in notices] == [(row["tasks"][0]["assignee_id"], "task_offered")]


# Points.


def test_a_point_in_the_map_vendors_datum_is_shifted_back(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    place = crossing(streets, "永胜路", "站前路")
    for datum in ("gcj02", "bd09", "epsg:4547"):
        x, y = (float(v) for v in from_wgs84(*place, datum))
        row = taken(town_services, session, description="垃圾满溢", point=GivenPoint(x, y, datum))
        assert row["match"] == "point"
        assert apart_m((row["lon"], row["lat"]), place) < 0.01
        assert (row["given_datum"], row["given_lon"]) == (datum, pytest.approx(x))


def test_a_point_and_words_that_agree_are_surer_than_either(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    lon, lat = crossing(streets, "永胜路", "站前路")
    row = taken(town_services, session, point=GivenPoint(lon + 0.0003, lat, "wgs84"))
    assert "place.words_agree" in codes(row)
    assert row["confidence"] > 0.97
    assert row["lon"] == pytest.approx(lon + 0.0003, abs=1e-7)
    assert row["queue"] is None


def test_a_point_far_from_its_own_words_waits_for_a_person_with_both(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    lon, lat = crossing(streets, "永胜路", "站前路")
    far = (lon + 0.004, lat)
    row = taken(town_services, session, point=GivenPoint(*far, "wgs84"))
    assert apart_m(far, (lon, lat)) > 200
    assert (row["status"], row["queue"]) == ("reported", "place_needed")
    assert row["flags"] == ["point_disagrees"]
    assert (row["lon"], row["tasks"]) == (None, [])
    candidates = row["geocoding"]["candidates"]
    assert candidates[-1]["match"] == "point"
    assert apart_m((candidates[-1]["lon"], candidates[-1]["lat"]), far) < 1
    assert apart_m((candidates[0]["lon"], candidates[0]["lat"]), (lon, lat)) < 40


@pytest.mark.parametrize(
    ("lon", "lat", "said", "found"),
    [
        (116.4, 39.9, "wgs84", []),
        (0.0, 0.0, "wgs84", []),
        (33.6, 114.6, "wgs84", ["wgs84"]),
    ],
    ids=["another city", "null island", "lon and lat swapped"],
)
def test_a_point_outside_the_town_waits_and_swapped_axes_are_seen(
    town_services: Services, session: Session, lon: float, lat: float, said: str, found: list[str]
) -> None:
    row = taken(town_services, session, description="垃圾满溢", point=GivenPoint(lon, lat, said))
    assert (row["status"], row["queue"], row["lon"]) == ("reported", "place_needed", None)
    assert row["flags"][0] == "point_outside"
    candidates = row["geocoding"]["candidates"]
    assert [c["datum"] for c in candidates[:1]] == found
    for candidate in candidates[:1]:
        assert (candidate["lon"], candidate["lat"]) == pytest.approx((114.6, 33.6))


def test_a_wrong_datum_is_suspected_when_another_brings_the_point_home(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    # The easternmost place, written in GCJ-02 without saying so, lies some 500 m outside the town.
    places = shapely.get_coordinates(streets.geometry.to_numpy())
    x, y = (float(v) for v in from_wgs84(*places[places[:, 0].argmax()], "gcj02"))
    row = taken(town_services, session, description="", point=GivenPoint(x, y, "wgs84"))
    assert "datum_suspect" in row["flags"]
    assert "gcj02" in [c["datum"] for c in row["geocoding"]["candidates"]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"channel": "pigeon"}, "channel.unknown"),
        ({"category": "99999"}, "category.unknown"),
        ({"point": GivenPoint(114.6, 33.6, "mars")}, "datum.unknown"),
        ({"point": GivenPoint(float("nan"), 33.6, "wgs84")}, "point.not_finite"),
        ({"point": GivenPoint(float("inf"), 33.6, "wgs84")}, "point.not_finite"),
        ({"description": "  \n"}, "report.empty"),
        ({"description": "满" * 10_001}, "report.too_long"),
        ({"description": "坏\x00字"}, "report.unreadable"),
        ({"occurred_at": MORNING + timedelta(hours=1)}, "report.in_future"),
        (
            {"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
            "report.long_ago",
        ),
    ],
)
def test_what_cannot_be_a_report_is_refused_by_its_code(
    town_services: Services, session: Session, changes: dict[str, Any], code: str
) -> None:
    before = session.scalar(text("select count(*) from incident"))
    with pytest.raises((BadInput, NotFound)) as raised:
        take_in(session, town_services.desk, report(**changes), "x", MORNING)
    assert raised.value.code == code
    assert session.scalar(text("select count(*) from incident")) == before


# Never lost.


@pytest.mark.parametrize(
    "words",
    [
        "🗑️🔥 满了!!! 👨‍👩‍👧‍👦",
        "满" * 9_000,
        "永" * 9_000,
        "1" * 9_000,
        "永胜路与" * 2_000,
        "<script>alert(1)</script><b>永胜路</b> & 'or 1=1 --",
        "\x01\x02\x07\x1b[31m红\x7f",
        "%s %(a)s :name {street} \\ \\x",
        "‮永胜路‬\u200b\ufeff",
        "Ｙｏｎｇｓｈｅｎｇ Ｌｕ １２号",
        "永胜路与永胜路交叉口",
        "号",
        "路",
        "a\ud7ffz",
    ],
    ids=lambda words: repr(words[:12]),
)
def test_odd_words_are_recorded_as_they_came(
    town_services: Services, session: Session, words: str
) -> None:
    row = taken(town_services, session, description=words)
    assert row["description"] == words
    assert row["queue"] is not None or row["tasks"]


def test_words_that_name_no_place_wait_in_the_place_queue(
    town_services: Services, session: Session
) -> None:
    row = taken(town_services, session, description="今天垃圾没有人收")
    assert (row["status"], row["queue"]) == ("reported", "place_needed")
    assert codes(row) == ["place.not_read"]


def test_without_a_category_it_waits_for_somebody_to_file_it(
    town_services: Services, session: Session
) -> None:
    row = taken(town_services, session, category=None)
    assert row["queue"] == "to_file"
    assert (row["status"], row["due_at"], row["tasks"]) == ("accepted", None, [])
    assert row["grid_code"] is not None
    assert "category.none" in codes(row)


def test_in_a_town_without_streets_reports_are_recorded_and_wait(
    empty_services: Services,
) -> None:
    with empty_services.sessions() as session:
        row = taken(empty_services, session, point=GivenPoint(114.6, 33.6, "wgs84"))
        assert (row["status"], row["queue"]) == ("reported", "place_needed")
        assert codes(row) == ["place.no_streets"]
        assert row["given_lon"] == 114.6
        session.rollback()


def test_in_a_town_without_grids_or_people_a_placed_report_waits(
    empty_services: Services,
) -> None:
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        where = GivenPoint(*at(0.5, 0.01), "wgs84")
        without_grid = taken(empty_services, session, description="满", point=where)
        assert without_grid["street"] == "东风路"
        assert without_grid["queue"] is not None
        assert "grid.none" in codes(without_grid)
        two_grids(session, MORNING)
        nobody = taken(empty_services, session, description="满", point=where)
        assert nobody["grid_code"] == "A"
        assert nobody["queue"] is not None
        assert "person.none" in codes(nobody)
        assert check_record(session) == []
        session.rollback()


def test_a_changed_ground_answers_at_once(empty_services: Services) -> None:
    """No process may go on with streets or crews of yesterday."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        before = taken(empty_services, session, description="解放路与二巷交叉口")
        assert before["match"] == "crossing"
        load_lines(session, MORNING + timedelta(days=1), *LADDER[:3], *LADDER[4:])
        after = taken(empty_services, session, description="解放路与二巷交叉口")
        assert after["match"] != "crossing"
        session.rollback()
    with empty_services.sessions() as session:
        assert taken(empty_services, session)["queue"] == "place_needed"
        session.rollback()


# Channels that are not trusted.


def test_a_citizens_report_waits_to_be_accepted_and_then_goes_on_to_its_person(
    town_services: Services, session: Session
) -> None:
    row = taken(town_services, session, channel="citizen")
    assert (row["status"], row["queue"], row["tasks"]) == ("reported", "to_accept", [])
    make_move(session, town_services.desk, row["number"], Asked("accept"), OPERATOR, MORNING)
    after = one_incident(session, row["number"])
    assert after["status"] == "in_disposal"
    assert [task["assignee_name"] for task in after["tasks"]] != []
    assert after["due_at"] == MORNING.replace(hour=15)


def test_who_works_in_a_grid_may_not_accept(town_services: Services, session: Session) -> None:
    row = taken(town_services, session, channel="citizen")
    cleaner = Actor("account:cleaner", "cleaner", 41)
    with pytest.raises(NotAllowed) as raised:
        make_move(session, town_services.desk, row["number"], Asked("accept"), cleaner, MORNING)
    assert raised.value.code == "move.not_yours"


# A place fixed by hand.


def test_a_fixed_place_sends_the_report_on_its_way(
    town_services: Services, session: Session, streets: gpd.GeoDataFrame
) -> None:
    lon, lat = crossing(streets, "永胜路", "站前路")
    row = taken(town_services, session, point=GivenPoint(lon + 0.004, lat, "wgs84"))
    given = PlaceGiven(None, 0, None, row["version"])
    fix_place(session, town_services.desk, row["number"], given, OPERATOR, MORNING)
    after = one_incident(session, row["number"])
    assert (after["status"], after["queue"]) == ("in_disposal", None)
    assert apart_m((after["lon"], after["lat"]), (lon, lat)) < 40
    assert after["tasks"][0]["post"] == "cleaner"
    assert (after["confidence"], codes(after)[0]) == (1.0, "place.by_hand")
    assert "point_disagrees" not in after["flags"]
    with pytest.raises(Conflict) as raised:
        fix_place(session, town_services.desk, row["number"], given, OPERATOR, MORNING)
    assert raised.value.code == "incident.changed"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (PlaceGiven(None, None, None, None), "place.nothing_chosen"),
        (PlaceGiven(None, 99, None, None), "place.candidate_unknown"),
        (PlaceGiven(GivenPoint(116.4, 39.9, "wgs84"), None, None, None), "place.outside"),
    ],
)
def test_a_place_that_is_none_is_refused(
    town_services: Services, session: Session, given: PlaceGiven, code: str
) -> None:
    row = taken(town_services, session, description="垃圾没有人收")
    with pytest.raises(BadInput) as raised:
        fix_place(session, town_services.desk, row["number"], given, OPERATOR, MORNING)
    assert raised.value.code == code


# Never twice.


@pytest.mark.parametrize(
    "key",
    [{"idempotency_key": "k-1"}, {"external_id": "12345-0001"}],
    ids=["idempotency key", "external id"],
)
def test_the_same_report_again_is_the_same_incident(
    town_services: Services, session: Session, key: dict[str, str]
) -> None:
    first = take_in(session, town_services.desk, report(**key), "x", MORNING)
    second = take_in(
        session, town_services.desk, report(**key), "x", MORNING + timedelta(minutes=1)
    )
    assert (first.created, second.created) == (True, False)
    assert second.number == first.number
    assert len(history_of(session, first.incident_id)) == 5


def test_a_key_that_comes_back_with_other_words_is_a_conflict(
    town_services: Services, session: Session
) -> None:
    take_in(session, town_services.desk, report(idempotency_key="k-2"), "x", MORNING)
    other = report(idempotency_key="k-2", description="另一件事")
    with pytest.raises(Conflict) as raised:
        take_in(session, town_services.desk, other, "x", MORNING)
    assert raised.value.code == "incident.key_reused"


def test_one_external_id_on_two_channels_is_two_incidents(
    town_services: Services, session: Session
) -> None:
    made = [
        take_in(session, town_services.desk, report(channel=channel, external_id="7"), "x", MORNING)
        for channel in ("hotline_12345", "hotline_12319")
    ]
    assert [one.created for one in made] == [True, True]


@pytest.mark.parametrize("name", ["idempotency_key", "external_id"])
def test_eight_threads_with_one_report_make_one_incident(
    town_services: Services, name: str
) -> None:
    made: list[Taken] = []
    failures: list[Exception] = []
    together = threading.Barrier(8)

    def send() -> None:
        try:
            with town_services.sessions() as session:
                together.wait()
                one = take_in(
                    session, town_services.desk, report(**{name: f"race-{name}"}), "x", MORNING
                )
                session.commit()
                made.append(one)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(made) == 8
    assert sum(one.created for one in made) == 1
    assert len({one.number for one in made}) == 1
    with town_services.sessions() as session:
        assert len(history_of(session, made[0].incident_id)) == 5
        tasks = session.scalar(
            text("select count(*) from task where incident_id = :id"),
            {"id": made[0].incident_id},
        )
        assert tasks == 1
        assert check_record(session) == []


def test_importing_the_same_file_twice_makes_nothing_new(
    town_services: Services, session: Session, drawn: InventedTown
) -> None:
    table = drawn.incidents[[c for c in drawn.incidents if not c.startswith("truth")]].assign(
        external_id="A-1"
    )
    first = import_incidents(session, town_services.desk, table, "system", MORNING, dry_run=False)
    again = import_incidents(session, town_services.desk, table, "system", MORNING, dry_run=False)
    assert (first.taken, first.refused) == (1, [])
    assert (again.taken, again.known_before) == (0, 1)
