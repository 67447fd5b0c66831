"""Default points are found in a batch by themselves; a point that disagrees with its own text is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grid.geocode import Answer, Reading
from grid.geocode.doubt import default_points, disagrees


def test_city_hall_is_found_in_the_boston_requests(shared_data: Path) -> None:
    frame = pd.read_csv(
        shared_data / "us-boston/311-requests-2015-jan-aug.csv.gz", dtype=str, keep_default_na=False
    )
    lon, lat = pd.to_numeric(frame.LONGITUDE), pd.to_numeric(frame.LATITUDE)
    found = default_points(lon, lat, frame.Location.tolist())
    assert [(d.lon, d.lat) for d in found] == [(-71.0587, 42.3594)]
    # Counts stated by the data's README: 11,899 rows, 3,742 of them with an address elsewhere.
    assert (found[0].rows, len(found[0].row_numbers)) == (11_899, 11_899)
    with_text = frame.Location[
        (frame.LATITUDE == "42.3594") & (frame.LONGITUDE == "-71.0587") & (frame.Location != "")
    ]
    assert len(with_text) == 3_742
    assert found[0].texts == with_text.str.strip().nunique()


def test_a_tower_block_with_many_flats_is_no_default_point() -> None:
    """Thirty texts on one point among others nearly as crowded are a building, not an error."""
    lon = np.repeat(np.arange(40) * 0.001 + 117, 25)
    texts = [f"{i}号" for i in range(1000)]
    assert default_points(lon, np.full(1000, 34.0), texts) == []


def test_no_points_no_default() -> None:
    assert default_points([], [], []) == []
    assert default_points([np.nan], [np.nan], ["x"]) == []
    assert default_points([1.0] * 100, [2.0] * 100, ["same"] * 100) == []


def answer(**values: object) -> Answer:
    base: dict[str, object] = {
        "match": "door_plate",
        "confidence": 0.95,
        "x_m": 0.0,
        "y_m": 0.0,
        "reading": Reading(),
        "spread_m": 20.0,
    }
    return Answer(**{**base, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "values", "expected"),
    [
        ((219.0, 0.0), {}, None),
        ((221.0, 0.0), {}, 221.0),
        ((500.0, 0.0), {"confidence": 0.3}, None),
        ((500.0, 0.0), {"match": "none", "x_m": None, "y_m": None}, None),
        (
            (500.0, 150.0),
            {"match": "street", "line": (np.array([[0.0, 0.0], [1000.0, 0.0]]),)},
            None,
        ),
        (
            (500.0, 250.0),
            {
                "match": "street",
                "confidence": 0.4,
                "line": (np.array([[0.0, 0.0], [1000.0, 0.0]]),),
            },
            250.0,
        ),
    ],
)
def test_a_point_far_from_its_own_text_is_said(
    point: tuple[float, float], values: dict[str, object], expected: float | None
) -> None:
    away = disagrees(point, answer(**values))
    assert away == (None if expected is None else pytest.approx(expected))
