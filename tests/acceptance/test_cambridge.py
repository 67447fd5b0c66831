"""A real city by commands alone: streets in, addresses found, grids balanced, every point to its true segment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import shapely
from pyproj import Geod, Transformer

from api.auth import save_account
from api.services import Services, make_services
from tests.commands import Commands
from tests.databases import TestCluster
from tests.lines import beyond_m
from tests.web import Office, office

GEOD = Geod(ellps="GRS80")
STREET_MAP = "name=Street left_from=L_From left_to=L_To right_from=R_From right_to=R_To"
# UTM zone 19 north, the plane of a town at 71 degrees west.
PLANE = Transformer.from_crs(4326, 32619, always_xy=True)
EQUAL_M = 1e-6
REACH_M = 250.0
POINTS = 10_000
WORDS = {"STREET": "ST", "AVENUE": "AVE", "ROAD": "RD", "PLACE": "PL", "COURT": "CT",
         "TERRACE": "TER", "SQUARE": "SQ", "PARKWAY": "PKWY", "DRIVE": "DR", "LANE": "LN",
         "CIRCLE": "CIR", "HIGHWAY": "HWY", "BROADWAY": "BROADWAY", "TERR": "TER", "PK": "PARK"}  # fmt: skip


@dataclass(frozen=True)
class City:
    """Cambridge in a database of its own."""

    run: Commands
    url: str
    services: Services
    imported: dict[str, Any]
    divided: dict[str, Any]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def city(
    cluster: TestCluster,
    empty_template: str,
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("cambridge")
    with cluster.database(empty_template) as url:
        run = Commands({"GRIDWARD_HOME": str(folder), "GRIDWARD_DATABASE_URL": url})
        streets = shared_data / "us-cambridge" / "street-centerlines.geojson"
        imported = run.well("import", "streets", streets, "--map", STREET_MAP)
        divided = run.well("divide", "--grids", 40, "--apply")
        people(folder, [row["code"] for row in divided["table"]])
        assert run.well("import", "staff", folder / "staff.csv")["refused"] == 0
        assert run.well("import", "crews", folder / "crews.csv")["taken"] == 40
        services = make_services(cluster.settings(url, folder))
        with services.sessions() as session:
            save_account(session, "dispatcher", "gridward-demo", "D", "dispatcher")
            session.commit()
        yield City(run, url, services, imported, divided)
        services.engine.dispose()
        run.close()


def people(folder: Path, codes: list[str]) -> None:
    """One invented person for every post of every grid."""
    posts = ("officer", "cleaner", "gardener", "maintainer")
    staff = [
        (f"{post[0].upper()}-{code}", f"{post} of {code}", post) for code in codes for post in posts
    ]
    pd.DataFrame(staff, columns=["staff_no", "name", "post"]).to_csv(
        folder / "staff.csv", index=False
    )
    crews = [{"grid_code": code, **{p: f"{p[0].upper()}-{code}" for p in posts}} for code in codes]
    pd.DataFrame(crews).to_csv(folder / "crews.csv", index=False)


def same_street(name: str) -> str:
    """A street's name as two writers would agree on it."""
    parts = re.sub(r"[^A-Z0-9 ]", "", name.upper()).split()
    return " ".join(WORDS.get(part, part) for part in parts)


def test_every_centre_line_is_a_segment_with_its_ranges(city: City, shared_data: Path) -> None:
    assert city.imported["streets"]["new"] == 2643
    assert city.imported["refused"] == 0
    assert city.rows("select count(*), count(distinct street_id) from segment") == [(2643, 809)]
    assert city.rows("select plane_epsg from town") == [(32619,)]


def test_forty_grids_are_connected_and_within_five_percent(city: City) -> None:
    """Counted anew from the tables: a union of lines and their crossings, lengths by geography."""
    assert (city.divided["connected"], city.divided["applied"]) == (40, True)
    rows = city.rows(
        "select h.grid_id, s.from_crossing_id, s.to_crossing_id, st_length(s.line::geography)"
        " from segment s join grid_segment h on h.segment_id = s.id and h.side = 'left'"
    )
    frame = pd.DataFrame(rows, columns=["grid", "a", "b", "length_m"])
    lengths = frame.groupby("grid")["length_m"].sum()
    assert len(lengths) == 40
    assert lengths.max() / lengths.mean() <= 1.05
    assert city.divided["balance"] == pytest.approx(lengths.max() / lengths.mean(), abs=0.001)
    whole = pieces(frame)
    for _, part in frame.groupby("grid"):
        # A grid may only fall apart where the streets themselves do.
        assert pieces(part) <= whole
    assert city.run("check", "--json").json["findings"] == []


def pieces(edges: pd.DataFrame) -> int:
    """How many connected pieces the streets make, by union and find."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in zip(edges["a"], edges["b"], strict=True):
        parent[root(a)] = root(b)
    return len({root(node) for node in list(parent)})


def test_parcel_addresses_are_found_on_their_street_and_near(
    city: City, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "us-cambridge" / "parcel-addresses-fy2014.csv.gz"
    told = city.run.well("geocode", source, tmp_path / "out.csv", "--column", "ADDRESS")
    out = pd.read_csv(tmp_path / "out.csv", dtype={"ADDRESS": str, "street": str})
    assert told["rows"] == len(out) == 13_209
    found = out[out["lon"].notna()]
    assert len(found) / len(out) >= 0.95
    asked = found["ADDRESS"].str.replace(r"^\S+\s+", "", regex=True).map(same_street)
    right = asked == found["street"].map(same_street)
    assert right.mean() >= 0.97, found[~right][["ADDRESS", "street"]].head(20).to_string()
    _, _, apart_m = GEOD.inv(found["LON"], found["LAT"], found["lon"], found["lat"])
    assert np.median(apart_m) < 40
    assert found["segment_id"].notna().all()
    assert found["grid_code"].notna().all()


@pytest.fixture(scope="module")
def routed(city: City, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """10,000 points about the city, a tenth of them on crossings, routed from a file."""
    folder = tmp_path_factory.mktemp("route")
    dice = np.random.default_rng(20260101)
    crossings = np.array(city.rows("select st_x(point), st_y(point) from crossing order by id"))
    about = crossings[dice.integers(0, len(crossings), POINTS - 1000)]
    spread = dice.normal(0, 0.0012, about.shape)
    points = np.vstack([about + spread, crossings[dice.integers(0, len(crossings), 1000)]])
    table = pd.DataFrame(points, columns=["lon", "lat"])
    table["code"] = dice.choice(["06042", "01014", "01039", ""], POINTS)
    table["at"] = "2099-06-04T09:00:00-04:00"
    table.to_csv(folder / "in.csv", index=False)
    told = city.run.well(
        *("route", folder / "in.csv", folder / "out.csv"), *("--category", "code", "--at", "at")
    )
    out = pd.read_csv(folder / "out.csv", dtype={"code": str, "segment_id": "Int64"})
    assert told["rows"] == len(out) == POINTS
    return out


def test_ten_thousand_points_go_to_the_true_nearest_segment(
    city: City, routed: pd.DataFrame
) -> None:
    """The rule: least plane distance; among equals the least beyond, the more important class, the lower id."""
    rows = city.rows("select id, rank, st_asbinary(line) from segment order by id")
    ids = np.array([row[0] for row in rows])
    rank = np.array([row[1] for row in rows])
    lines = shapely.transform(
        shapely.from_wkb([bytes(row[2]) for row in rows]),
        lambda xy: np.column_stack(PLANE.transform(xy[:, 0], xy[:, 1])),
    )
    points = shapely.points(*PLANE.transform(routed["lon"].to_numpy(), routed["lat"].to_numpy()))
    tree = shapely.STRtree(lines)
    _, least = tree.query_nearest(points, return_distance=True, all_matches=False)
    for k in range(0, POINTS, 50):
        assert least[k] == shapely.distance(lines, points[k]).min()
    which, line = tree.query(points, predicate="dwithin", distance=least + EQUAL_M)
    tied = np.bincount(which)[which] > 1
    past = np.zeros(len(line))
    past[tied] = [
        beyond_m(lines[k], points[p].x, points[p].y)
        for k, p in zip(line[tied], which[tied], strict=True)
    ]
    order = np.lexsort((past, which))
    start = np.unique(which[order], return_index=True)[1]
    furthest = past[order][start] + EQUAL_M
    kept = past <= furthest[np.searchsorted(which[order][start], which)]
    ties = np.bincount(which)
    which, line = which[kept], line[kept]
    order = np.lexsort((ids[line], rank[line], which))
    first = np.unique(which[order], return_index=True)[1]
    truth = ids[line[order][first]]
    inside = least <= REACH_M
    assert inside.mean() > 0.9
    wrong = np.flatnonzero(routed["segment_id"].to_numpy(dtype=float)[inside] != truth[inside])
    assert len(wrong) == 0, routed[inside].iloc[wrong[:5]].to_string()
    assert routed["segment_id"][~inside].isna().all()
    measured = routed["distance_m"].to_numpy()[inside]
    assert np.abs(measured - least[inside]).max() < 0.00051  # written in millimetres
    assert (ties[inside] > 1).sum() > 300, "ties were not tried"


def test_the_single_route_answers_as_the_file(city: City, routed: pd.DataFrame) -> None:
    with office(city.services) as desk:
        for row in routed.iloc[::33].itertuples(index=False):
            asked = {"lon": row.lon, "lat": row.lat, "at": row.at}
            if isinstance(row.code, str):
                asked["category"] = row.code
            compare(desk, asked, row)


def compare(desk: Office, asked: dict[str, Any], row: Any) -> None:
    body = desk.get("dispatcher", "/route", params=asked).json()
    person = body["assignee"]["name"] if body["assignee"] else None
    single = (body["segment_id"], body["grid_code"], body["side"], body["post"], person)
    values = (row.segment_id, row.grid_code, row.side, row.post, row.assignee)
    assert single == tuple(None if pd.isna(value) else value for value in values), asked
    if body["distance_m"] is not None:
        assert body["distance_m"] == row.distance_m
    if single[0] is not None and isinstance(row.code, str):
        assert person == f"{row.post} of {row.grid_code}"


def test_a_point_far_from_its_own_address_is_flagged_and_not_routed(
    city: City, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "us-cambridge" / "parcel-addresses-fy2014.csv.gz"
    table = pd.read_csv(source, dtype=str).iloc[::600]
    near = table.assign(lon=table["LON"], lat=table["LAT"])
    far = table.assign(lon=(table["LON"].astype(float) + 0.009), lat=table["LAT"])
    for name, frame in (("near", near), ("far", far)):
        frame[["ADDRESS", "lon", "lat"]].rename(columns={"ADDRESS": "address"}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    told = {
        name: city.run.well("import", "incidents", tmp_path / f"{name}.csv", "--dry-run")
        for name in ("near", "far")
    }
    count = len(table)
    assert told["near"]["placed"] >= count - 1
    assert told["far"]["waiting"] >= count - 1
    flags = told["far"]["flags"]
    assert flags.get("point_disagrees", 0) + flags.get("point_outside", 0) >= count - 1
    assert city.rows("select count(*) from incident") == [(0,)]


def test_bostons_default_point_is_found_by_itself_and_said(
    cluster: TestCluster, empty_template: str, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "us-boston" / "311-requests-2015-jan-aug.csv.gz"
    mapping = "external_id=CASE_ENQUIRY_ID description=TYPE address=Location"
    with cluster.database(empty_template) as url:
        run = Commands({"GRIDWARD_HOME": str(tmp_path), "GRIDWARD_DATABASE_URL": url})
        asked = ("import", "incidents", source, "--dry-run", "--map", mapping)
        done = run(*asked, "--map", "lon=LONGITUDE lat=LATITUDE", "--json")
        run.close()
    assert done.code == 0, done.err
    told = done.json
    assert told["rows"] == 81_408
    (point,) = told["default_points"]
    assert (point["lon"], point["lat"]) == (-71.0587, 42.3594)
    # Counted in the file: 11,899 rows on the point, 3,742 with an address, 1,650 different ones.
    assert (point["rows"], point["texts"]) == (11_899, 1_650)
    assert told["default_point_rows"] == 11_899
    assert told["default_point_rows_with_address"] == 3_742
    assert told["flags"]["default_point"] == 11_899
    said = done.err
    assert "-71.0587" in said
    assert "42.3594" in said
