"""People as bureaus keep them: lists in and out, leave, leaders in levels, and who held what at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import one_incident
from dispatch.reports import Report
from grid.crews import crew_at, grid_crew, missing_posts
from grid.loading.absences import load_absences
from grid.loading.people import load_crews, load_staff
from grid.sources.tables import read_table
from maps.frames import grids_list
from tests.command import command_on
from tests.ground import LADDER, MORNING, ZONE, at, load_lines, segment_ids, two_grids
from tests.web import Office, office

ZONE_NAME = "Asia/Shanghai"
OVERFLOW = "06042"
STAFF = [
    ("O1", "王一", "officer", "执法队", ""),
    ("C1", "李二", "cleaner", "环卫站", "L1"),
    ("C2", "赵三", "cleaner", "环卫站", "L1"),
    ("G1", "吴六", "gardener", "园林站", ""),
    ("M1", "冯八", "maintainer", "市政所", ""),
    ("L1", "周五", "leader", "局", "L2"),
    ("L2", "陈九", "leader", "局", "局长十"),
    ("L3", "局长十", "leader", "局", ""),
]


def day(number: int, hour: int = 0) -> datetime:
    """A day of July 2025 in the town."""
    return datetime(2025, 7, number, hour, tzinfo=ZONE)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A and B, and staff in three levels; rolled back after the test."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        frame = pd.DataFrame(STAFF, columns=["staff_no", "name", "post", "unit", "reports_to"])
        assert load_staff(session, frame).refused == []
        yield session
        session.rollback()


def crews(session: Session, *rows: dict[str, str]) -> list[tuple[int, str]]:
    report = load_crews(session, pd.DataFrame(list(rows)), MORNING, time_zone=ZONE_NAME)
    return [(item.row, item.code) for item in report.refused]


def absences(session: Session, *rows: dict[str, str]) -> list[tuple[int, str]]:
    report = load_absences(session, pd.DataFrame(list(rows)), time_zone=ZONE_NAME)
    return [(item.row, item.code) for item in report.refused]


def cleaner(session: Session, moment: datetime, segment_id: int | None = None) -> object:
    grid_id = int(session.scalar(text("select id from grid where code = 'A'")) or 0)
    found = crew_at(session, grid_id, segment_id, moment).answering("cleaner")
    return None if found is None else (found.person.name, found.standing, found.in_place_of)


# Leave.


def test_leave_holds_to_the_end_of_its_last_day(ladder: Session) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1"})
    leave = {"staff_no": "C1", "from": "2025-07-02", "to": "2025-07-03", "substitute": "赵三"}
    assert absences(ladder, leave) == []
    assert cleaner(ladder, day(2) - timedelta(seconds=1)) == ("李二", "holder", None)
    assert cleaner(ladder, day(2)) == ("赵三", "substitute", "李二")
    assert cleaner(ladder, day(3, 23)) == ("赵三", "substitute", "李二")
    assert cleaner(ladder, day(4)) == ("李二", "holder", None)


def test_leave_may_name_the_hour_and_come_again(ladder: Session) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1"})
    leave = {"staff_no": "C1", "from": "2025-07-02 08:00", "to": "2025-07-02 12:00"}
    assert absences(ladder, leave | {"substitute": "O1"}) == []
    assert absences(ladder, leave | {"substitute": "C2", "reason": "病假"}) == []
    assert ladder.scalar(text("select count(*) from absence")) == 1
    assert cleaner(ladder, day(2, 9)) == ("赵三", "substitute", "李二")
    assert cleaner(ladder, day(2, 12)) == ("李二", "holder", None)


def test_every_refused_leave_says_why_and_the_others_are_taken(ladder: Session) -> None:
    good = {"staff_no": "C1", "from": "2025-07-02", "to": "2025-07-09"}
    rows: list[tuple[dict[str, str], str | None]] = [
        (good, None),
        (good | {"staff_no": "X"}, "crews.person_unknown"),
        (good | {"staff_no": ""}, "absences.person_missing"),
        (good | {"substitute": "X"}, "crews.person_unknown"),
        (good | {"substitute": "李二"}, "absences.substitute_self"),
        (good | {"from": ""}, "absences.date_missing"),
        (good | {"to": "不详"}, "crews.date_unreadable"),
        (good | {"to": "2025-07-01"}, "absences.period_empty"),
        (good | {"from": "2025-07-05"}, "absences.overlaps"),
        (good | {"staff_no": "C2"}, None),
    ]
    expected = [(line, code) for line, (_, code) in enumerate(rows, start=2) if code]
    assert absences(ladder, *(row for row, _ in rows)) == expected
    assert ladder.scalar(text("select count(*) from absence")) == 2


# Leaders in levels.


def test_the_leaders_leader_answers_when_nobody_below_is_there(ladder: Session) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1", "leader": "L1"})
    for who, expected in (
        ("C1", ("周五", "leader", "李二")),
        ("L1", ("陈九", "leader_above", "李二")),
        ("L2", ("局长十", "leader_above", "李二")),
        ("L3", None),
    ):
        assert absences(ladder, {"staff_no": who, "from": "2025-07-02", "to": "2025-07-03"}) == []
        assert cleaner(ladder, day(2)) == expected
    assert cleaner(ladder, day(4)) == ("李二", "holder", None)


def test_a_grid_without_a_leader_asks_those_its_people_report_to(ladder: Session) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1"})
    absences(ladder, {"staff_no": "C1", "from": "2025-07-02", "to": "2025-07-03"})
    assert cleaner(ladder, day(2)) == ("周五", "leader_above", "李二")


def test_an_incident_for_the_leader_above_says_so(
    ladder: Session, empty_services: Services
) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1", "leader": "L1"})
    for who in ("C1", "L1"):
        absences(ladder, {"staff_no": who, "from": "2025-07-02", "to": "2025-07-03"})
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category=OVERFLOW,
        point=GivenPoint(*at(0.02, 0.5), "wgs84"),
    )
    taken = take_in(ladder, empty_services.desk, report, "account:test", day(2, 10))
    row = one_incident(ladder, taken.number)
    assert row["tasks"][0]["assignee_name"] == "陈九"
    assert "person.leader_above" in [item["code"] for item in row["reason"]]


def test_leaders_in_a_circle_or_unknown_are_refused(ladder: Session) -> None:
    frame = pd.DataFrame(
        [("L3", "局长十", "leader", "C1"), ("O1", "王一", "officer", "X"), ("G1", "吴六", "gardener", "周五")],
        columns=["staff_no", "name", "post", "reports_to"],
    )  # fmt: skip
    report = load_staff(ladder, frame)
    assert [(r.row, r.code) for r in report.refused] == [
        (2, "staff.leader_circle"),
        (3, "staff.leader_unknown"),
    ]
    rows = ladder.execute(
        text(
            "select s.staff_no, l.staff_no as leader from staff s"
            " left join staff l on l.id = s.reports_to where s.staff_no in ('L3', 'O1', 'G1')"
        )
    )
    assert {row.staff_no: row.leader for row in rows} == {"L3": None, "O1": None, "G1": "L1"}


def test_a_list_without_leaders_leaves_them_as_they_are(ladder: Session) -> None:
    frame = pd.DataFrame([("C1", "李二", "cleaner")], columns=["staff_no", "name", "post"])
    load_staff(ladder, frame)
    above = ladder.scalar(text("select reports_to from staff where staff_no = 'C1'"))
    assert above == ladder.scalar(text("select id from staff where staff_no = 'L1'"))


# Crews as bureaus keep them.


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_one_row_per_segment_with_four_names(ladder: Session, tmp_path: Path, ending: str) -> None:
    ids = segment_ids(ladder)
    names = {"城管队员": "王一", "保洁员": "赵三", "绿化员": "吴六", "维护员": "冯八"}
    rows = [{"路段": i, **names} for i in ids["东风路"]] + [{"路段": 999_999, **names}]
    path = tmp_path / f"crews{ending}"
    frame = pd.DataFrame(rows)
    if ending == ".csv":
        frame.to_csv(path, index=False, encoding="gb18030")
    else:
        frame.to_excel(path, index=False)
    mapping = {"segment_id": "路段", "officer": "城管队员", "cleaner": "保洁员"}
    mapping |= {"gardener": "绿化员", "maintainer": "维护员"}
    report = load_crews(ladder, read_table(path, mapping), MORNING, time_zone=ZONE_NAME)
    assert report.taken == 2
    assert [(r.row, r.code) for r in report.refused] == [(4, "crews.segment_unknown")]
    assert cleaner(ladder, day(2), ids["东风路"][0]) == ("赵三", "holder", None)
    assert cleaner(ladder, day(2), ids["一巷"][0]) is None


def test_one_row_per_street_stands_for_each_segment(ladder: Session) -> None:
    ids = segment_ids(ladder)
    rows = ({"street": "东风路", "cleaner": "C2"}, {"street": "无此路", "cleaner": "C2"})
    assert crews(ladder, {"grid_code": "A", "cleaner": "C1"}, *rows) == [
        (4, "crews.street_unknown")
    ]
    assert {cleaner(ladder, day(2), i) for i in ids["东风路"]} == {("赵三", "holder", None)}
    assert cleaner(ladder, day(2), ids["一巷"][0]) == ("李二", "holder", None)


def test_crews_of_a_grid_that_begins_later_or_has_ended(ladder: Session) -> None:
    ladder.execute(
        text(
            "insert into grid (code, name, valid) values ('N', '新', tstzrange(:soon, null)),"
            " ('E', '旧', tstzrange(:first, :soon))"
        ),
        {"first": MORNING, "soon": day(10)},
    )
    refused = crews(
        ladder,
        {"grid_code": "N", "cleaner": "C1", "valid_from": "2025-07-10"},
        {"grid_code": "E", "cleaner": "C1", "valid_from": "2025-07-09"},
        {"grid_code": "E", "cleaner": "C2", "valid_from": "2025-07-10"},
    )
    assert refused == [(4, "crews.grid_unknown")]


# Who held what.


def test_the_past_still_knows_its_people(ladder: Session) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1", "leader": "L1"})
    crews(ladder, {"grid_code": "A", "cleaner": "C2", "valid_from": "2025-07-10"})
    absences(ladder, {"staff_no": "C1", "from": "2025-07-02", "to": "2025-07-03"})
    names = {}
    for number in (1, 2, 9, 10):
        posts = grid_crew(ladder, "A", day(number))["posts"]["cleaner"]
        names[number] = (posts["holder"]["staff_no"], posts["answering"]["name"])
    assert names == {1: ("C1", "李二"), 2: ("C1", "周五"), 9: ("C1", "李二"), 10: ("C2", "赵三")}


def test_last_years_incident_keeps_its_person(ladder: Session, empty_services: Services) -> None:
    crews(ladder, {"grid_code": "A", "cleaner": "C1"})
    report = Report(
        channel="hotline_12345",
        description="垃圾满溢",
        category=OVERFLOW,
        point=GivenPoint(*at(0.02, 0.5), "wgs84"),
    )
    number = take_in(ladder, empty_services.desk, report, "account:test", day(2)).number
    crews(ladder, {"grid_code": "A", "cleaner": "C2", "valid_from": "2025-07-10"})
    row = one_incident(ladder, number)
    assert (row["grid_code"], row["tasks"][0]["assignee_name"]) == ("A", "李二")


def test_grids_without_all_four_posts_are_named(ladder: Session) -> None:
    four = {"officer": "O1", "cleaner": "C1", "gardener": "G1", "maintainer": "M1"}
    crews(ladder, {"grid_code": "A"} | four, {"grid_code": "B", "officer": "O1"})
    ladder.execute(text("update staff set left_at = :at where staff_no = 'G1'"), {"at": day(5)})
    missing = ["cleaner", "gardener", "maintainer"]
    assert missing_posts(ladder, day(4)) == {"B": missing}
    assert missing_posts(ladder, day(5)) == {"A": ["gardener"], "B": missing}
    listed = {g["code"]: g["missing_posts"] for g in grids_list(ladder, day(4), with_people=False)}
    assert listed == {"A": [], "B": missing}


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def test_over_http_a_grids_people_at_a_moment(desk: Office) -> None:
    listed = desk.get("operator", "/grids").json()
    assert all(grid["missing_posts"] == [] for grid in listed)
    path = f"/grids/{listed[0]['code']}/crew"
    assert desk.get(None, path).status_code == 401
    body = desk.get("operator", path).json()
    for post, person in listed[0]["crew"].items():
        assert body["posts"][post]["holder"]["name"] == person["name"]
        assert body["posts"][post]["answering"]["standing"] == "holder"
    before = desk.get("operator", f"{path}?at=1999-01-01T00:00:00Z")
    assert (before.status_code, before.json()["code"]) == (404, "grids.not_in_force")


def test_by_command_leave_comes_in_and_crews_are_shown(
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = command_on(town_services, monkeypatch, capsys)
    crew = run("crews", "--grid", "G001")[1]["grids"][0]["posts"]
    own, other = crew["cleaner"]["holder"], crew["gardener"]["holder"]
    today = datetime.now(UTC).astimezone(ZONE).date().isoformat()
    pd.DataFrame(
        [(own["staff_no"], today, today, other["staff_no"]), ("X", today, today, "")],
        columns=["staff_no", "from", "to", "substitute"],
    ).to_excel(tmp_path / "leave.xlsx", index=False)
    code, said = run("import", "absences", str(tmp_path / "leave.xlsx"))
    assert (code, said["taken"], said["refused_rows"][0]["code"]) == (0, 1, "crews.person_unknown")
    shown = run("crews", "--grid", "G001")[1]["grids"][0]["posts"]["cleaner"]
    assert shown["holder"]["name"] == own["name"]
    assert (shown["answering"]["name"], shown["answering"]["standing"]) == (
        other["name"],
        "substitute",
    )
    assert run("crews", "--at", "1999-01-01")[1]["grids"] == []
    assert run("crews", "--at", "gestern")[0] == 2
