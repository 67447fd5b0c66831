"""What a dispatcher is told, finds and puts right, in a real browser: overdue, broken lines, one page for one incident,
layers and people on the map, places by words, one more caller, grids changed on the map."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import text

from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services
from dispatch.chasing import sweep
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
    ROWS,
    Spot,
    Visit,
    category_of,
    chromium,
    picture,
    report_at,
    serving,
    spot_of,
    visit,
)

LISTEN = """window.heard = 0; const Real = window.AudioContext;
window.AudioContext = class extends Real { createOscillator() { window.heard += 1; return super.createOscillator(); } };"""
VIEW = (
    "([lat, lon, zoom]) => { window.gridward.map.setView([lat, lon], zoom, { animate: false }); }"
)
MINUTE_S = 60


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services)


@pytest.fixture(scope="module")
def cleaning(town_services: Services) -> str:
    return category_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def base(town_services: Services, spot: Spot, cleaning: str) -> Iterator[str]:
    report_at(town_services, spot, "第一处垃圾满溢", cleaning)
    swept(town_services)
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


def caller(base: str, username: str) -> httpx.Client:
    """A client of the interface, signed in."""
    made = httpx.Client(base_url=f"{base}/api/v1", timeout=60)
    answer = made.post("/token", data={"username": username, "password": SAMPLE_PASSWORD})
    made.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return made


def swept(services: Services) -> None:
    """What the worker does every minute."""
    with services.sessions() as session:
        while sweep(session, services.desk, datetime.now(UTC)).more:
            pass
        session.commit()


def changed(services: Services, statement: str, **values: Any) -> Any:
    with services.sessions() as session:
        done = session.execute(text(statement), values)
        found = done.scalar() if done.returns_rows else None
        session.commit()
    return found


def runs_out(services: Services, number: str) -> None:
    """The limit of an incident has passed a minute ago, and the clock is looked at."""
    changed(
        services,
        "update incident set due_at = now() - interval '1 minute' where number = :n",
        n=number,
    )
    changed(
        services,
        "update chase_plan set at = now() - interval '1 minute' where incident_id ="
        " (select id from incident where number = :n)",
        n=number,
    )
    swept(services)


def on_shift(services: Services, username: str, spot: Spot, minutes: int) -> str:
    """A person of an account on a shift, with a position so old; their name."""
    return str(
        changed(
            services,
            "with w as (insert into attendance (staff_id, began_at, received_at) select staff_id, now() - interval '1 hour', now()"
            " from account where username = :u returning id, staff_id),"
            " p as (insert into position (attendance_id, at, received_at, point) select w.id,"
            " now() - cast(:m as interval), now(),"
            " st_setsrid(st_makepoint(:lon, :lat), 4326) from w)"
            " select s.name from w join staff s on s.id = w.staff_id",
            u=username,
            m=f"{minutes} minutes",
            lon=spot.lon,
            lat=spot.lat,
        )
    )


def lamp_post(services: Services) -> tuple[str, float, float]:
    """A numbered lamp post as somebody says it, and where it stands."""
    with services.sessions() as session:
        row = session.execute(
            text(
                "select street_name as name, code, st_x(point) as lon, st_y(point) as lat"
                " from street_mark where kind = 'facility' order by id limit 1"
            )
        ).one()
    return f"{row.name}{row.code}号路灯杆", row.lon, row.lat


def test_what_becomes_overdue_has_its_own_badge_and_call_and_is_not_new(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    page = desk.page
    number = report_at(town_services, spot, "没人动过就要超期", cleaning)
    expect(page.locator("#fresh")).to_contain_text("1")
    page.add_init_script(LISTEN)
    page.reload()
    page.wait_for_selector(ROWS)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    page.click("#sound")
    assert page.evaluate("window.heard") == 2
    runs_out(town_services, number)
    expect(page.locator("#late")).to_contain_text("1 件新超期")
    expect(page.locator("#fresh")).to_be_hidden()
    assert page.evaluate("window.heard") == 5, "three falling tones, not the two of what is new"
    assert page.title().startswith("(1)")
    # Whatever happens to it afterwards is no second alarm.
    caller(desk.base, "watch_chief").post(
        f"/incidents/{number}/moves", json={"move": "note", "note": "已电话催办"}
    )
    page.wait_for_timeout(1200)
    assert page.evaluate("window.heard") == 5
    page.click("#late")
    expect(page.locator("#panel")).to_contain_text(number)
    expect(page.locator("#late")).to_be_hidden()
    page.click("#sound")


def test_a_stream_that_was_refused_goes_on_where_it_broke(
    browser: Browser, base: str, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """One line that breaks, one refusal: what came in between is counted when the line is back."""
    newest = changed(town_services, "select max(id) from live_event")
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            body = f"retry: 50\nevent: hello\nid: {newest}\ndata: {{}}\n\n"
            route.fulfill(status=200, content_type="text/event-stream", body=body)
        elif len(asked) == 2:
            report_at(town_services, spot, "断线时来的", cleaning)
            route.fulfill(status=503)
        else:
            route.continue_()

    with visit(browser, base) as seen:
        seen.context.route("**/api/v1/live*", answer)
        seen.sign_in("dispatcher")
        seen.page.wait_for_selector(ROWS)
        expect(seen.page.locator("#live")).to_have_attribute("data-state", "on")
        expect(seen.page.locator("#fresh")).to_contain_text("1 件")
        assert asked[2].endswith(f"last_event_id={newest}")


def test_who_may_not_see_where_people_are_has_no_such_panel_and_layer(
    browser: Browser, base: str
) -> None:
    with visit(browser, base) as seen:
        seen.sign_in("analyst")
        page = seen.page
        page.wait_for_selector(ROWS)
        expect(page.locator("#duty-open")).to_have_count(0)
        page.keyboard.press("d")
        expect(page.locator("#duty")).to_be_hidden()
        page.locator("#layers summary").click()
        expect(page.locator("[data-layer=territory]")).to_be_visible()
        expect(page.locator("[data-layer=people]")).to_have_count(0)
        seen.assert_clean()


def test_one_incident_on_one_page_is_whole_and_alive(
    desk: Visit, browser: Browser, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """Clocks, who was chased, what was merged, reporters, neighbours, who else has it open; a change comes by itself."""
    number = report_at(town_services, spot, "一页看全", cleaning)
    part = report_at(town_services, spot, "并进来的那件", cleaning)
    neighbour = report_at(town_services, spot, "旁边的另一件", cleaning)
    chief = caller(desk.base, "watch_chief")
    merged = chief.post(f"/incidents/{number}/merge", json={"numbers": [part]})
    assert merged.status_code == 200, merged.text
    changed(
        town_services,
        "with p as (select i.id, r.id as rule from incident i, chase_rule r where i.number = :n"
        " and r.clock = 'disposal' order by r.id limit 1)"
        " insert into chase (incident_id, rule_id, occasion_at, told_at) select id, rule, now(), now() from p",
        n=number,
    )
    page = desk.page
    page.goto(f"{desk.base}/console/incidents/{number}")
    expect(page.locator("[data-clocks] [data-clock=disposal]")).to_contain_text("处置")
    expect(page.locator("[data-clocks] [data-clock=disposal]")).to_contain_text("已用")
    expect(page.locator("[data-merged]")).to_contain_text("并进来的那件")
    expect(page.locator("[data-merged]")).to_contain_text(part)
    expect(page.locator("[data-chases]")).to_contain_text("催办（1）")
    expect(page.locator("[data-reporters]")).to_be_visible()
    expect(page.locator(f"[data-near='{neighbour}']")).to_have_count(1)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    with visit(browser, desk.base) as other:
        other.sign_in("operator")
        other.page.goto(f"{desk.base}/console/incidents/{number}")
        expect(other.page.locator(".presence")).to_contain_text("派遣员")
    chief.post(f"/incidents/{number}/moves", json={"move": "note", "note": "值班长来过"})
    expect(page.locator(".steps")).to_contain_text("值班长来过")
    desk.assert_fits()
    page.locator(f"[data-part='{part}']").click()
    expect(page.locator("[data-merged]")).to_contain_text(number)
    expect(page.locator("[data-merged]")).to_contain_text("本案已并入")


def test_on_its_own_page_too_a_place_is_chosen_among_candidates_that_name_their_owners(
    desk: Visit, spot: Spot, cleaning: str
) -> None:
    body = {
        "channel": "hotline_12345",
        "category": cleaning,
        "description": "坐标填反了",
        "location": {"lon": spot.lat, "lat": spot.lon, "datum": "wgs84"},
    }
    number = caller(desk.base, "operator").post("/incidents", json=body).json()["number"]
    page = desk.page
    page.goto(f"{desk.base}/console/incidents/{number}")
    first = page.locator(".candidate", has=page.locator("[data-suggested]", has_text=spot.grid))
    expect(first.first.locator("[data-suggested]")).to_contain_text("（环卫工人）")
    picture(page, "candidates-owners-zh")
    first.first.locator("button", has_text="就是这里").click()
    expect(page.locator(".place-box")).to_have_count(0)
    expect(page.locator(".tasks li")).to_have_count(1)
    expect(page.locator(".ring")).to_have_count(1)


def test_a_wrong_category_is_put_right_with_a_reason(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    number = report_at(town_services, spot, "类别选错了的事", cleaning)
    green = category_of(town_services, "gardener")
    page = desk.page
    page.locator(f"#row-{number}").click()
    box = page.locator("[data-correct-category]")
    box.locator("summary").click()
    box.locator("select").select_option(green)
    box.locator("button[type=submit]").click()
    expect(box.locator("textarea:invalid")).to_have_count(1)
    box.locator("textarea").fill("其实是绿化问题")
    box.locator("button[type=submit]").click()
    expect(page.locator(".toasts")).to_contain_text("类别已更正")
    expect(page.locator("#panel .steps")).to_contain_text("其实是绿化问题")
    expect(page.locator("#panel .tasks")).to_contain_text("园林养护员")


def test_layers_are_turned_on_by_the_keyboard_and_kept(
    desk: Visit, town_services: Services, spot: Spot
) -> None:
    name = on_shift(town_services, "cleaner", spot, 7)
    page = desk.page
    page.evaluate(VIEW, [spot.lat, spot.lon, 16])
    page.locator("#layers summary").focus()
    page.keyboard.press("Enter")
    for layer, drawn in (("territory", "40"), ("areas", None), ("people", "1"), ("patrol", None)):
        tick = page.locator(f"[data-layer={layer}]")
        tick.focus()
        page.keyboard.press("Space")
        expect(tick).to_be_checked()
        expect(tick).to_have_attribute("data-drawn", drawn or re.compile(r"\d+"))
    mark = page.locator(".person-mark")
    expect(mark).to_have_count(1)
    expect(mark).to_have_attribute("aria-label", re.compile(rf"{name}.* 7 分钟前"))
    mark.focus()
    expect(page.locator(".leaflet-tooltip", has_text=name)).to_be_visible()
    picture(page, "console-layers-zh")
    page.locator("[data-layer=streets]").uncheck()
    expect(page.locator(".street-label")).to_have_count(0)
    page.reload()
    expect(page.locator(".person-mark")).to_have_count(1)
    expect(page.locator("[data-layer=streets]")).not_to_be_checked()
    page.locator("#layers summary").click()
    page.locator("[data-layer=streets]").check()
    page.locator("[data-layer=people]").uncheck()
    expect(page.locator(".person-mark")).to_have_count(0)
    # On duty says the same of whoever is asked for, with a mark at the place.
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.fill("#duty input", name)
    person = page.locator(".duty-person", has_text=name).first
    expect(person).to_contain_text("7 分钟前")
    person.locator("[data-where]").click()
    expect(page.locator(".leaflet-tooltip")).to_contain_text(name)
    expect(page.locator(".leaflet-tooltip")).to_contain_text("7 分钟前")
    expect(page.locator(".person-mark")).to_be_in_viewport()


def test_what_is_badly_overdue_has_a_sign_of_its_own_everywhere(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    numbers = [report_at(town_services, spot, f"超期很久的第{n}件", cleaning) for n in range(2)]
    changed(
        town_services,
        "update incident set due_at = now() - interval '30 hours' where number = any(:n)",
        n=numbers,
    )
    page = desk.page
    page.goto(f"{desk.base}/console?q=超期很久的")
    page.wait_for_selector(ROWS)
    for number in numbers:
        expect(page.locator(f"#row-{number} .sign.lamp-worst .in")).to_have_count(1)
    expect(page.locator(".legend .lamp-worst")).to_have_count(1)
    page.evaluate(VIEW, [spot.lat, spot.lon, 14])
    expect(page.locator(".cluster.lamp-worst")).to_have_text("2!")
    picture(page, "console-badly-overdue-zh")


def test_words_in_the_header_land_on_the_map(
    desk: Visit, town_services: Services, spot: Spot
) -> None:
    page = desk.page
    words, lon, lat = lamp_post(town_services)
    distance = (
        "([lat, lon]) => window.gridward.map.distance(window.gridward.map.getCenter(), [lat, lon])"
    )
    page.evaluate(VIEW, [spot.lat + 0.05, spot.lon, 12])
    page.keyboard.press("/")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(page.locator(".found")).to_be_in_viewport()
    assert page.evaluate(distance, [lat, lon]) < 30
    expect(page.locator("#filters [name=q]")).to_have_value(words)
    page.fill("#search input", f"{spot.lon:.6f}, {spot.lat:.6f}")
    page.press("#search input", "Enter")
    expect(page.locator(".toasts")).to_contain_text("已在地图上定位")
    assert page.evaluate(distance, [spot.lat, spot.lon]) < 5
    expect(page.locator(".found")).to_have_count(1)
    page.click("[data-clear]")


def test_a_call_is_saved_within_a_minute_and_a_lamp_post_is_a_place(
    desk: Visit, town_services: Services
) -> None:
    """From the key that opens the form to the number: words, a lamp post, a category, the caller; by the hand of a typist."""
    page = desk.page
    words, lon, lat = lamp_post(town_services)
    begun = time.monotonic()
    page.keyboard.press("n")
    page.keyboard.type("路灯杆下堆满了装修垃圾", delay=60)
    page.locator("#r-address").press_sequentially(words, delay=60)
    expect(page.locator(".pin")).to_have_count(1)
    at = page.evaluate(
        "([lat, lon]) => { let best = 1e9; window.gridward.map.eachLayer((l) => { if (l.options?.icon?.options?.className === 'pin')"
        " best = Math.min(best, window.gridward.map.distance(l.getLatLng(), [lat, lon])); }); return best; }",
        [lat, lon],
    )
    assert at < 30
    page.locator("#suggested button").first.click()
    page.locator("#r-name").press_sequentially("陈先生", delay=60)
    page.locator("#r-phone").press_sequentially("13900008888", delay=60)
    expect(page.locator("#preview")).to_contain_text("责任人")
    page.press("#r-phone", "Control+Enter")
    expect(page.locator("#panel h1")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text("路灯杆下堆满了装修垃圾")
    assert time.monotonic() - begun < MINUTE_S


def test_this_caller_too_becomes_a_reporter_and_nothing_new_is_made(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    number = report_at(town_services, spot, "广告牌快掉下来了", cleaning)
    before = changed(town_services, "select count(*) from incident")
    page = desk.page
    page.keyboard.press("n")
    page.fill("#r-description", "广告牌快掉下来了")
    page.fill("#r-address", f"{spot.lon:.6f}, {spot.lat:.6f}")
    page.fill("#r-name", "赵女士")
    page.fill("#r-phone", "13900009999")
    page.locator(f"[data-too='{number}']").click()
    expect(page.locator(".toasts")).to_contain_text(number)
    expect(page.locator("#panel .panel-head")).to_contain_text(number)
    expect(page.locator("#panel")).to_contain_text("又有一位来电人反映")
    page.click("[data-reporters]")
    expect(page.locator("#panel")).to_contain_text("13900009999")
    assert changed(town_services, "select count(*) from incident") == before
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#r-phone")).to_have_value("")


def test_returned_and_lapsed_work_stands_in_its_queue(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    back = report_at(town_services, spot, "责任人退回的事", cleaning)
    silent = report_at(town_services, spot, "没人接收的事", cleaning)
    done = caller(desk.base, "cleaner").post(
        f"/incidents/{back}/moves", json={"move": "return_task", "note": "不归我们管"}
    )
    assert done.status_code == 200, done.text
    changed(
        town_services,
        "update task set accept_by = now() - interval '1 minute' where incident_id ="
        " (select id from incident where number = :n)",
        n=silent,
    )
    changed(
        town_services,
        "update chase_plan set wake_at = now() - interval '1 minute' where incident_id ="
        " (select id from incident where number = :n)",
        n=silent,
    )
    swept(town_services)
    page = desk.page
    for queue, number in (("returned", back), ("not_accepted", silent)):
        page.click(f"[data-queue={queue}]")
        expect(page.locator(f"#row-{number}")).to_be_visible()
        other = silent if number == back else back
        expect(page.locator(f"#row-{other}")).to_have_count(0)
    page.locator(f"#row-{silent}").click()
    expect(page.locator("#panel [data-move=dispatch]")).to_be_visible()


def test_a_shared_filter_is_there_for_the_others_of_the_shift(
    desk: Visit, browser: Browser, base: str
) -> None:
    page = desk.page
    page.click("[data-queue=to_close]")
    page.click("[data-save]")
    page.fill(".save-form input", "本班待结案")
    page.select_option(".save-form select", "desk")
    page.click(".save-form .main")
    expect(page.locator("[data-saved]", has_text="本班待结案")).to_have_count(1)
    with visit(browser, base) as other:
        other.sign_in("operator")
        chip = other.page.locator("[data-saved]", has_text="本班待结案")
        chip.click()
        expect(other.page.locator("[data-queue=to_close]")).to_have_attribute(
            "aria-pressed", "true"
        )
        other.assert_clean()


def test_grids_are_split_and_merged_on_the_map_now_and_from_a_date(
    desk: Visit, town_services: Services, spot: Spot, cleaning: str
) -> None:
    """Segments by a click on the map, the incidents that change owner in the preview, a date in the future, then at once."""
    number = report_at(town_services, spot, "会换责任人的事", cleaning)
    page = desk.page
    page.goto(f"{desk.base}/console/grids")
    expect(page.locator(".grid-row")).to_have_count(40)
    page.locator("#edit > summary").click()
    page.evaluate(VIEW, [spot.along_lat, spot.along_lon, 18])
    area = page.locator(".map-pane").bounding_box()
    assert area is not None
    page.wait_for_function("window.gridward.segments.drawn.size > 0")
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    expect(page.locator("#chosen")).to_contain_text("已选 1 段")
    neighbour = "G002" if spot.grid != "G002" else "G003"
    page.select_option("#c-to", neighbour)
    page.click("#change button[type=submit]")
    plan = page.locator("#plan")
    expect(plan).to_contain_text(number)
    expect(plan).to_contain_text("→")
    # Split from a date on: nothing changes now.
    page.select_option("#c-action", "split")
    page.select_option("#c-code", spot.grid)
    page.evaluate(VIEW, [spot.along_lat, spot.along_lon, 18])
    page.fill("#c-name", "新分的片")
    later = datetime.now() + timedelta(days=3)  # noqa: DTZ005 (as the browser's field takes it)
    page.fill("#c-from", later.strftime("%Y-%m-%dT09:00"))
    page.click("#change button[type=submit]")
    allow = page.locator("#allow")
    expect(page.locator("[data-apply]")).to_be_visible()
    if allow.count():
        allow.check()
    page.click("[data-apply]")
    expect(page.locator(".toasts")).to_contain_text("生效")
    expect(page.locator(".grid-row")).to_have_count(40)
    starts = changed(
        town_services, "select count(*) from grid where name = '新分的片' and lower(valid) > now()"
    )
    assert starts == 1
    # A merge at once: one grid fewer.
    page.select_option("#c-action", "merge")
    page.fill("#c-from", "")
    page.select_option("#c-code", "G030")
    page.select_option("#c-to", "G031")
    page.click("#change button[type=submit]")
    if allow.count():
        allow.check()
    page.click("[data-apply]")
    expect(page.locator("[data-grid=G030]")).to_have_count(0)
    expect(page.locator(".grid-row")).to_have_count(39)


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("zh", "light", PHONE), ("en", "dark", PHONE), ("en", "light", (1280, 800)), ("zh", "dark", DESKTOP)],
)  # fmt: skip
def test_the_console_and_an_incident_in_pictures(
    browser: Browser, base: str, town_services: Services, language: str, scheme: Any, size: tuple[int, int]
) -> None:  # fmt: skip
    number = changed(town_services, "select number from incident where status = 'in_disposal' order by id desc limit 1")  # fmt: skip
    name = f"{language}-{scheme}-{size[0]}"
    with visit(browser, base, language, size, color_scheme=scheme) as seen:
        seen.sign_in("dispatcher")
        page = seen.page
        page.wait_for_selector(ROWS)
        picture(page, f"console-{name}")
        seen.assert_fits()
        if size == PHONE:
            page.locator("nav [data-view=map]").click()
        page.locator("#layers summary").click()
        picture(page, f"console-map-{name}")
        page.goto(f"{base}/console/incidents/{number}")
        expect(page.locator("[data-clocks]")).to_be_visible()
        seen.assert_fits()
        picture(page, f"incident-{name}")
        page.locator("[data-clocks]").scroll_into_view_if_needed()
        picture(page, f"incident-clocks-{name}")
        seen.assert_clean()
