"""Vector tiles: what they show, what a reader may see, and that a change is in them at once and nowhere else."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import httpx
import pandas as pd
import psycopg
import pytest
from fastapi.testclient import TestClient
from shapely import box
from sqlalchemy import text

from api.believed import BELIEVED_S
from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services
from grid.changing import apply_plan, plan_move
from maps.tiles import Tile
from tests.web import Office, office


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def get(desk: Office, role: str | None, path: str, **headers: str) -> httpx.Response:
    if role:
        headers["Authorization"] = f"Bearer {desk.token(role)}"
    answer: httpx.Response = desk.client.get(f"/tiles/{path}", headers=headers)
    return answer


def tile_at(lon: float, lat: float, z: int) -> Tile:
    """The tile of a point, by the formula of the slippy map."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return Tile(z, int((lon + 180) / 360 * 2**z), int(y * 2**z))


def two_segments(desk: Office) -> list[tuple[int, str, float, float]]:
    """Segments with a grid at opposite ends of the town: id, grid, lon, lat of the middle."""
    with desk.services.sessions() as session:
        rows = session.execute(
            text(
                "select id, grid_code, st_x(m), st_y(m) from gis.segments cross join lateral"
                " st_lineinterpolatepoint(geom, 0.5) m where grid_code is not null order by st_x(m)"
            )
        ).all()
    return [tuple(rows[0]), tuple(rows[-1])]


def read(folder: Path, tile: Tile, body: bytes) -> gpd.GeoDataFrame:
    """A tile as GDAL reads it, in EPSG:3857."""
    file = folder / str(tile.z) / str(tile.x) / f"{tile.y}.pbf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return gpd.read_file(f"MVT:{file}")


@pytest.mark.parametrize("z", [14, 16, 18])
def test_a_tile_shows_the_segments_within_it_where_they_are(
    desk: Office, tmp_path: Path, z: int
) -> None:
    segment, code, lon, lat = two_segments(desk)[0]
    tile = tile_at(lon, lat, z)
    answer = get(desk, "analyst", f"segments/{tile.z}/{tile.x}/{tile.y}.mvt")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    frame = read(tmp_path, tile, answer.content)
    frame = frame.set_crs(3857, allow_override=True)
    west, south, east, north = tile.square()
    with desk.services.sessions() as session:
        wanted = session.execute(
            text(
                "select id, street, grid_left, grid_right, st_astext(st_transform(geom, 3857)) as shape"
                " from gis.segments where st_intersects(geom,"
                " st_transform(st_makeenvelope(:w, :s, :e, :n, 3857), 4326))"
            ),
            {"w": west, "s": south, "e": east, "n": north},
        ).all()
    key = "mvt_id" if "mvt_id" in frame else "id"
    by_id = frame.set_index(key)
    assert {row.id for row in wanted} <= set(by_id.index)
    unit = (east - west) / 4096
    square = box(west, south, east, north)
    shapes = gpd.GeoSeries.from_wkt([row.shape for row in wanted])
    for row, shape in zip(wanted, shapes, strict=True):
        drawn = by_id.loc[row.id]
        assert drawn["grid_left"] == row.grid_left
        assert drawn["street"] == row.street or (row.street is None and pd.isna(drawn["street"]))
        # Rounded to whole units of the tile, and nowhere else.
        for share in (0.01, 0.25, 0.5, 0.75, 0.99):
            point = shape.interpolate(share, normalized=True)
            if square.contains(point):
                assert drawn.geometry.distance(point) < 1.5 * unit
    assert by_id.loc[segment]["grid_left"] == code


@pytest.mark.parametrize("layer", ["grids", "territories", "incidents"])
def test_each_layer_has_tiles(desk: Office, tmp_path: Path, layer: str) -> None:
    with desk.services.sessions() as session:
        lon, lat = session.execute(
            text("select st_x(geom), st_y(geom) from gis.incidents where grid_code is not null limit 1")
        ).one()  # fmt: skip
    for z in (11, 15):
        tile = tile_at(lon, lat, z)
        answer = get(desk, "analyst", f"{layer}/{tile.z}/{tile.x}/{tile.y}.mvt")
        assert answer.status_code == 200, answer.text
        frame = read(tmp_path, tile, answer.content)
        assert len(frame) > 0
        if layer != "incidents":
            with desk.services.sessions() as session:
                codes = set(session.scalars(text("select code from gis.grids")))
            assert set(frame["code"]) <= codes
        elif z == 11:
            assert frame["incidents"].sum() > 0


def test_an_empty_tile_and_a_wrong_one(desk: Office) -> None:
    assert get(desk, "analyst", "segments/12/0/0.mvt").status_code == 204
    for path in ("segments/23/0/0.mvt", "segments/3/8/0.mvt", "segments/-1/0/0.mvt"):
        answer = get(desk, "analyst", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "tile.unknown")
    assert get(desk, "analyst", "people/3/0/0.mvt").status_code == 422
    assert get(desk, None, "segments/12/0/0.mvt").status_code == 401


def test_a_change_is_in_its_tiles_at_once_and_leaves_the_others_kept(desk: Office) -> None:
    near, far = two_segments(desk)
    paths = []
    for _, _, lon, lat in (near, far):
        tile = tile_at(lon, lat, 16)
        paths.append(f"segments/{tile.z}/{tile.x}/{tile.y}.mvt")
    assert paths[0] != paths[1]
    kept = desk.client.app.state.tiles
    first = [get(desk, "analyst", path) for path in paths]
    made = kept.made
    for path, answer in zip(paths, first, strict=True):
        assert get(desk, "analyst", path).content == answer.content
        unchanged = get(desk, "analyst", path, **{"If-None-Match": answer.headers["etag"]})
        assert unchanged.status_code == 304
    assert kept.made == made
    street = "改名前后大街"
    with desk.services.sessions() as session:
        session.execute(
            text("update segment set street_id = (select street_id from segment where id = :far) where id = :id"),
            {"id": near[0], "far": far[0]},
        )  # fmt: skip
        # Nothing is seen of it before the commit, and the kept tile is not spoilt.
        assert get(desk, "analyst", paths[0]).content == first[0].content
        session.commit()
    second = [get(desk, "analyst", path) for path in paths]
    assert second[0].content != first[0].content
    assert second[0].headers["etag"] != first[0].headers["etag"]
    assert second[1].content == first[1].content
    assert kept.made == made + 1
    with desk.services.sessions() as session:
        session.execute(
            text("update street set name = :name where id = (select street_id from segment where id = :id)"),
            {"name": street, "id": near[0]},
        )  # fmt: skip
        session.commit()
    assert street.encode() in get(desk, "analyst", paths[0]).content
    assert street.encode() in get(desk, "analyst", paths[1]).content


def test_ground_is_drawn_anew_only_where_it_has_changed(desk: Office) -> None:
    near, far = two_segments(desk)
    paths = []
    for _, _, lon, lat in (near, far):
        tile = tile_at(lon, lat, 17)
        paths.append(f"territories/{tile.z}/{tile.x}/{tile.y}.mvt")
    kept = desk.client.app.state.tiles
    first = [get(desk, "analyst", path) for path in paths]
    assert all(answer.status_code == 200 for answer in first)
    made = kept.made
    with desk.services.sessions() as session:
        now = session.scalar(text("select statement_timestamp()"))
        neighbour = session.scalar(
            text(
                "select s.grid_code from gis.segments s, gis.segments n where n.id = :id"
                " and s.grid_code not in (:own, :far) order by s.geom <-> n.geom limit 1"
            ),
            {"id": near[0], "own": near[1], "far": far[1]},
        )
        apply_plan(session, plan_move(session, [near[0]], neighbour, now), allow_disconnected=True)
        session.commit()
    second = [get(desk, "analyst", path) for path in paths]
    assert second[0].content != first[0].content
    assert second[1].content == first[1].content
    assert kept.made == made + 1


def test_a_grid_that_changes_from_a_moment_on_is_drawn_from_then(desk: Office) -> None:
    near, far = two_segments(desk)
    tile = tile_at(near[2], near[3], 17)
    path = f"segments/{tile.z}/{tile.x}/{tile.y}.mvt"
    before = get(desk, "analyst", path)
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    with desk.services.sessions() as session:
        session.execute(
            text(
                "with ended as (update grid_segment set valid = tstzrange(lower(valid), :soon)"
                " where segment_id = :id and upper_inf(valid) returning segment_id, side)"
                " insert into grid_segment (segment_id, side, grid_id, valid)"
                " select segment_id, side, (select id from grid where code = :code and upper_inf(valid)),"
                " tstzrange(:soon, null) from ended"
            ),
            {"soon": soon, "id": near[0], "code": far[1]},
        )
        session.commit()
    if datetime.now(UTC) < soon:
        assert get(desk, "analyst", path).content == before.content
    with desk.services.sessions() as session:
        session.execute(text("select pg_sleep_until(:soon)"), {"soon": soon})
    after = get(desk, "analyst", path)
    assert far[1].encode() in after.content
    assert after.content != before.content


def test_a_taken_back_or_gone_segment_leaves_the_tile(desk: Office) -> None:
    near, _ = two_segments(desk)
    tile = tile_at(near[2], near[3], 17)
    path = f"segments/{tile.z}/{tile.x}/{tile.y}.mvt"
    before = get(desk, "analyst", path).content
    with desk.services.sessions() as session:
        session.execute(text("update segment set gone_at = now() where id = :id"), {"id": near[0]})
        session.rollback()
    assert get(desk, "analyst", path).content == before
    with desk.services.sessions() as session:
        session.execute(text("update segment set gone_at = now() where id = :id"), {"id": near[0]})
        session.commit()
    gone = get(desk, "analyst", path)
    assert gone.content != before
    with desk.services.sessions() as session:
        session.execute(text("update segment set gone_at = null where id = :id"), {"id": near[0]})
        session.commit()
    assert get(desk, "analyst", path).content == before


def test_a_crew_member_sees_their_own_incidents_in_tiles(desk: Office) -> None:
    with desk.services.sessions() as session:
        rows = session.execute(
            text(
                "select number, st_x(geom), st_y(geom), exists (select from task t join account a"
                " on a.staff_id = t.assignee_id where t.incident_id = i.id and a.username = 'cleaner') as own"
                " from gis.incidents i"
            )
        ).all()
    seen: dict[str, bytes] = {}
    for row in rows:
        tile = tile_at(row[1], row[2], 17)
        path = f"incidents/{tile.z}/{tile.x}/{tile.y}.mvt"
        answer = get(desk, "cleaner", path)
        assert "private" in answer.headers["cache-control"]
        assert row.number.encode() in get(desk, "dispatcher", path).content
        shown = desk.get("cleaner", f"/incidents/{row.number}").status_code == 200
        assert (row.number.encode() in answer.content) == shown
        seen[path] = answer.content
        if row.own:
            assert shown


def a_tile(desk: Office) -> str:
    """A tile with lines in it."""
    _, _, lon, lat = two_segments(desk)[0]
    tile = tile_at(lon, lat, 14)
    return f"segments/{tile.z}/{tile.x}/{tile.y}.mvt"


def by_key(desk: Office, secret: str, path: str) -> httpx.Response:
    answer: httpx.Response = desk.client.get(
        f"/tiles/{path}", headers={"Authorization": f"Bearer {secret}"}
    )
    return answer


def elsewhere(desk: Office, statement: str, **values: object) -> None:
    """A change made by another process."""
    url = desk.services.engine.url.render_as_string(False).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, values)


def test_a_key_that_is_ended_opens_no_kept_tile_any_more(desk: Office) -> None:
    path = a_tile(desk)
    made = desk.post("analyst", "/me/tokens", {"name": "map", "scopes": ["read"], "days": 9}).json()
    secret = made["access_token"]
    assert [by_key(desk, secret, path).status_code for _ in range(3)] == [200] * 3
    assert desk.ask("analyst", "DELETE", f"/me/tokens/{made['id']}").status_code == 204
    # Ended here: at once.
    assert by_key(desk, secret, path).status_code == 401
    made = desk.post("analyst", "/me/tokens", {"name": "map", "days": 9}).json()
    secret = made["access_token"]
    assert by_key(desk, secret, path).status_code == 200
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    elsewhere(desk, "delete from access_key where secret_hash = %(hash)s", hash=hashed)
    # Ended by another process: when what is believed is over.
    time.sleep(BELIEVED_S)
    assert by_key(desk, secret, path).status_code == 401


def test_a_session_opens_tiles_until_its_end(desk: Office) -> None:
    path = a_tile(desk)
    with TestClient(desk.client.app) as browser:
        browser.post("/login", data={"username": "analyst", "password": SAMPLE_PASSWORD})
        assert [browser.get(f"/tiles/{path}").status_code for _ in range(2)] == [200, 200]
        csrf = desk_scalar(desk, "select csrf from access_key where kind = 'session' order by made_at desc limit 1")  # fmt: skip
        browser.post("/logout", headers={"X-CSRF-Token": csrf}, data={"csrf": csrf})
        assert browser.get(f"/tiles/{path}").status_code == 401


def desk_scalar(desk: Office, query: str) -> str:
    with desk.services.sessions() as session:
        return str(session.scalar(text(query)))


@pytest.mark.parametrize(
    ("change", "undo", "role"),
    [
        ("update access_key set expires_at = now() - interval '1 s' where secret_hash = %(hash)s", None, "analyst"),
        ("update access_key set kind = 'session' where secret_hash = %(hash)s", None, "analyst"),
        ("update access_key set scopes = '{export}' where secret_hash = %(hash)s", None, "analyst"),
        ("update account set disabled_at = now() where username = %(role)s",
         "update account set disabled_at = null where username = %(role)s", "analyst"),
        ("update account set must_change = true where username = %(role)s",
         "update account set must_change = false where username = %(role)s", "analyst"),
        ("update account set role = 'officer' where username = %(role)s",
         "update account set role = 'analyst' where username = %(role)s", "analyst"),
    ],
)  # fmt: skip
def test_the_short_way_lets_in_whom_the_long_way_lets_in(
    desk: Office, change: str, undo: str | None, role: str
) -> None:
    """Incidents always go the long way; kept tiles go the short one."""
    secret = desk.post(role, "/me/tokens", {"name": "map", "days": 9}).json()["access_token"]
    paths = [a_tile(desk), "incidents/14/0/0.mvt"]
    assert [by_key(desk, secret, path).status_code for path in paths] == [200, 204]
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    elsewhere(desk, change, hash=hashed, role=role)
    try:
        time.sleep(BELIEVED_S)
        short, long = (by_key(desk, secret, path) for path in paths)
        assert short.status_code == long.status_code in (401, 403)
        assert short.json()["code"] == long.json()["code"]
    finally:
        if undo:
            elsewhere(desk, undo, role=role)


def test_a_kept_tile_is_sent_small_and_is_the_same(desk: Office) -> None:
    path = a_tile(desk)
    plain = get(desk, "analyst", path, **{"Accept-Encoding": "identity"})
    packed = get(desk, "analyst", path, **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    # Two forms, two tags; whoever has either has the tile.
    assert packed.headers["etag"] != plain.headers["etag"]
    for tag in (plain.headers["etag"], packed.headers["etag"]):
        same = get(desk, "analyst", path, **{"If-None-Match": f'"other", {tag}'})
        assert (same.status_code, same.content) == (304, b"")
    assert get(desk, "analyst", path, **{"If-None-Match": '"other"'}).status_code == 200
    # With the headers of every answer, and counted as every request.
    assert plain.headers["x-content-type-options"] == "nosniff"
    metrics = desk.client.app.state.metrics.text().decode()
    assert 'route="/tiles/{layer}/{z}/{x}/{y}.mvt",status="304"' in metrics


def test_a_lost_connection_costs_no_tile(desk: Office) -> None:
    path = a_tile(desk)
    before = get(desk, "analyst", path).content
    elsewhere(
        desk,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and query like '%%tile_%%' and state = 'idle'",
    )
    assert get(desk, "analyst", path).content == before
    time.sleep(BELIEVED_S)
    kept = desk.client.app.state.tiles
    kept.forget()
    assert get(desk, "analyst", path).content == before
