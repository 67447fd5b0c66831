"""English and other European ways of saying a place, read and placed in a small town."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grid.geocode import Gazetteer, GazetteerData, Reading, geocode, parse

LINES = [
    ("Main Street", [(0, 0), (200, 0)], (1, 19), (2, 20)),
    ("Main Street", [(200, 0), (400, 0)], (21, 39), (22, 40)),
    ("Broad Avenue", [(200, -300), (200, 0)], (-1, -1), (-1, -1)),
    ("Broad Avenue", [(200, 0), (200, 300)], (-1, -1), (-1, -1)),
    ("1st Street", [(0, 150), (200, 150)], (-1, -1), (-1, -1)),
    ("Second Street", [(200, 300), (400, 300)], (-1, -1), (-1, -1)),
    ("Massachusetts Avenue", [(1000, 0), (1200, 0)], (100, 198), (101, 199)),
    ("Hauptstraße", [(2000, 0), (2200, 0)], (1, 19), (2, 20)),
    ("Mannerheimintie", [(3000, 0), (3200, 0)], (1, 19), (2, 20)),
    ("Saint Mary's Road", [(4000, 0), (4200, 0)], (1, 19), (2, 20)),
]
NAMES = list(dict.fromkeys(name for name, *_ in LINES))


@pytest.fixture(scope="module")
def town() -> Gazetteer:
    data = GazetteerData(
        street_id=list(range(len(NAMES))),
        street_name=NAMES,
        street_other_names=[("Mass Ave",) if n.startswith("Mass") else () for n in NAMES],
        segment_id=list(range(len(LINES))),
        segment_street=[NAMES.index(name) for name, *_ in LINES],
        segment_xy=np.array([p for _, line, *_ in LINES for p in line], dtype=float),
        segment_offset=list(range(0, 2 * len(LINES) + 1, 2)),
        left_from=[r[0] for *_, r, _ in LINES],
        left_to=[r[1] for *_, r, _ in LINES],
        right_from=[r[0] for *_, r in LINES],
        right_to=[r[1] for *_, r in LINES],
        place_name=["Public Library"],
        place_x_m=[300.0],
        place_y_m=[30.0],
    )
    return Gazetteer.build(data)


@pytest.mark.parametrize(
    ("text", "match", "x", "y"),
    [
        ("Main St & Broad Ave", "crossing", 200, 0),
        ("broad av. and MAIN STREET", "crossing", 200, 0),
        ("corner of Main St and Broad Ave", "crossing", 200, 0),
        ("Main / Broad", "crossing", 200, 0),
        ("21 Main St", "interpolated", 235, 20),
        ("21 MAIN STREET", "interpolated", 235, 20),
        ("21-23 Main St", "interpolated", 235, 20),
        ("21A Main St", "interpolated", 235, 20),
        ("Main St 21", "interpolated", 235, 20),
        ("21 1/2 Main St", "interpolated", 235, 20),
        ("21 A Main St", "interpolated", 235, 20),
        ("40 Main St", "interpolated", 385, -20),
        ("Broad between 1st and 2nd", "span", 200, 225),
        ("Broad Ave btwn 1st & 2nd St", "span", 200, 225),
        ("Broad Ave from First St to Second St", "span", 200, 225),
        ("100 Mass Ave", "interpolated", 1015, 20),
        ("100 Massachusetts Ave", "interpolated", 1015, 20),
        ("Hauptstrasse 19", "interpolated", 2185, 20),
        ("Hauptstr. 19", "interpolated", 2185, 20),
        ("Mannerheimintie 19", "interpolated", 3185, 20),
        ("19 St Marys Rd", "interpolated", 4185, 20),
        ("opposite the Public Library", "place", 300, None),
        ("there is a hole at Main St & Broad Ave, please fix", "crossing", 200, 0),
    ],
)
def test_a_text_lies_where_it_should(
    town: Gazetteer, text: str, match: str, x: float, y: float | None
) -> None:
    answer = geocode(text, town)
    assert answer.match == match, answer
    assert answer.x_m == pytest.approx(x, abs=4)
    assert y is None or answer.y_m == pytest.approx(y, abs=4)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("12 Elm St", Reading(street="Elm St", house_number="12")),
        (
            "INTERSECTION of Elm St & Oak Ave  Boston  MA",
            Reading(street="Elm St", cross_street="Oak Ave"),
        ),
        (
            "145-151 Ipswich St  Boston  MA  02215",
            Reading(street="Ipswich St", house_number="145-151"),
        ),
        ("north side of Main St", Reading(street="Main St", side="north")),
        (
            "50 m north of Main St & Broad Ave",
            Reading(street="Main St", cross_street="Broad Ave", direction="north", offset_m=50.0),
        ),
        (
            "Broad Ave between Elm St and Oak Ave",
            Reading(street="Broad Ave", span_from="Elm St", span_to="Oak Ave"),
        ),
        ("opposite 21 Main St", Reading(street="Main St", house_number="21", side="opposite")),
    ],
)
def test_what_is_read(town: Gazetteer, text: str, reading: Reading) -> None:
    assert parse(text, town) == reading


def test_a_typo_is_put_right_and_said(town: Gazetteer) -> None:
    answer = geocode("100 Massachusets Ave", town)
    assert math.dist((answer.x_m or 0, answer.y_m or 0), (1015, 20)) < 4
    assert [(c.typed, c.taken, c.how) for c in answer.corrections] == [
        ("Massachusets Ave", "Massachusetts Avenue", "typo")
    ]
    assert answer.confidence < geocode("100 Massachusetts Ave", town).confidence


def test_metres_and_feet(town: Gazetteer) -> None:
    answer = geocode("50 m north of Main St & Broad Ave", town)
    assert (answer.match, answer.x_m, answer.y_m) == (
        "crossing_offset",
        pytest.approx(200),
        pytest.approx(50),
    )
    assert parse("100 feet east of Main St & Broad Ave", town).offset_m == pytest.approx(30.48)
