"""Shifts: who is at work at a moment, who covers the rest, one answer for one point and for many; units in levels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.bulk import EPOCH, CrewBook, read_point_router
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reading import one_incident
from dispatch.reports import Report
from grid.bulk_locate import read_ground_index
from grid.crews import crew_at, grid_crew
from grid.loading.absences import load_absences
from grid.loading.people import load_crews, load_staff
from grid.loading.shifts import clock_of, load_shifts, weekdays_of
from grid.loading.staff_list import Refusal
from grid.loading.units import load_units
from grid.models import POSTS
from grid.shifts import hours_alike, patterns
from grid.town import town_facts
from tests.command import command_on
from tests.ground import LADDER, MORNING, ZONE, at, load_lines, two_grids

ZONE_NAME = "Asia/Shanghai"
OVERFLOW = "06042"
STAFF = [
    ("C1", "李二", "cleaner", "环卫站", "L1"),
    ("C2", "赵三", "cleaner", "环卫站", "L1"),
    ("C3", "钱四", "cleaner", "环卫站", "L1"),
    ("H1", "孙站长", "unit_head", "环卫站", "L1"),
    ("H2", "郑主任", "unit_head", "环卫中心", "L1"),
    ("O1", "王一", "officer", "执法队", ""),
    ("G1", "吴六", "gardener", "园林站", ""),
    ("M1", "冯八", "maintainer", "市政所", ""),
    ("L1", "周五", "leader", "局", ""),
]


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of July 2025 in the town; the 7th is a Monday."""
    return datetime(2025, 7, day, hour, minute, tzinfo=ZONE)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A and B; C1 cleans A; rolled back after the test."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        frame = pd.DataFrame(STAFF, columns=["staff_no", "name", "post", "unit", "reports_to"])
        assert load_staff(session, frame).refused == []
        crew = {"grid_code": "A", "officer": "O1", "cleaner": "C1", "gardener": "G1"}
        rows = [crew | {"maintainer": "M1", "leader": "L1"}, {"grid_code": "B", "cleaner": "C2"}]
        report = load_crews(session, pd.DataFrame(rows), MORNING, time_zone=ZONE_NAME)
        assert report.refused == []
        yield session
        session.rollback()


def shifts(session: Session, *rows: dict[str, str]) -> list[tuple[int, str]]:
    report = load_shifts(session, pd.DataFrame(list(rows)), MORNING, time_zone=ZONE_NAME)
    return [(item.row, item.code) for item in report.refused]


def units(session: Session, *rows: dict[str, str]) -> list[tuple[int, str]]:
    report = load_units(session, pd.DataFrame(list(rows)))
    return [(item.row, item.code) for item in report.refused]


def grid_id(session: Session, code: str) -> int:
    return int(session.scalar(text("select id from grid where code = :code"), {"code": code}) or 0)


def cleaner(session: Session, moment: datetime, code: str = "A") -> object:
    found = crew_at(session, grid_id(session, code), None, moment).answering("cleaner")
    return None if found is None else (found.person.name, found.standing, found.because)


EARLY = {"staff_no": "C1", "shift": "早班", "weekdays": "1-5", "from": "06:00", "to": "14:00"}
LATE = {"staff_no": "C2", "shift": "晚班", "weekdays": "每天", "from": "14:00", "to": "22:00"}
NIGHT = {"staff_no": "C3", "shift": "夜班", "weekdays": "一至日", "from": "22:00", "to": "06:00"}


def test_outside_the_shift_the_substitute_answers_and_the_hours_are_the_towns(
    ladder: Session,
) -> None:
    assert shifts(ladder, EARLY | {"substitute": "C2"}) == []
    assert cleaner(ladder, local(7, 6)) == ("李二", "holder", None)
    assert cleaner(ladder, local(7, 14) - timedelta(microseconds=1)) == ("李二", "holder", None)
    assert cleaner(ladder, local(7, 14)) == ("赵三", "substitute", "off_shift")
    assert cleaner(ladder, local(7, 5, 59)) == ("赵三", "substitute", "off_shift")
    assert cleaner(ladder, local(12, 10)) == ("赵三", "substitute", "off_shift")  # Saturday


def test_three_shifts_name_the_next_and_the_one_at_work_is_found(ladder: Session) -> None:
    rows = (EARLY | {"weekdays": "daily", "substitute": "C2"}, LATE | {"substitute": "C3"})
    assert shifts(ladder, *rows, NIGHT | {"substitute": "C1"}) == []
    for hour, name in (
        (6, "李二"),
        (14, "赵三"),
        (21, "赵三"),
        (22, "钱四"),
        (0, "钱四"),
        (5, "钱四"),
    ):
        found = crew_at(ladder, grid_id(ladder, "A"), None, local(9, hour)).answering("cleaner")
        assert found is not None
        assert found.person.name == name, hour
    # Grid B is C2's: in the morning the chain goes on over C3 to C1.
    assert cleaner(ladder, local(9, 8), "B") == ("李二", "substitute", "off_shift")


def test_an_overnight_shift_belongs_to_the_day_on_which_it_begins(ladder: Session) -> None:
    crew = pd.DataFrame([{"grid_code": "A", "cleaner": "C3"}])
    load_crews(ladder, crew, MORNING, time_zone=ZONE_NAME)
    assert shifts(ladder, NIGHT | {"weekdays": "5"}) == []  # Friday night
    at_work = [cleaner(ladder, local(*moment)) == ("钱四", "holder", None)
               for moment in ((11, 21), (11, 22), (12, 5), (12, 6), (12, 22), (11, 5))]  # fmt: skip
    assert at_work == [False, True, True, False, False, False]


def test_without_a_substitute_the_heads_answer_upwards_then_the_leader(ladder: Session) -> None:
    assert shifts(ladder, EARLY) == []
    evening = local(7, 20)
    assert cleaner(ladder, evening) == ("周五", "leader", "off_shift")
    rows = (
        {"name": "环卫站", "head": "H1", "parent": "环卫中心"},
        {"name": "环卫中心", "head": "H2", "kind": "own"},
    )
    assert units(ladder, *rows) == []
    assert cleaner(ladder, evening) == ("孙站长", "unit_head", "off_shift")
    leave = pd.DataFrame([{"staff_no": "H1", "from": "2025-07-07", "to": "2025-07-07"}])
    assert load_absences(ladder, leave, time_zone=ZONE_NAME).refused == []
    assert cleaner(ladder, evening) == ("郑主任", "unit_head", "off_shift")


def test_leave_goes_before_shifts_and_nobody_at_work_is_not_nobody(ladder: Session) -> None:
    assert shifts(ladder, EARLY | {"substitute": "C2"}, LATE) == []
    leave = {"staff_no": "C1", "from": "2025-07-07", "to": "2025-07-07", "substitute": "C3"}
    load_absences(ladder, pd.DataFrame([leave]), time_zone=ZONE_NAME)
    assert cleaner(ladder, local(7, 15)) == ("钱四", "substitute", "away")
    assert shifts(ladder, {"staff_no": "L1", "from": "09:00", "to": "17:00"}) == []
    # The 8th at three: C1 and C2 are off, and so is the leader. It waits for C1.
    assert cleaner(ladder, local(8, 3)) == ("李二", "off_duty", "off_shift")


def test_an_incident_outside_the_shift_says_so(ladder: Session, empty_services: Services) -> None:
    shifts(ladder, EARLY | {"substitute": "C2"})
    report = Report(
        channel="hotline_12345", description="垃圾满溢", category=OVERFLOW,
        point=GivenPoint(*at(0.02, 0.5), "wgs84"),
    )  # fmt: skip
    number = take_in(ladder, empty_services.desk, report, "account:test", local(7, 20)).number
    row = one_incident(ladder, number)
    assert [task["assignee_name"] for task in row["tasks"] if task["lead"]] == ["赵三"]
    said = {item["code"]: item for item in row["reason"]}
    assert {"person.off_shift", "person.substitute"} <= set(said)


def test_a_new_list_takes_the_place_of_the_old_one_from_its_date(ladder: Session) -> None:
    shifts(ladder, EARLY | {"substitute": "C2"})
    later = LATE | {"staff_no": "C1", "substitute": "C2", "valid_from": "2025-07-14"}
    for _ in range(2):
        assert shifts(ladder, later) == []
        assert ladder.scalar(text("select count(*) from shift")) == 2
    assert cleaner(ladder, local(11, 7)) == ("李二", "holder", None)
    assert cleaner(ladder, local(14, 7)) == ("赵三", "substitute", "off_shift")
    assert cleaner(ladder, local(14, 15)) == ("李二", "holder", None)
    assert shifts(ladder, {"staff_no": "C1", "shift": "无", "valid_from": "2025-07-21"}) == []
    assert cleaner(ladder, local(21, 3)) == ("李二", "holder", None)
    shown = grid_crew(ladder, "A", local(14, 7))["posts"]["cleaner"]
    assert [s["name"] for s in shown["holder"]["shifts"]] == ["晚班"]
    assert shown["holder"]["shifts"][0]["begins"] == "14:00"


def test_every_refused_shift_says_why_and_the_others_are_taken(ladder: Session) -> None:
    rows: list[tuple[dict[str, str], str | None]] = [
        (EARLY, None),
        (EARLY | {"staff_no": ""}, "shifts.person_missing"),
        (EARLY | {"staff_no": "X"}, "crews.person_unknown"),
        (EARLY | {"substitute": "C1"}, "shifts.substitute_self"),
        (EARLY | {"from": ""}, "shifts.hours_missing"),
        (EARLY | {"to": "25:00"}, "shifts.hours_unreadable"),
        (EARLY | {"weekdays": "八"}, "shifts.weekdays_unreadable"),
        (EARLY | {"valid_from": "不详"}, "crews.date_unreadable"),
        (EARLY | {"valid_from": "2025-07-02", "valid_to": "2025-07-01"}, "crews.period_empty"),
    ]
    expected = [(line, code) for line, (_, code) in enumerate(rows, start=2) if code]
    assert shifts(ladder, *(row for row, _ in rows)) == expected
    assert ladder.scalar(text("select count(*) from shift")) == 1


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]), ("每天", [1, 2, 3, 4, 5, 6, 7]), ("1-5", [1, 2, 3, 4, 5]),
        ("一至五", [1, 2, 3, 4, 5]), ("周一到周三、周日", [1, 2, 3, 7]), ("一三五", [1, 3, 5]),
        ("Mon-Wed, Saturday", [1, 2, 3, 6]), ("6-1", [1, 6, 7]), ("7", [7]), ("星期天", [7]),
    ],
)  # fmt: skip
def test_weekdays_as_bureaus_write_them(written: str, days: list[int]) -> None:
    assert weekdays_of(written) == days


@pytest.mark.parametrize("written", ["8", "-5", "1-", "一至", "morgen", "1--3"])
def test_weekdays_nobody_understands(written: str) -> None:
    with pytest.raises(Refusal):
        weekdays_of(written)


def test_midnight_may_be_written_as_24() -> None:
    assert (clock_of("24:00").hour, clock_of("6:30").minute) == (0, 30)


# One point and many points.


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_and_many_answer_alike_at_any_moment(empty_services: Services, seed: int) -> None:
    dice = np.random.default_rng(seed)
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        frame = pd.DataFrame(STAFF, columns=["staff_no", "name", "post", "unit", "reports_to"])
        load_staff(session, frame)
        numbers = [row[0] for row in STAFF]
        crews = [
            {"grid_code": code} | {post: str(dice.choice(numbers)) for post in (*POSTS, "leader")}
            for code in "AB"
        ]
        load_crews(session, pd.DataFrame(crews), MORNING, time_zone=ZONE_NAME)
        units(session, {"name": "环卫站", "head": "H1"})
        for number in numbers:
            others = [other for other in numbers if other != number]
            rows = [
                {
                    "staff_no": number, "shift": "班", "substitute": str(dice.choice(others)),
                    "weekdays": ",".join(map(str, dice.choice(7, 4, replace=False) + 1)),
                    "from": f"{dice.integers(24)}:30", "to": f"{dice.integers(24)}:00",
                    "valid_from": f"2025-07-{dice.integers(1, 20):02d}",
                }
                for _ in range(int(dice.integers(3)))
            ]  # fmt: skip
            shifts(session, *rows)
        leave = {"staff_no": "C1", "from": "2025-07-10", "to": "2025-07-12", "substitute": "C3"}
        load_absences(session, pd.DataFrame([leave]), time_zone=ZONE_NAME)
        july = int((local(1, 0) - EPOCH) // timedelta(microseconds=1))
        at_us = july + dice.integers(0, 31 * 24 * 2, 60) * 1_800_000_000
        at_us -= dice.integers(0, 2, 60)
        catalogue = empty_services.desk.read(session)[1]
        router = read_point_router(
            session, read_ground_index(session), catalogue, empty_services.desk.settings,
            town_facts(session).plane_epsg,
        )  # fmt: skip
        spots = [at(0.02, 0.5), at(1.9, 0.5)]
        lon, lat = (np.array([spots[k % 2][axis] for k in range(60)]) for axis in (0, 1))
        placed = router.place(lon, lat, [OVERFLOW] * 60, at_us)
        table = router.table(placed, CrewBook(session).crews(placed.stretches)).to_pandas()
        keys, group = hours_alike(patterns(session), at_us)
        assert len(keys) > 1 or not patterns(session)
        assert len(group) == 60
        for row, moment_us in zip(table.itertuples(), at_us.tolist(), strict=True):
            moment = EPOCH + timedelta(microseconds=moment_us)
            own = crew_at(session, grid_id(session, row.grid_code), row.segment_id, moment)
            found = own.answering("cleaner")
            name = found.person.name if found else None
            how = f"person.{found.standing}" if found else "person.none"
            assert (row.assignee, row.reason) == (name, how), moment
        session.rollback()


# Units.


def test_units_come_with_code_kind_head_and_parent(ladder: Session) -> None:
    rows: list[tuple[dict[str, str], str | None]] = [
        ({"code": "U1", "name": "环卫中心", "kind": "own", "head": "H2"}, None),
        ({"code": "U2", "name": "环卫站", "kind": "外包", "head": "孙站长", "parent": "U1"}, None),
        ({"code": "U3", "name": ""}, "units.name_missing"),
        ({"code": "U4", "name": "新站", "kind": "国营"}, "units.kind_unknown"),
        ({"code": "U5", "name": "环卫站"}, "units.twice"),
        ({"code": "U6", "name": "六站", "head": "没有此人"}, "units.head_unknown"),
        ({"code": "U7", "name": "七站", "parent": "无此单位"}, "units.parent_unknown"),
        ({"code": "U1", "name": "环卫中心", "parent": "U2", "head": "H2"}, "units.parent_circle"),
    ]
    expected = [(line, code) for line, (_, code) in enumerate(rows, start=2) if code]
    assert units(ladder, *(row for row, _ in rows)) == expected
    told = ladder.execute(
        text(
            "select u.code, u.kind, s.staff_no, p.code as parent from unit u"
            " left join staff s on s.unit_id = u.id and s.heads_unit"
            " left join unit p on p.id = u.parent_id where u.code in ('U1', 'U2') order by 1"
        )
    ).all()
    assert [tuple(row) for row in told] == [
        ("U1", "own", "H2", None),
        ("U2", "contractor", "H1", "U1"),
    ]
    # The staff list names units by code too, and leaves the head as it is.
    frame = pd.DataFrame(
        [("C9", "新人", "cleaner", "U2")], columns=["staff_no", "name", "post", "unit"]
    )
    load_staff(ladder, frame)
    assert ladder.scalar(
        text("select u.code from staff s join unit u on u.id = s.unit_id where staff_no = 'C9'")
    ) == "U2"  # fmt: skip
    assert units(ladder, {"name": "环卫站", "head": "C9"}) == []
    heads = ladder.scalars(
        text(
            "select staff_no from staff s join unit u on u.id = s.unit_id where heads_unit and u.code = 'U2'"
        )
    )
    assert list(heads) == ["C9"]


def test_by_command_units_and_shifts_come_in_and_are_shown(
    town_services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run = command_on(town_services, monkeypatch, capsys)
    crew = run("crews", "--grid", "G001")[1]["grids"][0]["posts"]
    own, other = crew["gardener"]["holder"], crew["officer"]["holder"]
    hour = datetime.now(UTC).astimezone(ZONE).hour
    begins, ends = f"{(hour + 3) % 24:02d}:00", f"{(hour + 5) % 24:02d}:00"
    frame = pd.DataFrame(
        [
            ("工", own["staff_no"], "午班", begins, ends, other["staff_no"]),
            ("工", "X", "", "", "", ""),
        ],
        columns=["类", "工号", "班次", "起", "止", "替班"],
    )
    frame.to_excel(tmp_path / "shifts.xlsx", index=False)
    mapping = "staff_no=工号,shift=班次,from=起,to=止,substitute=替班"
    words = ("import", "shifts", str(tmp_path / "shifts.xlsx"), "--map", mapping)
    assert run(*words, "--dry-run")[1]["taken"] == 1
    shown = run("crews", "--grid", "G001")[1]["grids"][0]["posts"]["gardener"]
    assert shown["answering"]["standing"] == "holder"
    assert run(*words)[1]["refused_rows"][0]["code"] == "crews.person_unknown"
    shown = run("crews", "--grid", "G001")[1]["grids"][0]["posts"]["gardener"]
    assert (shown["answering"]["standing"], shown["answering"]["because"]) == (
        "substitute",
        "off_shift",
    )
    assert shown["holder"]["shifts"][0]["name"] == "午班"
    (tmp_path / "units.csv").write_text(
        "编码,单位,负责人\nU90,新公司," + own["staff_no"], "gb18030"
    )
    code, told = run(
        "import", "units", str(tmp_path / "units.csv"), "--map", "code=编码,name=单位,head=负责人"
    )
    assert (code, told["taken"], told["refused"]) == (0, 1, 0)
    assert run("import", "units", str(tmp_path / "units.csv"))[0] == 2
