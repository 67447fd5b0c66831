"""Every format read back with GDAL's own tools and geopandas: the same rows, in the right place, with the same words."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from adbc_driver_manager import (
    AdbcConnection,
    AdbcDatabase,
    AdbcStatusCode,
    OperationalError,
)
from alembic.script import ScriptDirectory
from sqlalchemy import text

from api.cli.stopping import leaving_by_signal
from api.migrate import configuration
from api.newest import is_newest, newest_revision
from api.services import Services
from grid.core.datums import from_wgs84
from grid.core.errors import Conflict, Trouble
from grid.kept_territory import keep_territory
from maps.dictionary import columns_of
from maps.export_filters import Wanted
from maps.export_parts import Read, in_parts
from maps.export_rows import Watch
from maps.exports import export, plan_export
from maps.layer_frames import layer_frame
from maps.layers import find_layers

ZONE = ZoneInfo("Asia/Shanghai")
LONG = "长" * 290 + "<&>\"'=\t尾末"


@pytest.fixture(scope="module")
def services(town_services: Services) -> Services:
    """The town with one place of hard words and one without an address."""
    with town_services.sessions() as session:
        session.execute(
            text(
                "update place set name = :long, address = null where id = (select min(id) from place)"
            ),
            {"long": LONG},
        )
        session.execute(
            text("update place set address = '=1+1' where id = (select max(id) from place)")
        )
        session.commit()
    return town_services


def written(services: Services, layers: str, file: Path, crs: str | None = None, wanted: Wanted | None = None, watch: Watch | None = None) -> dict[str, int]:  # fmt: skip
    url = str(services.settings.database.database_url)
    plan = plan_export(find_layers(layers), file.name, crs, wanted or Wanted())
    return export(url, plan, file, watch or Watch(), ZONE)


@pytest.fixture(scope="module")
def truth(services: Services) -> gpd.GeoDataFrame:
    with services.sessions() as session:
        return by_id(layer_frame(session, "places"))


def by_id(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.astype({"id": "int64"}).set_index("id")


def read_back(file: Path) -> gpd.GeoDataFrame:
    if file.suffix == ".parquet":
        return gpd.read_parquet(file)
    return gpd.read_file(f"zip://{file}" if file.suffix == ".zip" else file, layer=None if file.suffix == ".zip" else "places")  # fmt: skip


@pytest.mark.parametrize("crs", [None, "EPSG:4547", "EPSG:4526", "EPSG:3857", "gcj02", "bd09"])
@pytest.mark.parametrize("ending", ["gpkg", "fgb", "parquet", "shp.zip", "geojson", "kml"])
def test_a_file_holds_the_same_rows_in_the_right_place(
    services: Services, truth: gpd.GeoDataFrame, tmp_path: Path, ending: str, crs: str | None
) -> None:
    file = tmp_path / f"places.{ending}"
    if crs and ending in ("geojson", "kml"):
        with pytest.raises(Trouble, match="wgs84_only"):
            written(services, "places", file, crs)
        assert list(tmp_path.iterdir()) == []
        return
    assert written(services, "places", file, crs) == {"places": len(truth)}
    frame = read_back(file)
    if ending == "kml":
        frame = frame.drop(columns="id", errors="ignore").rename(columns={"gridward_id": "id"})
    frame = by_id(frame)
    same = truth.loc[frame.index]
    lon, lat = same.geometry.x.to_numpy(), same.geometry.y.to_numpy()
    x, y = from_wgs84(lon, lat, crs.lower()) if crs else (lon, lat)
    metre = 1e-3 if crs and crs.startswith("EPSG") else 1e-8
    assert np.abs(frame.geometry.x.to_numpy() - x).max() < metre
    assert np.abs(frame.geometry.y.to_numpy() - y).max() < metre
    if crs and crs.startswith("EPSG"):
        assert frame.crs.to_epsg(min_confidence=20) == int(crs[5:])
    elif crs:
        assert {"gcj02": "GCJ-02", "bd09": "BD-09"}[crs] in frame.crs.name
        assert frame.crs.to_epsg() != 4326
    name = frame["name"] if "name" in frame else frame["Name"]
    if ending == "shp.zip":
        long = same["name"] == LONG
        assert name[~long].tolist() == same["name"][~long].tolist()
        assert LONG.startswith(name[long].item())
        assert len(name[long].item().encode()) >= 240
    else:
        assert name.tolist() == same["name"].tolist()
        assert (frame["address"].isna() == same["address"].isna()).all()
    assert [left.name for left in tmp_path.iterdir()] == [file.name]


def test_gdal_of_the_system_opens_them(services: Services, tmp_path: Path) -> None:
    for ending in ("gpkg", "fgb", "geojson", "shp.zip", "kml"):
        file = tmp_path / f"incidents.{ending}"
        count = written(services, "incidents", file)["incidents"]
        source = f"/vsizip/{file}" if ending == "shp.zip" else str(file)
        told = subprocess.run(
            ["ogrinfo", "-so", source, "incidents"], capture_output=True, text=True, check=True
        ).stdout
        assert f"Feature Count: {count}" in told, ending


def test_moments_flags_and_numbers_come_back(services: Services, tmp_path: Path) -> None:
    with services.sessions() as session:
        truth = by_id(layer_frame(session, "incidents", with_people=True))
    for ending in ("gpkg", "fgb", "parquet", "geojson"):
        file = tmp_path / f"i.{ending}"
        written(services, "incidents", file, wanted=Wanted(with_names=True))
        frame = (gpd.read_parquet(file) if ending == "parquet" else gpd.read_file(file, layer="incidents")).set_index("id")  # fmt: skip
        same = truth.loc[frame.index]
        for column in ("reported_at", "due_at", "ended_at"):
            ours = pd.to_datetime(frame[column], utc=True).astype("datetime64[ms, UTC]")
            theirs = same[column].astype("datetime64[ms, UTC]")
            assert (ours.isna() == theirs.isna()).all()
            assert ((ours - theirs).abs().dropna() <= pd.Timedelta("1ms")).all(), (ending, column)
        assert frame["assignee"].fillna("").tolist() == same["assignee"].fillna("").tolist()
        assert frame["overdue"].fillna(False).astype(bool).tolist() == same["overdue"].fillna(False).astype(bool).tolist()  # fmt: skip
        assert np.allclose(frame["confidence"], same["confidence"].astype(float))


def test_a_package_brings_its_styles_and_its_dictionary(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "town.gpkg"
    counts = written(services, "segments,grids,incidents", file, "EPSG:4547")
    with sqlite3.connect(file) as package:
        styled = dict(
            package.execute("select f_table_name, styleQML from layer_styles where useAsDefault")
        )
        words = package.execute('select layer, "column", zh, en from data_dictionary').fetchall()
        kinds = dict(package.execute("select table_name, data_type from gpkg_contents"))
        columns = {
            name: {row[1] for row in package.execute(f"pragma table_info({name})")}
            for name in counts
        }
    assert set(styled) == set(counts)
    assert all(style.startswith("<!DOCTYPE qgis") for style in styled.values())
    assert {(layer, column) for layer, column, _, _ in words} == {
        (layer, column) for layer, names in columns.items() for column in names - {"fid"}
    }
    assert kinds["data_dictionary"] == "attributes"


@pytest.mark.parametrize("layer", ["places", "segments", "incidents"])
def test_two_connections_read_what_one_does(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    at = datetime.now(UTC)
    alone, together = tmp_path / "a.parquet", tmp_path / "b.parquet"
    count = written(services, layer, alone, wanted=Wanted(at=at))
    shared: list[int] = []

    def noted(
        readers: Sequence[Read], parts: int
    ) -> AbstractContextManager[Iterator[pa.RecordBatch]]:
        shared.append(len(readers) * parts)
        # What happens from here on is of another moment: neither connection sees it.
        change("update place set kind = kind || '-later'")
        return in_parts(readers, parts)

    def change(statement: str) -> None:
        with services.sessions() as session:
            session.execute(text(statement))
            session.commit()

    # How many ranges there are follows from what PostgreSQL expects: known here, and not when autovacuum comes by.
    change("analyze")
    monkeypatch.setattr("maps.export_rows.in_parts", noted)
    monkeypatch.setattr("maps.export_rows.LEAST_ROWS", 1)
    monkeypatch.setattr("maps.export_parts.PART_ROWS", 8)
    monkeypatch.setattr("maps.export_rows.BATCH_BYTES", 2000)
    try:
        assert written(services, layer, together, wanted=Wanted(at=at)) == count
    finally:
        change("update place set kind = replace(kind, '-later', '')")
    assert shared
    assert shared[0] > 4
    tables = [pq.read_table(file).sort_by("id") for file in (alone, together)]
    assert tables[0].equals(tables[1])


def test_one_connection_reads_all_where_a_server_gives_no_more(
    services: Services, truth: gpd.GeoDataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AdbcConnection] = []

    def sparing(database: AdbcDatabase) -> AdbcConnection:
        if opened:
            raise OperationalError("too many clients already", status_code=AdbcStatusCode.IO)
        opened.append(AdbcConnection(database))
        return opened[0]

    with services.sessions() as session:
        session.execute(text("analyze"))
        session.commit()
    monkeypatch.setattr("adbc_driver_manager.AdbcConnection", sparing)
    monkeypatch.setattr("maps.export_rows.LEAST_ROWS", 1)
    monkeypatch.setattr("maps.export_parts.PART_ROWS", 20)
    file = tmp_path / "p.parquet"
    assert written(services, "places", file) == {"places": len(truth)}
    assert set(pq.read_table(file)["id"].to_pylist()) == set(truth.index)


def test_a_shapefile_tells_its_short_names(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "i.shp.zip"
    written(services, "incidents", file)
    with zipfile.ZipFile(file) as packed:
        parts = {
            name.partition(".")[2]: packed.read(name)
            for name in packed.namelist()
            if "README" not in name
        }
        readme = packed.read("README.txt").decode()
    assert parts["cpg"].strip() == b"UTF-8"
    assert b"GCS_WGS_1984" in parts["prj"]
    frame = gpd.read_file(f"zip://{file}")
    for short in set(frame.columns) - {"geometry"}:
        assert len(short) <= 10
        assert f"\n{short} · " in readme.replace("\r", "")


def test_geoparquet_metadata_is_what_the_standard_asks(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "g.parquet"
    written(services, "grids", file, "EPSG:4547")
    geo = json.loads(pq.read_metadata(file).metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"], column["encoding"]) == (
        "1.1.0",
        "geometry",
        "WKB",
    )
    assert column["geometry_types"] == ["MultiLineString"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 4547}
    assert column["bbox"] == pytest.approx(gpd.read_parquet(file).total_bounds)


def test_tables_carry_x_y_and_wkt(
    services: Services, truth: gpd.GeoDataFrame, tmp_path: Path
) -> None:
    written(services, "places", tmp_path / "p.csv", "EPSG:4547")
    written(services, "places", tmp_path / "p.xlsx", "EPSG:4547")
    table = pd.read_csv(tmp_path / "p.csv")
    book = openpyxl.load_workbook(tmp_path / "p.xlsx", read_only=True)
    rows = list(book["places"].iter_rows(values_only=True))
    sheet = pd.DataFrame(rows[1:], columns=rows[0])
    for frame in (table, sheet):
        points = shapely.from_wkt(frame["wkt"])
        # x is east: six digits before the point; y is north: seven.
        assert frame["x"].between(5e5, 6e5).all()
        assert frame["y"].between(3.6e6, 3.8e6).all()
        assert np.abs(shapely.get_x(points) - frame["x"]).max() < 1e-3
        assert set(frame["crs"]) == {"EPSG:4547"}
        same = truth.loc[frame["id"].astype(int)]
        assert frame["name"].tolist() == same["name"].tolist()
        assert "=1+1" in frame["address"].tolist()
    assert "dictionary" in book.sheetnames


def test_files_that_can_hold_it_explain_their_columns(services: Services, tmp_path: Path) -> None:
    wanted = {entry.column: entry for entry in columns_of("grids") if entry.type != "geometry"}
    for ending in ("parquet", "shp.zip", "fgb", "xlsx"):
        written(services, "grids", tmp_path / f"g.{ending}")
    kept = pq.read_metadata(tmp_path / "g.parquet").metadata[b"gridward:dictionary"]
    rows = {row["column"]: row for row in json.loads(kept)}
    assert set(rows) == {*wanted, "geom"}
    assert all(rows[name]["zh"] == entry.zh for name, entry in wanted.items())
    with zipfile.ZipFile(tmp_path / "g.shp.zip") as packed:
        readme = packed.read("README.txt").decode()
    assert all(f" · {name} · {e.zh} · {e.en}" in readme for name, e in wanted.items())
    header = (tmp_path / "g.fgb").read_bytes()[:20_000].decode(errors="ignore")
    assert all(entry.zh in header and entry.en in header for entry in wanted.values())
    read = gpd.read_file(tmp_path / "g.fgb")
    assert set(read.columns) == {*wanted, "geometry"}


def test_incidents_without_a_place_are_in_files_of_every_kind(
    services: Services, tmp_path: Path
) -> None:
    with services.sessions() as session:
        numbers = set(session.scalars(text("select number from gis.incidents_unplaced")))
    assert numbers
    for ending in ("gpkg", "geojson", "fgb", "parquet", "shp.zip", "csv", "xlsx", "kml"):
        file = tmp_path / f"w.{ending}"
        assert written(services, "incidents_unplaced", file) == {"incidents_unplaced": len(numbers)}
        if ending == "csv":
            frame = pd.read_csv(file)
        elif ending == "xlsx":
            frame = pd.read_excel(file, sheet_name="incidents_unplaced")
        elif ending == "parquet":
            frame = gpd.read_parquet(file)
        else:
            frame = gpd.read_file(f"zip://{file}" if ending == "shp.zip" else file)
        assert set(frame["number"]) == numbers, ending
        if "geometry" in frame:
            assert frame.geometry.isna().all(), ending


def test_a_stopped_export_leaves_nothing(services: Services, tmp_path: Path) -> None:
    kept = tmp_path / "places.gpkg"
    kept.write_bytes(b"before")
    for ending in ("gpkg", "fgb", "shp.zip", "csv", "parquet", "xlsx", "geojson"):
        with pytest.raises(Conflict, match=r"export\.cancelled"):
            written(services, "places", tmp_path / f"places.{ending}", watch=Watch(lambda: True))
    assert kept.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["places.gpkg"]


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "shp.zip", "parquet"])
def test_a_killed_command_leaves_nothing(services: Services, tmp_path: Path, ending: str) -> None:
    watch = Watch(progress=lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt), leaving_by_signal():
        written(services, "places", tmp_path / f"places.{ending}", watch=watch)
    assert list(tmp_path.iterdir()) == []


def test_a_filter_that_fails_on_the_way_leaves_nothing(services: Services, tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="division by zero"):
        written(services, "segments", tmp_path / "s.gpkg", wanted=Wanted(where="level / 0 > 1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "same"),
    [
        ("kind = 'school'", "kind = 'school'"),
        ("NOT kind IN ('school', 'park') AND name LIKE '%桥%'", "kind not in ('school', 'park') and name like '%桥%'"),
        ("id BETWEEN 10 AND 20 OR address IS NULL", "id between 10 and 20 or address is null"),
        ("CASEI(kind) = CASEI('SCHOOL')", "kind = 'school'"),
        ("id + 2 * 3 <= 20", "id + 6 <= 20"),
        ("S_INTERSECTS(geom, BBOX(114.5, 33.5, 114.6, 33.7))", "st_x(geom) <= 114.6"),
        ("name = 'x'' or true --'", "name = 'x'' or true --'"),
    ],
)  # fmt: skip
def test_cql2_chooses_what_sql_would(
    services: Services, tmp_path: Path, where: str, same: str
) -> None:
    count = written(services, "places", tmp_path / "p.csv", wanted=Wanted(where=where))["places"]
    with services.sessions() as session:
        expected = session.connection().exec_driver_sql(f"select count(*) from gis.places where {same.replace('%', '%%')}").scalar()  # fmt: skip
    assert count == expected


@pytest.mark.parametrize("ending", ["gpkg", "parquet"])
def test_the_command_keeps_its_memory_small(
    services: Services, tmp_path: Path, ending: str
) -> None:
    """Under 200 MB from its start to its end: what counts is what it loads, for rows flow through in small batches."""
    command = [str(Path(sys.executable).with_name("gridward")), "export", "incidents", str(tmp_path / f"a.{ending}")]  # fmt: skip
    url = str(services.settings.database.database_url)
    # A child counts the memory of whoever it was forked from: a small one stands between.
    small = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    small += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", small, *command], capture_output=True, text=True, check=True,
        env={**os.environ, "GRIDWARD_DATABASE_URL": url},
    )  # fmt: skip
    assert int(done.stdout) < 190 * 1024


def test_a_database_is_known_as_the_newest_without_the_tools_that_make_it_so(
    services: Services,
) -> None:
    assert newest_revision() == ScriptDirectory.from_config(configuration()).get_current_head()
    url = str(services.settings.database.database_url)
    assert is_newest(url)
    with services.engine.begin() as connection:
        was = connection.scalar(text("select obj_description('gis'::regnamespace, 'pg_namespace')"))
        connection.execute(text("comment on schema gis is 'older'"))
    assert not is_newest(url)
    with services.engine.begin() as connection:
        connection.execute(text(f"comment on schema gis is '{was}'"))
    assert is_newest(url)
    assert not is_newest(url + "_unknown")


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "shp.zip", "geojson", "kml"])
def test_ogr2ogr_brings_ground_and_many_lines_back(
    services: Services, tmp_path: Path, ending: str
) -> None:
    """Territories (areas of several pieces) and grids (many lines): the same ground, the same metres."""
    crs = None if ending in ("geojson", "kml") else "EPSG:4547"
    with services.sessions() as session:
        keep_territory(session, datetime.now(UTC))
        # One ground in two pieces and with a hole, as towns have them.
        session.execute(
            text(
                "update territory set area = st_multi(st_difference(st_collectionextract(st_union(area,"
                " st_translate(st_buffer(st_pointonsurface(area), 0.0004), 1, 0)), 3),"
                " st_buffer(st_pointonsurface(area), 0.0001))) where grid_id = (select min(grid_id) from territory)"
            )
        )
        session.commit()
        truths = {name: by_id(layer_frame(session, name)) for name in ("territories", "grids")}
    for layer, truth in truths.items():
        file, back = tmp_path / f"{layer}.{ending}", tmp_path / f"{layer}-back.geojson"
        written(services, layer, file, crs)
        source = f"/vsizip/{file}" if ending == "shp.zip" else str(file)
        subprocess.run(
            ["ogr2ogr", "-f", "GeoJSON", str(back), source, layer, "-t_srs", "EPSG:4326",
             "-lco", "COORDINATE_PRECISION=12"], check=True, capture_output=True,
        )  # fmt: skip
        rows = json.loads(back.read_bytes())["features"]
        assert len(rows) == len(truth) == 40
        for row in rows:
            same = truth.loc[int(row["properties"].get("gridward_id") or row["properties"]["id"])]
            read = shapely.geometry.shape(row["geometry"])
            assert len(shapely.get_parts(read)) == len(shapely.get_parts(same.geometry))
            assert shapely.get_num_coordinates(read) == shapely.get_num_coordinates(same.geometry)
            assert shapely.hausdorff_distance(read, same.geometry) < 1e-8
            if layer == "territories":
                # A tenth of a millimetre along its whole border.
                assert read.symmetric_difference(same.geometry).area < 1e-10
    assert max(len(shapely.get_parts(shape)) for shape in truths["territories"].geometry) > 1


QGIS_DRAWS = """
import json, os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import (QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsProject, QgsVectorLayer)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
application = QgsApplication([], False)
application.initQgis()
told, layers = {}, []
for name in json.loads(sys.argv[2]):
    layer = QgsVectorLayer(f"{sys.argv[1]}|layername={name}", name, "ogr")
    QgsProject.instance().addMapLayer(layer)
    renderer = layer.renderer()
    rules = [r.label() for r in renderer.rootRule().children()] if renderer.type() == "RuleRenderer" else []
    told[name] = [layer.isValid(), renderer.type(), rules, layer.featureCount()]
    layers.append(layer)
settings = QgsMapSettings()
settings.setLayers(layers)
settings.setDestinationCrs(layers[0].crs())
settings.setBackgroundColor(QColor("white"))
settings.setOutputSize(QSize(1200, 900))
settings.setExtent(layers[1].extent())
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
picture = job.renderedImage()
picture.save(sys.argv[3])
colours = {picture.pixelColor(x, y).name() for x in range(0, 1200, 5) for y in range(0, 900, 5)}
told["colours"] = len(colours)
print(json.dumps(told))
application.exitQgis()
"""


def test_a_package_opens_styled_in_qgis(services: Services, tmp_path: Path) -> None:
    python = next(
        (p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(p).exists()),
        sys.executable,
    )
    if subprocess.run(
        [python, "-c", "import qgis.core"], capture_output=True, check=False
    ).returncode:
        pytest.skip("python3-qgis is not installed: nobody has seen the package in QGIS")
    file, picture = tmp_path / "town.gpkg", tmp_path / "town.png"
    with services.sessions() as session:
        keep_territory(session, datetime.now(UTC))
        session.commit()
    shown = ["incidents", "segments", "territories"]
    counts = written(services, ",".join(shown), file)
    done = subprocess.run(
        [python, "-c", QGIS_DRAWS, str(file), json.dumps(shown), str(picture)],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.strip().splitlines()[-1])
    for name in shown:
        valid, renderer, rules, count = told[name]
        assert (valid, renderer, count) == (True, "RuleRenderer", counts[name])
        assert rules
    assert len(told["incidents"][2]) == 5
    # Grids side by side in colours of their own, streets and marks over them.
    assert told["colours"] > 12


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "shp.zip", "geojson", "kml"])
def test_ogr2ogr_brings_lines_and_moments_back(
    services: Services, tmp_path: Path, ending: str
) -> None:
    """GDAL of the system takes the file out of its zone: the same vertices within a millimetre, the same moments."""
    crs = None if ending in ("geojson", "kml") else "EPSG:4547"
    with services.sessions() as session:
        truths = {name: by_id(layer_frame(session, name)) for name in ("segments", "incidents")}
        known = session.execute(text("select id, street from gis.segments"))
        names = {row.id: row.street for row in known}
    for layer, truth in truths.items():
        file, back = tmp_path / f"{layer}.{ending}", tmp_path / f"{layer}-back.geojson"
        written(services, layer, file, crs)
        source = f"/vsizip/{file}" if ending == "shp.zip" else str(file)
        subprocess.run(
            ["ogr2ogr", "-f", "GeoJSON", str(back), source, layer, "-t_srs", "EPSG:4326",
             "-lco", "COORDINATE_PRECISION=12"], check=True, capture_output=True,
        )  # fmt: skip
        rows = json.loads(back.read_bytes())["features"]
        assert len(rows) == len(truth)
        for row in rows:
            same = truth.loc[int(row["properties"].get("gridward_id") or row["properties"]["id"])]
            read = shapely.get_coordinates(shapely.geometry.shape(row["geometry"]))
            there = shapely.get_coordinates(same.geometry)
            assert np.abs(read - there).max() < 1e-8
            if layer == "incidents":
                said = row["properties"].get("reported_at") or row["properties"]["reported_a"]
                moment = pd.Timestamp(said.replace("/", "-"))
                assert moment.tzinfo is not None
                # A shapefile and a KML tell seconds.
                assert abs(moment - same["reported_at"]) < pd.Timedelta("1s")
            else:
                assert row["properties"].get("street") == names[same.name]
