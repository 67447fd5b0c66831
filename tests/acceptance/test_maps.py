"""Thematic maps over HTTP and in Chromium: permissions, filters, files without a network, prints, both languages."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import text

from api.services import Services
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from maps.thematic import MAPS
from tests.acceptance.site import category_of, chromium, serving, spot_of, visit
from tests.web import Office, office

COUNTED = ("incidents", "heat", "hotspots", "load", "on_time", "compare")


@pytest.fixture(scope="module")
def services(town_services: Services) -> Services:
    """The invented town with a heap of litter at one place, and territories kept."""
    spot, category = spot_of(town_services), category_of(town_services, "cleaner")
    now = datetime.now(UTC)
    with town_services.sessions() as session:
        for k in range(12):
            lon, lat = spot.lon + (k % 3) * 1e-5, spot.lat + (k // 3) * 1e-5
            take_in(
                session,
                town_services.desk,
                Report(
                    channel="patrol", description=f"垃圾<b>{k}</b>", category=category,
                    point=GivenPoint(lon, lat, "wgs84"), reporter_name="王密", reporter_phone="13900001111",
                ),
                "account:dispatcher",
                now - timedelta(days=k, minutes=5),
            )  # fmt: skip
        session.commit()
    return town_services


@pytest.fixture(scope="module")
def desk(services: Services) -> Iterator[Office]:
    with office(services) as opened:
        yield opened


@pytest.fixture(scope="module")
def base(services: Services) -> Iterator[str]:
    with serving(services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def get(desk: Office, role: str | None, path: str, **headers: str) -> httpx.Response:
    if role:
        headers["Authorization"] = f"Bearer {desk.token(role)}"
    answer: httpx.Response = desk.client.get(path, headers=headers, follow_redirects=False)
    return answer


@pytest.mark.parametrize("name", MAPS)
def test_every_map_is_a_page_a_file_and_a_print(desk: Office, name: str) -> None:
    for language in ("zh", "en"):
        page = get(desk, "analyst", f"/maps/{name}?lang={language}")
        assert page.status_code == 200, page.text[:500]
        assert not re.search(r"\bmaps\.[a-z_]+", re.sub(r"/maps\.css", "", page.text)), "a bare key"
        assert "王密" not in page.text
        assert "13900001111" not in page.text
        file = get(desk, "analyst", f"/maps/{name}.html?lang={language}&download=1").text
        shown = re.sub(r"<script>.*?</script>", "", file, flags=re.S)
        assert "<script src" not in file
        assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", shown)
        assert not re.search(r"url\(\s*['\"]?(?!data:|#)", shown)
    pdf = get(desk, "analyst", f"/maps/{name}.pdf?lang=zh")
    assert pdf.content.startswith(b"%PDF")
    png = get(desk, "analyst", f"/maps/{name}.png?lang=en")
    with Image.open(io.BytesIO(png.content)) as picture:
        assert picture.size == (2338, 1654)


def test_only_readers_see_maps(desk: Office) -> None:
    assert get(desk, None, "/maps/heat").status_code == 303
    assert get(desk, "cleaner", "/maps/heat").status_code == 403
    assert get(desk, "collector", "/maps").status_code == 403
    for role in ("dispatcher", "evaluator", "analyst", "leader", "unit_head"):
        assert get(desk, role, "/maps").status_code == 200, role


def test_a_leader_counts_only_what_the_leader_may_see(desk: Office) -> None:
    def total(role: str) -> int:
        page = get(desk, role, "/maps/incidents?lang=en&from=2000-01-01").text
        found = re.search(r"<p>([\d,]+) incidents</p>", page)
        return int(found[1].replace(",", "")) if found else 0

    with desk.services.sessions() as session:
        every = session.scalar(text("select count(*) from incident where point is not null"))
    listed = desk.get("leader", "/incidents?page_size=1").json()["total"]
    assert total("analyst") == every
    assert total("leader") <= listed
    assert total("leader") < every
    assert "Only incidents that you may see" in get(desk, "leader", "/maps/heat?lang=en").text


def test_filters_and_period_bound_what_is_counted(desk: Office, services: Services) -> None:
    category = category_of(services, "cleaner")
    with services.sessions() as session:
        start = datetime.now(UTC).date() - timedelta(days=5)
        wanted = session.scalar(
            text(
                "select count(*) from incident where point is not null and category_code = :c"
                " and reported_at >= cast(:d as timestamp) at time zone 'Asia/Shanghai'"
            ),
            {"c": category, "d": start},
        )
    page = get(desk, "analyst", f"/maps/incidents?lang=en&category={category}&from={start}").text
    assert f"<p>{wanted} incidents</p>" in page
    empty = get(desk, "analyst", "/maps/incidents?lang=en&from=2001-01-01&to=2001-02-01").text
    assert "No incident of this period" in empty


def test_the_desks_filters_and_a_condition_bound_what_is_counted(
    desk: Office, services: Services
) -> None:
    def shown(asked: str) -> int:
        page = get(desk, "analyst", f"/maps/incidents?lang=en&from=2000-01-01&{asked}")
        assert page.status_code == 200, page.text[:500]
        found = re.search(r"<p>([\d,]+) incidents</p>", page.text)
        return int(found[1].replace(",", "")) if found else 0

    with services.sessions() as session:
        one = session.execute(
            text("select i.channel_code, k.post, k.assignee_id, st_x(i.point) as lon, st_y(i.point) as lat"
                 " from incident i join task k on k.incident_id = i.id where i.point is not null"
                 " and k.assignee_id is not null order by i.id desc limit 1")
        ).one()  # fmt: skip
        session.execute(
            text(
                "update incident set flags = '{street_only}' where id in (select id from incident where point is not null limit 2)"
            )
        )
        session.commit()
    spot = f"{one.lon - 1e-4},{one.lat - 1e-4},{one.lon + 1e-4},{one.lat + 1e-4}"
    task = "exists (select 1 from task k where k.incident_id = i.id and"
    for asked, same in (
        (f"channel={one.channel_code}", f"channel_code = '{one.channel_code}'"),
        (f"post={one.post}", f"{task} k.post = '{one.post}')"),
        (f"assignee={one.assignee_id}", f"{task} k.assignee_id = {one.assignee_id})"),
        ("flag=street_only", "'street_only' = any(flags)"),
        ("overdue=1", "due_at < now() and disposed_at is null and ended_at is null"),
        ("queue=overdue", "due_at < now() and disposed_at is null and ended_at is null"),
        (f"bbox={spot}", f"point && st_makeenvelope({spot}, 4326)"),
        ("where=confidence >= 0.9 and reported_at < TIMESTAMP('2100-01-01T00:00:00Z')", "confidence >= 0.9"),
    ):  # fmt: skip
        with services.sessions() as session:
            wanted = session.scalar(
                text(f"select count(*) from incident i where point is not null and {same}")
            )
        assert shown(asked) == wanted, asked
    assert shown("flag=street_only") == 2
    assert shown(f"bbox={spot}") >= 1
    # What is seen goes on to the page of exports, whose period ends before its last day.
    page = get(
        desk,
        "analyst",
        f"/maps/heat?lang=en&from=2026-01-01&to=2026-01-31&channel=patrol&bbox={spot}",
    ).text
    link = html.unescape(re.search(r'href="(/exports\?[^"]*)"', page)[1])  # type: ignore[index]
    address = dict(parse_qsl(urlsplit(link).query))
    assert address == {
        "layer": "incidents",
        "from": "2026-01-01",
        "to": "2026-02-01",
        "channel": "patrol",
        "bbox": spot,
    }


def test_hot_spots_by_cells_that_hold_incidents(desk: Office, services: Services) -> None:
    with services.sessions() as session:
        session.execute(
            text("insert into cell (code, community, area) select 'C' || row_number() over (), '', st_multi(geom) from"
                 " (select (st_squaregrid(0.004, st_setsrid(st_extent(line), 4326))).geom from segment) s")
        )  # fmt: skip
        session.commit()
    page = get(desk, "analyst", "/maps/hotspots?lang=en&by=cells&from=2000-01-01").text
    with services.sessions() as session:
        cells = session.scalar(text("select count(*) from cell")) or 0
        session.execute(text("delete from cell"))
        session.commit()
    found = re.search(r"([\d,]+) of ([\d,]+) units are significant", page)
    assert found is not None
    hot, units = (int(number.replace(",", "")) for number in found.groups())
    # A dozen at one place among forty in the whole town: what is hot lies together, and is little of it.
    assert units == cells > 20
    assert 1 <= hot < cells / 4


def test_a_print_has_its_title_in_chinese_north_scale_and_legend(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Text] = []
    of_matplotlib = FigureCanvasPdf.print_pdf

    def printed(canvas: Any, *given: Any, **more: Any) -> Any:
        written.extend(canvas.figure.findobj(Text))
        return of_matplotlib(canvas, *given, **more)

    monkeypatch.setattr(FigureCanvasPdf, "print_pdf", printed)
    body = get(desk, "analyst", "/maps/load.pdf?lang=zh").content
    assert body.startswith(b"%PDF")
    words = {text.get_text().strip(): text for text in written if text.get_text().strip()}
    page = get(desk, "analyst", "/maps/load?lang=zh").text
    title = re.search(r"<h1>([^<]+)</h1>", page)[1]  # type: ignore[index]
    assert re.search(r"[\u4e00-\u9fff]", title)
    assert {title, "北", "图例"} <= set(words)
    assert any(re.fullmatch(r"[\d,.]+ ?(m|km|米|公里)", one) for one in words), sorted(words)
    shown = re.findall(r"</svg>\s*<span>([^<]+)</span></li>", page)
    assert shown
    assert all(one.strip() in "".join(words).replace("\n", "") for one in shown), (
        shown,
        sorted(words),
    )
    # And the type has those signs: no empty boxes.
    for text_ in words.values():
        face = get_font(findfont(text_.get_fontproperties()))
        missing = [
            sign
            for sign in text_.get_text()
            if not sign.isspace() and not face.get_char_index(ord(sign))
        ]
        assert missing == [], text_.get_text()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nothing", 404, "maps.unknown"),
        ("heat?bbox=1,2", 422, "bbox.unreadable"),
        ("heat?assignee=x", 422, "request.invalid"),
        ("heat?where=phone=1", 422, "export.where_unknown_property"),
        ("heat?where=street>5", 422, "export.where_unfit"),
        ("heat?where=confidence/0>1", 422, "export.where_unfit"),
        ("heat.exe", 404, "maps.unknown"),
        ("load?by=colour", 422, "maps.choice_unknown"),
        ("load?from=yesterday", 422, "export.moment_unreadable"),
        ("load?from=2026-02-02&to=2026-01-01", 422, "export.period_turned"),
    ],
)
def test_what_cannot_be_drawn_is_told(desk: Office, path: str, status: int, code: str) -> None:
    answer = get(desk, "analyst", f"/maps/{path}", Accept="application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_names_of_people_only_for_those_who_may_read_them(desk: Office) -> None:
    with desk.services.sessions() as session:
        name = session.scalar(
            text("select p.name from post_holding h join staff p on p.id = h.staff_id"
                 " where upper_inf(h.valid) and h.grid_id is not null and h.post = 'cleaner' limit 1")
        )  # fmt: skip
    assert name in get(desk, "analyst", "/maps/ownership?by=cleaner").text


def drawn(page: Any) -> dict[str, int]:
    """Leaflet's own count of what lies on the map."""
    found: dict[str, int] = page.evaluate(
        """() => { const n = {layers: 0, canvas: document.querySelectorAll('.map-frame canvas').length,
            clusters: document.querySelectorAll('.count-ring').length};
            window.gridwardMap.eachLayer(() => n.layers++); return n; }"""
    )
    return found


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_map_is_complete_with_the_network_cut(
    browser: Browser, base: str, language: str, tmp_path: Path, pictures: Path
) -> None:
    with visit(browser, base, language) as seen:
        seen.sign_in("analyst")
        for name in MAPS:
            seen.page.goto(f"{base}/maps/{name}")
            seen.page.wait_for_function("window.gridwardMap")
            seen.page.screenshot(path=pictures / f"{name}-{language}.png")
            with seen.page.expect_download() as taken:
                seen.page.click('a[href*=".html"]')
            taken.value.save_as(tmp_path / f"{name}.html")
        seen.assert_clean()
        seen.context.set_offline(True)
        asked: list[str] = []
        for name in MAPS:
            page = seen.context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: asked.append(f"uncaught: {error}"))
            page.goto((tmp_path / f"{name}.html").as_uri())
            page.wait_for_function("window.gridwardMap")
            there = drawn(page)
            assert there["layers"] > 3, name
            assert there["canvas"] >= 1, name
            if name == "incidents":
                assert there["clusters"] >= 1
                before = page.locator(".time-slider output").inner_text()
                page.locator(".time-slider input").press("ArrowRight")
                assert page.locator(".time-slider output").inner_text() != before
            page.screenshot(path=pictures / f"file-{name}-{language}.png")
            page.close()
        foreign = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
        assert foreign == []


@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "desk"])
def test_the_pages_fit(browser: Browser, base: str, size: tuple[int, int]) -> None:
    with visit(browser, base, "zh", size) as seen:
        seen.sign_in("analyst")
        for path in ("/maps", "/maps/incidents", "/exports"):
            seen.page.goto(f"{base}{path}")
            seen.page.wait_for_load_state("networkidle")
            seen.assert_fits()
        seen.assert_clean()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are left for people to look at."""
    return tmp_path_factory.mktemp("maps")
