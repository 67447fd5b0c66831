"""Thematic maps over HTTP and in Chromium: permissions, filters, files without a network, prints, both languages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import text

from api.services import Services
from dispatch.intake import Report, take_in
from dispatch.placing import GivenPoint
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


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nothing", 404, "maps.unknown"),
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
