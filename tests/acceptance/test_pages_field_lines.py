"""The phone page line by line of what people expect: order, places, photographs, record, pushes, first drawing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import text

from api.services import Services
from grid.core.settings import NoticeSettings, Settings
from tests.acceptance.site import Spot, category_of, chromium, report_at, serving, spot_of, visit
from tests.acceptance.test_field_http import made_earlier
from tests.acceptance.test_pages_field_work import (
    ask,
    moves_of,
    open_task,
    phone_of,
    picture,
    sent,
    take,
)

RECORD = (
    "async () => { const { record } = await (await fetch('/api/v1/field/desk')).json();"
    " return [record.done_today, record.overdue, record.done_month, record.late_month]; }"
)
NUMBERS = "(s) => [...document.querySelectorAll(s)].map((e) => e.dataset.number)"


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    """The town, to which an address of this machine may be a push service's."""
    old = town_services.settings
    notices = NoticeSettings(private_networks="127.0.0.0/8")
    settings = Settings(old.database, old.town, old.web, notices)
    with serving(replace(town_services, settings=settings)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    Image.effect_noise((900, 600), 40).convert("RGB").save(path, "JPEG")
    return path


def given(services: Services, spot: Spot, words: str, due_in_hours: float) -> str:
    """A task of the cleaner's with a limit so far from now."""
    number = report_at(services, spot, words, category_of(services, "cleaner"))
    with services.sessions() as session:
        values = {"n": number, "h": due_in_hours}
        due = "now() + make_interval(secs => :h * 3600)"
        session.execute(text(f"update incident set due_at = {due} where number = :n"), values)
        session.execute(
            text(
                f"update task set due_at = {due} where incident_id ="
                " (select id from incident where number = :n)"
            ),
            values,
        )
        session.commit()
    return number


def along(spot: Spot) -> Spot:
    return Spot(spot.street, spot.along_lon, spot.along_lat, spot.grid)


def order_of(page: Page, numbers: list[str], selector: str = "#tasks .task") -> list[str]:
    return [one for one in page.evaluate(NUMBERS, selector) if one in numbers]


def finish(page: Page, number: str, photo: Path, pictures: int = 1) -> None:
    open_task(page, number)
    page.click("[data-act=accept]")
    page.click("[data-act=finish]")
    for n in range(pictures):
        take(page, "[data-take=after]", photo)
        expect(page.locator("[data-form=finish] .photos img")).to_have_count(n + 1)
    page.click("[data-send=finish]")
    sent(page)
    # The sheet closes by going back in the history, which would break off a page that is just being loaded.
    expect(page.locator("#sheet")).to_be_hidden()


def test_what_is_due_first_stands_first_and_the_nearest_when_i_say_so(
    browser: Browser, base: str, spot: Spot, town_services: Services
) -> None:
    far_and_pressing = given(town_services, along(spot), "远而急", 1)
    near_with_time = given(town_services, spot, "近而缓", 30)
    overdue = given(town_services, along(spot), "已超时", -1)
    numbers = [near_with_time, far_and_pressing, overdue]
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        expect(page.locator("[data-by=due]")).to_have_attribute("aria-pressed", "true")
        assert order_of(page, numbers) == [overdue, far_and_pressing, near_with_time]
        page.click("[data-by=near]")
        assert order_of(page, numbers)[0] == near_with_time
        picture(page, "zh-14-near")
        page.reload()
        page.wait_for_selector("#tasks .task")
        expect(page.locator("[data-by=near]")).to_have_attribute("aria-pressed", "true")
        page.wait_for_function(f"({NUMBERS})('#tasks .task')[0] === '{near_with_time}'")


def test_checks_stand_in_the_order_chosen_and_a_cut_is_said(
    browser: Browser, base: str, spot: Spot, town_services: Services
) -> None:
    numbers = [given(town_services, one, "待查", hours) for one, hours in ((spot, 9), (along(spot), 3))]  # fmt: skip
    with town_services.sessions() as session:
        session.execute(
            text("update incident set status = 'checking' where number = any(:n)"), {"n": numbers}
        )
        session.commit()
    with phone_of(browser, base, spot, "collector") as seen:
        page = seen.page
        assert order_of(page, numbers) == numbers[::-1], "due first"
        expect(page.locator("[data-cut]")).to_have_count(0)
        page.click("[data-by=near]")
        assert order_of(page, numbers) == numbers, "nearest first"
        seen.context.route("**/api/v1/field/desk", with_many_checks)
        seen.context.add_init_script("delete navigator.serviceWorker")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(page.locator("[data-cut]")).to_contain_text("75")
        picture(page, "zh-14-checks")


def with_many_checks(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, json={**answer.json(), "checks_total": 75})


def test_several_photographs_of_one_result_and_my_figures_of_today(
    browser: Browser, base: str, spot: Spot, photo: Path, town_services: Services
) -> None:
    in_time = given(town_services, spot, "按时做完", 8)
    late = report_at(town_services, spot, "超时做完", category_of(town_services, "cleaner"))
    made_earlier(town_services, late, 60)
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        # Asked of the server: the page shows what it kept at first.
        today, overdue, month, too_late = page.evaluate(RECORD)
        finish(page, in_time, photo, 2)
        finish(page, late, photo)
        page.reload()
        page.wait_for_selector("#tasks .task")
        page.click(".tabs [data-view=mine]")
        expect(page.locator("[data-record] .figure b")).to_have_text(
            [str(each) for each in (today + 2, overdue - 1, month + 2, too_late + 1)]
        )
        picture(page, "zh-14-record")
    stages = ask(
        town_services,
        "select e.stage from evidence e join incident i on i.id = e.incident_id where i.number = :n",
        n=in_time,
    )
    assert [row.stage for row in stages] == ["after", "after"]


def test_a_step_carries_its_place_also_without_network_and_none_where_the_phone_may_not_tell(
    browser: Browser, base: str, spot: Spot, photo: Path, town_services: Services
) -> None:
    """Arriving and finishing off a shift carry where they were pressed; with positions refused nothing is asked."""
    here = given(town_services, spot, "带位置的", 8)
    nowhere = given(town_services, spot, "不给位置", 8)
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        page.wait_for_timeout(300)
        seen.context.set_offline(True)
        open_task(page, here)
        page.click("[data-act=accept]")
        page.click("[data-act=arrive]")
        expect(page.locator("#unsent")).to_contain_text("2")
        # Sent from elsewhere, later: what counts is where it was pressed.
        seen.context.set_geolocation({"longitude": spot.lon + 0.02, "latitude": spot.lat})
        seen.context.set_offline(False)
        sent(page)
    with phone_of(browser, base, spot, permissions=["notifications"]) as seen:
        page = seen.page
        open_task(page, nowhere)
        page.click("[data-act=accept]")
        page.click("[data-act=arrive]")
        sent(page)
        seen.assert_clean()
    details = {
        (row.number, row.move): row.detail
        for row in ask(
            town_services,
            "select i.number, h.move, h.detail from history h join incident i on i.id = h.incident_id"
            " where i.number = any(:n) and h.move in ('accept_task', 'arrive')",
            n=[here, nowhere],
        )
    }
    assert details[here, "arrive"]["away_m"] <= 1
    assert details[here, "arrive"]["off_m"] == 8
    assert "away_m" not in details[here, "accept_task"], "accepted off a shift"
    assert "away_m" not in details[nowhere, "arrive"]
    with phone_of(browser, base, spot) as seen:
        finish_arrived(seen.page, here, photo)
    assert "finish_task" in moves_of(town_services, here)
    with phone_of(browser, base, spot, "collector") as seen:
        page = seen.page
        open_task(page, here)
        told = page.locator("[data-distances] li")
        expect(told).to_have_count(2)
        expect(told.first).to_contain_text("距案件")
        picture(page, "zh-15-distances")
        seen.assert_fits()
    with visit(browser, base) as console:
        console.sign_in("dispatcher")
        console.page.goto(f"{base}/console/incidents/{here}")
        expect(console.page.locator("[data-away]").first).to_contain_text(f"{spot.lon:.5f}")
        picture(console.page, "zh-15-distances-desk")


RACED = """async (number) => {
    const { Outbox } = await import("/static/js/field/outbox.js");
    const { addItem } = await import("/static/js/field/store.js");
    const box = new Outbox({ account: "raced", username: "raced", onChange() {}, onSent() {}, renew: async () => false });
    await addItem({ account: "raced", client_id: crypto.randomUUID(), at: new Date().toISOString(), state: "waiting",
        kind: "move", number, move: "arrive", version: 1 });
    box.steps = new Map([[`${number}:1`, 2]]);
    await box.read();
    await box.send();
    return box.items.length;
}"""


def test_a_step_written_while_the_answer_to_the_one_before_came_stands_on_that_one(
    browser: Browser, base: str, spot: Spot
) -> None:
    """Pressed quickly on a slow phone: the next step is on its way to the disk when the first one's version is known."""
    number, sent_versions = "20250101-999999", []

    def answer(route: Route) -> None:
        sent_versions.append(json.loads(route.request.post_data or "{}")["version"])
        route.fulfill(status=200, json={"number": number, "version": 3})

    with phone_of(browser, base, spot) as seen:
        seen.page.route(f"**/incidents/{number}/moves", answer)
        assert seen.page.evaluate(RACED, number) == 0
    assert sent_versions == [2]


def finish_arrived(page: Page, number: str, photo: Path) -> None:
    open_task(page, number)
    page.click("[data-act=finish]")
    take(page, "[data-take=after]", photo)
    page.click("[data-send=finish]")
    sent(page)


def test_the_photograph_of_the_report_is_on_the_phone_without_network_too(
    browser: Browser, base: str, spot: Spot, photo: Path, town_services: Services
) -> None:
    number = given(town_services, spot, "带照片的上报", 5)
    with visit(browser, base) as desk:
        desk.sign_in("dispatcher")
        token = desk.page.locator('meta[name="csrf-token"]').get_attribute("content")
        added = desk.page.request.post(
            f"{base}/api/v1/incidents/{number}/evidence",
            multipart={
                "photo": {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo.read_bytes()},
                "stage": "before",
            },
            headers={"X-CSRF-Token": str(token)},
        )
        assert added.ok, added.text()
    seen_whole = "() => { const one = document.querySelector('#sheet .photos img'); return Boolean(one?.complete && one.naturalWidth); }"
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        # The page is now the service worker's; with it the small pictures come along by themselves.
        with page.expect_response(lambda answer: "size=thumbnail" in answer.url):
            page.reload()
        page.wait_for_selector("#tasks .task")
        page.wait_for_function("caches.open('gridward-pictures').then((kept) => kept.keys()).then((all) => all.length > 0)")  # fmt: skip
        seen.context.set_offline(True)
        page.reload()
        page.wait_for_selector("#tasks .task")
        open_task(page, number)
        page.wait_for_function(seen_whole)


def test_signing_in_far_from_my_grid_is_recorded_and_said(
    browser: Browser, base: str, spot: Spot, town_services: Services
) -> None:
    """Two hundredths of a degree of latitude are 2.2 km; the grid itself is a part of that."""
    away = {"longitude": spot.lon, "latitude": spot.lat + 0.02, "accuracy": 8}
    with phone_of(browser, base, spot, geolocation=away) as seen:
        page = seen.page
        page.click("[data-shift-hint]")
        page.click("[data-sign=in]")
        sent(page)
        page.reload()
        page.click(".tabs [data-view=mine]")
        far = page.locator("[data-shift=on] .note.amber")
        expect(far).to_contain_text("签到地点离您的网格")
        picture(page, "zh-16-far")
        page.click("[data-sign=out]")
        sent(page)
    row = ask(town_services, "select began_m from attendance order by id desc limit 1")[0]
    assert 300 < row.began_m < 2400


def test_pushes_are_asked_for_on_the_page_and_end_there(
    browser: Browser, base: str, spot: Spot, town_services: Services
) -> None:
    """The browser's own part is played: headless Chromium has no push service."""
    given(town_services, spot, "推送", 5)
    point = "B" + "A" * 86
    played = """(() => { let made = JSON.parse(localStorage.getItem('played') || 'null');
      const one = () => made && { endpoint: made.endpoint, toJSON: () => made,
        unsubscribe: async () => { made = null; localStorage.removeItem('played'); return true; } };
      Notification.requestPermission = async () => 'granted';
      PushManager.prototype.getSubscription = async () => one();
      PushManager.prototype.subscribe = async (asked) => { made = { endpoint: 'http://127.0.0.1:9/push/phone', keys: { p256dh: '%s', auth: 'A'.repeat(22) },
        asked: [asked.userVisibleOnly, asked.applicationServerKey.length] }; localStorage.setItem('played', JSON.stringify(made)); return one(); };
    })()"""
    held = "select count(*) as n from push_subscription where endpoint like '%/push/phone' and ended_at is null"
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        page.add_init_script(played % point)
        page.reload()
        page.click(".tabs [data-view=mine]")
        push = page.locator("[data-act=push]")
        answers: list[tuple[int, Any]] = []
        page.on(
            "response",
            lambda answer: (
                answers.append((answer.status, answer.request.post_data))
                if "/push/subscriptions" in answer.url
                else None
            ),
        )
        push.click()
        expect(page.locator("[data-push=on], .toast")).to_be_visible()
        assert [status for status, _ in answers] == [201], page.locator(".toast").all_inner_texts()
        assert json.loads(answers[0][1])["asked"] == [True, 65], "the town's own key"
        assert ask(town_services, held)[0].n == 1
        page.reload()
        page.click(".tabs [data-view=mine]")
        expect(page.locator("[data-push=on]")).to_be_visible()
        push.click()
        expect(page.locator("[data-push=off]")).to_be_visible()
        assert ask(town_services, held)[0].n == 0


def test_kept_tasks_are_drawn_before_the_network_has_answered(
    browser: Browser, base: str, spot: Spot, town_services: Services
) -> None:
    """Fast because nothing is waited for: with the line held, page, tasks and map of the last time stand there."""
    number = given(town_services, spot, "上次的任务", 5)
    with phone_of(browser, base, spot) as seen:
        page = seen.page
        page.reload()
        page.wait_for_selector(f'.task[data-number="{number}"]')
        held: list[Route] = []
        seen.context.route("**/api/**", lambda route: held.append(route))
        page.reload()
        expect(page.locator(f'.task[data-number="{number}"]')).to_be_visible()
        open_task(page, number)
        expect(page.locator("#sheet .said")).to_have_text("上次的任务")
        assert held, "the network was asked, and has not answered"
        for route in held:
            route.abort()
