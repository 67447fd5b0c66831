"""The desk in a real browser: many at once, saved filters, on duty, presence, callers, hand-over, grids, base maps."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from api.services import Services
from grid.core.datums import from_wgs84
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
    ROWS,
    Spot,
    Visit,
    category_of,
    chromium,
    report_at,
    serving,
    spot_of,
    visit,
)

COUNT = re.compile(r"^\d+$")


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services)


@pytest.fixture(scope="module")
def numbers(town_services: Services, spot: Spot) -> list[str]:
    cleaning = category_of(town_services, "cleaner")
    return [report_at(town_services, spot, f"第{n}处垃圾满溢", cleaning) for n in range(4)]


@pytest.fixture(scope="module")
def base(town_services: Services, numbers: list[str]) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def desk(browser: Browser, base: str) -> Iterator[Visit]:
    with visit(browser, base) as seen:
        seen.sign_in("dispatcher")
        seen.page.wait_for_selector(ROWS)
        yield seen
        seen.assert_clean()


def test_several_are_given_away_in_two_clicks_with_a_reason(
    desk: Visit, numbers: list[str]
) -> None:
    page = desk.page
    for number in numbers[:2]:
        page.locator(f"#row-{number} .tick").click()
    expect(page.locator("#bulk")).to_contain_text("已选 2 件")
    page.click("[data-bulk=give]")
    page.select_option("#bulk form select", "post||officer")
    page.fill("#bulk form textarea", "先由城管处理")
    page.click("#bulk form button[type=submit]")
    expect(page.locator(".toasts")).to_contain_text("办成 2 件")
    expect(page.locator("#bulk")).to_be_hidden()
    page.locator(f"#row-{numbers[1]}").click()
    expect(page.locator("#panel .steps")).to_contain_text("先由城管处理")
    expect(page.locator("#panel .tasks li")).to_have_count(2)
    expect(page.locator("#panel .tasks li").last).to_contain_text("待接收")


def test_a_range_is_marked_by_shift_and_one_by_the_key_alone(desk: Visit) -> None:
    page = desk.page
    page.locator(".line .tick").nth(0).click()
    page.locator(".line").nth(2).click(modifiers=["Shift"])
    expect(page.locator(".line[aria-checked=true]")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(".line[aria-checked=true]")).to_have_count(2)
    page.locator("#bulk .button").first.click()
    expect(page.locator("#bulk")).to_be_hidden()


def test_a_filter_is_saved_and_comes_back_by_one_click(desk: Visit) -> None:
    page = desk.page
    page.click("[data-queue=to_check]")
    page.click("[data-save]")
    page.fill(".save-form input", "<b>待核查</b>")
    page.select_option(".save-form select", "desk")
    page.click(".save-form .main")
    chip = page.locator("[data-saved]")
    expect(chip).to_have_text("<b>待核查</b>")
    page.click("[data-clear]")
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    expect(page.locator("[data-queue=to_check]")).to_have_attribute("aria-pressed", "true")
    expect(chip).to_have_attribute("aria-pressed", "true")


def test_every_named_queue_has_its_button_with_a_number(desk: Visit) -> None:
    page = desk.page
    for queue in (
        *("place_needed", "to_file", "to_dispatch", "returned", "not_accepted", "overdue"),
        *("to_check", "to_close"),
    ):
        expect(page.locator(f"[data-queue={queue}]:visible .badge")).to_have_text(COUNT)
    page.click("[data-queue=overdue]")
    expect(page.locator("#count")).to_contain_text("0")


def test_who_is_on_duty_is_found_by_name_and_called(desk: Visit, spot: Spot) -> None:
    page = desk.page
    page.keyboard.press("d")
    page.fill("#duty input", spot.grid)
    expect(page.locator(".duty-grid")).to_have_count(1)
    expect(page.locator(".duty-person")).to_have_count(5)
    assert str(page.locator(".duty-person a").first.get_attribute("href")).startswith("tel:")
    expect(page.locator(".duty-person").first).to_contain_text("未签到")
    page.keyboard.press("Escape")
    expect(page.locator("#duty")).to_be_hidden()


def test_the_other_who_has_it_open_is_named(
    desk: Visit, browser: Browser, base: str, numbers: list[str]
) -> None:
    with visit(browser, base) as other:
        other.sign_in("operator")
        other.page.goto(f"{base}/console?incident={numbers[0]}")
        expect(other.page.locator("#panel h1")).to_be_visible()
        desk.page.locator(f"#row-{numbers[0]}").click()
        expect(desk.page.locator(".presence")).to_contain_text("受理员")


def test_a_neighbour_takes_it_in_after_a_second_thought(desk: Visit, numbers: list[str]) -> None:
    page = desk.page
    page.locator(f"#row-{numbers[3]}").click()
    button = page.locator(f"[data-merge-into='{numbers[2]}']")
    button.click()
    expect(button).to_contain_text("确认")
    button.click()
    expect(page.locator(".toasts")).to_contain_text(numbers[2])
    expect(page.locator("#panel .chip.accent").first).to_contain_text("并案")


def test_a_caller_is_known_by_the_number(desk: Visit, base: str) -> None:
    page = desk.page
    token = str(page.locator('meta[name="csrf-token"]').get_attribute("content"))
    body = {
        "channel": "hotline_12345",
        "description": "路灯不亮",
        "reporter": {"phone": "13900002222"},
    }
    assert page.request.post(
        f"{base}/api/v1/incidents", data=body, headers={"X-CSRF-Token": token}
    ).ok
    page.keyboard.press("n")
    page.fill("#r-phone", "13900002222")
    expect(page.locator("#caller")).to_contain_text("此前上报 1 件")
    expect(page.locator("[data-earlier]")).to_contain_text("路灯不亮")


def test_the_hand_over_is_read_and_a_note_is_left(desk: Visit, base: str) -> None:
    page = desk.page
    page.goto(f"{base}/console/handover")
    expect(page.locator("[data-list=came] tbody tr").first).to_be_visible()
    page.fill("#note-body", "<i>站前路停电</i>")
    page.click("#note button")
    expect(page.locator("#notes .said")).to_have_text("<i>站前路停电</i>")
    page.emulate_media(media="print")
    expect(page.locator("#note")).to_be_hidden()
    expect(page.locator("[data-list=came] table")).to_be_visible()


def test_segments_are_chosen_previewed_and_moved_without_the_map(desk: Visit, base: str) -> None:
    page = desk.page
    page.goto(f"{base}/console/grids")
    expect(page.locator(".grid-row")).to_have_count(40)
    page.locator("#edit > summary").click()
    page.select_option("#c-code", "G020")
    page.locator(".by-street summary").click()
    page.locator("#streets input").first.check()
    expect(page.locator("#chosen")).not_to_contain_text("已选 0 段")
    page.select_option("#c-to", "G021")
    page.click("#change button[type=submit]")
    expect(page.locator("#plan")).to_contain_text("变更")
    allow = page.locator("#allow")
    if allow.count():
        allow.check()
    page.click("[data-apply]")
    expect(page.locator(".toasts")).to_contain_text("生效")
    expect(page.locator("#chosen")).to_contain_text("已选 0 段")


def test_a_grid_is_renamed_and_a_refusal_is_said(desk: Visit, base: str) -> None:
    page = desk.page
    page.goto(f"{base}/console/grids")
    page.locator("#edit > summary").click()
    page.select_option("#c-action", "rename")
    page.select_option("#c-code", "G001")
    page.click("#change button[type=submit]")
    expect(page.locator("#plan [role=alert]")).to_contain_text("名称")
    # The lines of a map that was moved come in later; what was said stays, for nothing else was chosen.
    page.evaluate("window.gridward.segments.load()")
    expect(page.locator("#plan [role=alert]")).to_contain_text("名称", timeout=1000)
    page.fill("#c-name", "新名<b>片")
    page.click("#change button[type=submit]")
    page.click("[data-apply]")
    expect(page.locator("[data-grid=G001]")).to_contain_text("新名<b>片")


@pytest.mark.parametrize(("language", "size"), [("zh", PHONE), ("en", PHONE), ("en", DESKTOP)])
def test_the_desks_pages_fit_in_both_languages(
    browser: Browser, base: str, language: str, size: tuple[int, int]
) -> None:
    with visit(browser, base, language, size) as seen:
        seen.sign_in("dispatcher")
        for path, ready in (
            ("/console", ROWS),
            ("/console/grids", ".grid-row"),
            ("/console/handover", "#lists table"),
        ):
            seen.page.goto(f"{base}{path}")
            seen.page.wait_for_selector(ready)
            seen.assert_fits()
        seen.assert_clean()


def test_who_may_not_change_grids_sees_them_only(browser: Browser, base: str) -> None:
    with visit(browser, base) as seen:
        seen.sign_in("leader")
        seen.page.goto(f"{base}/console/grids")
        expect(seen.page.locator(".grid-row")).to_have_count(40)
        expect(seen.page.locator("#change")).to_have_count(0)


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_the_browser_shifts_base_maps_as_the_server_shifts_points(desk: Visit, datum: str) -> None:
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(74, 134, 300), rng.uniform(18, 53, 300)
    there = desk.page.evaluate(
        """async ([points, datum]) => { const d = await import('/static/js/datums.js');
        return points.map(([lon, lat]) => { const to = d.fromWgs84(lon, lat, datum); return [...to, ...d.toWgs84(...to, datum)]; }); }""",
        [np.column_stack([lon, lat]).tolist(), datum],
    )
    x, y, back_lon, back_lat = np.array(there).T
    want_x, want_y = from_wgs84(lon, lat, datum)
    metre = 1 / 111_320
    assert np.abs(np.hypot(x - want_x, y - want_y)).max() < 0.001 * metre
    assert np.hypot(back_lon - lon, back_lat - lat).max() < 0.01 * metre


def test_a_tile_lies_where_its_ground_lies(desk: Visit) -> None:
    """A GCJ-02 tile that holds a place is drawn under that place, at any part of the view."""
    worst_px = desk.page.evaluate(
        """async () => { const { align } = await import('/static/js/basemap.js');
        const { fromWgs84 } = await import('/static/js/datums.js');
        const map = window.gridward.map; map.setView([33.595, 114.595], 16, { animate: false });
        const blank = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';
        const layer = align(L.tileLayer(blank), 'gcj02').addTo(map);
        await new Promise((done) => setTimeout(done, 500));
        const size = map.getSize(); let worst = 0;
        for (const x of [0.05, 0.5, 0.95]) for (const y of [0.05, 0.5, 0.95]) {
          const at = L.point(size.x * x, size.y * y); const place = map.containerPointToLatLng(at);
          const [lng, lat] = fromWgs84(place.lng, place.lat, 'gcj02');
          const pixel = map.project([lat, lng], 16); const tile = pixel.divideBy(256).floor();
          const found = layer._tiles[`${tile.x}:${tile.y}:16`];
          if (!found) return 999;
          const inside = pixel.subtract(tile.multiplyBy(256));
          const drawn = map.layerPointToContainerPoint(L.DomUtil.getPosition(found.el).add(inside));
          worst = Math.max(worst, drawn.distanceTo(at));
        } layer.remove(); return worst; }"""
    )
    # Half a pixel of rounding in each direction and a third of one within the tile.
    assert worst_px < 1.2
