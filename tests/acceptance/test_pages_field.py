"""The phone page in a real browser: tasks, photos, and everything without network, a killed browser included."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Page, Route, expect
from sqlalchemy import text

from api.services import Services
from tests.acceptance.site import (
    ARGUMENTS,
    CHROMIUM,
    PHONE,
    Spot,
    Visit,
    category_of,
    chromium,
    report_at,
    serving,
    spot_of,
    take_photo,
    visit,
)

AS_PHONE = {
    "has_touch": True,
    "is_mobile": True,
    "geolocation": {"longitude": 114.6, "latitude": 33.6},
    "permissions": ["geolocation"],
}


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def number(town_services: Services, spot: Spot) -> str:
    return report_at(town_services, spot, "垃圾桶满了", category_of(town_services, "cleaner"))


@pytest.fixture
def phone(browser: Browser, base: str, number: str) -> Iterator[Visit]:
    with visit(browser, base, "zh", PHONE, **AS_PHONE) as seen:
        seen.sign_in("cleaner")
        ready(seen.page)
        yield seen
        seen.assert_clean()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph as a phone takes it: large, and turned by its EXIF note."""
    path = tmp_path_factory.mktemp("photos") / "large.jpg"
    image = Image.effect_noise((3200, 2400), 40).convert("RGB")
    note = Image.Exif()
    note[0x0112] = 6  # the camera was held upright
    image.save(path, "JPEG", quality=92, exif=note)
    return path


def ready(page: Page) -> None:
    """The tasks are there and the service worker keeps the page."""
    page.wait_for_selector("#tasks .task")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    expect(page.locator("#line")).to_be_hidden()


def facts_of(services: Services, number: str) -> tuple[str, list[str], list[str]]:
    """Status, moves in order, stages of the photos."""
    with services.sessions() as session:
        moves = session.execute(
            text(
                "select h.move from history h join incident i on i.id = h.incident_id"
                " where i.number = :n order by h.seq"
            ),
            {"n": number},
        )
        stages = session.execute(
            text(
                "select e.stage from evidence e join incident i on i.id = e.incident_id"
                " where i.number = :n order by e.id"
            ),
            {"n": number},
        )
        status: str = session.execute(
            text("select status from incident where number = :n"), {"n": number}
        ).scalar_one()
        return status, list(moves.scalars()), list(stages.scalars())


def test_a_task_is_accepted_and_done_with_a_photo(
    phone: Visit, number: str, picture: Path, town_services: Services
) -> None:
    page = phone.page
    page.click(f'.task[data-number="{number}"]')
    page.click("[data-act=accept]")
    page.click("[data-act=arrive]")
    page.click("[data-act=finish]")
    expect(page.locator("[data-send=finish]")).to_be_disabled()
    take_photo(page, "[data-take=after]", picture)
    page.fill("#finish-note", "已清运")
    page.click("[data-send=finish]")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(page.locator("#unsent")).to_be_hidden(timeout=15000)
    status, moves, stages = facts_of(town_services, number)
    assert [m for m in moves if m in ("accept_task", "arrive", "finish_task", "submit")] == [
        *("accept_task", "arrive", "finish_task", "submit")
    ]
    assert (status in ("disposed", "checking"), stages) == (True, ["after"])
    kept = page.request.get(f"{phone.base}/api/v1/incidents/{number}").json()["evidence"][0]
    with Image.open(io.BytesIO(page.request.get(phone.base + kept["url"]).body())) as small:
        assert max(small.size) == 1600, "the phone did not make it smaller"
        assert small.height > small.width, "the turn of the camera was lost"


def test_a_task_is_returned_with_a_reason(
    phone: Visit, number: str, town_services: Services
) -> None:
    page = phone.page
    page.click(f'.task[data-number="{number}"]')
    page.click("[data-act=return]")
    expect(page.locator("[data-send=return]")).to_be_disabled()
    page.locator(".choice input").first.check()
    page.click("[data-send=return]")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(page.locator("#unsent")).to_be_hidden(timeout=15000)
    _, moves, _ = facts_of(town_services, number)
    assert "return_task" in moves
    with town_services.sessions() as session:
        queue = session.execute(
            text("select queue from incident where number = :n"), {"n": number}
        ).scalar_one()
    assert queue == "returned", "what came back must wait for the dispatcher"


def test_the_bureaus_own_replies_are_on_the_phone_without_network_too(
    phone: Visit, number: str, town_services: Services
) -> None:
    """A text kept by the watch chief is tapped where no network is; one of another category is not offered."""
    page = phone.page
    with town_services.sessions() as session:
        session.execute(
            text(
                "insert into ready_reply (move, language, words, category_code, changed_at, changed_by) values"
                " ('return_task', 'zh', '值长备好的答复', null, now(), 'account:watch_chief'),"
                " ('return_task', 'zh', '别的类别的答复', (select max(code) from category), now(), 'account:watch_chief'),"
                " ('add_task', 'zh', '请带高压水枪', null, now(), 'account:watch_chief')"
            )
        )
        session.commit()
    with page.expect_response("**/api/v1/ready-replies") as replies:
        page.reload()
    replies.value.finished()  # whole, before the network goes
    page.click(f'.task[data-number="{number}"]')
    phone.context.set_offline(True)
    page.locator("details.more summary").click()
    page.click("[data-act=help]")
    expect(page.locator("[data-form=help]")).to_contain_text("请带高压水枪")
    page.click("[data-act=return]")
    form = page.locator("[data-form=return]")
    expect(form).not_to_contain_text("别的类别的答复")
    form.get_by_text("值长备好的答复").click()
    page.click("[data-send=return]")
    expect(page.locator("#unsent")).to_be_visible()
    phone.context.set_offline(False)
    expect(page.locator("#unsent")).to_be_hidden(timeout=30_000)
    with town_services.sessions() as session:
        noted = session.execute(
            text(
                "select h.note from history h join incident i on i.id = h.incident_id"
                " where i.number = :n and h.move = 'return_task'"
            ),
            {"n": number},
        ).scalar_one()
    assert noted == "值长备好的答复"


def test_every_target_is_large_enough(phone: Visit, number: str) -> None:
    page = phone.page
    page.click(f'.task[data-number="{number}"]')
    small = page.evaluate(
        """() => [...document.querySelectorAll('#sheet button, #sheet a.button, .tabs button, .sorts button, .task, .bar .button')]
        .map((e) => [e.innerText || e.ariaLabel, e.getBoundingClientRect()]).filter(([, b]) => b.width && (b.height < 48 || b.width < 48))
        .map(([text, b]) => `${text} ${b.width}x${b.height}`)"""
    )
    assert small == []
    phone.assert_fits()


def test_the_map_shows_me_my_task_and_my_grid(phone: Visit, number: str) -> None:
    page = phone.page
    page.click(".tabs [data-view=map]")
    expect(page.locator(".me-dot")).to_have_count(1)
    expect(page.locator("#map-view .mark").first).to_be_visible()
    phone.assert_fits()


def test_a_change_by_somebody_else_is_shown_and_nothing_is_dropped(
    phone: Visit, number: str, town_services: Services, browser: Browser, base: str
) -> None:
    page = phone.page
    page.click(f'.task[data-number="{number}"]')
    phone.context.set_offline(True)
    page.click("[data-act=accept]")
    expect(page.locator("#unsent")).to_contain_text("1")
    with visit(browser, base) as desk:
        desk.sign_in("dispatcher")
        token = desk.page.locator('meta[name="csrf-token"]').get_attribute("content")
        made = desk.page.request.post(
            f"{base}/api/v1/incidents/{number}/moves",
            data={"move": "note", "note": "请先拍照"},
            headers={"X-CSRF-Token": str(token)},
        )
        assert made.ok
    phone.context.set_offline(False)
    page.click("#sheet [data-close]")
    page.click("#unsent")
    box = page.locator("#box")
    expect(box).to_contain_text("与别人的操作冲突", timeout=15000)
    expect(box).to_contain_text("您的操作：接收任务")
    expect(box).to_contain_text("备注")
    page.reload()
    expect(page.locator("#unsent")).to_contain_text("1")
    page.click("#unsent")
    page.click("[data-again]")
    expect(page.locator("#unsent")).to_be_hidden(timeout=15000)
    _, moves, _ = facts_of(town_services, number)
    assert moves.count("accept_task") == 1


def test_an_answer_that_was_lost_is_not_done_twice(
    browser: Browser, base: str, number: str, town_services: Services
) -> None:
    asked = []

    def swallow(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    with visit(browser, base, "zh", PHONE, service_workers="block", **AS_PHONE) as seen:
        page = seen.page
        seen.sign_in("cleaner")
        page.route("**/api/v1/incidents/*/moves", swallow)
        page.click(f'.task[data-number="{number}"]')
        page.click("[data-act=accept]")
        expect(page.locator("#unsent")).to_be_visible()
        expect(page.locator("#unsent")).to_be_hidden(timeout=20000)
    assert len(asked) == 2
    _, moves, _ = facts_of(town_services, number)
    assert moves.count("accept_task") == 1


def processes_of(profile: Path) -> list[int]:
    """Every process of the browser that was started on this profile."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"--user-data-dir={profile}" in (entry / "cmdline").read_bytes().decode(
                    errors="replace"
                ):
                    found.append(int(entry.name))
    return found


def kill_browser(profile: Path) -> None:
    """SIGKILL to the browser's processes: nothing is flushed, nothing is closed."""
    victims = processes_of(profile)
    assert victims
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while processes_of(profile):
        assert time.monotonic() < until, "the browser outlived SIGKILL"
        time.sleep(0.1)
    (profile / "SingletonLock").unlink(missing_ok=True)


def test_without_network_and_with_a_killed_browser_everything_arrives_once_and_in_order(
    browser: Browser,
    base: str,
    town_services: Services,
    spot: Spot,
    picture: Path,
    tmp_path: Path,
) -> None:
    category = category_of(town_services, "cleaner")
    numbers = [report_at(town_services, spot, f"断网作业{n}", category) for n in range(3)]
    profile = tmp_path / "profile"
    options: dict[str, Any] = {
        "executable_path": CHROMIUM,
        "args": ARGUMENTS,
        "viewport": {"width": PHONE[0], "height": PHONE[1]},
        "locale": "zh-CN",
        **AS_PHONE,
    }
    # In the morning: signed in with network, the page kept on the phone.
    morning = browser.browser_type.launch_persistent_context(profile, **options)
    page = morning.pages[0]
    Visit(base, morning, page).sign_in("cleaner")
    ready(page)
    morning.close()

    first = browser.browser_type.launch_persistent_context(profile, **options)
    page = first.pages[0]
    page.goto(f"{base}/field")
    ready(page)
    first.set_offline(True)
    page.reload()
    page.wait_for_selector("#tasks .task")
    for number in numbers:
        page.click(f'.task[data-number="{number}"]')
        page.click("[data-act=accept]")
        take_photo(page, "[data-act=before]", picture)
        page.click("[data-act=finish]")
        take_photo(page, "[data-take=after]", picture)
        expect(page.locator("[data-send=finish]")).to_be_enabled(timeout=15000)
        page.click("[data-send=finish]")
        expect(page.locator("#sheet")).to_be_hidden()
    expect(page.locator("#unsent")).to_contain_text("12")
    kill_browser(profile)
    with contextlib.suppress(Error):
        first.close()

    # Meanwhile the desk has written a note on the second of them: a move in between.
    with visit(browser, base) as desk:
        desk.sign_in("dispatcher")
        token = desk.page.locator('meta[name="csrf-token"]').get_attribute("content")
        made = desk.page.request.post(
            f"{base}/api/v1/incidents/{numbers[1]}/moves",
            data={"move": "note", "note": "请先拍照"},
            headers={"X-CSRF-Token": str(token)},
        )
        assert made.ok

    second = browser.browser_type.launch_persistent_context(profile, **options)
    second.set_offline(True)
    page = second.pages[0]
    page.goto(f"{base}/field")
    expect(page.locator("#unsent")).to_contain_text("12", timeout=15000)
    second.set_offline(False)
    # Of the second task all four wait: the first of them clashes, the later ones stay behind it in order.
    expect(page.locator("#unsent")).to_contain_text("4", timeout=60000)
    page.click("#unsent")
    expect(page.locator("#box")).to_contain_text("与别人的操作冲突", timeout=30000)
    expect(page.locator("#box")).to_contain_text("您的操作：接收任务")
    expect(page.locator("#box")).to_contain_text("备注")
    for number in (numbers[0], numbers[2]):
        arrived_once(town_services, number)
    page.click("[data-again]")
    expect(page.locator("#unsent")).to_be_hidden(timeout=60000)
    second.close()
    for number in numbers:
        arrived_once(town_services, number)


def arrived_once(services: Services, number: str) -> None:
    _, moves, stages = facts_of(services, number)
    assert [m for m in moves if m.endswith("_task")] == ["accept_task", "finish_task"]
    assert stages == ["before", "after"]
    with services.sessions() as session:
        told = session.execute(
            text(
                "select h.move, h.at, (h.detail->>'done_at')::timestamptz as done_at from history h"
                " join incident i on i.id = h.incident_id where i.number = :n"
                " and h.move in ('accept_task', 'finish_task') order by h.seq"
            ),
            {"n": number},
        ).all()
    assert all(line.done_at < line.at for line in told), "both moments are kept"
    assert told[0].done_at < told[1].done_at


def test_two_people_on_one_phone_keep_their_own_outbox(
    browser: Browser, base: str, number: str
) -> None:
    with visit(browser, base, "zh", PHONE, service_workers="block", **AS_PHONE) as seen:
        page = seen.page
        seen.sign_in("cleaner")
        page.wait_for_selector("#tasks .task")
        page.click(f'.task[data-number="{number}"]')
        page.route("**/api/v1/incidents/*/moves", lambda route: route.abort())
        page.click("[data-act=accept]")
        expect(page.locator("#unsent")).to_contain_text("1")
        page.click("#sheet [data-close]")
        page.click(".menu summary")
        page.click(".menu form button")
        seen.sign_in("gardener")
        page.wait_for_selector("#tasks")
        page.wait_for_timeout(500)
        expect(page.locator("#unsent")).to_be_hidden()
        page.click(".menu summary")
        page.click(".menu form button")
        page.unroute("**/api/v1/incidents/*/moves")
        seen.sign_in("cleaner")
        expect(page.locator("#unsent")).to_be_hidden(timeout=15000)
