"""The page of exports in Chromium: layers, system by search, a job to its file, what does not fit, both languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import pytest
from playwright.sync_api import Browser, expect

from api.services import Services
from maps.crs_search import find_systems
from tests.acceptance.site import category_of, chromium, report_at, serving, spot_of, visit


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    report_at(town_services, spot_of(town_services), "垃圾", category_of(town_services, "cleaner"))
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_a_job_goes_from_the_form_to_a_file(browser: Browser, base: str, tmp_path: Path) -> None:
    with visit(browser, base, "zh", accept_downloads=True) as seen:
        page = seen.page
        seen.sign_in("analyst")
        page.goto(f"{base}/exports")
        expect(page.locator("#jobs")).to_contain_text("还没有导出")
        page.check('input[value="incidents"]')
        page.fill("#e-crs", "4547")
        page.locator("#crs-list li", has_text="EPSG:4547").first.click()
        expect(page.locator("#e-crs")).to_have_value("EPSG:4547")
        page.click("#export .button.main")
        done = page.locator('#jobs [data-status="done"]')
        expect(done).to_have_count(1, timeout=30_000)
        with page.expect_download() as taken:
            done.locator("a").click()
        file = tmp_path / "out.gpkg"
        taken.value.save_as(file)
        assert gpd.read_file(file, layer="incidents").crs.to_epsg() == 4547
        assert len(gpd.read_file(file, layer="segments")) > 0
        done.locator("button").click()
        expect(page.locator('#jobs [data-status="cancelled"]')).to_have_count(1)
        seen.assert_clean()


def test_what_does_not_fit_is_told_before_it_is_asked(browser: Browser, base: str) -> None:
    with visit(browser, base, "en") as seen:
        page = seen.page
        seen.sign_in("analyst")
        page.goto(f"{base}/exports")
        page.check('input[value="grids"]')
        page.fill("#e-crs", "gcj02")
        expect(page.locator("#crs-note")).to_contain_text("shifted on purpose")
        page.select_option("#e-format", "geojson")
        expect(page.locator("#e-crs")).to_be_disabled()
        expect(page.locator("#crs-note")).to_contain_text("always WGS 84")
        assert page.locator('input[name="layer"]:checked').count() == 1
        expect(page.locator('[data-needs="status"]')).to_be_hidden()
        page.click("details summary")
        page.fill("#e-where", "street ==")
        page.click("#export .button.main")
        expect(page.locator("#export-problem")).to_be_visible()
        for box in page.locator('input[name="layer"]:checked').all():
            box.uncheck()
        page.click("#export .button.main")
        expect(page.locator("#export-problem")).to_have_text("Choose at least one layer")
        seen.assert_clean()


def test_what_the_desk_shows_comes_filled_in(browser: Browser, base: str) -> None:
    with visit(browser, base, "zh") as seen:
        page = seen.page
        seen.sign_in("analyst")
        page.goto(f"{base}/console?status=open&queue=to_file&q=垃圾")
        page.locator("[data-with-filters]").first.click()
        page.wait_for_url("**/exports?**")
        expect(page.locator('input[name="layer"]:checked')).to_have_count(1)
        expect(page.locator("#e-status")).to_have_value("open")
        expect(page.locator("#e-queue")).to_have_value("to_file")
        expect(page.locator("#e-q")).to_have_value("垃圾")
        page.fill("#e-bbox", "114,33,115,34")
        page.locator('input[name="overdue"]').check()
        page.select_option("#e-format", "csv")
        page.locator('input[name="with"]').check()
        asked = page.locator("#e-now").get_attribute("href") or ""
        for part in (
            "/exports/incidents.csv?",
            "open=true",
            "queue=to_file",
            "bbox=114",
            "overdue=true",
            "with=dictionary",
        ):
            assert part in asked
        assert "status=" not in asked
        answer = page.request.get(f"{base}{asked}")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
        seen.assert_clean()


def test_a_system_is_found_by_code_and_by_name_the_towns_own_first() -> None:
    assert [one.code for one in find_systems("", 4547)] == ["EPSG:4547", "EPSG:4326", "EPSG:4490"]
    assert find_systems("EPSG:32650", 4547)[0].name == "WGS 84 / UTM zone 50N"
    named = [one.code for one in find_systems("cgcs2000 3-degree gauss", 4547)]
    assert named[0] == "EPSG:4547"
    assert "EPSG:4549" in named
    assert find_systems("no such system", 4547) == []
