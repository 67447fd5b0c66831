"""Where a text lies, in a town small enough to draw; every expected point is read off the drawing.

y=300          文化路            建设路
                 |                 |
y=0   ───────────┼─────────────────┼──────────   解放路, digitised from west to east:
                 |                 |             odd numbers left (north), even right (south)
y=-300           |                 |
     x=0       x=200             x=400      x=600
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from grid.geocode import Answer, Gazetteer, GazetteerData, geocode

STREETS = ["解放路", "文化路", "建设路", "县道X018线", "永胜路", "永盛路", "育才路"]
LINES = [
    (0, [(0, 0), (200, 0)], (1, 19), (2, 20)),
    (0, [(200, 0), (400, 0)], (21, 39), (22, 40)),
    (0, [(400, 0), (600, 0)], (41, 59), (42, 60)),
    (1, [(200, -300), (200, 0)], (-1, -1), (-1, -1)),
    (1, [(200, 0), (200, 300)], (-1, -1), (-1, -1)),
    (2, [(400, -300), (400, 0)], (-1, -1), (-1, -1)),
    (2, [(400, 0), (400, 300)], (-1, -1), (-1, -1)),
    (4, [(3000, 0), (3200, 0)], (-1, -1), (-1, -1)),
    (5, [(5000, 0), (5200, 0)], (-1, -1), (-1, -1)),
    (6, [(0, 900), (600, 900)], (-1, -1), (-1, -1)),
]
TOWN = GazetteerData(
    street_id=[11, 12, 13, 14, 15, 16, 17],
    street_name=STREETS,
    street_other_names=[("红旗路", "Jiefang Road"), (), (), ("X018",), (), (), ()],
    segment_id=[100 + i for i in range(len(LINES))],
    segment_street=[11 + street for street, *_ in LINES],
    segment_xy=np.array([p for _, line, *_ in LINES for p in line], dtype=float),
    segment_offset=list(range(0, 2 * len(LINES) + 1, 2)),
    left_from=[r[0] for *_, r, _ in LINES],
    left_to=[r[1] for *_, r, _ in LINES],
    right_from=[r[0] for *_, r in LINES],
    right_to=[r[1] for *_, r in LINES],
    plate_street=[17, 17, 17, 17],
    plate_number=["10号", "20号", "11号", "15之2號"],
    plate_x_m=[100.0, 200.0, 100.0, 140.0],
    plate_y_m=[880.0, 880.0, 920.0, 920.0],
    place_id=[1, 2, 3, 4],
    place_name=["中心广场", "城东菜市场", "县人民医院", "中心广场"],
    place_other_names=[(), ("老菜场",), (), ()],
    place_x_m=[300.0, 590.0, 410.0, 9000.0],
    place_y_m=[40.0, 30.0, 150.0, 0.0],
    place_spread_m=[40.0, 60.0, 40.0, 40.0],
    community_name=["城东社区"],
    community_x_m=[500.0],
    community_y_m=[100.0],
    community_spread_m=[250.0],
    km_post_street=[14, 14],
    km_post_code=["K1+000", "K2+000"],
    km_post_x_m=[0.0, 1000.0],
    km_post_y_m=[-1000.0, -1000.0],
    facility_street=[11],
    facility_code=["JF-047"],
    facility_x_m=[47.0],
    facility_y_m=[5.0],
)


@pytest.fixture(scope="module")
def town() -> Gazetteer:
    return Gazetteer.build(TOWN)


def test_former_names_answer_but_never_for_a_street_that_bears_the_name_today() -> None:
    others = [("红旗路", "文化路", "解放路"), ("书院街",), *[()] * 5]
    town = Gazetteer.build(replace(TOWN, street_other_names=others))
    assert [geocode(t, town).street for t in ("红旗路21号", "书院街", "文化路")] == ["解放路", "文化路", "文化路"]  # fmt: skip
    today = geocode("红旗路与文化路交叉口", town)
    assert (today.match, today.x_m, today.y_m) == ("crossing", 200, 0)
    assert [c.label for c in geocode("文化路", town).candidates] == ["文化路"]


def close(answer: Answer, x: float, y: float, within_m: float = 2.0) -> bool:
    return (
        answer.x_m is not None
        and answer.y_m is not None
        and math.dist((answer.x_m, answer.y_m), (x, y)) <= within_m
    )


@pytest.mark.parametrize(
    ("text", "match", "x", "y"),
    [
        ("解放路与文化路交叉口", "crossing", 200, 0),
        ("文化路解放路路口", "crossing", 200, 0),
        ("文化路、解放路交汇处", "crossing", 200, 0),
        ("解放路与文化路路口往东50米", "crossing_offset", 250, 0),
        ("解放路与文化路路口向西30米", "crossing_offset", 170, 0),
        ("解放路与文化路交叉口向北约100米路西", "crossing_offset", 192, 100),
        ("文化路与解放路交叉口以南五十米路东", "crossing_offset", 208, -50),
        ("解放路与文化路路口往东300米", "crossing_offset", 500, 0),
        ("解放路与文化路交叉口西南角", "crossing", 200 - 15 * math.sqrt(0.5), -15 * math.sqrt(0.5)),
        ("解放路21号", "interpolated", 235, 20),
        ("解放路40号", "interpolated", 365, -20),
        ("解放路四十号", "interpolated", 365, -20),
        ("解放路40号往西100米", "interpolated", 265, 0),
        ("育才路10号", "door_plate", 100, 880),
        ("育才路15號之2", "door_plate", 140, 920),
        ("育才路15-2号", "door_plate", 140, 920),
        ("育才路14号", "interpolated", 140, 880),
        ("X018线K1+500", "km_post", 500, -1000),
        ("县道X018线1公里处往东100米", "km_post", 100, -1000),
        ("解放路JF-047号路灯杆", "place", 47, 5),
        ("解放路中心广场", "place", 300, 40),
        ("老菜场", "place", 590, 30),
        ("城东菜市场往西100米", "place", 490, 0),
        ("解放路(文化路至建设路段)", "span", 300, 0),
        ("解放路文化路至建设路", "span", 300, 0),
        ("从文化路到建设路这一段的解放路上全是落叶", "span", 300, 0),
        ("从文化路到建设路的解放路北侧", "span", 300, 8),
        ("师傅我在解放路，解放路和文化路这里，水管爆了", "crossing", 200, 0),
        ("解放路（原中正路）文化路口", "crossing", 200, 0),
        ("解放路从建设路到文化路", "span", 300, 0),
        ("城东社区", "community", 500, 100),
        ("红旗路与文化路交叉口", "crossing", 200, 0),
        ("Jiefang Road", "street", 300, 0),
    ],
)
def test_a_text_lies_where_the_drawing_says(
    town: Gazetteer, text: str, match: str, x: float, y: float
) -> None:
    answer = geocode(text, town, near=(300.0, 0.0))
    assert (answer.match, close(answer, x, y)) == (match, True), answer


def test_opposite_flips_the_side(town: Gazetteer) -> None:
    here, there = geocode("解放路21号", town), geocode("解放路21号对面", town)
    assert here.side == "left"
    assert there.side == "right"
    assert here.y_m is not None
    assert here.y_m > 0
    assert there.y_m is not None
    assert there.y_m < 0
    assert here.x_m == pytest.approx(there.x_m)
    assert here.segment_id == there.segment_id == 101


def test_a_span_is_clipped_to_the_street(town: Gazetteer) -> None:
    answer = geocode("解放路（文化路至建设路段）北侧", town)
    assert answer.line is not None
    assert np.allclose(answer.line[0], [[200, 0], [400, 0]])
    assert close(answer, 300, 8)
    assert (answer.segment_id, answer.side) == (101, "left")


def test_a_span_between_numbers_stays_on_its_street(town: Gazetteer) -> None:
    answer = geocode("解放路22号至40号路段", town)
    assert answer.line is not None
    assert np.allclose(answer.line[0], [[235, 0], [365, 0]])


def test_a_street_alone_gives_its_line_and_little_confidence(town: Gazetteer) -> None:
    answer = geocode("解放路", town)
    assert answer.match == "street"
    assert answer.line is not None
    assert sum(np.hypot(*np.diff(part, axis=0).T).sum() for part in answer.line) == pytest.approx(
        600
    )
    assert answer.needs_person


def test_part_of_a_street(town: Gazetteer) -> None:
    answer = geocode("解放路东段", town)
    assert answer.x_m is not None
    assert answer.x_m > 400
    assert answer.reading.direction == "east"


def test_a_street_that_the_town_does_not_have_is_said(town: Gazetteer) -> None:
    answer = geocode("西关大道中心广场旁", town)
    assert answer.reading.street == "西关大道"
    assert "street.unknown" in answer.reasons
    assert answer.needs_person


def test_a_homophone_is_put_right_and_said(town: Gazetteer) -> None:
    plain, wrong = geocode("解放路与文化路交叉口", town), geocode("解放路与文话路交叉口", town)
    assert close(wrong, 200, 0)
    assert [(c.typed, c.taken, c.how) for c in wrong.corrections] == [
        ("文话路", "文化路", "homophone")
    ]
    assert wrong.confidence < plain.confidence
    assert "corrected" in wrong.reasons


def test_two_streets_equally_likely_are_asked_back(town: Gazetteer) -> None:
    answer = geocode("永圣路", town)
    assert {c.street_id for c in answer.candidates} == {15, 16}
    assert "several_places" in answer.reasons
    assert answer.needs_person


@pytest.mark.parametrize(
    ("typed", "how"),
    [
        ("文化路", ""),
        ("文花路", "homophone"),
        ("文话路", "homophone"),
        ("文华路", "homophone"),
        ("文化化路", "extra"),
        ("建没路", "lookalike"),
        ("建色路", "near_sound"),
        ("文化魯", "homophone"),
    ],
)
def test_wrong_keys(town: Gazetteer, typed: str, how: str) -> None:
    answer = geocode(f"解放路与{typed}交叉口", town)
    expected = (400, 0) if typed.startswith("建") else (200, 0)
    assert close(answer, *expected), answer
    assert [c.how for c in answer.corrections] == ([how] if how else [])


def test_streets_that_do_not_meet_give_a_low_score_and_no_error(town: Gazetteer) -> None:
    answer = geocode("文化路与建设路交叉口", town)
    assert "crossing.streets_do_not_meet" in answer.reasons
    assert answer.confidence < 0.3


def test_of_two_places_of_one_name_the_nearer_or_neither(town: Gazetteer) -> None:
    assert geocode("中心广场", town).needs_person
    assert close(geocode("中心广场", town, near=(8900.0, 0.0)), 9000, 0)
    assert close(geocode("解放路中心广场", town), 300, 40)
    assert not geocode("解放路中心广场", town).needs_person


def test_traditional_and_full_width_are_the_same(town: Gazetteer) -> None:
    one, other = geocode("解放路21号", town), geocode("解放路２１號", town)
    assert (one.x_m, one.y_m) == (other.x_m, other.y_m)


def test_ids_are_the_callers(town: Gazetteer) -> None:
    answer = geocode("解放路21号", town)
    assert (answer.street_id, answer.street, answer.segment_id) == (11, "解放路", 101)


@pytest.mark.parametrize(
    "text", ["", "我家楼下", "垃圾没人清", "hello there", "12345", "（）", "号号号", "路路路"]
)
def test_no_place_no_answer(town: Gazetteer, text: str) -> None:
    answer = geocode(text, town)
    assert (answer.match, answer.x_m, answer.confidence) == ("none", None, 0.0)
    assert "no_place" in answer.reasons


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="street_id, street_name"):
        Gazetteer.build(replace(TOWN, street_name=["解放路"]))


def test_an_empty_town_answers_nothing() -> None:
    assert geocode("解放路21号", Gazetteer.build(GazetteerData())).match == "none"


def test_a_span_names_all_its_segments_and_goes_to_the_longest(town: Gazetteer) -> None:
    """From 5 (x=15+0.22*150=48.3) to the crossing at 400: 152 m of the first segment, all 200 m of the second."""
    answer = geocode("解放路5号至建设路段", town)
    assert answer.match == "span"
    assert answer.segment_id == 101
    assert [s for s, _ in answer.segments] == [101, 100]
    assert [m for _, m in answer.segments] == [
        pytest.approx(200, abs=1),
        pytest.approx(151.7, abs=1),
    ]


def row_of_ranges(*rows: tuple[tuple[int, int], tuple[int, int]]) -> GazetteerData:
    """One street of 100 m pieces in a row from x=0 with their ranges (left, right); no other street."""
    return GazetteerData(
        street_id=[1],
        street_name=["长路"],
        segment_id=list(range(len(rows))),
        segment_street=[1] * len(rows),
        segment_xy=np.array(
            [p for i in range(len(rows)) for p in ((100 * i, 0), (100 * i + 100, 0))]
        ),
        segment_offset=list(range(0, 2 * len(rows) + 1, 2)),
        left_from=[left[0] for left, _ in rows],
        left_to=[left[1] for left, _ in rows],
        right_from=[right[0] for _, right in rows],
        right_to=[right[1] for _, right in rows],
    )


def test_a_range_drawn_against_its_street_is_turned() -> None:
    """The middle piece says left 21 to 29 but lies between 31-39 and 11-19: 29 is at its west end, on the north side."""
    town = row_of_ranges(((39, 31), (40, 32)), ((22, 30), (21, 29)), ((19, 11), (20, 12)))
    answer = geocode("长路29号", Gazetteer.build(town))
    assert answer.x_m == pytest.approx(110, abs=1)  # 100 + inset 10: the street goes on, no corner
    assert answer.y_m == pytest.approx(20, abs=1)
    assert answer.side == "left"


def test_a_number_between_two_ranges_lies_between_them() -> None:
    """21 lies half-way between 11 (of 1-11, at 90) and 31 (of 31-41, at 110)."""
    town = row_of_ranges(((1, 11), (2, 12)), ((31, 41), (32, 42)))
    answer = geocode("长路21号", Gazetteer.build(town))
    assert answer.x_m == pytest.approx(100, abs=1)


def test_numbers_stand_opposite_each_other() -> None:
    """21 ends its own side, yet stands opposite 22 of 2-42, half-way: 0.3 of its own end and 0.7 of the middle."""
    town = row_of_ranges(((1, 21), (2, 42)))
    answer = geocode("长路21号", Gazetteer.build(town))
    assert answer.x_m == pytest.approx(15 + 70 * (0.3 * 1 + 0.7 * 0.5), abs=1)


@pytest.mark.parametrize(
    "text",
    [
        "解放路文化路往东第二个路口",
        "解放路与文化路路口往东过两个红绿灯",
        "解放路中心广场东边下一个路口",
        "县人民医院往西第3个十字路口",
    ],
)
def test_crossings_that_people_count_are_never_sure(town: Gazetteer, text: str) -> None:
    answer = geocode(text, town)
    assert answer.match != "none"
    assert answer.confidence < 0.5
    assert answer.spread_m >= 300
    assert "offset.counted" in answer.reasons


def test_the_bare_kind_of_a_place_offers_all_of_that_kind() -> None:
    names = ["城东菜市场", "启明菜市场", "县人民医院", "城西农贸市场"]
    data = replace(TOWN, place_name=names, place_other_names=[()] * 4, place_x_m=[0.0, 2000.0, 410.0, 5000.0])  # fmt: skip
    town = Gazetteer.build(data)
    answer = geocode("菜市场门口垃圾成堆", town)
    assert {c.label for c in answer.candidates} == {"城东菜市场", "启明菜市场"}
    assert answer.confidence < 0.5
    assert "several_places" in answer.reasons
    # The only one may be meant, but a person says so.
    assert geocode("农贸市场里面很脏", town).candidates[0].label == "城西农贸市场"
    assert geocode("农贸市场里面很脏", town).confidence < 0.5


def test_the_part_of_a_street_is_no_part_of_the_places_name(town: Gazetteer) -> None:
    answer = geocode("解放路中段县人民医院旁边", town)
    assert (answer.match, answer.reading.landmark) == ("place", "县人民医院")
    assert geocode("解放路中段中国银行旁边", town).reading.landmark == "中国银行"


def test_a_correction_always_lowers_the_confidence(town: Gazetteer) -> None:
    for right, wrong in (
        ("育才路10号", "玉才路10号"),
        ("解放路与文化路交叉口", "解放路与文华路交叉口"),
    ):
        said, corrected = geocode(right, town), geocode(wrong, town)
        assert (corrected.x_m, corrected.y_m) == (said.x_m, said.y_m)
        assert corrected.corrections
        assert corrected.confidence < said.confidence
