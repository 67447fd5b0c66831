"""axe-core on every page, wide and on a phone, in light and dark: no serious finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from api.services import Services
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
    ROWS,
    Visit,
    category_of,
    chromium,
    report_at,
    serving,
    spot_of,
    visit,
)

GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def number(town_services: Services) -> str:
    category = category_of(town_services, "cleaner")
    return report_at(town_services, spot_of(town_services), "垃圾桶满溢", category)


def findings(seen: Visit, *, settled: bool = True) -> list[str]:
    """Serious findings: rule, how many, and the first place of each; once the network is still, where it will be."""
    if settled:
        seen.page.wait_for_load_state("networkidle")
    seen.page.wait_for_timeout(400)
    result = Axe().run(seen.page)
    return [
        f"{v['id']} ({len(v['nodes'])}): {v['nodes'][0]['html'][:160]} {v['nodes'][0]['failureSummary'][:200]}"
        for v in result.response["violations"]
        if v["impact"] in GRAVE
    ]


PAGES = [
    ("/", None),
    ("/login", None),
    ("/report", None),
    ("/track/{number}", None),
    ("/track/19990101-000001", None),
    ("/nowhere", None),
    ("/account", "dispatcher"),
    ("/console", "dispatcher"),
    ("/console/incidents/{number}", "dispatcher"),
    ("/console/grids", "dispatcher"),
    ("/console/handover", "dispatcher"),
    ("/console/replies", "watch_chief"),
    ("/exports", "analyst"),
    ("/maps", "analyst"),
    ("/evaluation?by=person&sort=on_time_closing_rate", "leader"),
    ("/evaluation/cases?count=filed", "evaluator"),
    ("/maps/ownership", "analyst"),
    ("/maps/incidents", "analyst"),
    ("/field", "cleaner"),
    ("/admin", "admin"),
    ("/admin/rules", "admin"),
    ("/admin/people", "admin"),
    ("/admin/sending", "admin"),
    ("/admin/imports", "admin"),
    ("/admin/basemaps", "admin"),
]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_finding(
    browser: Browser, base: str, number: str, theme: str, size: tuple[int, int]
) -> None:
    wrong: list[str] = []
    language = "zh" if theme == "light" else "en"
    who: str | None = None
    with visit(browser, base, language, size, color_scheme=theme, bypass_csp=True) as seen:
        for path, account in PAGES:
            if account != who and account is not None:
                seen.context.clear_cookies()
                seen.sign_in(account)
                who = account
            seen.page.goto(base + path.replace("{number}", number))
            wrong += [f"{path} {finding}" for finding in findings(seen)]
    assert not wrong, "\n".join(wrong)


CONSOLE_STATES: list[tuple[str, Callable[[Page], None]]] = [
    ("panel", lambda page: open_panel(page)),
    ("move form", lambda page: page.click("#panel [data-move=reassign]")),
    ("duty", lambda page: page.click("#duty-open")),
    ("report", lambda page: fill_report(page)),
    ("bulk", lambda page: choose_several(page)),
    ("empty", lambda page: find_nothing(page)),
    ("failed", lambda page: refuse_the_list(page)),
    ("keys", lambda page: page.keyboard.press("?")),
]
FIELD_STATES: list[tuple[str, Callable[[Page], None]]] = [
    ("sheet", lambda page: open_sheet(page)),
    ("form", lambda page: page.locator("[data-act=return]").click()),
    ("report", lambda page: page.evaluate("document.querySelector('.tabs [data-new]').click()")),
    ("map", lambda page: show(page, "map")),
    ("mine", lambda page: show(page, "mine")),
    ("box", lambda page: leave_unsent(page)),
]
DIALOGS: dict[str, list[str]] = {
    "/admin/people": [
        *("#post-rows button", "#person-rows button"),
        *("#unit-new", "#leave-new", "#shift-new"),
    ],
    "/admin/sending": ["#contact-new", "#system-new"],
    "/admin/basemaps": ["#map-new"],
    "/admin/rules": ["#category-rows button"],
}


def open_panel(page: Page) -> None:
    page.wait_for_selector(ROWS)
    page.click(f"{ROWS} >> nth=0")
    page.wait_for_selector("#panel .steps li")


def fill_report(page: Page) -> None:
    page.keyboard.press("Escape")
    page.click("[data-new-report]")
    page.fill("#r-description", "垃圾桶满了")
    page.wait_for_timeout(600)


def choose_several(page: Page) -> None:
    page.click("[data-close-report]")
    page.locator(f"{ROWS} .tick").first.click()
    page.click("[data-bulk=give]")


def find_nothing(page: Page) -> None:
    page.goto(page.url.split("?")[0] + "?q=那样的案件没有")


def refuse_the_list(page: Page) -> None:
    page.wait_for_selector("#incidents .empty")
    page.route("**/api/v1/incidents?**", lambda route: route.fulfill(status=503, json={"detail": "x"}))  # fmt: skip
    page.fill("#filters [name=q]", "另一样")
    page.wait_for_selector("#incidents .empty button")
    page.unroute("**/api/v1/incidents?**")


def open_sheet(page: Page) -> None:
    page.click("#tasks .task >> nth=0")
    page.click("details.more summary")


def show(page: Page, view: str) -> None:
    page.evaluate("document.querySelector('#sheet [data-close]')?.click()")
    page.wait_for_selector("#sheet", state="hidden")
    page.click(f".tabs [data-view={view}]")


def leave_unsent(page: Page) -> None:
    page.context.set_offline(True)
    page.click(".tabs [data-view=tasks]")
    page.click("#tasks .task >> nth=0")
    page.click("[data-act=accept]")
    show(page, "tasks")
    page.click("#unsent")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_state_that_work_opens_has_a_serious_finding(
    browser: Browser, base: str, number: str, theme: str
) -> None:
    """What stands on a page only after a click or a failure: panels, forms, a choice of several, dialogs, the outbox."""
    language = "en" if theme == "light" else "zh"
    phone = {"has_touch": True, "is_mobile": True, "permissions": ["geolocation"], "geolocation": {"longitude": 114.6, "latitude": 33.6}}  # fmt: skip
    wrong: list[str] = []
    for who, path, states, size, options in (
        ("dispatcher", "/console", CONSOLE_STATES, DESKTOP, {}),
        ("cleaner", "/field", FIELD_STATES, PHONE, phone),
    ):
        with visit(
            browser, base, language, size, color_scheme=theme, bypass_csp=True, **options
        ) as seen:
            seen.sign_in(who)
            seen.page.goto(base + path)
            for name, reach in states:
                reach(seen.page)
                wrong += [f"{path} {name} {finding}" for finding in findings(seen, settled=False)]
    with visit(browser, base, language, PHONE, color_scheme=theme, bypass_csp=True) as seen:
        seen.sign_in("admin")
        for path, openers in DIALOGS.items():
            seen.page.goto(base + path)
            seen.page.wait_for_load_state("networkidle")
            for opener in openers:
                seen.page.locator(opener).first.click()
                seen.page.wait_for_selector("dialog[open]")
                wrong += [f"{path} {opener} {each}" for each in findings(seen, settled=False)]
                seen.page.keyboard.press("Escape")
    assert not wrong, "\n".join(wrong)
