"""Every page in a real browser, both languages, desk and phone: nothing foreign, nothing complained, nothing too wide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import text

from api import auth
from api.services import Services
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
    ROWS,
    Visit,
    category_of,
    chromium,
    picture,
    report_at,
    serving,
    spot_of,
    visit,
)

PAGES = {
    "/": None,
    "/login": None,
    "/report": None,
    "/track/19990101-000001": None,
    "/nowhere": None,
    "/console": "dispatcher",
    "/field": "cleaner",
}


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    category = category_of(town_services, "cleaner")
    report_at(town_services, spot_of(town_services), "垃圾桶满了", category)
    report_at(town_services, None, "那边很脏", category)
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_page(browser: Browser, base: str, path: str, language: str, size: tuple[int, int]) -> None:
    with visit(browser, base, language, size) as seen:
        if PAGES[path]:
            seen.sign_in(str(PAGES[path]))
        seen.page.goto(f"{base}{path}")
        seen.page.wait_for_load_state("networkidle" if path != "/console" else "load")
        if path == "/console":
            seen.page.wait_for_selector(ROWS)
        assert seen.page.locator("html").get_attribute("lang") == (
            "zh-CN" if language == "zh" else "en"
        )
        words = seen.page.inner_text("body")
        bare = [w for w in words.split() if w.startswith(("console.", "field.", "status.", "{"))]
        assert bare == [], "a bare key or an unfilled place is shown"
        seen.assert_fits()
        seen.assert_clean()


# The worst contrast of shown text against its own opaque ground, with the text.
WORST_CONTRAST = """() => {
      const value = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m; };
      const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = (e) => { for (; e; e = e.parentElement) { const c = value(getComputedStyle(e).backgroundColor);
        if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
      let worst = [99, ''];
      for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        const box = e.getBoundingClientRect();
        if (!own || !box.width || e.closest('svg, option, script, .leaflet-container, [disabled], .sr, .skip, [hidden]')) continue;
        const [a, b] = [light(value(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < worst[0]) worst = [ratio, e.textContent.trim().slice(0, 40)];
      }
      return worst;
    }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/login", "/report", "/console", "/field"])
def test_text_stands_out_in_light_and_dark(
    browser: Browser, base: str, path: str, scheme: str
) -> None:
    with visit(browser, base, "zh", DESKTOP, color_scheme=scheme) as seen:
        if PAGES[path]:
            seen.sign_in(str(PAGES[path]))
        seen.page.goto(f"{base}{path}")
        if path == "/console":
            seen.page.click(".line >> nth=0")
            seen.page.wait_for_selector(".panel-body h1")
        seen.page.wait_for_timeout(500)
        ratio, words = seen.page.evaluate(WORST_CONTRAST)
        assert ratio >= 4.5, f"{words!r} has a contrast of {ratio:.2f}"


def test_a_resident_reports_by_hand_on_a_phone(browser: Browser, base: str) -> None:
    with visit(browser, base, "zh", PHONE, has_touch=True) as seen:
        page = seen.page
        page.goto(f"{base}/report")
        page.fill("#description", "路口垃圾桶满了")
        page.locator(".leaflet-container").scroll_into_view_if_needed()
        page.locator(".leaflet-container").click(position={"x": 150, "y": 120})
        assert page.locator(".pin").count() == 1
        assert float(page.locator("[name=lon]").input_value()) > 100
        page.click("#report button[type=submit]")
        page.wait_for_url("**/track/**")
        assert "已收到，谢谢" in page.inner_text("main")
        assert page.locator(".steps .now").count() == 1
        seen.assert_fits()
        seen.assert_clean()


def test_a_resident_is_helped_with_category_place_neighbours_and_news(
    browser: Browser, base: str, town_services: Services
) -> None:
    spot = spot_of(town_services)
    here = {"longitude": spot.lon, "latitude": spot.lat, "accuracy": 10}
    asked = {"has_touch": True, "geolocation": here, "permissions": ["geolocation"]}
    with visit(browser, base, "zh", PHONE, **asked) as seen:
        page = seen.page
        page.goto(f"{base}/report")
        page.fill("#description", "垃圾桶满了，没人收")
        page.locator("[data-suggested] button").first.click()
        chosen = page.input_value("#category")
        assert chosen, "one touch takes the category that was suggested"
        page.click("[data-here]")
        expect(page.locator(".pin")).to_have_count(1)
        assert float(page.input_value("[name=lon]")) == pytest.approx(spot.lon, abs=1e-6)
        near = page.locator("[data-near] a")
        expect(near.first).to_be_visible()
        assert "垃圾桶满了" not in page.inner_text("[data-near]"), "nobody's words are shown"
        page.locator("details.card summary").click()
        page.fill("#phone", "13900001111")
        page.fill("#name", "王女士")
        picture(page, "report-zh-helped")
        seen.assert_fits()
        page.click("#report button[type=submit]")
        page.wait_for_url("**/track/**")
        number = page.locator(".number").first.inner_text()
        seen.assert_clean()
    with town_services.sessions() as session:
        row = session.execute(
            text(
                "select i.category_code, r.phone, r.tell_by, r.language from incident i"
                " join reporter r on r.incident_id = i.id where i.number = :n"
            ),
            {"n": number},
        ).one()
    assert tuple(row) == (chosen, "13900001111", "sms", "zh")


def test_whoever_meets_with_the_same_problem_is_counted_without_a_name(
    browser: Browser, base: str, town_services: Services
) -> None:
    """From the neighbours of the form, and from the page of a number; never twice by one form, never with a say."""
    spot = spot_of(town_services)
    number = report_at(town_services, spot, "只此一家的秘密", category_of(town_services, "cleaner"))
    here = {"longitude": spot.lon, "latitude": spot.lat, "accuracy": 10}
    asked = {"has_touch": True, "geolocation": here, "permissions": ["geolocation"]}
    with visit(browser, base, "zh", PHONE, **asked) as seen:
        page = seen.page
        page.goto(f"{base}/report")
        page.fill("#description", "这里也有")
        page.click("[data-here]")
        same = page.locator(f"[data-near] li:has(a[href='/track/{number}']) button")
        expect(same).to_be_visible()
        seen.assert_fits()
        key = page.input_value("[name=key]")
        same.click()
        page.wait_for_url(f"**/track/{number}?said=support")
        expect(page.locator("main")).to_contain_text("另有1位居民")
        assert "秘密" not in page.content(), "nobody's words are shown"
        expect(page.locator("[data-ask=solved]")).to_have_count(0)
        again = page.request.post(f"{base}/track/{number}", form={"act": "support", "key": key})
        assert again.status == 200
        page.goto(f"{base}/track/{number}")
        expect(page.locator("main")).to_contain_text("另有1位居民")
        page.click("[data-ask=support] button")
        expect(page.locator("main")).to_contain_text("另有2位居民")
        seen.assert_clean()
    with visit(browser, base) as desk:
        desk.sign_in("dispatcher")
        desk.page.goto(f"{base}/console/incidents/{number}")
        expect(desk.page.locator("[data-repeats]")).to_contain_text("2")
        expect(desk.page.locator(".steps")).to_contain_text("又有居民反映")
    closed_by_hand(town_services, number)
    late = httpx.post(f"{base}/track/{number}", data={"act": "support", "key": "late"})
    assert late.status_code == 422
    with town_services.sessions() as session:
        known = "select count(*) from reporter r join incident i on i.id = r.incident_id where i.number = :n"
        assert session.execute(text(known), {"n": number}).scalar_one() == 0


def test_the_reporter_answers_a_question_and_sends_it_back_when_it_is_not_solved(
    browser: Browser, base: str, town_services: Services
) -> None:
    with visit(browser, base, "en", PHONE) as seen:
        page = seen.page
        page.goto(f"{base}/report")
        page.fill("#description", "Bench broken somewhere in the park")
        page.click("#report button[type=submit]")
        page.wait_for_url("**/track/**")
        number, link = page.locator(".number").first.inner_text(), page.url
        with visit(browser, base) as desk:
            desk.sign_in("operator")
            assert move(desk, number, {"move": "ask_reporter", "note": "Which park?"}) == 200
        page.goto(link)
        expect(page.locator("[data-ask=answer]")).to_contain_text("Which park?")
        page.fill("#answer-words", "The one by the river")
        page.click("[value=answer]")
        page.wait_for_url("**said=answer**")
        expect(page.locator("[data-ask=answer]")).to_have_count(0)
        closed_by_hand(town_services, number)
        page.goto(link)
        page.fill("#solved-words", "Still broken")
        page.click("[value=not_solved]")
        page.wait_for_url("**said=not_solved**")
        picture(page, "track-en-not-solved")
        bare = page.request.post(f"{base}/track/{number}", form={"act": "solved", "key": "x" * 16})
        assert bare.status == 422, "a number alone says nothing for its reporter"
    with town_services.sessions() as session:
        lines = session.execute(
            text(
                "select h.move, h.note, h.actor, i.status from history h join incident i on i.id = h.incident_id"
                " where i.number = :n and h.move in ('answered', 'reopen') order by h.seq"
            ),
            {"n": number},
        ).all()
    assert [tuple(line)[:3] for line in lines] == [
        ("answered", "The one by the river", "anonymous"),
        ("reopen", "Still broken", "anonymous"),
    ]
    assert lines[-1].status == "filed"


def move(seen: Visit, number: str, body: dict[str, Any]) -> int:
    token = seen.page.locator('meta[name="csrf-token"]').get_attribute("content")
    return seen.page.request.post(
        f"{seen.base}/api/v1/incidents/{number}/moves",
        data=body,
        headers={"X-CSRF-Token": str(token)},
    ).status


def closed_by_hand(services: Services, number: str) -> None:
    """As if it had gone its whole way: the road there is tested elsewhere."""
    with services.sessions() as session:
        session.execute(
            text(
                "update incident set status = 'closed', queue = null, ended_at = now(), facts = facts ||"
                " jsonb_build_object('state', 'closed', 'closed_at', now()) where number = :n"
            ),
            {"n": number},
        )
        session.commit()


def test_the_form_works_without_scripts(browser: Browser, base: str) -> None:
    with visit(browser, base, "en", PHONE, java_script_enabled=False) as seen:
        seen.page.goto(f"{base}/report")
        seen.page.fill("#description", "Street light out at the bus station")
        seen.page.click("#report button[type=submit]")
        seen.page.wait_for_url("**/track/**")
        assert "Received, thank you!" in seen.page.inner_text("main")


def test_theme_and_language_are_kept(browser: Browser, base: str) -> None:
    with visit(browser, base, "zh") as seen:
        seen.page.goto(base)
        seen.page.click("[data-theme-switch]")
        seen.page.click("[data-language=en]")
        seen.page.wait_for_load_state()
        seen.page.goto(f"{base}/login")
        root = seen.page.locator("html")
        assert (root.get_attribute("lang"), root.get_attribute("data-theme")) == ("en", "dark")


LONG = "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichenundsoweiter"


def test_long_unbroken_names_stay_in_their_places_on_a_phone(
    browser: Browser, base: str, town_services: Services
) -> None:
    """No page is too wide by a name without a break; the phone's tabs keep their width."""
    number = report_at(
        town_services, spot_of(town_services), LONG * 3, category_of(town_services, "cleaner")
    )
    with town_services.sessions() as session:
        for change in (
            "update staff set name = :w where id in (select staff_id from account where username = 'cleaner')",
            "update account set name = :w where username in ('cleaner', 'dispatcher')",
            "update category set name_zh = :w, name_en = :w where code = (select category_code from incident where number = :n)",
            "update incident set address = :w where number = :n",
            "update grid set name = :w where id = (select grid_id from incident where number = :n)",
            "update unit set name = :w where id = (select min(id) from unit)",
            "update town set rules_version = rules_version + 1, ground_version = ground_version + 1",
        ):
            named = {
                name: value for name, value in (("w", LONG), ("n", number)) if f":{name}" in change
            }
            session.execute(text(change), named)
        session.commit()
    with visit(browser, base, "en", PHONE) as seen:
        seen.sign_in("cleaner")
        page = seen.page
        page.click(f'.task[data-number="{number}"]')
        seen.assert_fits()
        page.keyboard.press("Escape")
        page.goto(f"{base}/field")
        page.wait_for_selector(".task")
        wide = page.evaluate(
            "[...document.querySelectorAll('.tabs button')].map((b) => b.getBoundingClientRect().right)"
        )
        assert max(wide) <= PHONE[0]
        page.click(".tabs [data-view=mine]")
        seen.assert_fits()
    desk = (
        "/console",
        f"/console/incidents/{number}",
        "/console/grids",
        "/console/handover",
        "/maps",
        "/exports",
        "/account",
    )
    for username, paths in (
        ("dispatcher", desk),
        ("admin", ("/admin", "/admin/rules", "/console/replies")),
    ):
        with visit(browser, base, "en", PHONE) as seen:
            seen.sign_in(username)
            for path in paths:
                seen.page.goto(f"{base}{path}")
                seen.page.wait_for_load_state(
                    "networkidle"
                ) if path != "/console" else seen.page.wait_for_selector(ROWS)
                seen.assert_fits()
            seen.assert_clean()
    with visit(browser, base, "en", PHONE) as seen:
        seen.page.goto(f"{base}/track/{number}")
        seen.assert_fits()


# Shown text that would be pale on paper (no ground is printed), and how much of the page is cut away.
ON_PAPER = """() => {
      const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const shown = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().width && !e.closest('svg, .sr, .skip'));
      const pale = shown.filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
        .filter((e) => 1.05 / (light(getComputedStyle(e).color.match(/[\\d.]+/g).map(Number)) + 0.05) < 4.5).map((e) => e.textContent.trim().slice(0, 30));
      const cut = shown.filter((e) => !['visible', 'clip'].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 2).map((e) => `${e.tagName}#${e.id}.${e.className}`);
      const tools = shown.filter((e) => e.matches('button, select, input, textarea, .leaflet-container')).map((e) => e.outerHTML.slice(0, 60));
      return { pale, cut, tools };
    }"""


def test_the_list_and_an_incident_are_printed_whole_and_dark_on_white(
    browser: Browser, base: str, town_services: Services
) -> None:
    category = category_of(town_services, "cleaner")
    numbers = [report_at(town_services, spot_of(town_services), f"要打印的{n}", category) for n in range(20)]  # fmt: skip
    with visit(browser, base, "zh", DESKTOP, color_scheme="dark") as seen:
        seen.sign_in("dispatcher")
        page = seen.page
        for address, said in (
            ("/console", ROWS),
            (f"/console/incidents/{numbers[0]}", "#story .steps li"),
        ):
            page.goto(base + address)
            page.wait_for_selector(said)
            page.emulate_media(media="print")
            found = page.evaluate(ON_PAPER)
            assert found == {"pale": [], "cut": [], "tools": []}, address
            paper = page.pdf(format="A4")
            sheets = len(re.findall(rb"/Type\s*/Page\b", paper))
            assert sheets >= (2 if address == "/console" else 1), address
            picture(page, f"print-{'list' if address == '/console' else 'incident'}")
            page.emulate_media(media="screen")
        page.goto(f"{base}/console")
        page.click(ROWS)
        page.wait_for_selector("#panel .steps li")
        page.emulate_media(media="print")
        assert page.evaluate(ON_PAPER)["cut"] == []


def test_my_account_password_wishes_and_tokens(
    browser: Browser, base: str, town_services: Services
) -> None:
    """On a throw-away account: how I am told is kept, a token is shown once and ended, a new password takes the old one's place."""
    with town_services.sessions() as session:
        staff = session.scalar(text("select staff_id from account where username = 'officer'"))
        auth.save_account(session, "myself", "first password", "我", "officer", staff)
        session.commit()
    with visit(browser, base, "en", PHONE) as seen:
        seen.sign_in("myself", "first password")
        page = seen.page
        page.goto(f"{base}/account")
        quiet = page.locator("#wish-quiet")
        expect(quiet.locator("option").first).to_contain_text("22:00-07:00")
        expect(page.locator("#wish-hours")).to_be_hidden()
        quiet.select_option("own")
        page.fill("#wish-from", "20:30")
        page.fill("#wish-to", "06:00")
        page.select_option("#wish-language", "en")
        page.click("#wishes-form button")
        expect(page.locator("#wishes-form [data-answer]")).to_have_text("Kept.")
        page.reload()
        expect(quiet).to_have_value("own")
        expect(page.locator("#wish-from")).to_have_value("20:30")
        expect(page.locator("#wish-language")).to_have_value("en")
        assert page.locator("#token-may option").all_inner_texts()[-1] == "All that I may"
        page.fill("#token-name", "My <b>QGIS</b>")
        page.select_option("#token-may", "read")
        page.click("#token-form button")
        secret = page.locator("[data-secret]").inner_text()
        expect(page.locator("[data-token]")).to_contain_text("My <b>QGIS</b>")
        seen.assert_fits()
        picture(page, "account-en")
        bearer = {"Authorization": f"Bearer {secret}"}
        assert httpx.get(f"{base}/api/v1/incidents", headers=bearer).status_code == 200
        page.reload()
        expect(page.locator("[data-token]")).to_have_count(1)
        expect(page.locator("[data-secret]")).to_have_count(0)
        page.click("[data-token] button")
        expect(page.locator("[data-token]")).to_have_count(0)
        assert httpx.get(f"{base}/api/v1/incidents", headers=bearer).status_code == 401
        page.fill("#old", "first password")
        page.fill("#new", "second password")
        page.fill("#again", "another password")
        page.click("#password-form button")
        expect(page.locator("#answer")).to_contain_text("differ")
        page.fill("#again", "second password")
        page.click("#password-form button")
        expect(page.locator("#answer")).to_have_class(re.compile("green"))
        page.wait_for_url(base + "/")
        seen.assert_clean()
        seen.context.clear_cookies()
        seen.sign_in("myself", "second password")
