"""Districts that others drew, as grids: every segment and every address gets what the polygons say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Transformer
from shapely.geometry import box
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.importing import datum_change
from api.services import Services, make_services
from grid.areas import areas_in_force, put_areas
from grid.bulk_locate import grids_of, read_ground_index
from grid.changing import apply_plan, plan_merge, plan_move
from grid.core.crs import to_plane
from grid.in_force import withdraw_planned
from grid.loading.grids import GridName, put_in_force
from grid.loading.towns import load_town
from grid.locate import locate
from grid.overlay import segments_by_area
from grid.sources import vector
from grid.town import town_facts
from tests.databases import TestCluster
from tests.ground import LADDER, MORNING, at, load_lines, nothing, segment_ids

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)
DISTRICTS = {"street-sweeping-districts": "District", "police-response-districts": "CADRA"}


@pytest.fixture(scope="module")
def cambridge(cluster: TestCluster, empty_template: str, shared_data: Path) -> Iterator[Session]:
    """The streets of Cambridge, not divided, in a database of their own: the session lasts and holds the lock."""
    read, _ = vector.read_streets(
        shared_data / "us-cambridge" / "street-centerlines.geojson",
        None,
        {"name": "Street"},
        None,
        datum_change,
    )
    with cluster.database(empty_template) as url:
        services = make_services(cluster.settings(url))
        with services.sessions() as session:
            load_town(session, read, nothing(), nothing(), nothing(), MORNING, merge=False)
            yield session
            session.rollback()
        services.engine.dispose()


@pytest.mark.parametrize("name", DISTRICTS)
def test_every_address_and_every_segment_gets_the_district_that_the_polygons_say(
    cambridge: Session, shared_data: Path, name: str
) -> None:
    folder, column = shared_data / "us-cambridge", DISTRICTS[name]
    frame, refused = vector.read_grids(
        folder / f"{name}.geojson", None, {"code": column, "name": column}, None, datum_change
    )
    assert refused == []
    saved = cambridge.begin_nested()
    codes = sorted(set(frame["code"]))
    names = [GridName(code, code) for code in codes]
    put_in_force(cambridge, names, segments_by_area(cambridge, frame), MORNING)
    put_areas(cambridge, frame, MORNING)
    drawn = gpd.read_file(folder / f"{name}.geojson").dissolve(column)
    drawn.index = drawn.index.astype(str)

    addresses = pd.read_csv(folder / "parcel-addresses-fy2014.csv.gz")
    points = shapely.points(addresses["LON"], addresses["LAT"])
    assert len(points) == 13_209
    point, area = shapely.STRtree(drawn.geometry.values).query(points, predicate="intersects")
    expected: dict[int, str] = dict(zip(point.tolist(), drawn.index[area], strict=True))
    assert len(expected) == len(point)
    ground = read_ground_index(cambridge)
    x, y = to_plane(addresses["LON"], addresses["LAT"], town_facts(cambridge).plane_epsg)
    found = ground.index.nearest(x, y, second=False)
    grid, then = grids_of(
        ground,
        found.row,
        found.side.astype(np.int64),
        np.full(len(x), int(NOW.timestamp() * 1e6)),
        np.column_stack([x, y]),
    )
    given = [ground.grids[g][0] for g in grid.tolist()]
    assert then.all()
    wrong = [(i, code, given[i]) for i, code in expected.items() if given[i] != code]
    assert wrong == []
    # The rest lies in no polygon: the nearest segment's district has it. One by one is the same as in bulk.
    for i in [
        *range(0, len(points), 400),
        *sorted(set(range(len(points))) - set(expected))[:5],
    ]:
        one = locate(cambridge, float(x[i]), float(y[i]), NOW, neighbour_m=20.0)
        assert one is not None
        assert one.grid is not None
        assert one.grid.code == given[i]

    _segments_agree(cambridge, drawn)
    saved.rollback()


def _segments_agree(session: Session, drawn: gpd.GeoDataFrame) -> None:
    """Each side has the district in which most of it lies, by points 5 m beside the street (Massachusetts plane)."""
    rows = session.execute(
        text(
            "select s.id, h.side, g.code, st_asbinary(s.line) as line from segment s"
            " join grid_segment h on h.segment_id = s.id join grid g on g.id = h.grid_id"
        )
    ).all()
    assert len(rows) == 2 * 2643
    plane = drawn.to_crs(26986)
    tree = shapely.STRtree(plane.geometry.values)
    change = Transformer.from_crs(4326, 26986, always_xy=True).transform
    doubtful = 0
    for row in rows:
        line = shapely.transform(
            shapely.from_wkb(bytes(row.line)), lambda xy: np.column_stack(change(*xy.T))
        )
        aside = shapely.offset_curve(line, 5.0 if row.side == "left" else -5.0)
        if aside.is_empty:
            aside = line
        samples = shapely.line_interpolate_point(aside, np.linspace(0, 1, 201), normalized=True)
        _, area = tree.query(samples, predicate="intersects")
        if len(area) == 0:
            continue
        share = np.bincount(area, minlength=len(plane)) / 201
        best = int(np.argmax(share))
        second = float(np.partition(share, -2)[-2])
        if share[best] - second < 0.03:
            doubtful += 1
            continue
        assert row.code == plane.index[best], (row.id, row.side, share[best], second)
    assert doubtful < 0.01 * len(rows)


# Areas and changes by hand.


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with two areas, the border a little east of the middle lane; rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        areas = gpd.GeoDataFrame(
            {"code": ["A", "B"]},
            geometry=[box(*at(-1, -1), *at(1.3, 2)), box(*at(1.3, -1), *at(3, 2))],
            crs=4326,
        )
        names = [GridName("A", "西"), GridName("B", "东")]
        put_in_force(session, names, segments_by_area(session, areas), MORNING)
        assert put_areas(session, areas, MORNING) == 2
        yield session
        session.rollback()


def grid_at(session: Session, column: float, row: float, moment: datetime = NOW) -> str | None:
    x, y = to_plane(*at(column, row), town_facts(session).plane_epsg)
    found = locate(session, float(x), float(y), moment, neighbour_m=0.0)
    return found.grid.code if found and found.grid else None


def test_in_an_area_the_area_decides_and_not_the_nearest_segment(ladder: Session) -> None:
    # The lower street's eastern half lies mostly in B; its first 30 m are A's by the polygon.
    assert grid_at(ladder, 1.2, 0.02) == "A"
    assert grid_at(ladder, 1.4, 0.02) == "B"
    assert grid_at(ladder, 1.2, 0.02, MORNING - timedelta(days=1)) == "A"


def test_a_grid_that_is_changed_is_no_more_as_it_was_drawn(ladder: Session) -> None:
    lane = segment_ids(ladder)["二巷"]
    apply_plan(ladder, plan_move(ladder, lane, "B", SOON))
    assert grid_at(ladder, 1.02, 0.5) == "A"
    assert grid_at(ladder, 1.02, 0.5, SOON) == "B"
    assert areas_in_force(ladder, SOON) == []
    assert len(areas_in_force(ladder, NOW)) == 2
    withdraw_planned(ladder, NOW)
    assert [code for code, _ in areas_in_force(ladder, SOON)] == ["A", "B"]


def test_a_merged_grids_area_goes_with_it(ladder: Session) -> None:
    apply_plan(ladder, plan_merge(ladder, "A", "B", SOON))
    assert [code for code, _ in areas_in_force(ladder, SOON)] == ["B", "B"]
    assert {grid_at(ladder, x, 0.02, SOON) for x in (0.5, 1.2, 1.4)} == {"B"}


def test_a_new_division_ends_every_area(ladder: Session) -> None:
    ids = segment_ids(ladder)
    areas = gpd.GeoDataFrame({"code": ["A"]}, geometry=[box(*at(-1, -1), *at(3, 2))], crs=4326)
    put_in_force(ladder, [GridName("A", "全")], segments_by_area(ladder, areas), SOON)
    assert areas_in_force(ladder, SOON) == []
    assert grid_at(ladder, 1.4, 0.02, SOON) == "A"
    assert len(ids) == 5
