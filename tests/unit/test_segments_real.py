"""Three real OSM extracts and a city's own centre lines, against counts made without our readers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import Geod

from grid.segments import Segmentation, cut
from grid.sources.osm import read_osm
from grid.sources.vector import read_streets
from tests.real_streets import KEPT, OSM_FILES

CAMBRIDGE = {
    "name": "Street",
    "left_from": "L_From",
    "left_to": "L_To",
    "right_from": "R_From",
    "right_to": "R_To",
}


@cache
def town(path: Path) -> Segmentation:
    return cut(read_osm(path).streets)


def highways_by_gdal(path: Path) -> Any:
    """Lines GDAL makes of the kept highways; written from the rule in DECISIONS, not from our code."""
    lines = pyogrio.read_dataframe(path, layer="lines")
    lines = lines[lines["highway"].notna()]
    other = lines["other_tags"].fillna("")

    def tagged(tag: str, values: str) -> Any:
        return other.str.contains(rf'"{re.escape(tag)}"=>"(?:{values})"')

    pavement = "sidewalk|crossing|traffic_island|access_aisle|link"
    walked = lines["highway"].isin(["footway", "path", "cycleway"])
    beside = tagged("footway", pavement) | tagged("path", pavement) | tagged("cycleway", pavement)
    kept = lines["highway"].str.removesuffix("_link").isin(KEPT)
    return lines[kept & ~(walked & beside) & ~tagged("area", "yes") & ~tagged("indoor", "yes")]


@pytest.mark.parametrize("name", OSM_FILES)
def test_length_equals_the_highways_counted_by_gdal(shared_data: Path, name: str) -> None:
    lines = highways_by_gdal(shared_data / name)
    expected_m = sum(Geod(ellps="GRS80").geometry_length(shape) for shape in lines.geometry)
    assert expected_m > 10_000
    found_m = town(shared_data / name).segments["length_m"].sum()
    assert found_m == pytest.approx(expected_m, rel=0.001)


@pytest.mark.parametrize("name", OSM_FILES)
def test_no_two_segments_of_a_level_cross_inside(shared_data: Path, name: str) -> None:
    segments = town(shared_data / name).segments
    shapes, level = segments.geometry.values, segments["level"].to_numpy()
    a, b = shapely.STRtree(shapes).query(shapes, predicate="crosses")
    assert int(((a < b) & (level[a] == level[b])).sum()) == 0


@pytest.mark.parametrize("name", OSM_FILES)
def test_reading_twice_gives_the_same(shared_data: Path, name: str) -> None:
    again = cut(read_osm(shared_data / name).streets)
    first = town(shared_data / name)
    assert pd.DataFrame(again.segments.to_wkb()).equals(pd.DataFrame(first.segments.to_wkb()))
    assert pd.DataFrame(again.crossings.to_wkb()).equals(pd.DataFrame(first.crossings.to_wkb()))
    assert first.segments["source_key"].is_unique
    assert first.crossings["source_key"].is_unique


@pytest.mark.parametrize("name", OSM_FILES)
def test_segments_run_from_crossing_to_crossing(shared_data: Path, name: str) -> None:
    """Where just two segments meet, the street changes there: else they would be one."""
    segments = town(shared_data / name).segments
    # Which way traffic runs at each end: 1 into the crossing, -1 out of it, 0 both ways.
    sense = segments["oneway"].map({"no": 0, "forward": 1, "backward": -1})
    arriving = segments.assign(node=segments["to_node"], flow=sense)
    leaving = segments.assign(node=segments["from_node"], flow=-sense)
    checked = 0
    for _, two in pd.concat([arriving, leaving]).groupby("node"):
        if len(two) == 2 and two.index.is_unique:
            traits = two[["name", "class_", "form", "level"]].fillna("").drop_duplicates()
            assert len(traits) == 2 or two["flow"].sum() != 0
            checked += 1
    assert checked > 5


def test_elevated_roads_and_dual_carriageways_of_shanghai(shared_data: Path) -> None:
    streets = read_osm(shared_data / OSM_FILES[1]).streets
    named = streets[streets["name"] == "延安西路"]
    assert (named["form"] == "dual").mean() > 0.5
    assert streets.loc[streets["oneway"] == "no", "form"].isin(["single", "ramp"]).all()
    assert len(streets) == 1297
    assert int(streets["name"].notna().sum()) == 1137 + 1  # one has name:zh and name:en only


def test_centre_lines_of_cambridge_stay_row_for_row(shared_data: Path) -> None:
    path = shared_data / "us-cambridge" / "street-centerlines.geojson"
    source = gpd.read_file(path)
    streets, refused = read_streets(path, mapping=CAMBRIDGE)
    found = cut(streets, merge=False)
    assert refused == []
    assert found.rows_kept
    assert len(found.segments) == len(source) == 2643
    assert found.segments["name"].tolist() == source["Street"].tolist()
    for ours, theirs in list(CAMBRIDGE.items())[1:]:
        expected = source[theirs].where(source[theirs] > 0).to_numpy(dtype=float)
        partner = CAMBRIDGE[ours.replace("from", "TO").replace("to", "from").replace("TO", "to")]
        other = source[partner].where(source[partner] > 0).to_numpy(dtype=float)
        got = found.segments[ours].astype(float).to_numpy()
        assert np.array_equal(got, np.where(np.isnan(expected), other, expected), equal_nan=True)
    expected_m = sum(Geod(ellps="GRS80").geometry_length(shape) for shape in source.geometry)
    assert found.segments["length_m"].sum() == pytest.approx(expected_m, rel=1e-4)


def test_flyovers_of_cambridge_are_apart(shared_data: Path) -> None:
    path = shared_data / "us-cambridge" / "street-centerlines.geojson"
    segments = cut(read_streets(path, mapping=CAMBRIDGE)[0], merge=False).segments
    shapes, level = segments.geometry.values, segments["level"].to_numpy()
    a, b = shapely.STRtree(shapes).query(shapes, predicate="crosses")
    # Memorial Drive runs under the Longfellow and Brookline Street bridges.
    assert int(((a < b) & (level[a] == level[b])).sum()) == 0
    raised = set(segments.loc[level > 0, "name"])
    assert {"Longfellow Bridge", "Brookline St"} & raised
