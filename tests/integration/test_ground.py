"""Real and drawn streets into the tables: measured, repeated, changed, divided, and held by people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import geopandas as gpd
import osmium
import pandas as pd
import pytest
import shapely
from pyproj import Geod
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.cli.importing import datum_change
from api.services import Services
from grid.core.errors import BadInput
from grid.crews import crew_at
from grid.loading.grids import GridName, both_sides, put_in_force
from grid.loading.people import load_crews, load_staff
from grid.loading.towns import load_addresses, load_town
from grid.sources import vector
from grid.sources.osm import read_osm
from tests.ground import (
    LADDER,
    MORNING,
    every_table,
    load_lines,
    nothing,
    segment_ids,
    street,
    two_grids,
)
from tests.real_streets import KEPT, OSM_FILES

PAVEMENT = frozenset(["sidewalk", "crossing", "traffic_island", "access_aisle", "link"])
GEOD = Geod(ellps="WGS84")
LATER = MORNING + timedelta(days=30)
ZONE_NAME = "Asia/Shanghai"


@pytest.fixture
def blank(empty_services: Services) -> Iterator[Session]:
    """A session on a database without a town, rolled back after the test."""
    with empty_services.sessions() as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def ladder(blank: Session) -> Session:
    """The drawn town of five streets, divided into a west and an east grid, with its people."""
    load_lines(blank, MORNING, *LADDER)
    two_grids(blank, MORNING)
    staff = [
        *(("O1", "王一", "officer", "执法队"), ("C1", "李二", "cleaner", "环卫站")),
        *(("C2", "赵三", "cleaner", "环卫站"), ("C3", "孙四", "cleaner", "环卫站")),
        *(("C4", "李二", "cleaner", "环卫站"), ("L1", "周五", "leader", "局")),
        *(("G1", "吴六", "gardener", "园林站"), ("H1", "郑七", "unit_head", "环卫站")),
    ]
    frame = pd.DataFrame(staff, columns=["staff_no", "name", "post", "unit"])
    frame["heads_unit"] = (frame["staff_no"] == "H1").map({True: "yes", False: ""})
    report = load_staff(blank, frame)
    assert report.refused == []
    return blank


class Highways(osmium.SimpleHandler):
    """Sums the kept highways of a file by the rule of DECISIONS.md; shares no line with our reader."""

    def __init__(self) -> None:
        super().__init__()
        self.length_m = 0.0

    def way(self, way: osmium.osm.Way) -> None:
        kind = way.tags.get("highway", "")
        if kind.removesuffix("_link") not in KEPT:
            return
        if way.tags.get("area") == "yes" or way.tags.get("indoor") == "yes":
            return
        if kind in ("footway", "path", "cycleway") and any(
            way.tags.get(tag) in PAVEMENT for tag in ("footway", "path", "cycleway")
        ):
            return
        places = [(n.lon, n.lat) for n in way.nodes if n.location.valid()]
        if len(places) > 1:
            self.length_m += GEOD.line_length(*zip(*places, strict=True))


def import_osm(session: Session, path: Path, now: datetime) -> object:
    town = read_osm(path)
    return load_town(
        session, town.streets, town.door_plates, town.places, town.boundaries, now, merge=True
    )


@pytest.mark.parametrize("name", OSM_FILES)
def test_an_osm_file_keeps_its_length_and_importing_it_twice_changes_nothing(
    blank: Session, shared_data: Path, name: str
) -> None:
    import_osm(blank, shared_data / name, MORNING)
    counted = Highways()
    counted.apply_file(str(shared_data / name), locations=True)
    kept_m = blank.scalar(text("select sum(length_m) from segment where gone_at is null"))
    drawn_m = blank.scalar(text("select sum(st_length(line::geography)) from segment"))
    assert kept_m == pytest.approx(counted.length_m, rel=0.001)
    assert drawn_m == pytest.approx(counted.length_m, rel=0.001)
    before = every_table(blank)
    import_osm(blank, shared_data / name, LATER)
    after = every_table(blank)
    assert [table for table in before if before[table] != after[table]] == []
    assert len(before["segment"]) > 100


def test_a_second_import_leaves_the_division_and_the_incidents_alone(
    blank: Session, shared_data: Path
) -> None:
    import_osm(blank, shared_data / OSM_FILES[2], MORNING)
    ids = blank.scalars(text("select id from segment")).all()
    put_in_force(blank, [GridName("A", "一")], both_sides(dict.fromkeys(ids, "A")), MORNING)
    before = every_table(blank)
    import_osm(blank, shared_data / OSM_FILES[2], LATER)
    assert every_table(blank) == before


def split_addresses(folder: Path, target: Path) -> Path:
    """The parcel addresses as a table of street and house_number; streets stay in capitals."""
    table = pd.read_csv(folder / "parcel-addresses-fy2014.csv.gz", dtype=str)
    parts = table["ADDRESS"].str.split(" ", n=1, expand=True)
    out = pd.DataFrame(
        {"house_number": parts[0], "street": parts[1], "lon": table["LON"], "lat": table["LAT"]}
    )
    out.to_csv(target / "addresses.csv", index=False)
    return target / "addresses.csv"


def test_cambridge_comes_in_with_its_ranges_and_plates_find_their_streets(
    blank: Session, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "us-cambridge"
    ranges = ("left_from=L_From", "left_to=L_To", "right_from=R_From", "right_to=R_To")
    mapping = dict(pair.split("=") for pair in ("name=Street", *ranges))
    read, refused = vector.read_streets(
        folder / "street-centerlines.geojson", None, mapping, None, datum_change
    )
    report = load_town(blank, read, nothing(), nothing(), nothing(), MORNING, merge=False)
    assert (report.streets.new, refused) == (2643, [])
    source = gpd.read_file(folder / "street-centerlines.geojson")
    assert report.streets.streets == source["Street"].nunique() == 809
    with_range = ((source["L_To"] > 0) | (source["R_To"] > 0)).sum()
    assert with_range == blank.scalar(
        text("select count(*) from segment where left_to is not null or right_to is not null")
    )
    plates, refused = vector.read_addresses(
        split_addresses(folder, tmp_path), None, None, None, datum_change
    )
    assert (len(plates), refused) == (13209, [])
    load_addresses(blank, plates)
    rows = blank.execute(
        text(
            "select count(*) as plates, count(segment_id) as tied, percentile_cont(0.5) within group"
            " (order by st_distance(p.point::geography, s.line::geography)) as median_m"
            " from door_plate p left join segment s on s.id = p.segment_id"
        )
    ).one()
    assert rows.tied / rows.plates > 0.97
    known = blank.scalar(text("select count(*) from door_plate where street_id is not null"))
    assert known == rows.tied
    assert rows.median_m == pytest.approx(20, abs=5)
    before = every_table(blank)
    load_addresses(blank, plates)
    load_town(blank, read, nothing(), nothing(), nothing(), LATER, merge=False)
    after = every_table(blank)
    assert [table for table in before if before[table] != after[table]] == []


def test_a_changed_file_retires_what_is_gone_and_gives_the_new_to_a_neighbour(
    ladder: Session,
) -> None:
    ids = segment_ids(ladder)
    changed = [row for row in LADDER if row["name"] != "三巷"]
    changed.append(street("四巷", (0, 1), (0, 2), class_="residential"))
    report = load_lines(ladder, LATER, *changed)
    assert (report.streets.new, report.streets.gone, report.streets.unchanged) == (1, 1, 6)
    gone = ids["三巷"][0]
    row = ladder.execute(
        text("select gone_at, (select count(*) from segment) as kept from segment where id = :id"),
        {"id": gone},
    ).one()
    assert (row.gone_at, row.kept) == (LATER, 8)
    held = ladder.execute(
        text(
            "select distinct lower(valid) as since, upper(valid) as until from grid_segment"
            " where segment_id = :id"
        ),
        {"id": gone},
    ).one()
    assert (held.since, held.until) == (MORNING, LATER)
    fresh = segment_ids(ladder)["四巷"][0]
    grids = ladder.execute(
        text(
            "select h.side, g.code, lower(h.valid) as since from grid_segment h"
            " join grid g on g.id = h.grid_id where h.segment_id = :id order by 1"
        ),
        {"id": fresh},
    ).all()
    assert [tuple(g) for g in grids] == [("left", "A", LATER), ("right", "A", LATER)]


def test_a_street_that_touches_nothing_goes_to_the_nearest_grid(ladder: Session) -> None:
    load_lines(ladder, LATER, *LADDER, street("孤路", (2.5, 0.2), (2.5, 0.8)))
    code = ladder.scalar(
        text(
            "select distinct g.code from grid_segment h join grid g on g.id = h.grid_id"
            " where h.segment_id = :id"
        ),
        {"id": segment_ids(ladder)["孤路"][0]},
    )
    assert code == "B"


def test_a_segment_that_comes_back_is_a_new_one(ladder: Session) -> None:
    load_lines(ladder, LATER, *LADDER[:4])
    load_lines(ladder, LATER + timedelta(days=1), *LADDER)
    held = ladder.execute(
        text(
            "select count(*) filter (where gone_at is null), count(*) from segment s"
            " join street t on t.id = s.street_id where t.name = '三巷'"
        )
    ).one()
    assert tuple(held) == (1, 2)


def holder(session: Session, segment_id: int, moment: datetime) -> list[str]:
    return list(
        session.scalars(
            text(
                "select g.code from grid_segment h join grid g on g.id = h.grid_id"
                " where h.segment_id = :id and h.valid @> cast(:at as timestamptz)"
                " and h.side = 'left'"
            ),
            {"id": segment_id, "at": moment},
        )
    )


def test_a_new_division_keeps_yesterdays_owner(ladder: Session) -> None:
    ids = segment_ids(ladder)
    moved = ids["二巷"][0]
    codes = dict.fromkeys((i for group in ids.values() for i in group), "B")
    codes |= {ids["东风路"][0]: "A", ids["解放路"][0]: "A", ids["一巷"][0]: "A", moved: "A"}
    changed = put_in_force(
        ladder, [GridName("A", "西片"), GridName("B", "东片")], both_sides(codes), LATER
    )
    assert changed == 2
    assert holder(ladder, moved, LATER - timedelta(seconds=1)) == ["B"]
    assert holder(ladder, moved, LATER) == ["A"]
    assert ladder.scalar(text("select count(*) from grid")) == 2


def test_a_grid_that_is_left_out_ends_with_its_posts(ladder: Session) -> None:
    load_crews(
        ladder,
        pd.DataFrame([{"grid_code": "A", "officer": "O1"}, {"grid_code": "B", "officer": "O1"}]),
        MORNING,
        time_zone=ZONE_NAME,
    )
    ids = [i for group in segment_ids(ladder).values() for i in group]
    put_in_force(ladder, [GridName("A", "全县")], both_sides(dict.fromkeys(ids, "A")), LATER)
    rows = ladder.execute(
        text(
            "select g.code, upper(g.valid) as grid_until, upper(p.valid) as post_until from grid g"
            " join post_holding p on p.grid_id = g.id order by g.code"
        )
    ).all()
    assert [tuple(row) for row in rows] == [("A", None, None), ("B", LATER, LATER)]


def test_a_division_must_hold_every_segment_and_know_its_grids(ladder: Session) -> None:
    ids = [i for group in segment_ids(ladder).values() for i in group]
    some = both_sides(dict.fromkeys(ids[1:], "A"))
    with pytest.raises(BadInput) as raised:
        put_in_force(ladder, [GridName("A", "一")], some, LATER)
    assert raised.value.code == "grids.segment_missing"
    assert raised.value.values["segments"] == [ids[0]]
    with pytest.raises(BadInput) as raised:
        put_in_force(ladder, [], some, LATER)
    assert raised.value.code == "grids.unknown_code"


REFUSED_BY_THE_DATABASE = {
    "two holders of one post of a grid": (
        "insert into post_holding (grid_id, post, staff_id, valid) select g.id, 'cleaner', s.id,"
        " tstzrange('2025-07-01', '2025-08-01') from grid g, staff s"
        " where g.code = 'A' and s.staff_no in ('C1', 'C2')"
    ),
    "two holders of one post of a segment": (
        "insert into post_holding (segment_id, post, staff_id, valid) select g.id, 'cleaner', s.id,"
        " tstzrange('2025-07-01', null) from (select min(id) as id from segment) g, staff s"
        " where s.staff_no in ('C1', 'C2')"
    ),
    "two grids of one side of a segment": (
        "insert into grid_segment (segment_id, side, grid_id, valid) select h.segment_id, h.side,"
        " g.id, tstzrange('2025-07-01', null) from grid_segment h, grid g where g.code <> 'A'"
        " limit 1"
    ),
    "one code for two grids": (
        "insert into grid (code, name, valid) values ('A', '又一个', tstzrange('2025-07-01', null))"
    ),
    "two absences of one person at once": (
        "insert into absence (staff_id, valid) select id, tstzrange('2025-07-01', v)"
        " from staff, (values (timestamptz '2025-07-05'), ('2025-08-01')) p (v)"
        " where staff_no = 'C1'"
    ),
    "a post nobody knows": (
        "insert into post_holding (grid_id, post, staff_id, valid)"
        " select g.id, 'plumber', s.id, tstzrange('2025-07-01', null) from grid g, staff s limit 1"
    ),
}


@pytest.mark.parametrize("what", REFUSED_BY_THE_DATABASE)
def test_the_database_itself_refuses(ladder: Session, what: str) -> None:
    with pytest.raises(IntegrityError, match=r"violates (exclusion|check) constraint"):
        ladder.execute(text(REFUSED_BY_THE_DATABASE[what]))


def test_every_refused_crew_row_says_why_and_the_others_are_taken(ladder: Session) -> None:
    segment = segment_ids(ladder)["一巷"][0]
    rows: list[tuple[dict[str, object], str | None]] = [
        ({"grid_code": "A", "officer": "O1", "cleaner": "C1", "leader": "周五"}, None),
        ({"grid_code": "Z", "officer": "O1"}, "crews.grid_unknown"),
        ({"segment_id": "999999", "officer": "O1"}, "crews.segment_unknown"),
        ({"officer": "O1"}, "crews.place_missing"),
        ({"grid_code": "B", "officer": "没有此人"}, "crews.person_unknown"),
        ({"grid_code": "B", "cleaner": "李二"}, "crews.person_ambiguous"),
        ({"grid_code": "B"}, "crews.nobody"),
        ({"grid_code": "B", "cleaner": "C2", "valid_from": "未知"}, "crews.date_unreadable"),
        (
            {
                "grid_code": "B",
                "cleaner": "C2",
                "valid_from": "2025-07-02",
                "valid_to": "2025-07-01",
            },
            "crews.period_empty",
        ),
        (
            {
                "grid_code": "B",
                "cleaner": "C2",
                "valid_from": "2025-07-01",
                "valid_to": "2025-08-01",
            },
            None,
        ),
        ({"grid_code": "B", "cleaner": "C3", "valid_from": "2025-07-15"}, "crews.post_taken"),
        ({"segment_id": str(segment), "cleaner": "C3"}, None),
    ]
    report = load_crews(
        ladder, pd.DataFrame([row for row, _ in rows]), MORNING, time_zone=ZONE_NAME
    )
    expected = [(line, code) for line, (_, code) in enumerate(rows, start=2) if code]
    assert [(item.row, item.code) for item in report.refused] == expected
    assert report.taken == 3
    assert ladder.scalar(text("select count(*) from post_holding")) == 5
    since = ladder.scalar(
        text("select lower(p.valid) from post_holding p join grid g on g.id = p.grid_id"
             " where g.code = 'B'")
    )  # fmt: skip
    assert since == datetime(2025, 7, 1, tzinfo=MORNING.tzinfo)


def test_a_new_holder_ends_the_one_before(ladder: Session) -> None:
    for person, moment in (("C1", MORNING), ("C2", LATER)):
        crews = pd.DataFrame([{"grid_code": "A", "cleaner": person}])
        assert load_crews(ladder, crews, moment, time_zone=ZONE_NAME).refused == []
    grid_id = ladder.scalar(text("select id from grid where code = 'A'"))
    names = [
        crew_at(ladder, grid_id, None, moment).answering("cleaner").person.name  # type: ignore[union-attr]
        for moment in (MORNING, LATER - timedelta(seconds=1), LATER)
    ]
    assert names == ["李二", "李二", "赵三"]


def absent(session: Session, who: str, substitute: str | None) -> None:
    session.execute(
        text(
            "insert into absence (staff_id, substitute_id, valid) select a.id, b.id,"
            " tstzrange(:since, :until) from staff a left join staff b on b.staff_no = :sub"
            " where a.staff_no = :who"
        ),
        {"who": who, "sub": substitute, "since": LATER, "until": LATER + timedelta(days=7)},
    )


def left(session: Session, who: str) -> None:
    session.execute(
        text("update staff set left_at = :at where staff_no = :who"), {"who": who, "at": LATER}
    )


def cleaner(session: Session, moment: datetime, segment_id: int | None = None) -> object:
    grid_id = session.scalar(text("select id from grid where code = 'A'"))
    found = crew_at(session, int(grid_id or 0), segment_id, moment).answering("cleaner")
    return None if found is None else (found.person.name, found.standing, found.in_place_of)


@pytest.fixture
def manned(ladder: Session) -> Session:
    """Grid A with a cleaner and a leader."""
    crews = pd.DataFrame([{"grid_code": "A", "cleaner": "C1", "leader": "L1", "gardener": "G1"}])
    load_crews(ladder, crews, MORNING, time_zone=ZONE_NAME)
    return ladder


def test_the_holder_answers_and_nobody_before_the_first_day(manned: Session) -> None:
    assert cleaner(manned, LATER) == ("李二", "holder", None)
    assert cleaner(manned, MORNING - timedelta(days=1)) is None


def test_the_substitute_answers_during_leave_only(manned: Session) -> None:
    absent(manned, "C1", "C2")
    assert cleaner(manned, LATER - timedelta(seconds=1)) == ("李二", "holder", None)
    assert cleaner(manned, LATER) == ("赵三", "substitute", "李二")
    assert cleaner(manned, LATER + timedelta(days=7)) == ("李二", "holder", None)


def test_without_a_substitute_the_head_of_the_unit_answers(manned: Session) -> None:
    absent(manned, "C1", None)
    assert cleaner(manned, LATER) == ("郑七", "unit_head", "李二")


def test_a_substitute_who_is_away_too_does_not_answer(manned: Session) -> None:
    absent(manned, "C1", "C2")
    absent(manned, "C2", None)
    assert cleaner(manned, LATER) == ("郑七", "unit_head", "李二")


def test_who_has_left_is_stood_in_for_and_the_leader_is_the_last(manned: Session) -> None:
    left(manned, "C1")
    assert cleaner(manned, LATER) == ("郑七", "unit_head", "李二")
    left(manned, "H1")
    assert cleaner(manned, LATER) == ("周五", "leader", "李二")
    left(manned, "L1")
    assert cleaner(manned, LATER) is None


def test_a_segment_of_its_own_person_goes_before_the_grids(manned: Session) -> None:
    segment = segment_ids(manned)["一巷"][0]
    crews = pd.DataFrame([{"segment_id": str(segment), "cleaner": "C3"}])
    load_crews(manned, crews, MORNING, time_zone=ZONE_NAME)
    assert cleaner(manned, LATER, segment) == ("孙四", "holder", None)
    assert cleaner(manned, LATER, segment_ids(manned)["东风路"][0]) == ("李二", "holder", None)


def test_streets_that_nobody_wrote_are_refused_as_a_whole(blank: Session) -> None:
    with pytest.raises(BadInput) as raised:
        load_town(blank, nothing(), nothing(), nothing(), nothing(), MORNING, merge=True)
    assert raised.value.code == "import.no_streets"
    assert blank.scalar(text("select count(*) from segment")) == 0


def test_stored_planes_and_lengths_are_those_of_the_stored_lines(town_services: Services) -> None:
    with town_services.sessions() as session:
        rows = session.execute(
            text(
                "select st_asbinary(line) as line, length_m,"
                " max(st_distance(st_transform(line, 4547), st_setsrid(line_plane, 4547)))"
                " over () as apart_m from segment"
            )
        ).all()
    lines = shapely.from_wkb([bytes(row.line) for row in rows])
    lengths = [GEOD.geometry_length(line) for line in lines]
    assert rows[0].apart_m < 0.001
    assert [row.length_m for row in rows] == pytest.approx(lengths, rel=1e-6)
