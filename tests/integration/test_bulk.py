"""Many points and many words: on one core, on several and on a Dask cluster, the same answers as one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.cli import pointing
from api.services import Services
from dispatch.bulk import EPOCH, CrewBook, PointRouter, read_point_router
from grid.bulk_locate import read_ground_index
from tests.command import Command, command_on

POINTS = 1_500


@pytest.fixture(scope="module")
def points(town_services: Services) -> pd.DataFrame:
    """Points about the invented town with categories, moments and datums; some without."""
    with town_services.sessions() as session:
        middles = np.array(
            session.execute(
                text(
                    "select st_x(m), st_y(m) from segment,"
                    " lateral st_lineinterpolatepoint(line, 0.5) m order by id"
                )
            ).all(),
            dtype=np.float64,
        )
    dice = np.random.default_rng(7)
    about = middles[dice.integers(0, len(middles), POINTS)] + dice.normal(0, 0.0005, (POINTS, 2))
    frame = pd.DataFrame(about, columns=["lon", "lat"])
    frame.loc[::50, ["lon", "lat"]] = np.nan
    frame.loc[::71, "lon"] = 0.0
    frame["id"] = [f"{k:05d}" for k in range(POINTS)]
    frame["code"] = dice.choice(["06042", "01014", "01039", None], POINTS)
    day = pd.Timestamp.now("UTC").floor("D")
    frame["when"] = [day - pd.Timedelta(hours=int(h)) for h in dice.integers(0, 400, POINTS)]
    frame["note"] = dice.choice(["a", 'b,"c"', "d\ne"], POINTS)
    frame["datum"] = dice.choice(["wgs84", "gcj02", None], POINTS)
    return frame


@pytest.fixture
def command(
    town_services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setattr(pointing, "ROUTE_ROWS", 250)
    monkeypatch.setattr(pointing, "GEOCODE_ROWS", 40)
    return command_on(town_services, monkeypatch, capsys)


ASKED = ("--category", "code", "--at", "when")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_several_processes_write_the_very_file_that_one_does(
    command: Command, points: pd.DataFrame, tmp_path: Path, ending: str
) -> None:
    source, one, three = (tmp_path / f"{name}.{ending}" for name in ("in", "one", "three"))
    if ending == "csv":
        points.to_csv(source, index=False)
    else:
        points.to_parquet(source)
    for target, width in ((one, "1"), (three, "3")):
        code, told = command("route", str(source), str(target), *ASKED, "--cores", width)
        assert code == 0
        assert told["rows"] == POINTS
        assert POINTS * 0.8 < told["routed"] < POINTS * 0.98
    assert one.read_bytes() == three.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        p.name for p in (source, one, three)
    )
    read: Any = pd.read_csv if ending == "csv" else pd.read_parquet
    given, out = read(source), read(three)
    assert out[given.columns.tolist()].equals(given)
    assert out["reason"].notna().all()


def test_a_dask_cluster_writes_it_too(
    command: Command, points: pd.DataFrame, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    points.to_parquet(tmp_path / "in.parquet")
    paths = [str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet")]
    assert command("route", *paths, *ASKED, "--cores", "1")[0] == 0
    alone = pa.parquet.read_table(paths[1])
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        code, told = command("route", *paths, *ASKED, "--dask", cluster.scheduler_address)
        assert (code, told["rows"]) == (0, POINTS)
        assert pa.parquet.read_table(paths[1]).equals(alone)
        wrong = points.assign(code="99999")
        wrong.to_parquet(paths[0])
        code, _ = command("route", *paths, *ASKED, "--dask", cluster.scheduler_address)
        assert code == 2
    assert pa.parquet.read_table(paths[1]).equals(alone)
    code, _ = command("route", *paths, "--dask", cluster.scheduler_address)
    assert code == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_words_are_found_alike_by_several_processes(
    command: Command, town_services: Services, tmp_path: Path
) -> None:
    with town_services.sessions() as session:
        names = list(session.scalars(text("select name from street order by id limit 60")))
    table = pd.DataFrame({"words": [*names, "没有这样的地方", None, *(f"{n}12号" for n in names)]})
    table["k"] = range(len(table))
    table.to_csv(tmp_path / "in.csv", index=False)
    told = []
    for width in ("1", "3"):
        target = str(tmp_path / f"{width}.csv")
        code, result = command(
            "geocode", str(tmp_path / "in.csv"), target, "--column", "words", "--cores", width
        )
        assert code == 0
        told.append((result["rows"], result["answered"]))
    assert told[0] == told[1]
    assert told[0][0] == len(table)
    assert told[0][1] >= 100
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "3.csv").read_bytes()


def test_a_refused_row_in_the_middle_leaves_nothing_behind(
    command: Command, points: pd.DataFrame, tmp_path: Path
) -> None:
    wrong = points.copy()
    wrong.loc[POINTS - 10, "code"] = "99999"
    wrong.to_csv(tmp_path / "in.csv", index=False)
    paths = [str(tmp_path / "in.csv"), str(tmp_path / "out.csv")]
    assert command("route", *paths, *ASKED, "--cores", "2")[0] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def _router(services: Services, session: Session) -> PointRouter:
    ground, catalogue = services.desk.read(session)
    assert ground is not None
    index, settings = read_ground_index(session), services.settings.town
    return read_point_router(session, index, catalogue, settings, ground.town.plane_epsg)


def test_a_router_sent_elsewhere_answers_as_at_home(
    town_services: Services, points: pd.DataFrame
) -> None:
    import pickle

    with town_services.sessions() as session:
        router = _router(town_services, session)
        sent = pickle.loads(pickle.dumps(router))  # noqa: S301
        book = CrewBook(session)
        at_us = np.full(POINTS, (datetime.now(UTC) - EPOCH).total_seconds() * 1e6).astype(np.int64)
        codes = [None if pd.isna(c) else str(c) for c in points["code"]]
        lon, lat = points["lon"].to_numpy(), points["lat"].to_numpy()
        tables = []
        for one in (router, sent):
            placed = one.place(lon, lat, codes, at_us)
            tables.append(one.table(placed, book.crews(placed.stretches)))
    assert tables[0].equals(tables[1])
    assert tables[0]["assignee"].null_count < POINTS / 2
