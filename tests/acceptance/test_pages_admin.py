"""The administrator's pages in a browser: a person and a vacant post, dry runs and an import, a base map on the console."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import text

from api.services import Services
from tests.acceptance.site import DESKTOP, PHONE, chromium, picture, serving, visit
from tests.acceptance.test_administration_http import halves

TILES = "https://tiles.example.cn"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


def test_a_new_person_takes_a_vacant_post(
    browser: Browser, base: str, town_services: Services
) -> None:
    with town_services.sessions() as session:
        code = session.scalar(text("select min(code) from grid where upper_inf(valid)"))
        session.execute(
            text(
                "delete from post_holding p using grid g where g.id = p.grid_id and g.code = :code"
                " and p.post = 'gardener'"
            ),
            {"code": code},
        )
        session.commit()
    with visit(browser, base, "zh", DESKTOP) as seen:
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/people")
        # The grid with the vacant post comes first, and says so.
        first = page.locator("#post-rows tr").first
        expect(first.locator("th")).to_contain_text(str(code))
        expect(page.locator("#vacant-count")).to_have_text("1 个空缺")
        page.click("#person-new")
        page.fill("#p-no", "P100")
        page.fill("#p-name", "林新")
        page.select_option("#p-post", "gardener")
        page.locator("#p-name").press("Enter")
        expect(page.locator("#person-dialog")).not_to_be_visible()
        page.fill("#person-search", "P100")
        expect(page.locator("#person-rows tr").first).to_contain_text("林新")
        first.locator("button[data-post=gardener]").click()
        expect(page.locator("#h-who")).to_be_focused()
        page.fill("#h-who", "P404")
        page.keyboard.press("Enter")
        expect(page.locator("#post-form [data-trouble]")).to_contain_text("P404")
        page.fill("#h-who", "P100 林新")
        page.keyboard.press("Enter")
        expect(page.locator("#post-dialog")).not_to_be_visible()
        held = page.locator(f'button[data-grid="{code}"][data-post=gardener]')
        expect(held).to_contain_text("林新")
        expect(page.locator("#vacant-count")).to_be_hidden()
        # Nobody goes without it being said what would be left.
        page.locator("#person-rows button").first.click()
        expect(page.locator("#leaving")).to_contain_text(f"{code} 园林养护员")
        page.locator("#end-form button.danger").click()
        expect(page.locator("#end-form [data-trouble]")).to_be_visible()
        page.keyboard.press("Escape")
        page.goto(f"{base}/admin")
        expect(page.locator("#log-rows li").first).to_contain_text("林新 (P100)")
        page.select_option("#log-subject", "person")
        expect(page.locator("#log-rows li").first).to_contain_text("P100")
        seen.assert_clean()


def test_files_are_looked_over_and_one_is_taken_in(
    browser: Browser, base: str, town_services: Services, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("工号,name,post\nQ1,甲,cleaner\nQ2,乙,nobody\n", "utf-8")
    grids = halves(town_services, tmp_path)
    with visit(browser, base, "en", DESKTOP) as seen:
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/imports")
        page.select_option("#i-kind", "grids")
        page.set_input_files("#i-file", grids)
        expect(page.locator("#options")).to_be_visible()
        page.click("#check")
        expect(page.locator("#state")).to_have_text("Waits for you", timeout=120_000)
        expect(page.locator("#faults tr").first).to_contain_text("Overlaps")
        expect(page.locator("#difference")).to_contain_text("Grids")
        page.click("#give-up")
        page.select_option("#i-kind", "staff")
        page.set_input_files("#i-file", people)
        # Their name for our field is chosen; without it the form says which is needed.
        page.select_option("#m-staff_no", "工号")
        page.click("#check")
        expect(page.locator("#refused tr")).to_contain_text("nobody")
        expect(page.locator("#difference tr").first).to_contain_text("1")
        with page.expect_download() as download:
            page.locator("#results a[download]").click()
        assert "nobody" in Path(download.value.path()).read_text("utf-8-sig")
        page.click("#publish")
        expect(page.locator("#state")).to_have_text("Imported", timeout=120_000)
        expect(page.locator("#before-rows tr").first).to_contain_text("people.csv")
        seen.assert_clean()
    with town_services.sessions() as session:
        assert session.scalar(text("select name from staff where staff_no = 'Q1'")) == "甲"
        assert session.scalar(text("select count(*) from grid where code in ('W1', 'E1')")) == 0


def test_a_base_map_is_tried_and_the_console_offers_it(browser: Browser, base: str) -> None:
    tile = io.BytesIO()
    Image.new("RGB", (256, 256), "#9fc3a0").save(tile, "PNG")

    def answer(route: Route) -> None:
        route.fulfill(status=200, content_type="image/png", body=tile.getvalue())

    with visit(browser, base, "zh", DESKTOP) as seen:
        seen.context.route(f"{TILES}/**", answer)
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/basemaps")
        for name, place in (("街图", "a"), ("影像", "b")):
            page.click("#map-new")
            page.fill("#b-zh", name)
            page.fill("#b-en", name)
            page.fill("#b-url", f"http://tiles.example.cn/{place}/{{z}}/{{x}}/{{y}}.png")
            page.locator("#map-form button.main").click()
            expect(page.locator("#map-form [data-trouble]")).to_contain_text("https")
            page.fill("#b-url", f"{TILES}/{place}/{{z}}/{{x}}/{{y}}.png")
            page.select_option("#b-datum", "gcj02" if place == "b" else "wgs84")
            page.locator("#map-form button.main").click()
            expect(page.locator("#maps > li", has_text=name)).to_contain_text("瓦片正常")
        picture(page, "admin-basemaps")
        seen.complaints.clear()
        page.goto(f"{base}/console")
        choice = page.locator(".base-choice")
        assert choice.locator("option").all_text_contents() == ["街图", "影像", "不用底图"]
        with page.expect_request(f"{TILES}/b/**"):
            choice.select_option("影像")
        page.wait_for_timeout(300)
        assert {url.split("/")[2] for url in seen.foreign} == {"tiles.example.cn"}
        assert [c for c in seen.complaints if "Content Security Policy" in c] == []
        page.reload()
        expect(choice).to_have_value("影像")


@pytest.mark.parametrize("path", ["/admin", "/admin/people", "/admin/imports", "/admin/basemaps"])
def test_the_pages_fit_a_phone(browser: Browser, base: str, path: str) -> None:
    with visit(browser, base, "en", PHONE, has_touch=True, is_mobile=True) as seen:
        seen.sign_in("admin")
        seen.page.goto(base + path)
        seen.page.wait_for_load_state("networkidle")
        seen.assert_fits()
