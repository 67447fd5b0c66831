"""axe-core on every page, wide and on a phone, in light and dark: no serious finding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from api.services import Services
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
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


def findings(seen: Visit) -> list[str]:
    """Serious findings: rule, how many, and the first place of each."""
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
    ("/nowhere", None),
    ("/account", "dispatcher"),
    ("/console", "dispatcher"),
    ("/console/incidents/{number}", "dispatcher"),
    ("/console/grids", "dispatcher"),
    ("/console/handover", "dispatcher"),
    ("/console/replies", "watch_chief"),
    ("/exports", "analyst"),
    ("/maps", "analyst"),
    ("/field", "cleaner"),
    ("/admin", "admin"),
    ("/admin/rules", "admin"),
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
