"""A dispatcher's day in a real browser: by drag, by the keyboard alone, with ready-made replies; who was told of what."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, Route, expect
from sqlalchemy import text

from api.cli.demonstration import SAMPLE_PASSWORD
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

MOST_SCRIPT_BYTES = 400_000
DROP = """([from, to]) => {
  const data = new DataTransfer(); const fire = (element, type) => element.dispatchEvent(
    new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));
  fire(document.querySelector(from), 'dragstart');
  const target = document.querySelector(to);
  fire(target, 'dragover'); fire(target, 'drop'); fire(document.querySelector(from), 'dragend'); }"""


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services)


@pytest.fixture(scope="module")
def cleaning(town_services: Services) -> str:
    return category_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def base(town_services: Services, spot: Spot, cleaning: str) -> Iterator[str]:
    for number in range(2):
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
        yield seen
        seen.assert_clean()


def caller(base: str, username: str) -> httpx.Client:
    """A client of the interface, signed in."""
    made = httpx.Client(base_url=f"{base}/api/v1", timeout=60)
    answer = made.post("/token", data={"username": username, "password": SAMPLE_PASSWORD})
    made.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return made


def tab_to(page: Page, selector: str, most: int = 80) -> None:
    """Walks by the tabulator key until the focus is there."""
    for _ in range(most):
        if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_a_row_is_dragged_to_a_person_with_a_reason(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """Real mouse: the people come into view by themselves, the reason is asked, the task goes over."""
    page = desk.page
    number = report_at(town_services, spot, "拖给别人的事", cleaning)
    row = page.locator(f"#row-{number}")
    expect(row).to_be_visible()
    row.hover()
    page.mouse.down()
    box = page.locator(".map-pane").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 200, steps=3)
    expect(page.locator("#duty")).to_be_visible()
    person = page.locator(".duty-person").nth(6)
    expect(person).to_be_visible()
    name = person.locator("b").inner_text()
    person.scroll_into_view_if_needed()
    there = person.bounding_box()
    assert there is not None
    page.mouse.move(there["x"] + 60, there["y"] + 14, steps=4)
    page.mouse.move(there["x"] + 62, there["y"] + 16)
    expect(person).to_have_class(re.compile("drop"))
    page.mouse.up()
    form = page.locator("#bulk form")
    expect(form).to_contain_text(name)
    expect(form.locator("textarea")).to_be_focused()
    page.keyboard.type("离得更近")
    form.locator("button[type=submit]").click()
    expect(page.locator(".toasts")).to_contain_text("办成 1 件")
    row.click()
    expect(page.locator("#panel .tasks")).to_contain_text(name)
    expect(page.locator("#panel .steps")).to_contain_text("离得更近")


def test_a_mark_and_several_rows_are_dragged_to_a_grid(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    numbers = [report_at(town_services, spot, f"一起拖的第{n}件", cleaning) for n in range(2)]
    for number in numbers:
        page.locator(f"#row-{number} .tick").click()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator(".duty-grid").first).to_be_visible()
    page.evaluate(DROP, [f"#row-{numbers[0]}", ".duty-grid:nth-of-type(3) h3"])
    code = page.locator(".duty-grid h3").nth(2).inner_text().split()[0]
    form = page.locator("#bulk form")
    expect(form.locator("select")).to_have_value(f"post|{code}|cleaner")
    form.locator("textarea").fill("划给邻格")
    # What happens meanwhile does not take the words away.
    report_at(town_services, spot, "其间发生的事", cleaning)
    page.wait_for_timeout(1500)
    expect(form.locator("textarea")).to_have_value("划给邻格")
    form.locator("button[type=submit]").click()
    expect(page.locator(".toasts")).to_contain_text("办成 2 件")
    # A mark on the map opens the same form.
    page.evaluate(
        """() => { const l = []; window.gridward.clusters.eachLayer((one) => l.push(one));
        window.gridward.map.setView(l[0].getLatLng(), 19, { animate: false }); }"""
    )
    expect(page.locator(".mark[draggable=true]").first).to_be_attached()
    page.evaluate(DROP, [".mark[draggable=true]", ".duty-person"])
    expect(form.locator("select")).to_have_value(re.compile(r"^person\|\d+$"))
    page.locator("#bulk .button").first.click()


def test_ready_made_replies_are_kept_by_the_chief_and_taken_at_the_desk(
    desk: Visit, browser: Browser, base: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    with visit(browser, base) as chief:
        chief.sign_in("watch_chief")
        chief.page.goto(f"{base}/console/replies")
        chief.page.select_option("#p-move", "reassign")
        chief.page.fill("#p-words", "<b>原责任人外出培训</b>")
        chief.page.click("#reply button[type=submit]")
        row = chief.page.locator(".reply-row", has_text="外出培训")
        expect(row).to_have_count(1)
        row.locator("button").first.click()
        chief.page.fill("#p-words", "<b>责任人外出培训</b>")
        chief.page.click("#reply button[type=submit]")
        expect(chief.page.locator(".reply-row", has_text="原责任人外出")).to_have_count(0)
        chief.assert_fits()
        chief.assert_clean()
    page = desk.page
    number = report_at(town_services, spot, "要用常用语的事", cleaning)
    page.locator(f"#row-{number}").click()
    page.click("[data-move=reassign]")
    page.fill("#move-note", "按调度要求")
    page.locator(".ready button", has_text="责任人外出培训").click()
    expect(page.locator("#move-note")).to_have_value("按调度要求\n<b>责任人外出培训</b>")
    page.keyboard.press("Escape")


def test_the_resident_words_are_shown_before_they_go_out(
    desk: Visit, base: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "要问市民的事", cleaning)
    with town_services.sessions() as session:
        session.execute(
            text(
                "insert into reporter (incident_id, phone, tell_by, language)"
                " select id, '13900001111', 'sms', 'zh' from incident where number = :n"
            ),
            {"n": number},
        )
        session.commit()
    held: list[Route] = []

    def late(route: Route) -> None:
        """The first question is answered after the second: what is shown must be the newer all the same."""
        if not held:
            held.append(route)
            return
        for waiting in (route, held[0]):
            waiting.fulfill(response=waiting.fetch())

    page.route("**/resident-words*", late)
    page.locator(f"#row-{number}").click()
    with page.expect_request("**/resident-words*"):
        page.click("[data-move=ask_reporter]")
    with page.expect_response("**/resident-words*note=%*"):
        page.locator(".ready button", has_text="具体在什么位置").click()
    page.wait_for_timeout(500)
    shown = page.locator("[data-resident-words]")
    expect(shown).to_contain_text("请问具体在什么位置")
    expect(shown).to_contain_text("1 人")
    expect(shown).not_to_contain_text("13900001111")


def test_replies_belong_to_a_bureau_and_a_move(base: str, town_services: Services) -> None:
    chief, cleaner, dispatcher = (
        caller(base, name) for name in ("watch_chief", "cleaner", "dispatcher")
    )
    with town_services.sessions() as session:
        unit = session.scalar(
            text(
                "select unit_id from staff s join account a on a.staff_id = s.id"
                " where a.username = 'cleaner'"
            )
        )
    body = {"move": "return_task", "words": "车辆故障", "unit_id": unit}
    made = chief.post("/ready-replies", json=body)
    assert made.status_code == 201
    assert chief.post("/ready-replies", json=body).json() == made.json(), "the same again is one"
    own = [one["words"] for one in cleaner.get("/ready-replies").json()]
    others = [one["words"] for one in dispatcher.get("/ready-replies").json()]
    assert "车辆故障" in own
    assert "车辆故障" not in others
    assert "车辆故障" in [one["words"] for one in cleaner.get("/field/desk").json()["replies"]]
    refused = chief.post("/ready-replies", json={"move": "set_place", "words": "x"})
    assert (refused.status_code, refused.json()["code"]) == (422, "reply.move_unknown")
    assert cleaner.post("/ready-replies", json=body).status_code == 403
    assert chief.delete(f"/ready-replies/{made.json()['id']}").status_code == 204
    assert chief.delete(f"/ready-replies/{made.json()['id']}").status_code == 404


def test_every_notice_stands_on_the_incident_and_what_failed_is_sent_again(
    desk: Visit, base: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "要通知的事", cleaning)
    with town_services.sessions() as session:
        # What the worker leaves when the gateway refuses, and when the other system has taken it.
        session.execute(
            text(
                "with c as (insert into contact_channel (staff_id, kind, url, lane, made_at)"
                " select n.staff_id, 'sms', '13700003333', 'sms', :now from notice n"
                " join incident i on i.id = n.incident_id where i.number = :n limit 1 returning id)"
                " insert into delivery (notice_id, contact_id, target, lane, state, attempts, next_at, last_error, made_at)"
                " select n.id, c.id, 'contact:' || c.id, 'sms', 'given_up', 8, :now, 'no_answer', :now"
                " from c, notice n join incident i on i.id = n.incident_id where i.number = :n limit 1"
            ),
            {"n": number, "now": datetime.now(UTC)},
        )
        session.execute(
            text(
                "with h as (insert into webhook (name, url, secret, made_at)"
                " values ('市级平台', 'http://127.0.0.1:9/', 'x', :now) returning id)"
                " insert into delivery (event_id, webhook_id, payload, target, lane, state, attempts, next_at, sent_at, made_at)"
                " select e.id, h.id, '{\"kinds\": [\"incident.reported\"]}', 'webhook:' || h.id, 'webhook', 'sent', 1,"
                " :now, :now, :now from h, live_event e join incident i on i.id = e.incident_id"
                " where i.number = :n limit 1"
            ),
            {"n": number, "now": datetime.now(UTC)},
        )
        session.commit()
    page.goto(f"{base}/console/incidents/{number}")
    told = page.locator("[data-told]")
    expect(told).to_contain_text("通知（2）")
    expect(told).to_contain_text("1 条未送达")
    expect(told).to_contain_text("新任务")
    expect(told).to_contain_text("环卫工人")
    expect(told).to_contain_text("短信")
    expect(told).to_contain_text("发送失败")
    expect(told).to_contain_text("其他系统：市级平台")
    expect(told).not_to_contain_text("13700003333")
    told.locator("[data-again]").click()
    expect(told).to_contain_text("等待发送")
    expect(told.locator("[data-again]")).to_have_count(0)
    leader = caller(base, "analyst").get(f"/incidents/{number}/notices").json()
    assert not any(way["again"] for one in leader for way in one["ways"])


def test_from_typing_to_closing_by_the_keyboard_alone(
    browser: Browser, base: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """The operator types and saves, the crew and the collector do their part, the chief closes: no mouse at any desk."""
    with town_services.sessions() as session:
        category = session.execute(
            text("select name_zh from category where code = :c"), {"c": cleaning}
        ).scalar_one()
    with visit(browser, base) as seen:
        seen.sign_in("operator")
        page = seen.page
        page.wait_for_selector(ROWS)
        page.keyboard.press("n")
        page.keyboard.type("站牌下一堆垃圾没人清")
        tab_to(page, "#r-address")
        page.keyboard.type(f"{spot.lon:.6f}, {spot.lat:.6f}")
        tab_to(page, "#r-category")
        page.keyboard.type(category)
        expect(page.locator("#preview")).to_contain_text(spot.grid)
        expect(page.locator("#preview")).to_contain_text("责任人")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#panel h1")).to_contain_text(category)
        number = page.locator("#panel .panel-head .number").inner_text()
        page.keyboard.press("Escape")
        expect(page.locator("#panel")).to_be_hidden()
        seen.assert_clean()
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(photo, "JPEG")
    crew = caller(base, "cleaner")
    for move in ("accept_task", None, "finish_task"):
        if move is None:
            crew.post(
                f"/incidents/{number}/evidence",
                data={"stage": "after"},
                files={"photo": ("after.jpg", photo.getvalue(), "image/jpeg")},
            )
        else:
            done = crew.post(f"/incidents/{number}/moves", json={"move": move})
            assert done.status_code == 200, done.text
    checked = caller(base, "collector").post(
        f"/incidents/{number}/moves", json={"move": "check_passed"}
    )
    assert checked.status_code == 200, checked.text
    with visit(browser, base) as seen:
        seen.sign_in("watch_chief")
        page = seen.page
        page.wait_for_selector(ROWS)
        page.keyboard.press("/")
        page.keyboard.type(number)
        page.keyboard.press("Enter")
        expect(page.locator("#panel")).to_contain_text(number)
        expect(page.locator("#panel")).to_be_focused()
        tab_to(page, "[data-move=close]")
        page.keyboard.press("Enter")
        expect(page.locator("#move-condition")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#panel .chip.accent").first).to_contain_text("已结案")
        seen.assert_clean()


def test_another_filing_condition_is_chosen_by_the_keyboard_and_its_limit_follows(
    browser: Browser, base: str, town_services: Services, spot: Spot
) -> None:
    """A grate's first condition has two hours round the clock, the second four working hours."""
    number = report_at(town_services, spot, "雨水箅子破了一角", "01004")
    with visit(browser, base) as seen:
        seen.sign_in("watch_chief")
        page = seen.page
        page.goto(f"{base}/console/incidents/{number}")
        clock = page.locator("[data-clock=disposal]")
        expect(clock).to_contain_text("2 小时")
        tab_to(page, "[data-move=set_condition]")
        page.keyboard.press("Enter")
        choice = page.locator("#move-filing")
        expect(choice).to_be_focused()
        expect(page.get_by_label("改用的立案条件")).to_have_count(1)
        expect(choice.locator("option:disabled")).to_have_text(
            "雨水箅子丢失、移位或破裂危及安全，限 2 小时（昼夜连续）（现用）"
        )
        expect(choice.locator("option")).to_have_count(6)
        page.keyboard.press("ArrowDown")
        expect(choice).to_have_value("01004-2")
        expect(choice.locator("option:checked")).to_contain_text("限 4 工作时")
        page.keyboard.press("Tab")
        page.keyboard.type("只是破了一角")
        tab_to(page, ".move-form button[type=submit]")
        page.keyboard.press("Enter")
        expect(page.locator(".toasts")).to_contain_text("更改立案条件")
        expect(clock).to_contain_text("4 工作时")
        expect(page.locator(".steps .now")).to_contain_text("只是破了一角")
        page.goto(f"{base}/console/incidents/{number}?lang=en")
        page.click("[data-move=set_condition]")
        expect(page.get_by_label("Filing condition instead")).to_be_focused()
        expect(choice.locator("option:disabled")).to_have_text(
            "Grate broken over 25 cm²: 4 working hours (in use now)"
        )
        seen.assert_clean()


def test_words_coordinates_and_crossings_lead_to_the_place(
    desk: Visit, town_services: Services, spot: Spot
) -> None:
    """What is typed lands on the map: a crossing, coordinates; what is found nowhere says so and takes a pin."""
    page = desk.page
    with town_services.sessions() as session:
        one, other = session.execute(
            text(
                "select a.name, b.name from crossing c"
                " join segment s on c.id in (s.from_crossing_id, s.to_crossing_id) and s.gone_at is null"
                " join street a on a.id = s.street_id"
                " join segment r on c.id in (r.from_crossing_id, r.to_crossing_id) and r.gone_at is null"
                " join street b on b.id = r.street_id and b.name > a.name"
                " group by 1, 2 having count(distinct c.id) = 1 order by 1, 2 limit 1"
            )
        ).one()
    page.keyboard.press("n")
    preview = page.locator("#preview")
    page.fill("#r-address", f"{one}与{other}交叉口")
    expect(preview).to_contain_text("网格G")
    expect(page.locator(".pin")).to_have_count(1)
    for written in (f"{spot.lon:.6f}, {spot.lat:.6f}", f"{spot.lat:.6f}，{spot.lon:.6f}"):
        page.fill("#r-address", "")
        page.fill("#r-address", written)
        expect(preview).to_contain_text(spot.grid)
        page.click("[data-unpin]")
    page.fill("#r-address", "没有这样一个地方")
    expect(preview.locator(".note.amber")).to_be_visible()
    area = page.locator(".map-pane").bounding_box()
    assert area is not None
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    expect(preview).to_contain_text("网格G")


def test_what_is_due_first_stands_first_and_is_coloured(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    hours = {"-30 hours": "worst", "-1 hours": "red", "20 minutes": "amber", "40 hours": "green"}
    numbers = {}
    for away in hours:
        numbers[away] = report_at(town_services, spot, f"时限{away}", cleaning)
    with town_services.sessions() as session:
        for away, number in numbers.items():
            session.execute(
                text(
                    "update incident set due_at = now() + cast(:a as interval),"
                    " amber_at = now() + cast(:a as interval) - interval '1 hour' where number = :n"
                ),
                {"a": away, "n": number},
            )
        session.commit()
    page.select_option("select[form=filters][name=sort]", "due_at")
    expect(page.locator(".line").first).to_have_attribute("data-number", numbers["-30 hours"])
    shown = [
        row.get_attribute("data-number")
        for row in page.locator(".line").all()
        if row.get_attribute("data-number") in numbers.values()
    ]
    assert shown == list(numbers.values())
    for away, colour in hours.items():
        chip = page.locator(f"#row-{numbers[away]} .chip").first
        expect(chip).to_have_class(re.compile(rf"\b{colour}\b"))


@pytest.mark.parametrize(
    ("path", "username"),
    [
        ("/console", "dispatcher"),
        ("/console/grids", "dispatcher"),
        ("/console/handover", "dispatcher"),
        ("/console/replies", "watch_chief"),
        ("/field", "cleaner"),
        ("/admin", "administrator"),
        ("/report", ""),
    ],
)
def test_a_page_brings_little_script(browser: Browser, base: str, path: str, username: str) -> None:
    """All scripts of a page together, compressed as a server in front would, are under 400 kB."""
    weights: dict[str, int] = {}

    def weigh(answer: Response) -> None:
        if answer.request.resource_type == "script" and answer.ok:
            weights[answer.url] = len(gzip.compress(answer.body()))

    with visit(browser, base) as seen:
        if username:
            seen.sign_in(username if username != "administrator" else "admin")
        seen.page.on("response", weigh)
        seen.page.goto(f"{base}{path}")
        seen.page.wait_for_load_state("load")
        seen.page.wait_for_timeout(500)
        total = sum(weights.values())
        print(f"{path}: {total / 1000:.0f} kB of script in {len(weights)} files")
        assert weights
        assert total < MOST_SCRIPT_BYTES
