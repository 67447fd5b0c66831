"""`/ogc`: everything behind accounts, every row within its reader's bounds, every pitfall of the library closed."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import text

from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services
from maps.layers import LAYERS
from tests.web import Office, office, server_thread


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(town_services: Services) -> Iterator[str]:
    with server_thread(town_services) as opened:
        yield opened


def get(desk: Office, role: str | None, path: str, **headers: str) -> httpx.Response:
    if role:
        headers["Authorization"] = f"Bearer {desk.token(role)}"
    answer: httpx.Response = desk.client.get(f"/ogc{path}", headers=headers)
    return answer


def scalar(desk: Office, query: str, **values: Any) -> Any:
    with desk.services.sessions() as session:
        return session.scalar(text(query), values)


def link(desk: Office, role: str, *scopes: str) -> str:
    """The secret of a named token."""
    made = desk.post(
        role, "/me/tokens", {"name": "QGIS", "scopes": list(scopes) or None, "days": 9}
    )
    assert made.status_code == 201, made.text
    return str(made.json()["access_token"])


def own_numbers(desk: Office, role: str) -> set[str]:
    """The numbers of incidents with a place that the interface shows to a role."""
    found: set[str] = set()
    for page in range(1, 9):
        items = desk.get(role, f"/incidents?page={page}&size=100").json()["items"]
        found |= {one["number"] for one in items if one["location"] and one["location"].get("lon")}
        if not items:
            break
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_is_a_collection(desk: Office, layer: str) -> None:
    answer = get(desk, "analyst", f"/collections/{layer}/items?limit=10000")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["numberReturned"] == scalar(desk, f"select count(*) from gis.{layer}")
    if not found["features"]:
        assert layer == "hotspots"
        return
    one = found["features"][0]
    single = get(desk, "analyst", f"/collections/{layer}/items/{one['id']}")
    assert single.status_code == 200, single.text
    assert single.json()["geometry"] == one["geometry"]
    assert single.json()["properties"].keys() == one["properties"].keys()
    described = get(desk, "analyst", f"/collections/{layer}").json()
    west, south, east, north = described["extent"]["spatial"]["bbox"][0]
    assert 114.4 < west < east < 114.8
    assert 33 < south < north < 36
    queryable = get(desk, "analyst", f"/collections/{layer}/queryables").json()["properties"]
    assert queryable.keys() - {"geom"} == one["properties"].keys()


def test_every_link_stands_under_the_address_of_the_request(desk: Office) -> None:
    secret = link(desk, "analyst", "read")
    for prefix, role in (("", "analyst"), (f"/key/{secret}", None)):
        asked = ["/", "/conformance", "/collections", "/collections/segments"]
        asked += ["/collections/segments/items?limit=2", "/collections/segments/tiles"]
        asked += ["/collections/segments/tiles/WebMercatorQuad/tilejson.json"]
        for path in asked:
            answer = get(desk, role, prefix + path)
            assert answer.status_code == 200, (path, answer.text)
            hrefs = re.findall(r'"(http://[^"]*)"', answer.text)
            ours = [href for href in hrefs if urlsplit(href).hostname == "testserver"]
            assert all(urlsplit(href).path.startswith(f"/ogc{prefix}/") for href in ours), ours
            for href in ours:
                if "{" not in href and "%7B" not in href:
                    assert get(desk, role, href.partition("/ogc")[2]).status_code == 200, href


def test_nobody_comes_in_without_an_account(desk: Office) -> None:
    paths = ["/", "/api", "/api.html", "/conformance", "/collections", "/collections/grids/items"]
    paths += ["/collections/grids/tiles/WebMercatorQuad/14/0/0", "/nothing"]
    for path in paths:
        for answer in (get(desk, None, path), get(desk, None, f"/key/wrong{path}")):
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.json()["code"] == "auth.sign_in_needed"
    basic = desk.client.get("/ogc/collections", auth=("analyst", SAMPLE_PASSWORD))
    assert basic.status_code == 200


def test_only_a_named_token_that_reads_opens_a_link(desk: Office) -> None:
    assert get(desk, None, f"/key/{link(desk, 'analyst', 'read')}/collections").status_code == 200
    assert get(desk, None, f"/key/{link(desk, 'analyst', 'export', 'read')}/").status_code == 200
    # A token that may do more, or all, is for a header: links are written down.
    for scopes in ([], ["read", "edit_grids"]):
        assert get(desk, None, f"/key/{link(desk, 'analyst', *scopes)}/").status_code == 401
    assert get(desk, None, f"/key/{desk.token('analyst')}/").status_code == 401
    assert get(desk, None, f"/key/{link(desk, 'analyst', 'export')}/").status_code == 403


def test_names_only_for_those_who_may(desk: Office) -> None:
    named = get(desk, "analyst", "/collections/grids/items?limit=1").json()["features"][0]
    assert named["properties"]["officer"]
    secret = link(desk, "analyst", "read")
    bare = get(desk, None, f"/key/{secret}/collections/grids/items?limit=1").text
    assert "officer_id" in bare
    assert '"officer"' not in bare
    assert named["properties"]["officer"] not in bare
    queryables = get(desk, None, f"/key/{secret}/collections/grids/queryables").text
    assert '"officer"' not in queryables


def test_a_crew_member_sees_their_own_incidents_everywhere(desk: Office) -> None:
    role = next(r for r in ("officer", "cleaner", "maintainer") if len(own_numbers(desk, r)) > 0)
    own = own_numbers(desk, role)
    path = "/collections/incidents/items"
    found = get(desk, role, f"{path}?limit=5000").json()
    assert {f["properties"]["number"] for f in found["features"]} == own
    every = get(desk, "dispatcher", f"{path}?limit=5000").json()["features"]
    assert len(every) > len(own)
    other = next(f for f in every if f["properties"]["number"] not in own)
    number = other["properties"]["number"]
    # Not by its id, nor by any filter, nor by a count, a tile or the file's own forms.
    assert get(desk, role, f"{path}/{other['id']}").status_code == 404
    for question in (
        f"ids={other['id']}",
        f"number={number}",
        f"filter=number='{number}' or 1=1&limit=5000",
        f"filter=(number='{number}') or (id>0)&limit=5000&f=csv",
        "limit=1&count=true",
        "sortby=-id&limit=5000",
        "limit=5000&f=geojsonseq",
    ):
        answer = get(desk, role, f"{path}?{quote(question, safe='=&')}")
        assert answer.status_code == 200, answer.text
        body = (
            answer.json()["features"]
            if answer.text.startswith('{"type":"FeatureC')
            else answer.text
        )
        assert number not in str(body)
        if "count" in question:
            assert answer.json()["numberMatched"] == len(own)
    lon, lat = other["geometry"]["coordinates"]
    box = f"bbox={lon - 0.001},{lat - 0.001},{lon + 0.001},{lat + 0.001}"
    assert number not in str(get(desk, role, f"{path}?{box}").json()["features"])
    for z in (8, 14, 18):
        x, y = tile_at(lon, lat, z)
        whole = get(desk, "dispatcher", f"/collections/incidents/tiles/WebMercatorQuad/{z}/{x}/{y}")
        assert number.encode() in whole.content
        seen = get(desk, role, f"/collections/incidents/tiles/WebMercatorQuad/{z}/{x}/{y}")
        assert seen.status_code == 200
        assert number.encode() not in seen.content
    # What counts the whole town is not theirs at all.
    listed = get(desk, role, "/collections").json()["collections"]
    assert "hotspots" not in {one["id"] for one in listed}
    assert len(listed) == len(LAYERS) - 1
    assert get(desk, role, "/collections/hotspots/items").status_code == 404
    counted = get(desk, role, "/collections/evaluation_by_grid/items").json()
    assert counted["features"] == []


def tile_at(lon: float, lat: float, z: int) -> tuple[int, int]:
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("segments/items?filter=phone='1'", 422, "export.where_unknown_property"),
        ("segments/items?filter=street ==", 422, "export.where_unreadable"),
        ("segments/items?filter=pg_sleep(9)=1", 422, "export.where_unsupported"),
        ("segments/items?filter=street>5", 422, "export.where_unfit"),
        ("segments/items?filter={}&filter-lang=cql2-json", 422, "export.where_unreadable"),
        ("segments/items?filter=id=1&filter-lang=sql", 422, "export.where_unsupported"),
        ('segments/items?filter-lang=cql2-json&filter={"op":"s_intersects","args":[{"property":"geom"},{"bbox":["a",1,2,3]}]}',
         422, "export.where_unsupported"),
        ('segments/items?filter-lang=cql2-json&filter={"op":"=","args":[{"property":"street"},"\\u0000"]}', 422, "export.where_unreadable"),
        (f"segments/items?filter={quote('not ' * 300 + 'id=1')}", 422, "export.where_unsupported"),
        ("segments/items?filter=id/0=1", 422, "export.where_unfit"),
        ("segments/items?filter=street='%00'", 422, "export.where_unreadable"),
        ("segments/items?street=%00", 422, "report.unreadable"),
        ("segments/items?limit=-1", 422, "request.invalid"),
        ("segments/items?offset=100001", 422, "request.invalid"),
        ("segments/items?bbox=nan,nan,nan,nan", 422, "bbox.unreadable"),
        ("segments/items?crs=EPSG:4326", 422, "ogc.crs_unknown"),
        ("segments/items?bbox=1,2,3", 422, "bbox.unreadable"),
        ("segments/items?bbox=a,b,c,d", 422, "bbox.unreadable"),
        ("segments/items?bbox=1,2,3,4&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/4547", 422, "ogc.crs_unknown"),
        ("segments/items?crs=http://www.opengis.net/def/crs/EPSG/0/4547", 422, "ogc.crs_unknown"),
        ("segments/items?phone=1", 422, "ogc.parameter_unknown"),
        ("segments/items?level=high", 422, "export.where_unfit"),
        ("segments/items?sortby=phone", 422, "export.column_unknown"),
        ("segments/items?properties=phone", 422, "export.column_unknown"),
        ("segments/items?limit=0", 422, "request.invalid"),
        ("segments/items?ids=abc", 422, "request.invalid"),
        ("segments/items?f=doc", 422, "request.invalid"),
        ("incidents/items?datetime=yesterday", 422, "export.moment_unreadable"),
        ("segments/items/999999999", 404, "ogc.item_unknown"),
        ("segments/items/abc", 404, "ogc.item_unknown"),
        ("segments/items/99999999999999999999999", 404, "ogc.item_unknown"),
        ("gis.segments/items", 404, "ogc.collection_unknown"),
        ("people/items", 404, "ogc.collection_unknown"),
        ("segments/tiles/WebMercatorQuad/30/0/0", 404, "tile.unknown"),
        ("segments/tiles/WebMercatorQuad/-1/0/0", 404, "tile.unknown"),
        ("segments/tiles/WebMercatorQuad/2/9/0", 404, "tile.unknown"),
        ("segments/tiles/WebMercatorQuad/2/1/1?filter=phone=1", 422, "export.where_unknown_property"),
    ],
)  # fmt: skip
def test_a_wrong_question_has_a_clear_answer(desk: Office, path: str, status: int, code: str) -> None:  # fmt: skip
    answer = get(desk, "analyst", f"/collections/{path}")
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert code not in answer.json()["detail"]
    assert not re.search(r"select |traceback|psycopg", answer.text, re.IGNORECASE)


def test_pages_by_key_give_every_row_once(desk: Office) -> None:
    ids: list[int] = []
    path = "/collections/segments/items?limit=97&properties=street"
    while path:
        page = get(desk, "analyst", path).json()
        ids += [one["id"] for one in page["features"]]
        onward = [one["href"] for one in page["links"] if one["rel"] == "next"]
        path = onward[0].partition("/ogc")[2] if onward else ""
        # No count is paid for a page.
        assert "numberMatched" not in page or not onward
    assert ids == sorted(set(ids))
    assert len(ids) == scalar(desk, "select count(*) from gis.segments")
    by_length = "/collections/segments/items?limit=50&sortby=-length_m"
    first = get(desk, "analyst", by_length).json()
    onward = next(one["href"] for one in first["links"] if one["rel"] == "next")
    second = get(desk, "analyst", onward.partition("/ogc")[2]).json()
    lengths = [one["properties"]["length_m"] for one in first["features"] + second["features"]]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) == 100
    assert len({one["id"] for one in first["features"] + second["features"]}) == 100


@pytest.mark.parametrize(("agent", "size"), [("", "10000"), ("GDAL/3.9", "10000"), ("x", "10")])
def test_a_gdal_that_asks_for_tens_is_led_to_large_pages(
    desk: Office, agent: str, size: str
) -> None:
    page = get(desk, "analyst", "/collections/segments/items?limit=10", **{"User-Agent": agent})
    onward = next(one["href"] for one in page.json()["links"] if one["rel"] == "next")
    assert f"limit={size}&" in f"{onward}&"


def test_filters_do_what_they_say(desk: Office) -> None:
    def count(question: str) -> int:
        answer = get(desk, "analyst", f"/collections/segments/items?limit=9999&{question}")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["numberReturned"])

    where = "class = 'residential' and length_m > 80"
    wanted = scalar(desk, f"select count(*) from gis.segments where {where}")
    assert count(f"filter={quote(where)}") == wanted > 0
    tree = {"op": "and", "args": [
        {"op": "=", "args": [{"property": "class"}, "residential"]},
        {"op": ">", "args": [{"property": "length_m"}, 80]},
    ]}  # fmt: skip
    assert count(f"filter-lang=cql2-json&filter={quote(json.dumps(tree))}") == wanted
    street = scalar(desk, "select max(street) from gis.segments")
    assert count(f"street={quote(street)}") == scalar(
        desk, "select count(*) from gis.segments where street = :street", street=street
    )
    box = scalar(desk, "select st_xmin(e)||','||st_ymin(e)||','||(st_xmin(e)+st_xmax(e))/2||','||st_ymax(e)"
                 " from (select st_extent(geom) e from gis.segments) s")  # fmt: skip
    inside = scalar(
        desk, f"select count(*) from gis.segments where geom && st_makeenvelope({box}, 4326)"
    )
    assert 0 < count(f"bbox={box}") == inside
    moment = scalar(
        desk, "select percentile_disc(0.5) within group (order by reported_at) from gis.incidents"
    )
    half = get(
        desk,
        "analyst",
        f"/collections/incidents/items?datetime=../{quote(moment.isoformat())}&limit=9999",
    )
    assert half.json()["numberReturned"] == scalar(
        desk, "select count(*) from gis.incidents where reported_at <= :moment", moment=moment
    )


def test_a_page_is_as_long_as_the_role_may_have(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ogc_access.READERS_PAGE", 7)
    path = "/collections/segments/items?limit=50&properties=class"
    assert get(desk, "analyst", path).json()["numberReturned"] == 50
    page = get(desk, "cleaner", path).json()
    assert page["numberReturned"] == 7
    onward = next(one["href"] for one in page["links"] if one["rel"] == "next")
    second = get(desk, "cleaner", onward.partition("/ogc")[2]).json()
    assert second["numberReturned"] == 7
    assert not {f["id"] for f in page["features"]} & {f["id"] for f in second["features"]}


def test_hot_spots_of_a_category_and_a_period(desk: Office) -> None:
    category = scalar(
        desk,
        "select category_code from incident where point is not null group by 1 order by count(*) desc limit 1",
    )
    path = "/collections/hotspots/items?limit=5000"
    span = "datetime=2000-01-01/2100-01-01"
    wanted = scalar(
        desk,
        "select sum(incidents)::int from gis.hotspots_of('2000-01-01', '2100-01-01', :c)",
        c=category,
    )
    some = get(desk, "analyst", f"{path}&{span}&category={category}").json()["features"]
    assert sum(f["properties"]["incidents"] for f in some) == wanted > 0
    assert {f["properties"]["category"] for f in some} == {category}
    assert all(f["properties"]["level_corrected"] in (0, 90, 95, 99) for f in some)
    whole = get(desk, "analyst", f"{path}&{span}").json()["features"]
    assert sum(f["properties"]["incidents"] for f in whole) > wanted
    assert get(desk, "analyst", f"{path}&datetime=2001-01-01/2001-02-01").json()["features"] == []
    two = get(desk, "analyst", f"{path}&category=1&category=2")
    assert (two.status_code, two.json()["code"]) == (422, "export.one_category")


def test_head_answers_as_get_without_the_bytes(desk: Office) -> None:
    headers = {"Authorization": f"Bearer {desk.token('analyst')}"}
    for path in ("/ogc/", "/ogc/collections/grids", "/ogc/collections/segments/items?limit=3",
                 "/ogc/collections/nothing/items", "/tiles/segments/14/13402/6541.mvt",
                 "/tiles/incidents/14/13402/6541.mvt", "/tiles/grids/30/0/0.mvt"):  # fmt: skip
        whole, bare = (getattr(desk.client, way)(path, headers=headers) for way in ("get", "head"))
        assert bare.status_code == whole.status_code, path
        assert bare.content == b""
        for name in ("content-type", "content-length", "etag"):
            assert bare.headers.get(name) == whole.headers.get(name), (path, name)
    assert desk.client.head("/ogc/collections").status_code == 401
    assert desk.client.head("/tiles/segments/14/13402/6541.mvt").status_code == 401


def test_pages_for_people_are_our_own(desk: Office) -> None:
    for path in ("/", "/collections", "/collections/grids", "/collections/grids/items?limit=3",
                 "/collections/grids/queryables", "/conformance", "/tileMatrixSets"):  # fmt: skip
        answer = get(desk, "analyst", path, Accept="text/html")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "<script" not in answer.text
        sources = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        heads = [s for s in sources if not s.startswith(("/static/", "http://testserver/ogc"))]
        assert heads == []
        for style in re.findall(r'href="(/static/[^"]+)"', answer.text):
            assert desk.client.get(style).status_code == 200
    moved = get(desk, "analyst", "/api.html")
    assert moved.status_code == 200
    assert "openapi" in moved.json()


def test_gdal_loads_every_collection(desk: Office, address: str, tmp_path: Path) -> None:
    source = f"OAPIF:{address}/ogc/key/{link(desk, 'analyst', 'read', 'see_people')}"
    out = tmp_path / "out.gpkg"
    done = subprocess.run(
        ["ogr2ogr", "-f", "GPKG", str(out), source], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for layer in LAYERS:
        rows = scalar(desk, f"select count(*) from gis.{layer}")
        told = subprocess.run(
            ["ogrinfo", "-so", "-ro", str(out), layer], capture_output=True, text=True, check=False
        ).stdout
        if rows:
            assert f"Feature Count: {rows}" in told, told
            assert 'ID["EPSG",4326]' in told or 'ID["OGC","CRS84"]' in told or "WGS 84" in told
    # A filter and a box, through GDAL's own reading.
    street = scalar(desk, "select max(street) from gis.segments")
    told = subprocess.run(
        ["ogrinfo", "-so", "-ro", source, "segments", "-where", f"street = '{street}'"],
        capture_output=True, text=True, check=False, timeout=60,
    ).stdout  # fmt: skip
    rows = scalar(desk, "select count(*) from gis.segments where street = :street", street=street)
    assert f"Feature Count: {rows}" in told, told


def test_the_secret_of_a_link_is_in_no_log(
    desk: Office, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = link(desk, "analyst", "read")
    with caplog.at_level("DEBUG"):
        for path in ("/collections", "/nothing", "/collections/segments/items?filter=nothing=1"):
            httpx.get(f"{address}/ogc/key/{secret}{path}")
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not any(secret in record.getMessage() for record in ours)
    assert secret not in desk.client.app.state.metrics.text().decode()
