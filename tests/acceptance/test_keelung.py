"""Keelung: villages as grids on 71 roads that have a village on one side only. There the side decides.

The source gives plates, not streets: `tests/keelung.py` draws each road between its two sides from four plates in
five. A side of a segment belongs to the village that most of those plates on it name. Asked are the plates that
were kept back, by their words alone and by their points alone, and those that are known, by their words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
import shapely
from scipy.spatial import cKDTree

from tests import keelung
from tests.commands import Commands
from tests.databases import TestCluster

KEPT_BACK = 5  # every fifth number


@pytest.fixture(scope="module")
def asked(
    cluster: TestCluster,
    empty_template: str,
    shared_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pd.DataFrame]:
    """Plates of the 71 roads: truth `VILLAGE_CODE`; `known`; grid by words and by point; its segment's two sides."""
    folder = tmp_path_factory.mktemp("keelung")
    every = keelung.plates(shared_data)
    roads = keelung.with_a_village_on_one_side(every)
    assert (len(roads), every.groupby(["DISTRICT", "ROAD"]).ngroups) == (71, 237)
    frame = every[pd.MultiIndex.from_frame(every[["DISTRICT", "ROAD"]]).isin(roads)]
    # Plates of one number (32, 32之1) stand together: none of them may give the others away.
    known = (frame.number // 2) % KEPT_BACK != 0
    told, others = frame[known], every.drop(frame.index)
    keelung.streets(pd.concat([told, others])).to_file(folder / "streets.geojson")
    told.rename(columns={"NUMBER": "house_number", "VILLAGE_CODE": "community"})[
        ["street", "house_number", "community", "LON", "LAT"]
    ].to_csv(folder / "plates.csv", index=False)
    # Of the known ones a fifth is asked too: as many as were kept back.
    frame = frame[(frame.number // 2) % KEPT_BACK <= 1]
    known = (frame.number // 2) % KEPT_BACK != 0
    frame.assign(lon=frame.LON, lat=frame.LAT)[["ADDRESS", "lon", "lat"]].to_csv(
        folder / "asked.csv", index=False
    )
    with cluster.database(empty_template) as url:
        run = Commands({"GRIDWARD_HOME": str(folder), "GRIDWARD_DATABASE_URL": url})
        run.well("import", "streets", folder / "streets.geojson", "--map", "class=class")
        run.well("import", "addresses", folder / "plates.csv", "--map", "lon=LON,lat=LAT")
        grids = _villages(url, told)
        grids.to_csv(folder / "grids.csv", index=False)
        run.well("import", "grids", folder / "grids.csv")
        words = run.well(
            "geocode", folder / "asked.csv", folder / "words.csv", "--column", "ADDRESS"
        )
        points = run.well("route", folder / "asked.csv", folder / "points.csv")
        assert words["rows"] == points["rows"] == len(frame)
        found = pd.read_csv(folder / "words.csv", dtype={"grid_code": str})
        sides = grids.pivot(index="segment_id", columns="side", values="code")
        yield frame.assign(
            known=known,
            by_words=found.grid_code.to_numpy(),
            match=found.match.to_numpy(),
            segment_id=found.segment_id.to_numpy(),
            left_code=sides.left.reindex(found.segment_id).to_numpy(),
            right_code=sides.right.reindex(found.segment_id).to_numpy(),
            by_point=pd.read_csv(
                folder / "points.csv", dtype={"grid_code": str}
            ).grid_code.to_numpy(),
        )
        run.close()


def _villages(url: str, told: pd.DataFrame) -> pd.DataFrame:
    """code, name, segment_id, side: the village most of a side's plates name; without plates, the nearest plate's."""
    with psycopg.connect(url) as connection:
        on = pd.DataFrame(
            connection.execute(
                "select segment_id, side, community from door_plate where segment_id is not null"
            ).fetchall(),
            columns=["segment_id", "side", "village"],
        )
        segments = connection.execute(
            "select id, st_asbinary(line) from segment where gone_at is null order by id"
        ).fetchall()
    most = on.groupby(["segment_id", "side"]).village.agg(lambda v: v.mode().iloc[0])
    middles = shapely.line_interpolate_point(
        shapely.from_wkb([bytes(line) for _, line in segments]), 0.5, normalized=True
    )
    plane = keelung.to_plane(shapely.get_x(middles), shapely.get_y(middles), keelung.EPSG)
    _, near = cKDTree(told[["x", "y"]]).query(np.column_stack(plane))
    rows = []
    for (segment_id, _), nearest in zip(segments, near, strict=True):
        sides = {side: most.get((segment_id, side)) for side in ("left", "right")}
        for side, other in (("left", "right"), ("right", "left")):
            code = sides[side] or sides[other] or told.VILLAGE_CODE.iloc[nearest]
            rows.append((code, code, segment_id, side))
    return pd.DataFrame(rows, columns=["code", "name", "segment_id", "side"])


def right(asked: pd.DataFrame, column: str) -> float:
    """Share of plates whose grid is their own village; what was not answered is wrong."""
    return float((asked[column] == asked.VILLAGE_CODE).mean())


def test_every_plate_is_answered(asked: pd.DataFrame) -> None:
    assert asked.by_words.notna().all()
    assert asked.by_point.notna().mean() > 0.99
    assert (asked[asked.known].match == "door_plate").mean() > 0.99
    assert (asked[~asked.known].match == "interpolated").mean() > 0.99


def test_the_village_of_a_plate_is_the_grid_of_its_side(asked: pd.DataFrame) -> None:
    """Of the drawn sides' plates 98.9 % by words and 98.6 % by point; of those never seen 95.4 % and 95.7 %.

    What is missing is mostly the drawing: two plates in a hundred stand within 20 m of a border, and where a road has
    numbers on one side only for a stretch, the other side is guessed.
    """
    known, kept_back = asked[asked.known], asked[~asked.known]
    assert right(known, "by_words") >= 0.98
    assert right(known, "by_point") >= 0.975
    assert right(kept_back, "by_words") >= 0.945
    assert right(kept_back, "by_point") >= 0.945
    inland = kept_back[~near_a_border(asked)[~asked.known]]
    assert len(inland) > 0.95 * len(kept_back)
    assert right(inland, "by_words") >= 0.95


def test_where_the_sides_differ_the_side_decides(asked: pd.DataFrame) -> None:
    """On segments with two villages, a grid that could only hold whole segments would be right far less often."""
    two = asked[asked.left_code != asked.right_code]
    assert len(two) > 0.3 * len(asked)
    whole = two.groupby("segment_id").VILLAGE_CODE.transform(lambda v: v.mode().iloc[0])
    assert right(two, "by_words") >= 0.94
    assert (whole == two.VILLAGE_CODE).mean() <= right(two, "by_words") - 0.1


def near_a_border(asked: pd.DataFrame) -> pd.Series:
    """Whether another village's plate stands within 20 m on the same side of the road."""
    near = pd.Series(False, index=asked.index)
    for _, side in asked.groupby(["DISTRICT", "ROAD", "odd"]):
        for code, own in side.groupby("VILLAGE_CODE"):
            others = side[code != side.VILLAGE_CODE]
            if len(others):
                apart_m, _ = cKDTree(others[["x", "y"]]).query(own[["x", "y"]])
                near[own.index[apart_m <= 20]] = True
    return near
