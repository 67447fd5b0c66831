"""The leader's page: figures of a period, ranked parts, the cases behind a number; wide, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.services import Services
from tests.acceptance.site import DESKTOP, PHONE, chromium, picture, serving, visit

SINCE = "from=2020-01-01"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.mark.parametrize(
    ("language", "theme", "size"), [("zh", "light", DESKTOP), ("en", "dark", PHONE)]
)
def test_from_a_rank_to_the_cases_behind_it(
    browser: Browser, base: str, language: str, theme: str, size: tuple[int, int]
) -> None:
    with visit(browser, base, language, size, color_scheme=theme) as seen:
        page = seen.page
        seen.sign_in("evaluator")
        page.goto(f"{base}/evaluation?{SINCE}")
        rows = page.locator("tbody tr")
        parts = rows.count()
        assert parts > 10
        picture(page, f"evaluation-{language}-{theme}")
        seen.assert_fits()
        # Sorted by a head, then by another dimension, with the order kept.
        page.locator("thead a[href*='sort=on_time_closing_rate']").click()
        expect(page.locator("thead [aria-sort]")).to_have_attribute("aria-sort", "descending")
        shown = page.locator("tbody tr td:nth-child(12)").all_inner_texts()
        known = [float(text.partition("%")[0]) for text in shown if "%" in text]
        assert known == sorted(known, reverse=True)
        page.locator("#v-by").select_option("post")
        page.locator("form.card button").click()
        page.wait_for_url("**by=post**")
        assert page.locator("tbody th").count() <= 5 < parts
        # A number leads to as many cases, and a case to its story.
        figure = page.locator("tbody tr a[href*='count=filed&']").first
        number = int(figure.inner_text())
        figure.click()
        expect(page.locator("h1")).to_contain_text(str(number))
        assert page.locator("tbody tr").count() == min(number, 500)
        picture(page, f"evaluation-cases-{language}-{theme}")
        page.locator("tbody a").first.click()
        page.wait_for_url("**/console/incidents/**")
        seen.assert_clean()


def test_an_empty_period_says_so_and_a_month_prints(browser: Browser, base: str) -> None:
    with visit(browser, base) as seen:
        page = seen.page
        seen.sign_in("leader")
        page.goto(f"{base}/evaluation?from=2001-01-01&to=2001-01-31")
        expect(page.locator(".note").first).to_contain_text("没有符合条件的案件")
        expect(page.locator(".figure b").nth(5)).to_have_text("—")
        page.goto(f"{base}/evaluation?{SINCE}")
        page.emulate_media(media="print")
        expect(page.locator("form.card")).to_be_hidden()
        expect(page.locator("tbody tr").first).to_be_visible()
        seen.assert_clean()
