"""The administrator's pages in a browser: a person and a vacant post, dry runs and an import, a base map on the console."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import text

from api.services import Services
from grid.core.settings import NoticeSettings, Settings
from tests.acceptance.site import DESKTOP, PHONE, chromium, picture, serving, visit
from tests.acceptance.test_administration_http import halves

TILES = "https://tiles.example.cn"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    """The town, to which other systems may lie in the bureau's own network."""
    old = town_services.settings
    settings = Settings(
        old.database, old.town, old.web, NoticeSettings(private_networks="10.0.0.0/8")
    )
    with serving(replace(town_services, settings=settings)) as address:
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


def test_leave_is_entered_and_taken_back_and_a_shift_is_set(
    browser: Browser, base: str, town_services: Services
) -> None:
    with town_services.sessions() as session:
        rows = session.execute(
            text(
                "select staff_no, name from staff where post = 'cleaner' order by staff_no limit 2"
            )
        ).all()
    away, cover = (f"{row.staff_no} {row.name}" for row in rows)
    with visit(browser, base, "zh", DESKTOP) as seen:
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/people")
        expect(page.locator("#leave-rows")).to_contain_text("现在没有人请假")
        page.click("#leave-new")
        expect(page.locator("#l-who")).to_be_focused()
        page.fill("#l-who", away)
        page.fill("#l-substitute", away)
        page.keyboard.press("Enter")
        expect(page.locator("#leave-form [data-trouble]")).to_be_visible()
        page.fill("#l-substitute", cover)
        page.fill("#l-reason", "<b>病假</b>")
        page.keyboard.press("Enter")
        row = page.locator("#leave-rows tr")
        expect(row).to_contain_text(rows[0].name)
        expect(row).to_contain_text(f"{rows[1].name} ({rows[1].staff_no})")
        expect(row).to_contain_text("请假中")
        expect(row).to_contain_text("<b>病假</b>")
        page.on("dialog", lambda asked: asked.accept())
        row.locator("button").click()
        expect(page.locator("#leave-rows")).to_contain_text("现在没有人请假")
        page.click("#shift-new")
        page.fill("#s-who", away)
        page.fill("#s-name", "早班")
        page.fill("#s-days", "一至五")
        page.fill("#s-begins", "06:00")
        page.fill("#s-ends", "14:00")
        page.locator("#shift-form button.main").click()
        shift = page.locator("#shift-rows tr", has_text="早班")
        expect(shift).to_contain_text("周一–周五 06:00–14:00")
        shift.locator("button").click()
        expect(page.locator("#s-begins")).to_have_value("06:00")
        page.fill("#s-begins", "")
        page.fill("#s-ends", "")
        page.locator("#shift-form button.main").click()
        expect(shift).to_have_count(0)
        page.goto(f"{base}/admin")
        page.select_option("#log-subject", "person")
        expect(page.locator("#log-rows")).to_contain_text("请假")
        expect(page.locator("#log-rows")).to_contain_text("班次: 一至五 06:00-14:00")
        seen.assert_clean()


def test_ways_to_reach_people_and_other_systems_are_kept_on_their_page(
    browser: Browser, base: str
) -> None:
    with visit(browser, base, "en", DESKTOP) as seen:
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/sending")
        expect(page.locator("#contact-rows")).to_contain_text("No ways yet")
        page.click("#contact-new")
        page.select_option("#c-whom", "role")
        expect(page.locator("#c-person")).to_be_hidden()
        page.select_option("#c-role", "dispatcher")
        page.select_option("#c-kind", "wecom")
        page.fill("#c-url", "not an address")
        page.keyboard.press("Enter")
        expect(page.locator("#contact-form [data-trouble]")).to_be_visible()
        page.fill("#c-url", "wecombot://SECRETSECRETSECRET")
        page.keyboard.press("Enter")
        row = page.locator("#contact-rows tr")
        expect(row).to_contain_text("Every Dispatcher")
        expect(row).not_to_contain_text("SECRETSECRETSECRET")
        page.click("#system-new")
        page.fill("#w-name", "City <i>platform</i>")
        page.fill("#w-url", "http://127.0.0.1/hook")
        page.keyboard.press("Enter")
        expect(page.locator("#system-form [data-trouble]")).to_be_visible()
        page.fill("#w-url", "https://10.1.2.3/hook")
        page.uncheck("#system-form [value='incident.moved']")
        page.locator("#system-form button.main").click()
        expect(page.locator("#secret code")).to_have_text(re.compile(r"\S{30,}"))
        system = page.locator("#system-rows tr")
        expect(system).to_contain_text("City <i>platform</i>")
        expect(system).to_contain_text("reports, ends")
        page.on("dialog", lambda asked: asked.accept())
        system.locator("button").click()
        page.click("#system-end")
        expect(page.locator("#system-rows")).to_contain_text("No other systems yet")
        row.locator("button").click()
        expect(page.locator("#contact-rows")).to_contain_text("No ways yet")
        page.goto(f"{base}/admin")
        page.select_option("#log-subject", "webhook")
        expect(page.locator("#log-rows")).to_contain_text("City <i>platform</i>")
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
        # A file chosen while the page is still asking what may be imported is taken once that has come.
        held: list[Route] = []
        page.route("**/admin/imports/kinds", lambda route: held.append(route))
        page.goto(f"{base}/admin/imports", wait_until="commit")
        page.wait_for_selector("#i-file")
        page.select_option("#i-kind", "grids")
        page.set_input_files("#i-file", grids)
        page.wait_for_timeout(300)
        held[0].continue_()
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


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/people", "/admin/sending", "/admin/imports", "/admin/basemaps"]
)
def test_the_pages_fit_a_phone(browser: Browser, base: str, path: str) -> None:
    with visit(browser, base, "en", PHONE, has_touch=True, is_mobile=True) as seen:
        seen.sign_in("admin")
        seen.page.goto(base + path)
        seen.page.wait_for_load_state("networkidle")
        seen.assert_fits()
