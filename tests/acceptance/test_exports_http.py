"""Layers over HTTP: the file of the command, only what the account may see, clear answers, jobs with a link."""

from __future__ import annotations

import gc
import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import geopandas as gpd
import httpx
import pandas as pd
import pytest
from sqlalchemy import text
from starlette.requests import ClientDisconnect

from api.export_desk import SENDING_AT_ONCE, ExportDesk, FileSent
from api.services import Services
from maps.export_filters import Wanted
from maps.exports import plan_export
from maps.layers import LAYERS
from tests.web import Office, office


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def get(desk: Office, role: str | None, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {desk.token(role)}"} if role else {}
    answer: httpx.Response = desk.client.get(path, headers=headers)
    return answer


def scalar(desk: Office, query: str) -> object:
    with desk.services.sessions() as session:
        return session.scalar(text(query))


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "fgb", "shp.zip", "kml"])
def test_a_layer_comes_as_a_file_that_gdal_opens(desk: Office, tmp_path: Path, ending: str) -> None:
    answer = get(desk, "analyst", f"/exports/segments.{ending}")
    assert answer.status_code == 200
    file = tmp_path / f"segments.{ending}"
    file.write_bytes(answer.content)
    frame = gpd.read_file(f"zip://{file}" if ending == "shp.zip" else file)
    assert len(frame) == scalar(desk, "select count(*) from segment where gone_at is null")
    assert frame.crs.to_epsg() == 4326
    assert 114.5 < frame.total_bounds[0] < frame.total_bounds[2] < 114.7
    assert f'filename="segments.{ending}"' in answer.headers["content-disposition"]


def test_filters_choose_the_rows(desk: Office) -> None:
    every = get(desk, "evaluator", "/exports/incidents.csv")
    frame = pd.read_csv(io.BytesIO(every.content), dtype={"category": str})
    assert len(frame) == scalar(desk, "select count(*) from incident where point is not null")
    status, grid = frame["status"].mode()[0], frame["grid_code"].mode()[0]
    some = get(
        desk, "evaluator", f"/exports/incidents.csv?status={status}&grid={grid}&where=reworks>=0"
    )
    chosen = pd.read_csv(io.BytesIO(some.content))
    assert len(chosen) == ((frame["status"] == status) & (frame["grid_code"] == grid)).sum() > 0


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nothing.gpkg", "export.layer_unknown"),
        ("segments.doc", "export.ending_unknown"),
        ("segments", "export.ending_unknown"),
        ("segments.gpkg?crs=EPSG:1", "export.crs_unknown"),
        ("segments.gpkg?crs=EPSG:5773", "export.crs_unknown"),
        ("segments.geojson?crs=EPSG:4547", "export.wgs84_only"),
        ("segments.gpkg?bbox=1,2,3", "bbox.unreadable"),
        ("segments.gpkg?bbox=nan,2,3,4", "bbox.unreadable"),
        ("segments.gpkg?where=street ==", "export.where_unreadable"),
        ("segments.gpkg?where=phone='1'", "export.where_unknown_property"),
        ("segments.gpkg?where=pg_sleep(9)=1", "export.where_unsupported"),
        ("segments.gpkg?where=street>5", "export.where_unfit"),
        ("segments.gpkg?where=level/0>1", "export.where_unfit"),
        ("segments.csv?columns=phone", "export.column_unknown"),
        ("segments.csv?status=closed", "export.filter_unfit"),
        ("segments,grids.csv", "export.one_layer_only"),
        ("incidents.csv?from=yesterday", "export.moment_unreadable"),
        ("incidents.csv?from=2026-02-01&to=2026-01-01", "export.period_turned"),
        ("incidents.csv?where=address='%00'", "report.unreadable"),
        ("segments.csv?queue=to_file", "export.filter_unfit"),
        ("segments.csv?overdue=true", "export.filter_unfit"),
        ("incidents.csv?q=%00", "report.unreadable"),
        ("incidents.csv?with=pictures", "export.with_unknown"),
    ],
)
def test_a_wrong_wish_has_a_clear_answer(desk: Office, path: str, code: str) -> None:
    answer = get(desk, "analyst", f"/exports/{path}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == code
    assert told["detail"] != code
    assert "Traceback" not in answer.text


def test_the_consoles_filters_mean_what_they_mean_in_its_list(desk: Office) -> None:
    listed = desk.get("dispatcher", "/incidents?page_size=500").json()["items"]
    words = next(item["description"] for item in listed if len(item["description"]) > 3)[:4]
    task = next(item["tasks"][0] for item in listed if item["tasks"])
    channel = listed[0]["channel"]
    with desk.services.sessions() as session:
        session.execute(
            text("update incident set flags = '{street_only}', queue = 'to_check' where id in"
                 " (select id from incident where point is not null order by id limit 3)")
        )  # fmt: skip
        session.commit()
    found = 0
    for asked in (
        f"q={words}", f"q={listed[0]['number']}", "open=true", f"post={task['post']}", f"channel={channel}",
        "flag=street_only", "overdue=true", "queue=to_check", f"assignee={task['assignee']['id']}",
        f"open=true&post={task['post']}&channel={channel}",
    ):  # fmt: skip
        items = desk.get("dispatcher", f"/incidents?page_size=500&{asked}").json()["items"]
        frames = [
            pd.read_csv(
                io.BytesIO(get(desk, "dispatcher", f"/exports/{layer}.csv?{asked}").content)
            )
            for layer in ("incidents", "incidents_unplaced")
        ]
        numbers = {item["number"] for item in items}
        assert {number for frame in frames for number in frame["number"]} == numbers, asked
        found += len(numbers)
    assert found > 10


def test_a_text_file_comes_with_its_dictionary_when_it_is_asked_for(desk: Office) -> None:
    answer = get(desk, "analyst", "/exports/grids.geojson?with=dictionary")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="grids.geojson.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert sorted(packed.namelist()) == ["grids.dictionary.csv", "grids.geojson"]
        frame = gpd.read_file(io.BytesIO(packed.read("grids.geojson")))
        words = pd.read_csv(io.BytesIO(packed.read("grids.dictionary.csv")))
    assert set(words["column"]) - {"geom"} == set(frame.columns) - {"geometry"}
    headers = {"Authorization": f"Bearer {desk.token('analyst')}"}
    wish = {"layer": "incidents", "ending": "csv", "with": "dictionary", "open": True, "q": "路"}
    url = desk.client.post("/exports/jobs", json=wish, headers=headers).json()["url"]
    for _ in range(1200):
        told = desk.client.get(url, headers=headers).json()
        if told["status"] not in ("waiting", "running"):
            break
        time.sleep(0.05)
    body = desk.client.get(told["file"], headers=headers)
    assert body.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(body.content)) as packed:
        assert sorted(packed.namelist()) == ["incidents.csv", "incidents.dictionary.csv"]
        pd.read_csv(io.BytesIO(packed.read("incidents.csv")))
    # What holds its dictionary already stays as it is.
    whole = get(desk, "analyst", "/exports/grids.gpkg?with=dictionary")
    assert whole.content[:6] == b"SQLite"


def test_names_only_for_those_who_may_read_them(desk: Office) -> None:
    role = "evaluator"
    made = desk.client.post(
        "/api/v1/me/tokens", json={"name": "bare", "scopes": ["read", "export"], "days": 9},
        headers={"Authorization": f"Bearer {desk.token(role)}"},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    bare = {"Authorization": f"Bearer {made.json()['access_token']}"}
    with desk.services.sessions() as session:
        people = session.execute(text("select name, staff_no from staff")).all()
    for path in (
        "incidents.csv",
        "grids.geojson",
        "crews.csv?names=true",
        "dictionary.csv",
        "segments.kml",
    ):
        own, theirs = (
            get(desk, role, f"/exports/{path}"),
            desk.client.get(f"/exports/{path}", headers=bare),
        )
        assert (own.status_code, theirs.status_code) == (200, 200), theirs.text
        seen = [person.name for person in people if person.name in theirs.text]
        assert seen == [], path
        assert "assignee_no" not in theirs.text
    named = pd.read_csv(io.BytesIO(get(desk, role, "/exports/incidents.csv").content), dtype=str)
    by_no = {person.staff_no: person.name for person in people}
    told = named.dropna(subset=["assignee_id"])
    assert len(told)
    assert [by_no[number] for number in told["assignee_no"]] == told["assignee"].tolist()


def test_who_may_not_export_gets_nothing(desk: Office) -> None:
    assert get(desk, None, "/exports/segments.csv").status_code == 401
    for role in ("officer", "cleaner", "collector"):
        assert get(desk, role, "/exports/incidents.csv").status_code == 403


def test_a_leader_takes_out_what_a_leader_sees(desk: Office) -> None:
    seen = desk.get("leader", "/incidents?page_size=500").json()["items"]
    placed = {item["number"] for item in seen if item["location"]["lon"] is not None}
    answer = get(desk, "leader", "/exports/incidents.csv")
    frame = pd.read_csv(io.BytesIO(answer.content))
    assert set(frame["number"]) == placed
    assert (
        get(desk, "unit_head", "/exports/hotspots.csv").json()["code"] == "export.layer_not_yours"
    )


def test_no_layer_carries_anything_of_a_reporter(desk: Office) -> None:
    with desk.services.sessions() as session:
        known = session.execute(text("select name, phone from reporter")).all()
        words = session.scalars(text("select description from incident")).all()
    answer = get(desk, "operator", "/exports/incidents.csv")
    body = answer.content.decode()
    assert known
    assert not [phone for _, phone in known if phone and phone in body]
    assert not [sentence for sentence in words if sentence in body]


def test_the_dictionary_is_served(desk: Office) -> None:
    rows = get(desk, "analyst", "/exports/dictionary.json").json()
    assert {"segments", "incidents", "territories", "people"} <= {row["layer"] for row in rows}
    table = pd.read_csv(io.BytesIO(get(desk, "analyst", "/exports/dictionary.csv").content))
    assert len(table) == len(rows)


def test_a_job_makes_a_file_and_gives_it_to_its_own_account_only(
    desk: Office, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {desk.token('analyst')}"}
    wish = {"layer": "segments,grids,territories", "ending": "gpkg", "crs": "EPSG:4547"}
    started = desk.client.post("/exports/jobs", json=wish, headers=headers)
    assert started.status_code == 202
    url = started.json()["url"]
    for _ in range(1200):
        told = desk.client.get(url, headers=headers).json()
        if told["status"] not in ("waiting", "running"):
            break
        time.sleep(0.05)
    assert told["status"] == "done", told
    file = tmp_path / "job.gpkg"
    file.write_bytes(desk.client.get(told["file"], headers=headers).content)
    assert file.stat().st_size == told["size_bytes"]
    assert len(gpd.read_file(file, layer="territories")) == 40
    assert gpd.read_file(file, layer="grids").crs.to_epsg() == 4547
    assert get(desk, "evaluator", url).json()["code"] == "export.job_unknown"
    assert desk.client.delete(url, headers=headers).status_code == 204
    assert desk.client.get(told["file"], headers=headers).status_code == 409


def test_a_failed_job_says_why(desk: Office) -> None:
    headers = {"Authorization": f"Bearer {desk.token('analyst')}"}
    wish = {"layer": "segments", "ending": "fgb", "where": "level / 0 > 1"}
    url = desk.client.post("/exports/jobs", json=wish, headers=headers).json()["url"]
    for _ in range(1200):
        told = desk.client.get(url, headers=headers).json()
        if told["status"] not in ("waiting", "running"):
            break
        time.sleep(0.05)
    assert (told["status"], told["code"]) == ("failed", "export.where_unfit")
    assert "division by zero" in told["detail"]


def test_a_job_cancelled_under_way_tells_its_rows_and_leaves_no_file(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports: ExportDesk = desk.client.app.state.exports  # type: ignore[attr-defined]
    headers = {"Authorization": f"Bearer {desk.token('analyst')}"}
    reached, cancelled = threading.Event(), threading.Event()
    note = exports._note

    def noting(job_id: str, **values: Any) -> bool:
        kept = note(job_id, **values)
        if values.get("rows") and not reached.is_set():
            reached.set()
            cancelled.wait(60)
        return kept

    monkeypatch.setattr(exports, "_note", noting)
    monkeypatch.setattr("api.export_desk.NOTE_SECONDS", 0.0)
    monkeypatch.setattr("maps.export_rows.BATCH_BYTES", 2000)
    wish = {"layer": "segments", "ending": "geojson"}
    url = desk.client.post("/exports/jobs", json=wish, headers=headers).json()["url"]
    assert reached.wait(60)
    told = desk.client.get(url, headers=headers).json()
    assert told["status"] == "running"
    assert told["rows"] > 0
    assert desk.client.delete(url, headers=headers).status_code == 204
    cancelled.set()
    for _ in range(1200):
        if told["id"] not in exports._own:
            break
        time.sleep(0.05)
    assert desk.client.get(url, headers=headers).json()["status"] == "cancelled"
    assert [file.name for file in exports.folder.iterdir() if told["id"] in file.name] == []


def test_nothing_is_left_in_the_folder(desk: Office) -> None:
    folder = desk.services.settings.database.home_folder / "exports"
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []


def test_what_is_sent_while_written_is_the_file_of_the_end(desk: Office, tmp_path: Path) -> None:
    streamed = get(desk, "analyst", "/exports/door_plates.geojson")
    assert "content-length" not in streamed.headers or streamed.content
    read = json.loads(streamed.content)
    assert len(read["features"]) == scalar(desk, "select count(*) from door_plate")


def test_who_leaves_early_gives_the_place_back_at_once(desk: Office) -> None:
    exports: ExportDesk = desk.client.app.state.exports  # type: ignore[attr-defined]
    plan = plan_export((LAYERS["segments"],), "x.geojson", None, Wanted())

    async def gone(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("the reader has left")

    async def waits() -> Any:
        await anyio.sleep_forever()

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    gc.disable()
    try:
        for _ in range(SENDING_AT_ONCE + 1):
            body, _ = exports.send(plan)
            with pytest.raises(ClientDisconnect):
                anyio.run(FileSent(body), scope, waits, gone)
            assert list(exports.folder.glob(".*")) == []
    finally:
        gc.enable()
