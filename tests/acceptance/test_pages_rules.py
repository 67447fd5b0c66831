"""The page of rules: a limit, a post and a day off changed by keyboard, refused in words, written down; nothing grave by axe."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from api.services import Services
from tests.acceptance.site import DESKTOP, chromium, serving, visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.mark.parametrize("language", ["zh", "en"])
def test_rules_are_changed_on_their_page(browser: Browser, base: str, language: str) -> None:
    words = {
        "zh": ("修改 06042 ", "应急"),
        "en": ("Edit 06042 ", "Emergency"),
    }[language]
    with visit(browser, base, language, DESKTOP, bypass_csp=True) as seen:
        seen.sign_in("admin")
        page = seen.page
        page.goto(f"{base}/admin/rules")
        page.fill("#category-search", "06042")
        edit = page.locator("#category-rows button").first
        expect(edit).to_have_attribute("aria-label", re.compile(f"^{re.escape(words[0])}"))
        edit.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#k-zh")).to_be_focused()
        page.select_option("#k-urgency", "emergency")
        page.locator("#category-form button.main").click()
        expect(page.locator("#category-dialog")).not_to_be_visible()
        expect(page.locator("#category-rows tr").first).to_contain_text(words[1])
        edit.click()
        # Nobody can be named in the past, or be nobody: said in words, nothing is lost.
        page.fill("#k-en", " ")
        page.locator("#category-form button.main").click()
        expect(page.locator("#category-trouble")).to_be_visible()
        page.locator("#condition-rows summary").first.click()
        limit = page.locator("#condition-rows input[name=limit_value]").first
        limit.fill("3")
        limit.press("Enter")
        expect(page.locator("#condition-rows summary").first).to_contain_text("3 ")
        result = Axe().run(page)
        grave = [
            v["id"] for v in result.response["violations"] if v["impact"] in ("serious", "critical")
        ]
        assert grave == []
        page.keyboard.press("Escape")
        expect(page.locator("#category-dialog")).not_to_be_visible()
        page.fill("#d-day", "2027-03-01")
        page.fill("#d-zh", "停水日" if language == "zh" else "停电日")
        page.locator("#d-zh").press("Enter")
        expect(page.locator("#day-rows")).to_contain_text("2027-03-01")
        expect(page.locator("#change-rows li").first).to_contain_text("2027-03-01")
        expect(page.locator("#change-rows")).to_contain_text("admin")
        page.fill("#s-value", "20" if language == "zh" else "25")
        page.locator("#s-value").press("Enter")
        expect(page.locator("#stage-rows tr").first).to_contain_text(
            "20" if language == "zh" else "25"
        )
