"""The grids' ground in the invented town: whole, and the same answer as asking for a point."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import Conflict
from grid.kept_territory import keep_territory
from grid.locate import locate
from grid.town_territory import town_territory
from maps.layer_frames import layer_frame, write_frame

POINTS = 400
# The territory promises agreement farther than this from a border.
NEAR_BORDER_M = 0.5


def test_every_point_of_the_town_lies_in_the_grid_that_locate_names(session: Session) -> None:
    now = datetime.now(UTC)
    ground = town_territory(session, now)
    codes = {
        row.code for row in session.execute(text("select code from grid where upper_inf(valid)"))
    }
    assert {ground.grids[int(label)][0] for label in ground.whole.labels} == codes
    west, south, east, north = ground.boundary.bounds
    rng = np.random.default_rng(7)
    points = shapely.points(
        rng.uniform(west, east, 3 * POINTS), rng.uniform(south, north, 3 * POINTS)
    )
    inside = points[shapely.contains(ground.boundary, points)][:POINTS]
    borders = shapely.STRtree(shapely.boundary(ground.whole.polygons))
    tree = shapely.STRtree(ground.whole.polygons)
    asked = 0
    for point in inside:
        if len(borders.query(point, predicate="dwithin", distance=NEAR_BORDER_M)):
            continue
        (row,) = tree.query(point, predicate="within")
        found = locate(session, point.x, point.y, now, neighbour_m=0.0)
        assert found is not None
        assert found.grid is not None
        assert found.grid.id == int(ground.whole.labels[row]), shapely.to_wkt(point)
        asked += 1
    assert asked > POINTS * 0.9


def test_the_ground_is_a_coverage_without_gap_or_overlap(session: Session) -> None:
    ground = town_territory(session, datetime.now(UTC))
    assert ground.bad_parts() == []
    assert shapely.coverage_is_valid(ground.whole.polygons)
    # Summed areas of 40 polygons against one: a square decimetre of rounding in 30 square kilometres.
    assert abs(shapely.area(ground.whole.polygons).sum() - ground.boundary.area) < 1.0


def test_the_layer_comes_out_with_its_crews(session: Session, tmp_path: Path) -> None:
    target = tmp_path / "ground.gpkg"
    keep_territory(session, datetime.now(UTC))
    count = write_frame(
        layer_frame(session, "territories", with_people=True), "territories", target
    )
    frame = gpd.read_file(target)
    assert (count, len(frame), frame.crs.to_epsg()) == (40, 40, 4326)
    assert frame["cleaner"].notna().all()
    assert 114.4 < frame.total_bounds[0] < frame.total_bounds[2] < 114.8


def test_a_side_without_a_grid_is_said(session: Session) -> None:
    session.execute(
        text(
            "delete from grid_segment where segment_id = (select min(id) from segment)"
            " and side = 'left'"
        )
    )
    with pytest.raises(Conflict) as refused:
        town_territory(session, datetime.now(UTC))
    assert refused.value.code == "territory.not_divided"
