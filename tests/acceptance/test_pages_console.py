"""The dispatcher's console in a real browser: list and map together, live, reports, places, moves, keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import text

from api.services import Services
from tests.acceptance.site import (
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


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services)


@pytest.fixture(scope="module")
def cleaning(town_services: Services) -> str:
    return category_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def base(town_services: Services, spot: Spot, cleaning: str) -> Iterator[str]:
    for number in range(3):
        report_at(town_services, spot, f"第{number}处垃圾满溢", cleaning)
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
        expect(seen.page.locator("#live")).to_have_attribute("data-state", "on")
        yield seen
        seen.assert_clean()


def test_choosing_in_the_list_rings_the_place_and_opens_the_story(desk: Visit) -> None:
    page = desk.page
    row = page.locator(".line").first
    number = row.get_attribute("data-number")
    row.click()
    expect(page.locator("#panel")).to_contain_text(str(number))
    expect(page.locator(".ring")).to_have_count(1)
    expect(row).to_have_attribute("aria-selected", "true")
    assert page.locator("[data-reason]").inner_text()
    expect(page.locator("#panel .steps li")).not_to_have_count(0)
    ring, area = page.locator(".ring").bounding_box(), page.locator(".map-pane").bounding_box()
    assert ring is not None
    assert area is not None
    assert area["x"] < ring["x"] < area["x"] + area["width"]
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator(".ring")).to_have_count(0)


def test_choosing_on_the_map_chooses_in_the_list(desk: Visit) -> None:
    page = desk.page
    row = page.locator(".line").nth(1)
    number = str(row.get_attribute("data-number"))
    page.evaluate(
        """number => { const layers = []; window.gridward.clusters.eachLayer((l) => layers.push(l));
        const one = layers.find((l) => l.options.alt.startsWith(number));
        one.fire('click', { latlng: one.getLatLng() }); }""",
        number,
    )
    expect(page.locator(f"#row-{number}")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel")).to_contain_text(number)


def test_the_map_shows_the_same_incidents_as_the_list(desk: Visit) -> None:
    page = desk.page
    page.select_option("#filters [name=queue]", "place_needed")
    expect(page.locator(".line .chip.green")).to_have_count(0)
    on_map = page.evaluate("window.gridward.clusters.getLayers().length")
    assert on_map == 0
    page.click("[data-clear]")
    page.wait_for_selector(ROWS)
    placed = page.evaluate("window.gridward.clusters.getLayers().length")
    assert 0 < placed <= page.locator(".line").count()


def test_a_click_on_a_street_tells_its_grid_and_its_people(desk: Visit, spot: Spot) -> None:
    page = desk.page
    expect(page.locator("#filters [name=grid] option")).not_to_have_count(1)
    # The place itself lies under the marks of what was reported there: a little way along the same street.
    page.evaluate(
        "([lat, lon]) => window.gridward.map.setView([lat, lon], 18, { animate: false })",
        [spot.along_lat, spot.along_lon],
    )
    page.locator(".over-street").wait_for(state="detached")
    area = page.locator(".map-pane").bounding_box()
    assert area is not None
    middle = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    for _ in range(40):  # the street's tile may still be on its way
        page.mouse.move(middle[0] + 1, middle[1])
        page.mouse.move(*middle)
        if page.locator(".over-street").count():
            break
        page.wait_for_timeout(100)
    page.mouse.click(*middle)
    bubble = page.locator(".leaflet-popup-content")
    expect(bubble).to_contain_text(spot.grid)
    for post in ("城管队员", "环卫工人", "园林养护员", "市政维护员"):
        expect(bubble).to_contain_text(post)
    expect(bubble).not_to_contain_text("无人")


def test_a_new_incident_appears_by_itself_with_a_badge(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "刚刚发生的事", cleaning)
    expect(page.locator(f"#row-{number}")).to_be_visible(timeout=5000)
    expect(page.locator("#fresh")).to_contain_text("1")
    assert page.title().startswith("(1)")
    page.click("#fresh")
    expect(page.locator("#panel")).to_contain_text(number)
    expect(page.locator("#fresh")).to_be_hidden()


LISTEN = """window.heard = 0; const Real = window.AudioContext;
window.AudioContext = class extends Real { createOscillator() { window.heard += 1; return super.createOscillator(); } };"""


def test_a_new_incident_is_heard_when_the_sound_is_on_and_the_choice_is_kept(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    page.add_init_script(LISTEN)
    page.reload()
    page.wait_for_selector(ROWS)
    sound = page.locator("#sound")
    expect(sound).to_have_attribute("aria-pressed", "false")
    silent = report_at(town_services, spot, "没有声音", cleaning)
    expect(page.locator(f"#row-{silent}")).to_be_visible()
    assert page.evaluate("window.heard") == 0
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("window.heard") == 2, "two tones say that it is on"
    page.reload()
    page.wait_for_selector(ROWS)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    expect(sound).to_have_attribute("aria-pressed", "true")
    heard = report_at(town_services, spot, "听得到的新案件", cleaning)
    expect(page.locator(f"#row-{heard}")).to_be_visible()
    assert page.evaluate("window.heard") == 2, "two tones for the one that came in"
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "false")


def test_the_feed_comes_back_after_the_line_was_down(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    desk.context.set_offline(True)
    # An open stream does not notice: the network is really gone only for what comes after.
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    number = report_at(town_services, spot, "断线时发生的事", cleaning)
    desk.context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.locator(f"#row-{number}")).to_be_visible(timeout=15000)


def test_search_by_number_finds_it_whatever_the_filters(
    desk: Visit, town_services: Services
) -> None:
    page = desk.page
    with town_services.sessions() as session:
        number = (
            session.connection()
            .exec_driver_sql(
                "select number from incident where status = 'closed' order by id limit 1"
            )
            .scalar_one()
        )
    page.select_option("#filters [name=queue]", "place_needed")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(str(number))
    page.keyboard.press("Enter")
    expect(page.locator("#panel h1")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text(str(number))


def test_a_report_shows_its_way_while_it_is_typed_and_is_saved(desk: Visit, spot: Spot) -> None:
    page = desk.page
    page.keyboard.press("n")
    page.fill("#r-description", f"{spot.street}垃圾满溢")
    page.fill("#r-address", f"{spot.lon}, {spot.lat}")
    page.fill("#r-address", "")
    page.evaluate(
        "([lat, lon]) => window.gridward.map.setView([lat, lon], 18, { animate: false })",
        [spot.lat, spot.lon],
    )
    area = page.locator(".map-pane").bounding_box()
    assert area is not None
    page.mouse.click(area["x"] + area["width"] / 2 + 20, area["y"] + area["height"] / 2 + 20)
    preview = page.locator("#preview")
    expect(preview).to_contain_text(spot.grid)
    page.locator("#suggested button").first.click()
    expect(preview).to_contain_text("责任人")
    expect(page.locator("#neighbours")).to_contain_text("附近有")
    page.keyboard.press("Control+Enter")
    page.locator("#r-description").press("Control+Enter")
    expect(page.locator("#panel h1")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text(spot.grid)
    expect(page.locator("#report")).to_be_hidden()


def test_an_incident_without_a_place_gets_one_by_the_pin(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, None, "那边很脏", cleaning)
    page.click("[data-queue=place_needed]")
    page.locator(f"#row-{number}").click()
    expect(page.locator(".place-box")).to_be_visible()
    page.evaluate(
        "([lat, lon]) => window.gridward.map.setView([lat, lon], 18, { animate: false })",
        [spot.lat, spot.lon],
    )
    page.click("[data-aim]")
    area = page.locator(".map-pane").bounding_box()
    assert area is not None
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2 + 24)
    page.click("[data-settle]")
    expect(page.locator(".place-box")).to_have_count(0)
    expect(page.locator("#panel")).to_contain_text("处置中")
    expect(page.locator("#panel .tasks li")).to_have_count(1)


def test_reassigning_takes_a_person_and_a_reason(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "要改派的事", cleaning)
    page.locator(f"#row-{number}").click()
    page.click("[data-move=reassign]")
    other = page.locator("#move-person optgroup").nth(1).locator("option").first
    name = other.inner_text().split("（")[0]
    page.select_option("#move-person", other.get_attribute("value"))
    page.fill("#move-note", "原责任人请假")
    page.click(".move-form button[type=submit]")
    expect(page.locator("#panel .tasks")).to_contain_text(name)
    expect(page.locator("#panel .steps")).to_contain_text("原责任人请假")


def test_somebody_else_was_faster(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str, base: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "两人同时处理", cleaning)
    page.locator(f"#row-{number}").click()
    page.click("[data-move=note]")
    page.fill("#move-note", "我的备注")
    token = page.locator('meta[name="csrf-token"]').get_attribute("content")
    made = page.request.post(
        f"{base}/api/v1/incidents/{number}/moves",
        data={"move": "note", "note": "别人的备注"},
        headers={"X-CSRF-Token": str(token)},
    )
    assert made.ok
    page.wait_for_timeout(1500)
    assert page.input_value("#move-note") == "我的备注", "the live feed took the words away"
    page.click(".move-form button[type=submit]")
    expect(page.locator(".toasts")).to_contain_text("别人刚刚改动了")
    expect(page.locator("#panel .steps")).to_contain_text("别人的备注")


def test_words_of_strangers_stay_words(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    attack = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
    number = report_at(town_services, spot, attack, cleaning)
    page.locator(f"#row-{number}").click()
    expect(page.locator("#panel .said")).to_have_text(attack)
    page.goto(f"{desk.base}/console/incidents/{number}")
    expect(page.locator(".story .said")).to_have_text(attack)
    assert page.evaluate("window.hurt") is None


def test_the_list_is_walked_by_the_keyboard(desk: Visit) -> None:
    page = desk.page
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen = page.locator(".line[aria-selected=true]")
    expect(chosen).to_have_count(1)
    assert chosen.get_attribute("data-number") == page.locator(".line").nth(1).get_attribute(
        "data-number"
    ) or chosen.get_attribute("data-number") == page.locator(".line").nth(0).get_attribute(
        "data-number"
    )
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()


def test_what_fails_is_said_with_a_way_to_try_again(desk: Visit) -> None:
    page = desk.page
    page.route(
        "**/api/v1/incidents?**",
        lambda route: route.fulfill(status=503, json={"detail": "数据库没有应答"}),
    )
    page.select_option("#filters [name=sort], select[form=filters][name=sort]", "due_at")
    expect(page.locator("#incidents")).to_contain_text("数据库没有应答")
    page.unroute("**/api/v1/incidents?**")
    page.click("#incidents .empty button")
    page.wait_for_selector(ROWS)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_first_rows_come_with_the_page_and_are_the_scripts_own(
    browser: Browser, base: str, town_services: Services, language: str
) -> None:
    """Without a script the list is there to read; the script's rows look and say the same."""
    with town_services.sessions() as session:
        # Far from a full hour, of which the minute between two looks would make the one before.
        session.execute(
            text(
                "update incident set due_at = now() + interval '5 hours 30 minutes' where ended_at is null"
            )
        )
        session.execute(
            text(
                "update incident set reported_at = reported_at - interval '400 days', due_at = due_at - interval '3 days'"
                " where id = (select min(id) from incident where ended_at is null)"
            )
        )
        session.commit()
    rows = """() => Object.fromEntries([...document.querySelectorAll('.line')].map((row) => [row.dataset.number,
        [row.textContent, row.querySelector('svg').innerHTML, [...row.querySelectorAll('*')].map((one) => one.getAttribute('class'))]]))"""
    shown = []
    for scripts in (False, True):
        with visit(browser, base, language, java_script_enabled=scripts) as seen:
            seen.sign_in("dispatcher")
            seen.page.goto(f"{base}/console?sort=reported_at")
            if scripts:
                seen.page.wait_for_selector(ROWS)
            expect(seen.page.locator("#count")).to_contain_text(re.compile(r"\d"))
            expect(seen.page.locator(".queues .badge").first).to_have_text(re.compile(r"^\d+$"))
            shown.append(seen.page.evaluate(rows))
    plain, scripted = shown
    assert plain
    # A minute may have passed between the two.
    minute = re.compile(r"\d+( min|分)")
    for number, (words, sign, classes) in plain.items():
        other = scripted[number]
        assert (minute.sub("", words), sign, classes) == (minute.sub("", other[0]), *other[1:])
