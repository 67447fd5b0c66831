"""The HTML pages over HTTP: signing in and out, languages, security headers, the resident's report."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from api.cli.demonstration import SAMPLE_PASSWORD
from api.pages.entrance import own_path
from api.resident_links import page_of
from api.services import Services
from dispatch.facts import Rules
from tests.acceptance.site import category_of, report_at, serving, spot_of

HTML = {"Accept": "text/html", "Accept-Language": "zh-CN"}
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"`${7*7}`"


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.fixture
def anybody(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, headers=HTML, timeout=30) as client:
        yield client


@pytest.fixture
def dispatcher(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, headers=HTML, timeout=30) as client:
        signed = client.post("/login", data={"username": "dispatcher", "password": SAMPLE_PASSWORD})
        assert signed.status_code == 303
        yield client


@pytest.mark.parametrize("path", ["/", "/login", "/report", "/nowhere"])
def test_every_page_carries_a_strict_policy_with_a_fresh_nonce(
    anybody: httpx.Client, path: str
) -> None:
    nonces = set()
    for _ in range(2):
        answer = anybody.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        nonce = re.search(r"'nonce-([^']+)'", policy)
        assert nonce is not None
        nonces.add(nonce[1])
        for script in re.findall(r"<script(?![^>]*application/json)[^>]*>", answer.text):
            assert f'nonce="{nonce[1]}"' in script or "src=" in script
        assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", answer.text)
    assert len(nonces) == 2


@pytest.mark.parametrize("path", ["/console", "/field", "/console/incidents/20260101-000001"])
def test_a_page_of_the_desk_leads_a_stranger_to_the_sign_in(
    anybody: httpx.Client, path: str
) -> None:
    answer = anybody.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path}"


def test_signing_in_leads_on_and_out_leads_back(anybody: httpx.Client) -> None:
    data = {"username": "dispatcher", "password": SAMPLE_PASSWORD, "next": "/console?grid=G001"}
    signed = anybody.post("/login", data=data)
    assert signed.headers["location"] == "/console?grid=G001"
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert anybody.get("/console").status_code == 200
    assert anybody.post("/logout").status_code == 303
    assert anybody.get("/console").status_code == 303


def test_a_wrong_password_is_said_in_words_and_keeps_the_name(anybody: httpx.Client) -> None:
    answer = anybody.post("/login", data={"username": "dispatcher", "password": "wrong"})
    assert answer.status_code == 401
    assert "用户名或密码不正确" in answer.text
    assert 'value="dispatcher"' in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"),
        *("\\\\evil.example", "/a\nb", "evil.example", ""),
    ],
)
def test_nobody_is_led_to_another_site(anybody: httpx.Client, target: str) -> None:
    assert own_path(target) == "/"
    data = {"username": "dispatcher", "password": SAMPLE_PASSWORD, "next": target}
    assert anybody.post("/login", data=data).headers["location"] == "/console"


def test_a_crew_member_goes_to_the_phone_page_and_not_to_the_console(
    anybody: httpx.Client,
) -> None:
    data = {"username": "cleaner", "password": SAMPLE_PASSWORD}
    assert anybody.post("/login", data=data).headers["location"] == "/field"
    refused = anybody.get("/console")
    assert refused.status_code == 403
    assert "您的角色不能做这件事" in refused.text


def test_a_change_with_the_session_alone_is_refused(dispatcher: httpx.Client) -> None:
    body = {"channel": "patrol", "description": "x"}
    bare = dispatcher.post("/api/v1/incidents", json=body)
    assert (bare.status_code, bare.json()["code"]) == (403, "auth.csrf")
    token = re.search(r'name="csrf-token" content="([^"]+)"', dispatcher.get("/console").text)
    assert token is not None
    made = dispatcher.post("/api/v1/incidents", json=body, headers={"X-CSRF-Token": token[1]})
    assert made.status_code == 201


def test_the_language_is_asked_for_kept_and_taken_from_the_browser(anybody: httpx.Client) -> None:
    assert '<html lang="zh-CN"' in anybody.get("/").text
    assert '<html lang="en"' in anybody.get("/", headers={"Accept-Language": "en"}).text
    english = anybody.get("/?lang=en")
    assert "What would you like to do?" in english.text
    assert "gridward_lang=en" in english.headers["set-cookie"]
    assert '<html lang="en"' in anybody.get("/").text


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(
    anybody: httpx.Client,
) -> None:
    page = anybody.get("/nowhere")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "没有找到" in page.text
    program = anybody.get("/nowhere", headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"


def test_an_unknown_incident_has_no_page(dispatcher: httpx.Client) -> None:
    assert dispatcher.get("/console/incidents/19990101-000001").status_code == 404


def test_the_service_worker_may_serve_the_phone_page_and_lists_files_that_exist(
    anybody: httpx.Client,
) -> None:
    worker = anybody.get("/field/sw.js")
    assert worker.headers["service-worker-allowed"] == "/field"
    assert worker.headers["content-type"].startswith("text/javascript")
    shell = re.findall(r'"(/static/[^"]+)"', worker.text.splitlines()[1])
    assert len(shell) > 10
    assert {path: anybody.get(path).status_code for path in shell} == dict.fromkeys(shell, 200)
    imported = set()
    for path in [path for path in shell if path.endswith(".js") and "vendor" not in path]:
        folder = path.rsplit("/", 1)[0]
        for name in re.findall(r'^import .*?"(\.[^"]+)"', anybody.get(path).text, re.M):
            imported.add(str(httpx.URL(f"http://x{folder}/").join(name).path))
    assert imported <= set(shell), "a script of the shell imports one that is not kept offline"


def test_the_manifest_and_its_pictures(anybody: httpx.Client) -> None:
    manifest = anybody.get("/field/manifest.webmanifest").json()
    assert (manifest["start_url"], manifest["display"]) == ("/field", "standalone")
    for icon in manifest["icons"]:
        assert anybody.get(icon["src"]).status_code == 200


def photo(width: int = 60) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, 40), (90, 140, 60)).save(out, "JPEG")
    return out.getvalue()


def a_street_point(services: Services) -> tuple[str, float, float]:
    with services.sessions() as session:
        row = session.execute(
            text(
                "select t.name, st_x(st_lineinterpolatepoint(s.line, 0.5)) as lon,"
                " st_y(st_lineinterpolatepoint(s.line, 0.5)) as lat from segment s"
                " join street t on t.id = s.street_id where s.gone_at is null order by s.id limit 1"
            )
        ).one()
    return row.name, row.lon, row.lat


def test_a_resident_reports_with_a_pin_and_a_photo_and_follows_it(
    anybody: httpx.Client, town_services: Services
) -> None:
    street, lon, lat = a_street_point(town_services)
    form = {
        "description": f"井盖松动，找张三 13900000000 {ATTACK}",
        "lon": lon,
        "lat": lat,
        "key": "k1",
    }
    sent = anybody.post("/report", data=form, files={"photo": ("a.jpg", photo(), "image/jpeg")})
    assert sent.status_code == 303
    number = re.fullmatch(r"/track/([\d-]+)\?key=[a-z2-7]{16}&new=1", sent.headers["location"])
    assert number is not None
    shown = anybody.get(sent.headers["location"])
    assert number[1] in shown.text
    assert street in shown.text
    assert "已收到，谢谢" in shown.text
    assert "井盖松动" in shown.text, "whoever reported it reads their own words"
    # Whoever knows only the number learns nothing that was said, and no private name.
    for key in ("", "?key=", "?key=aaaaaaaaaaaaaaaa"):
        bare = anybody.get(f"/track/{number[1]}{key}")
        assert "13900000000" not in bare.text
        assert "井盖松动" not in bare.text
    again = anybody.post("/report", data=form)
    assert number[1] in again.headers["location"], "a second press made a second incident"
    with town_services.sessions() as session:
        kept = session.execute(
            text(
                "select i.channel_code, i.description, count(e.id) as photos from incident i"
                " left join evidence e on e.incident_id = i.id where i.number = :n group by i.id"
            ),
            {"n": number[1]},
        ).one()
    assert tuple(kept) == ("citizen", form["description"], 1)


def test_an_empty_report_is_sent_back_with_a_sentence(anybody: httpx.Client) -> None:
    answer = anybody.post("/report", data={"description": "  ", "key": "k2"})
    assert answer.status_code == 422
    assert "请写一句话或指出位置" in answer.text


def test_a_refused_report_keeps_what_was_written_and_shows_it_as_text(
    anybody: httpx.Client,
) -> None:
    form = {"description": ATTACK, "lon": "abc", "lat": "1", "key": '"><script>x</script>'}
    answer = anybody.post("/report", data=form)
    assert answer.status_code == 422
    assert "<script>alert(1)" not in answer.text
    assert "<script>x" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


def test_a_file_that_is_no_photo_never_costs_the_report(anybody: httpx.Client) -> None:
    files = {"photo": ("a.jpg", b"not a picture", "image/jpeg")}
    form = {"description": "路灯不亮", "key": "k4"}
    sent = anybody.post("/report", data=form, files=files)
    assert sent.headers["location"].endswith("&new=photo")
    assert "照片没有保存成功" in anybody.get(sent.headers["location"]).text


def test_following_by_the_number_typed_and_an_unknown_one(anybody: httpx.Client) -> None:
    found = anybody.get("/track", params={"number": " 20260101-000001<x> "})
    assert found.headers["location"] == "/track/20260101-000001x"
    unknown = anybody.get("/track/19990101-000001")
    assert unknown.status_code == 404
    assert "没有这个编号" in unknown.text


def test_no_page_for_everybody_names_a_member_of_staff(
    anybody: httpx.Client, town_services: Services
) -> None:
    with town_services.sessions() as session:
        rows = session.execute(
            text(
                "select i.number, s.name from incident i join task t on t.incident_id = i.id"
                " join staff s on s.id = t.assignee_id order by i.id limit 15"
            )
        ).all()
    assert rows
    for number, name in rows:
        shown = anybody.get(f"/track/{number}")
        assert shown.status_code == 200
        assert name not in shown.text


def test_public_streets_are_bounded_and_carry_no_people(
    anybody: httpx.Client, town_services: Services
) -> None:
    _, lon, lat = a_street_point(town_services)
    box = f"{lon - 0.01},{lat - 0.01},{lon + 0.01},{lat + 0.01}"
    streets = anybody.get("/report/streets.geojson", params={"bbox": box}).json()
    assert streets["features"]
    assert "crew" not in streets["features"][0]["properties"]
    whole = anybody.get("/report/streets.geojson", params={"bbox": "-180,-90,180,90"})
    assert whole.status_code == 422


def test_a_filed_report_says_by_when(
    anybody: httpx.Client, base: str, town_services: Services
) -> None:
    """The moment of its limit, by the clock of the town; nothing once it has ended."""
    number = report_at(
        town_services, spot_of(town_services), "满溢", category_of(town_services, "cleaner")
    )
    with town_services.sessions() as session:
        due_at = session.execute(
            text("select due_at from incident where number = :n"), {"n": number}
        ).scalar_one()
    local = due_at.astimezone(town_services.settings.town.zone)
    shown = anybody.get(f"/track/{number}").text
    assert re.search(rf"<time[^>]*>{local:%Y-%m-%d %H:%M}</time>", shown)
    assert "预计" in shown or "之前" in shown
    ended(town_services, number, "now()")
    assert f"{local:%Y-%m-%d %H:%M}</time>" not in anybody.get(f"/track/{number}").text


def ended(services: Services, number: str, closed_at: str) -> None:
    """As if it had gone its whole way: the road there is tested elsewhere."""
    with services.sessions() as session:
        session.execute(
            text(
                f"update incident set status = 'closed', queue = null, ended_at = {closed_at},"
                f" facts = facts || jsonb_build_object('state', 'closed', 'closed_at', {closed_at})"
                " where number = :n"
            ),
            {"n": number},
        )
        session.commit()


def test_after_the_period_it_is_not_taken_up_again_and_the_page_says_so(
    anybody: httpx.Client, town_services: Services
) -> None:
    home = town_services.settings.database.home_folder
    days = Rules().reopen_days
    pages = {}
    for ago in (days - 1, days + 1):
        number = report_at(
            town_services, spot_of(town_services), "又坏了", category_of(town_services, "cleaner")
        )
        ended(town_services, number, f"now() - interval '{ago} days'")
        link = page_of(home, number)
        data = {"act": "not_solved", "key": link.rpartition("=")[2], "words": "还是坏的"}
        pages[ago] = (anybody.get(link).text, anybody.post(f"/track/{number}", data=data))
    open_page, taken = pages[days - 1]
    assert 'value="not_solved"' in open_page
    assert taken.status_code == 303
    late_page, refused = pages[days + 1]
    assert 'value="not_solved"' not in late_page
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    assert str(days) in re.sub(r"<[^>]+>", "", refused.text.partition('role="alert"')[2][:400])
