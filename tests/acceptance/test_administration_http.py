"""The administrator's calls: staff and posts, imports looked over and taken in, base maps, and one record of it all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from api import base_maps, import_desk
from api.services import Services
from grid.core.errors import BadInput
from tests.web import Office, office

TILES = "https://tiles.example.cn/{z}/{x}/{y}.png?key={key}"
STAFF = "staff_no,name,post,unit\nT901,周一,cleaner,\nT902,周二,mayor,\nT903,周三,gardener,\n"


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


def told(desk: Office, method: str, path: str, body: Any = None, status: int = 204) -> Any:
    answer = desk.ask("admin", method, f"/admin{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(desk: Office, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = desk.ask("admin", method, f"/admin{path}", json=body)
    return answer.status_code, answer.json()["code"]


def person(desk: Office, staff_no: str) -> dict[str, Any]:
    found: dict[str, Any] = told(desk, "GET", f"/people/{staff_no}", status=200)
    return found


def day(offset: int) -> str:
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    return (today + timedelta(days=offset)).isoformat()


def newest(desk: Office, subject: str) -> dict[str, Any]:
    found: dict[str, Any] = told(desk, "GET", f"/changes?subject={subject}", status=200)[0]
    return found


def some_grid(desk: Office) -> dict[str, Any]:
    """A grid whose four posts are held."""
    grids = told(desk, "GET", "/posts", status=200)
    found: dict[str, Any] = next(grid for grid in grids if not grid["vacant"])
    return found


def test_a_person_is_added_changed_and_written_down(desk: Office) -> None:
    made = {"staff_no": "T001", "name": "新人", "post": "cleaner", "phone": "13900000000"}
    told(desk, "POST", "/people", made, 201)
    assert refused(desk, "POST", "/people", made) == (409, "staff.number_taken")
    wrong = {**made, "staff_no": "T002", "post": "mayor"}
    assert refused(desk, "POST", "/people", wrong) == (422, "staff.post_unknown")
    told(desk, "PATCH", "/people/T001", {"name": "新人甲"})
    nowhere = {"unit": "没有的单位"}
    assert refused(desk, "PATCH", "/people/T001", nowhere) == (422, "units.unknown")
    found = person(desk, "T001")
    assert (found["name"], found["phone"], found["post"]) == ("新人甲", "13900000000", "cleaner")
    assert refused(desk, "PATCH", "/people/T404", {"name": "x"}) == (404, "staff.unknown")
    change = newest(desk, "person")
    assert (change["actor"], change["code"]) == ("account:admin", "T001")
    assert (change["before"], change["after"]) == ({"name": "新人"}, {"name": "新人甲"})


def test_a_post_is_handed_on_and_its_past_stays(desk: Office) -> None:
    told(desk, "POST", "/people", {"staff_no": "T010", "name": "接手", "post": "cleaner"}, 201)
    grid = some_grid(desk)
    code, before = grid["code"], grid["posts"]["cleaner"]["holder"]
    path = f"/posts/{code}/cleaner"
    assert refused(desk, "PUT", path, {"staff_no": "T010", "from": day(-1)}) == (
        422,
        "people.from_past",
    )
    assert refused(desk, "PUT", f"/posts/{code}/mayor", {"staff_no": "T010"}) == (
        422,
        "posts.unknown",
    )
    assert refused(desk, "PUT", path, {"staff_no": "T404"}) == (404, "staff.unknown")
    told(desk, "PUT", path, {"staff_no": "T010", "from": day(7)})
    post = next(g for g in told(desk, "GET", "/posts", status=200) if g["code"] == code)["posts"]
    assert post["cleaner"]["holder"]["staff_no"] == before["staff_no"]
    assert [p["holder"]["staff_no"] for p in post["cleaner"]["planned"]] == ["T010"]
    told(desk, "DELETE", f"{path}/planned")
    assert refused(desk, "DELETE", f"{path}/planned") == (404, "posts.nothing_planned")
    history = told(desk, "GET", path, status=200)
    assert (history[0]["staff_no"], history[0]["to"]) == (before["staff_no"], None)
    told(desk, "PUT", path, {"staff_no": "T010"})
    history = told(desk, "GET", path, status=200)
    assert [one["staff_no"] for one in history[:2]] == ["T010", before["staff_no"]]
    assert history[1]["to"] == history[0]["from"]
    assert newest(desk, "post")["after"] == {"holder": "接手 (T010)"}
    # Nobody: the grid is the first of the list, and says which post.
    told(desk, "PUT", path, {"staff_no": None})
    first = told(desk, "GET", "/posts", status=200)[0]
    assert (first["code"], first["vacant"]) == (code, ["cleaner"])
    told(desk, "PUT", path, {"staff_no": before["staff_no"]})


def those_of(desk: Office, path: str, staff_no: str) -> list[dict[str, Any]]:
    return [one for one in told(desk, "GET", path, status=200) if one["staff_no"] == staff_no]


def test_leave_hands_open_work_over_and_is_taken_back(desk: Office) -> None:
    people = [one for one in told(desk, "GET", "/people", status=200) if one["posts"]]
    away, cover = people[0]["staff_no"], people[1]["staff_no"]
    asked = {"staff_no": away, "from": day(2), "to": day(3), "substitute": cover}
    told(desk, "POST", "/leave", asked, 201)
    overlapping = {**asked, "from": day(3), "to": day(5)}
    assert refused(desk, "POST", "/leave", overlapping) == (422, "absences.overlaps")
    assert refused(desk, "POST", "/leave", {**asked, "staff_no": "T404"}) == (404, "staff.unknown")
    assert refused(desk, "POST", "/leave", {**asked, "to": day(1)}) == (
        422,
        "absences.period_empty",
    )
    left = told(desk, "GET", f"/people/{cover}/leaving", status=200)
    assert left["covers"] == 1
    (entered,) = those_of(desk, "/leave", away)
    # The last day is away as a whole: until the midnight after it.
    until = datetime.fromisoformat(entered["to"]).astimezone(ZoneInfo("Asia/Shanghai"))
    assert (until.date().isoformat(), until.hour) == (day(4), 0)
    change = newest(desk, "person")
    assert (change["code"], change["after"]["leave"]) == (away, f"{day(2)} – {day(3)}")
    told(desk, "DELETE", f"/leave/{entered['id']}")
    assert refused(desk, "DELETE", f"/leave/{entered['id']}") == (404, "leave.unknown")
    assert newest(desk, "person")["after"] is None
    hours = {"shift": "夜班", "weekdays": "周六、周日", "begins": "22:00", "ends": "06:00"}
    told(desk, "PUT", f"/people/{away}/shift", {**hours, "from": day(1)})
    (shift,) = those_of(desk, "/shifts", away)
    assert (shift["weekdays"], shift["begins"], shift["ends"]) == ([6, 7], "22:00", "06:00")
    assert refused(desk, "PUT", f"/people/{away}/shift", {**hours, "begins": "25:00"}) == (
        422,
        "shifts.hours_unreadable",
    )
    assert refused(desk, "PUT", f"/people/{away}/shift", {"from": day(-1)}) == (
        422,
        "people.from_past",
    )
    told(desk, "PUT", f"/people/{away}/shift", {})
    assert those_of(desk, "/shifts", away) == []


def test_nobody_goes_without_it_being_seen_what_is_left(desk: Office) -> None:
    told(desk, "POST", "/people", {"staff_no": "T020", "name": "将走", "post": "gardener"}, 201)
    told(desk, "POST", "/people", {"staff_no": "T021", "name": "接任", "post": "gardener"}, 201)
    code = some_grid(desk)["code"]
    told(desk, "PUT", f"/posts/{code}/gardener", {"staff_no": "T020"})
    left = told(desk, "GET", f"/people/T020/leaving?from={day(3)}", status=200)
    assert [(one["grid"], one["post"]) for one in left["posts"]] == [(code, "gardener")]
    end = "/people/T020/end"
    assert refused(desk, "POST", end, {"from": day(3)}) == (409, "staff.would_leave_gaps")
    assert person(desk, "T020")["left_at"] is None
    told(desk, "POST", end, {"from": day(3), "hand_to": "T021"})
    assert refused(desk, "POST", end, {"leave_vacant": True}) == (409, "staff.left_already")
    history = told(desk, "GET", f"/posts/{code}/gardener", status=200)
    assert [one["staff_no"] for one in history[:2]] == ["T021", "T020"]
    assert history[0]["from"] == history[1]["to"] == person(desk, "T020")["left_at"]
    told(desk, "DELETE", end)
    assert person(desk, "T020")["left_at"] is None
    told(desk, "PUT", f"/posts/{code}/gardener", {"staff_no": "T021"})
    told(desk, "POST", end, {})
    assert refused(desk, "PUT", f"/posts/{code}/gardener", {"staff_no": "T020"}) == (
        422,
        "posts.person_left",
    )


def test_units_have_names_heads_and_places(desk: Office) -> None:
    told(desk, "POST", "/units", {"name": "甲公司", "kind": "contractor", "head": "T021"}, 201)
    unit = next(u for u in told(desk, "GET", "/units", status=200) if u["name"] == "甲公司")
    assert (unit["kind"], unit["head_no"], unit["people"]) == ("contractor", "T021", 1)
    told(desk, "PUT", f"/units/{unit['id']}", {"name": "乙公司", "kind": "own"})
    found = {u["name"]: u for u in told(desk, "GET", "/units", status=200)}
    assert "甲公司" not in found
    assert (found["乙公司"]["kind"], found["乙公司"]["head_no"]) == ("own", None)
    assert refused(desk, "POST", "/units", {"name": "乙公司"}) == (409, "units.name_taken")
    assert newest(desk, "unit")["code"] == "乙公司"


def brought(desk: Office, name: str, content: bytes | str, status: int = 201) -> dict[str, Any]:
    body = content.encode() if isinstance(content, str) else content
    answer = desk.ask("admin", "PUT", "/admin/imports/files", params={"name": name}, content=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(desk: Office, run_id: str) -> dict[str, Any]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found: dict[str, Any] = told(desk, "GET", f"/imports/{run_id}", status=200)
        if found["status"] not in ("checking", "importing"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"the import does not end: {found}")


def looked_over(desk: Office, file: str, kind: str, **options: Any) -> dict[str, Any]:
    asked = {"file": file, "kind": kind, **options}
    return ended(desk, told(desk, "POST", "/imports", asked, 202)["id"])


def test_a_list_of_people_is_looked_over_and_then_taken_in(desk: Office) -> None:
    file = brought(desk, "C:\\lists\\staff.csv", STAFF)
    assert (file["name"], file["columns"]) == ("staff.csv", ["staff_no", "name", "post", "unit"])
    run = looked_over(desk, file["file"], "staff")
    assert (run["status"], run["counts"]["taken"], run["counts"]["refused"]) == ("checked", 2, 1)
    assert run["refused"][0]["row"] == 3
    assert "mayor" in run["refused"][0]["reason"]
    rows = {row["table"]: (row["new"], row["changed"], row["ended"]) for row in run["rows"]}
    assert rows["staff"] == (2, 0, 0)
    assert desk.get("admin", "/admin/people/T901").status_code == 404
    table = desk.get("admin", f"/admin/imports/{run['id']}/refused.csv", params={"lang": "en"})
    assert table.text.splitlines()[1].startswith("3,")
    told(desk, "POST", f"/imports/{run['id']}/publish", {}, 202)
    done = ended(desk, run["id"])
    assert (done["status"], done["counts"], done["rows"]) == ("done", run["counts"], run["rows"])
    assert person(desk, "T901")["name"] == "周一"
    assert refused(desk, "POST", f"/imports/{run['id']}/publish", {}) == (
        409,
        "imports.not_checked",
    )
    before = told(desk, "GET", "/imports", status=200)[0]
    assert (before["actor"], before["kind"], before["file"]) == (
        "account:admin",
        "staff",
        "staff.csv",
    )
    assert (before["sha256"], before["taken"], before["refused"]) == (file["file"], 2, 1)
    # The same once more: nothing new.
    again = looked_over(desk, file["file"], "staff")
    assert {(r["new"], r["changed"], r["ended"]) for r in again["rows"]} == {(0, 0, 0)}


def test_files_that_are_not_what_they_say_are_refused_in_a_sentence(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GDAL would follow what such a file names.
    vrt = "<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    for name, content, code in (
        ("x.geojson", vrt, "imports.not_what_it_says"),
        ("x.gpkg", vrt, "imports.not_what_it_says"),
        ("x.csv", b"a,b\x00\n", "imports.not_what_it_says"),
        ("x.vrt", vrt, "imports.ending"),
        ("x.csv", "", "imports.empty"),
    ):
        assert brought(desk, name, content, 422)["code"] == code, name
    small: Any = desk.client.app
    monkeypatch.setattr(small.state.imports.files, "_most_bytes", 10)
    assert brought(desk, "x.csv", STAFF, 422)["code"] == "imports.too_large"
    monkeypatch.undo()
    file = brought(desk, "x.csv", STAFF)["file"]
    assert refused(desk, "POST", "/imports", {"file": file, "kind": "osm"}) == (
        422,
        "imports.ending",
    )
    assert refused(desk, "POST", "/imports", {"file": file, "kind": "spells"}) == (
        422,
        "imports.kind_unknown",
    )
    assert refused(desk, "POST", "/imports", {"file": "0" * 64, "kind": "staff"}) == (
        404,
        "imports.file_gone",
    )
    run = looked_over(desk, file, "crews")
    assert (run["status"], run["counts"]["refused"]) == ("checked", 3)
    run = looked_over(desk, file, "calendar")
    assert (run["status"], run["code"]) == ("failed", "import.field_missing")
    assert "is_workday" in run["detail"] or "day" in run["detail"]


def test_one_import_at_a_time_and_only_ones_own(desk: Office, town_services: Services) -> None:
    file = brought(desk, "staff.csv", STAFF)["file"]
    run = looked_over(desk, file, "staff")
    with town_services.sessions() as session:
        change = text("update import_run set status = 'importing', seen_at = :at where id = :id")
        session.execute(change, {"id": run["id"], "at": datetime.now(UTC)})
        session.commit()
        assert refused(desk, "POST", "/imports", {"file": file, "kind": "staff"}) == (
            409,
            "imports.busy",
        )
        # A server that was stopped on the way: told so, and the way is free.
        old = datetime.now(UTC) - import_desk.BEGINS_WITHIN
        session.execute(change, {"id": run["id"], "at": old})
        session.commit()
    left = told(desk, "GET", f"/imports/{run['id']}", status=200)
    assert (left["status"], left["code"]) == ("failed", "imports.interrupted")
    assert looked_over(desk, file, "staff")["status"] == "checked"
    with town_services.sessions() as session:
        session.execute(
            text(
                "update import_run set account_id = (select id from account where username = 'analyst')"
            )
        )
        session.commit()
    assert desk.get("admin", f"/admin/imports/{run['id']}").status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://tiles.example.cn/{z}/{x}/{y}.png",
        "https://tiles.example.cn/{z}/{x}.png",
        "https://tiles.example.cn; script-src *//{z}/{x}/{y}",
        "https://user:pass@tiles.example.cn/{z}/{x}/{y}.png",
        "https://'self'/{z}/{x}/{y}.png",
        "https:///{z}/{x}/{y}.png",
        "https://*/{z}/{x}/{y}.png",
        "https://tiles.example.cn/{z}/{x}/{y}.png?a={other}",
        "javascript:alert(1)//{z}/{x}/{y}",
    ],
)
def test_an_address_that_would_open_more_than_tiles_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"base_map\.url_bad"):
        base_maps.check_url(url, ["a"])


def policy(client: httpx.Client, desk: Office, page: str) -> str:
    headers = {"Accept": "text/html", "Authorization": f"Bearer {desk.token('admin')}"}
    found: str = client.get(page, headers=headers).headers["content-security-policy"]
    return next(part for part in found.split("; ") if part.startswith("img-src"))


def test_pages_follow_a_base_map_at_once_and_other_processes_in_a_moment(
    desk: Office, town_services: Services
) -> None:
    plain = "img-src 'self' data: blob:"
    with office(town_services) as other:
        assert policy(desk.client, desk, "/console") == plain
        assert policy(other.client, desk, "/console") == plain
        values = {"name_zh": "影像", "name_en": "Imagery", "url": TILES, "datum": "gcj02"}
        assert refused(desk, "POST", "/base-maps", values) == (422, "base_map.key_missing")
        values["map_key"] = "abcdefgh12345"
        made = told(desk, "POST", "/base-maps", values, 201)["id"]
        assert policy(desk.client, desk, "/console") == f"{plain} https://tiles.example.cn"
        until = time.monotonic() + 30
        while "tiles.example.cn" not in policy(other.client, desk, "/console"):
            assert time.monotonic() < until, "another process does not follow"
            time.sleep(0.2)
    shared = {"name_zh": "街图", "name_en": "Streets", "subdomains": "01",
              "url": "https://t{s}.example.org/{z}/{x}/{y}.png"}  # fmt: skip
    second = told(desk, "POST", "/base-maps", shared, 201)["id"]
    sources = "https://tiles.example.cn https://t0.example.org https://t1.example.org"
    assert policy(desk.client, desk, "/console") == f"{plain} {sources}"
    # A page without a map asks nobody.
    assert policy(desk.client, desk, "/admin") == plain
    told(desk, "PUT", "/base-maps/order", {"ids": [second, made]})
    assert [m["id"] for m in told(desk, "GET", "/base-maps", status=200)] == [second, made]
    told(desk, "PATCH", f"/base-maps/{second}", {"shown": False})
    assert policy(desk.client, desk, "/console") == f"{plain} https://tiles.example.cn"
    assert "t0.example.org" in policy(desk.client, desk, "/admin/basemaps")
    changes = told(desk, "GET", "/changes?subject=base_map", status=200)
    assert changes[-1]["after"]["map_key"] == "…2345"
    assert "abcdefgh12345" not in json.dumps(changes)
    for one in (made, second):
        told(desk, "DELETE", f"/base-maps/{one}")
    assert policy(desk.client, desk, "/console") == plain
    assert refused(desk, "DELETE", f"/base-maps/{made}") == (404, "base_map.unknown")


def test_accounts_and_words_stand_in_the_same_record_and_no_secret_does(desk: Office) -> None:
    made = desk.post("admin", "/accounts", {"username": "fresh", "role": "analyst"})
    desk.ask("admin", "PATCH", "/accounts/fresh", json={"role": "evaluator"})
    again = desk.post("admin", "/accounts/fresh/password", {})
    desk.ask("admin", "PATCH", "/accounts/fresh", json={"disabled": True})
    found = told(desk, "GET", "/changes?subject=account&limit=4", status=200)
    assert [one["after"] for one in found] == [
        {"disabled": True},
        {"password": "…"},
        {"role": "evaluator"},
        {"name": "fresh", "role": "analyst", "staff_no": None, "disabled": False},
    ]
    words = {"kind": "finished", "category": None, "language": "zh", "title": "好了", "body": "完"}
    assert desk.ask("admin", "PUT", "/templates", json=words).status_code == 204
    assert newest(desk, "template")["after"] == {"title": "好了", "body": "完"}
    whole = json.dumps(told(desk, "GET", "/changes", status=200))
    for secret in (made.json()["password"], again.json()["password"]):
        assert secret not in whole
    older = told(desk, "GET", f"/changes?before={found[-1]['id']}&limit=1", status=200)
    assert older[0]["id"] < found[-1]["id"]
    nobody = told(desk, "GET", "/changes?actor=account:nobody", status=200)
    assert nobody == []
    assert desk.get("dispatcher", "/admin/changes").status_code == 403


def halves(services: Services, folder: Path) -> Path:
    """Two areas that cover the town and overlap by a fifth."""
    with services.sessions() as session:
        west, south, east, north = session.execute(
            text("select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e)"
                 " from (select st_expand(st_extent(line)::geometry, 0.01) e from segment where gone_at is null) b")
        ).one()  # fmt: skip

    def area(code: str, left: float, right: float) -> dict[str, Any]:
        ring = [[left, south], [right, south], [right, north], [left, north], [left, south]]
        return {"type": "Feature", "properties": {"code": code, "name": f"片{code}"},
                "geometry": {"type": "Polygon", "coordinates": [ring]}}  # fmt: skip

    wide = east - west
    file = folder / "halves.geojson"
    features = [area("W1", west, west + 0.6 * wide), area("E1", west + 0.4 * wide, east)]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return file


def test_grids_are_looked_over_with_their_faults_and_owners(
    desk: Office, town_services: Services, tmp_path: Path
) -> None:
    lon, lat = desk.ground_of("cleaner")
    report = {"channel": "patrol", "category": "06042", "description": "垃圾桶满溢",
              "location": {"lon": lon, "lat": lat, "datum": "wgs84"}}  # fmt: skip
    number = desk.post("operator", "/incidents", report).json()["number"]
    file = halves(town_services, tmp_path)
    kept = brought(desk, file.name, file.read_bytes())["file"]
    grids = [grid["code"] for grid in told(desk, "GET", "/posts", status=200)]
    run = looked_over(desk, kept, "grids", **{"from": day(0)})
    assert (run["status"], run["counts"]["grids"]) == ("checked", 2)
    assert run["counts"]["faults_overlap"] == 1
    assert {fault["kind"] for fault in run["faults"]} >= {"overlap"}
    changing = {one["number"]: one["to_grid"] for one in run["incidents"]}
    assert changing[number] in ("W1", "E1")
    assert run["incidents_total"] == len(changing)
    layer = desk.get("admin", f"/admin/imports/{run['id']}/faults.geojson").json()
    assert len(layer["features"]) == run["faults_total"]
    assert [grid["code"] for grid in told(desk, "GET", "/posts", status=200)] == grids
    told(desk, "POST", f"/imports/{run['id']}/publish", {}, 202)
    done = ended(desk, run["id"])
    assert (done["status"], done["faults_total"]) == ("done", run["faults_total"])
    assert done["counts"]["sides_changed"] == run["counts"]["sides_changed"]
    # Grids without ground go on only where somebody meant it; the new ones are there, without people.
    found = {grid["code"]: grid for grid in told(desk, "GET", "/posts", status=200)}
    assert {"W1", "E1"} <= set(found)
    assert len(found["W1"]["vacant"]) == 4
