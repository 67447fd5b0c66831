"""San Francisco sweeps by side of the block: each side its own grid and crew, as the city's file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli.importing import datum_change
from api.services import make_services
from grid.bulk_locate import grids_of, read_ground_index
from grid.core.crs import to_plane
from grid.loading.grids import GridName, Holding, put_in_force
from grid.loading.towns import load_town
from grid.locate import locate
from grid.sources import vector
from grid.town import town_facts
from grid.town_territory import town_territory
from tests.databases import TestCluster
from tests.ground import MORNING, nothing

NOW = datetime.now(UTC)
UTM_10N = 32610
COMPASS = {
    "North": (0, 1), "NorthEast": (1, 1), "East": (1, 0), "SouthEast": (1, -1),
    "South": (0, -1), "SouthWest": (-1, -1), "West": (-1, 0), "NorthWest": (-1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def curbs(shared_data: Path) -> gpd.GeoDataFrame:
    """One row for each side of a block that has both: Corridor, Limits, BlockSide, rule (day and hours), curb line."""
    read = gpd.read_file(shared_data / "us-san-francisco" / "street-sweeping-west.geojson")
    read = read.to_crs(UTM_10N)
    read["rule"] = (
        read["WeekDay"].astype(str)
        + " "
        + read["FromHour"].astype(str)
        + "-"
        + read["ToHour"].astype(str)
    )
    sides = read.drop_duplicates(["Corridor", "Limits", "BlockSide"])
    both = sides.groupby(["Corridor", "Limits"])["BlockSide"].transform("count") == 2
    return sides[both].reset_index(drop=True)


@pytest.fixture(scope="module")
def blocks(curbs: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The street between two curbs: name = Corridor, and the block's number as its class of its own."""
    shares = np.linspace(0, 1, 9)
    rows = []
    for (corridor, limits), pair in curbs.groupby(["Corridor", "Limits"]):
        one, other = pair.geometry
        if one.interpolate(0).distance(other.interpolate(0)) > one.interpolate(0).distance(
            other.interpolate(other.length)
        ):
            other = other.reverse()
        a, b = (
            shapely.get_coordinates(shapely.line_interpolate_point(line, shares, normalized=True))
            for line in (one, other)
        )
        rows.append(
            {"name": corridor, "limits": limits, "geometry": shapely.LineString((a + b) / 2)}
        )
    return gpd.GeoDataFrame(rows, crs=UTM_10N)


@pytest.fixture(scope="module")
def swept(
    cluster: TestCluster,
    empty_template: str,
    blocks: gpd.GeoDataFrame,
    curbs: gpd.GeoDataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Session]:
    """The blocks as streets, each side held by the grid of its day and hours."""
    file = tmp_path_factory.mktemp("blocks") / "streets.geojson"
    blocks.to_crs(4326).to_file(file)
    read, refused = vector.read_streets(file, None, {"name": "name"}, None, datum_change)
    assert refused == []
    with cluster.database(empty_template) as url:
        services = make_services(cluster.settings(url))
        with services.sessions() as session:
            load_town(session, read, nothing(), nothing(), nothing(), MORNING, merge=False)
            rows = session.execute(
                text("select s.id, t.name, st_asbinary(s.line) as line from segment s"
                     " join street t on t.id = s.street_id order by s.id")
            ).all()  # fmt: skip
            drawn = gpd.GeoSeries([shapely.from_wkb(bytes(r.line)) for r in rows], crs=4326)
            rules = sorted(set(curbs["rule"]))
            codes = {rule: f"{k + 1:02d}" for k, rule in enumerate(rules)}
            holdings = []
            for row, line in zip(rows, drawn.to_crs(UTM_10N), strict=True):
                block = blocks[blocks["name"] == row.name].geometry.distance(
                    line.interpolate(0.5, normalized=True)
                )
                limits = blocks.loc[block.idxmin(), "limits"]
                for _, curb in curbs[
                    (curbs["Corridor"] == row.name) & (curbs["Limits"] == limits)
                ].iterrows():
                    holdings.append(
                        Holding(row.id, _side(line, curb["BlockSide"]), codes[curb["rule"]])
                    )
            names = [GridName(code, rule) for rule, code in codes.items()]
            put_in_force(session, names, holdings, MORNING)
            yield session
            session.rollback()
        services.engine.dispose()


def _side(line: shapely.LineString, compass: str) -> str:
    """Left or right of a line, by the compass word of the file."""
    (x0, y0), (x1, y1) = line.coords[0], line.coords[-1]
    east, north = COMPASS[compass]
    return "left" if (x1 - x0) * north - (y1 - y0) * east > 0 else "right"


def _beside_their_own_block(curbs: gpd.GeoDataFrame, blocks: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Without curbs whose middle lies nearer to a cross street, as in blocks shorter than the street is wide."""
    middles = curbs.geometry.interpolate(0.5, normalized=True)
    nearest = shapely.STRtree(blocks.geometry.values).nearest(middles.values)
    near = blocks.iloc[nearest]
    own = (near["name"].to_numpy() == curbs["Corridor"]) & (
        near["limits"].to_numpy() == curbs["Limits"]
    )
    assert (~own).sum() <= 3
    return curbs[own].reset_index(drop=True)


def test_points_on_either_curb_get_the_sweeping_of_that_side_of_the_block(
    swept: Session, curbs: gpd.GeoDataFrame, blocks: gpd.GeoDataFrame
) -> None:
    curbs = _beside_their_own_block(curbs, blocks)
    places = curbs.geometry.interpolate(0.5, normalized=True).to_crs(4326)
    x, y = to_plane(places.x, places.y, town_facts(swept).plane_epsg)
    expected = curbs["rule"].tolist()
    assert len(expected) >= 800
    apart = curbs.groupby(["Corridor", "Limits"])["rule"].nunique()
    assert (apart == 2).mean() > 0.5  # most blocks are swept at two different times

    ground = read_ground_index(swept)
    found = ground.index.nearest(x, y, second=False)
    grid, _ = grids_of(
        ground,
        found.row,
        found.side.astype(np.int64),
        np.full(len(x), int(NOW.timestamp() * 1e6)),
        np.column_stack([x, y]),
    )
    given = [ground.grids[g][1] for g in grid.tolist()]
    wrong = [
        (row.Corridor, row.Limits, row.BlockSide, row.rule, told)
        for row, told in zip(curbs.itertuples(), given, strict=True)
        if row.rule != told
    ]
    assert wrong == []

    for k in range(0, len(expected), 40):
        one = locate(swept, float(x[k]), float(y[k]), NOW, neighbour_m=20.0)
        assert one is not None
        assert one.grid is not None
        assert (one.grid.name, one.street) == (expected[k], curbs["Corridor"][k])

    whole = town_territory(swept, NOW)
    assert whole.bad_parts() == []
    tree = shapely.STRtree(whole.whole.polygons)
    point, area = tree.query(shapely.points(x, y), predicate="intersects")
    told_by_ground = {
        p: whole.grids[int(whole.whole.labels[a])][1]
        for p, a in zip(point.tolist(), area.tolist(), strict=True)
    }
    assert [told_by_ground[k] for k in range(len(expected))] == expected
