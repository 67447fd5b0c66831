"""The invented town's year of incidents, whose truth is known: the words alone find the grid that answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from api.services import Services
from dispatch.placed_by_words import find_words
from fixtures.town import make_town
from grid.core.crs import to_plane
from grid.locate import locate

ASKED = 3_000
SURE = 0.8


@pytest.fixture(scope="module")
def answered(town_services: Services) -> pd.DataFrame:
    """A draw of the year: kind, confidence, the true grid, the grid found and the grid next door that it names.

    The truth is the grid of the true point by the rule of the nearest segment, on the street the incident lies on;
    at a crossing, of which both streets are named, on any.
    """
    year = make_town().incidents
    drawn = year.sample(ASKED, random_state=2025)
    texts = [
        a if isinstance(a, str) and a else d
        for a, d in zip(drawn.address, drawn.description, strict=True)
    ]
    now = datetime.now(UTC)
    rows = []
    with town_services.sessions() as session:
        ground, _ = town_services.desk.read(session)
        assert ground is not None
        answers = find_words(texts, ground, [None] * len(texts))
        names = ground.gazetteer
        streets = dict(zip(names.street_names, names.street_ids, strict=True))
        x, y = to_plane(drawn.truth_lon, drawn.truth_lat, ground.town.plane_epsg)
        for answer, row, east, north in zip(answers, drawn.itertuples(), x, y, strict=True):
            if answer.x_m is None or answer.y_m is None:
                rows.append((row.truth_kind, 0.0, None, None, None))
                continue
            owner = None if row.truth_kind == "crossing" else streets.get(row.truth_street)
            true = locate(
                session, float(east), float(north), now, neighbour_m=20.0, street_id=owner
            )
            found = locate(
                session, answer.x_m, answer.y_m, now, neighbour_m=20.0, street_id=answer.owner_street_id
            )  # fmt: skip
            rows.append((row.truth_kind, answer.confidence, *_codes(true, found)))
    return pd.DataFrame(rows, columns=["kind", "confidence", "true", "found", "next_door"])


def _codes(true, found) -> tuple[str | None, ...]:  # type: ignore[no-untyped-def]
    grids = (true and true.grid, found and found.grid, found and found.neighbour)
    return tuple(grid.code if grid else None for grid in grids)


def test_the_grid_is_right_where_the_answer_is_sure(answered: pd.DataFrame) -> None:
    sure = answered[answered.confidence > SURE]
    right = sure.true == sure.found
    told = right | (sure.true == sure.next_door)
    print(f"\n{len(sure)} of {len(answered)} answered above {SURE}: right grid {right.mean():.4f},")
    print(f"right or named as the grid next door {told.mean():.4f}")
    print(right.groupby(sure.kind).agg(["size", "mean"]).round(3).to_string())
    assert len(sure) >= 0.8 * len(answered)
    assert right.mean() >= 0.98
    assert told.mean() >= 0.99


def test_what_names_no_place_is_not_sure(answered: pd.DataFrame) -> None:
    nowhere = answered[answered.kind == "none"]
    assert len(nowhere) > 20
    assert (nowhere.confidence > SURE).mean() < 0.01
