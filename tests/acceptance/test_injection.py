"""Words of strangers stay words: stored in every column of words, typed into every form, given in every address.

The pages' own Content-Security-Policy is switched off here, so that an injected script would really run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from api.cli.demonstration import SAMPLE_PASSWORD
from api.pages import routers
from api.resident_links import page_of
from api.services import Services
from grid.kept_territory import keep_if_free
from maps.thematic import MAPS
from tests.acceptance.site import (
    PHONE,
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

ATTACK = '"><img src=x onerror=window.__hit=1><script>window.__hit=1</script>{{7*7}}'
SCRIPT_URL = "javascript:window.__hit=1"
# Columns that hold words of people, wherever they stand. What they are called in a new table, they are called here.
WORDS = frozenset(
    {
        *("name", "name_zh", "name_en", "closing_zh", "closing_en", "description", "address", "note"),
        *("title", "body", "text", "words", "label", "phone", "mail", "remark", "reason", "community", "street_name"),
    }
)  # fmt: skip
# Names that programs use, not words for people.
# Of the thematic maps, all drawn by one script, one is opened in the browser; of the others the text is read.
OPENED_MAP = "incidents"
BY_TEXT = tuple(f"/maps/{name}" for name in MAPS if name != OPENED_MAP)
READ_BY_SCRIPTS = ("/", "/login", "/report", "/console", "/field", "/exports", "/admin")
NOT_WORDS = frozenset({"periodic_run.name", "worker.name", "alembic_version.version_num"})


@pytest.fixture(scope="module")
def spot(town_services: Services) -> Spot:
    return spot_of(town_services, "cleaner")


@pytest.fixture(scope="module")
def first(town_services: Services, spot: Spot) -> str:
    return report_at(town_services, spot, "垃圾桶满了", category_of(town_services, "cleaner"))


@pytest.fixture(scope="module")
def number(town_services: Services, spot: Spot, poisoned: list[str]) -> str:
    """A report taken in when every name was poisoned already: its reasons and notices are made of them."""
    cleaning = category_of(town_services, "cleaner")
    return report_at(town_services, spot, f"垃圾桶满了{ATTACK}", cleaning)


@pytest.fixture(scope="module")
def poisoned(town_services: Services, first: str) -> list[str]:
    """Every column of words in the database ends in the attack; what it was called where it could be written."""
    filled: list[str] = []
    with town_services.sessions() as session:
        session.execute(
            text(
                "insert into saved_filter (account_id, name, query, shared, made_at)"
                " select id, '我的', '{}', 'desk', now() from account where username = 'dispatcher'"
            )
        )
        session.execute(
            text(
                "insert into reporter (incident_id, name, phone) select id, '张', '138' from incident where number = :n"
            ),
            {"n": first},
        )
        session.execute(
            text(
                "insert into absence (staff_id, valid, reason) select id, tstzrange(now(), now() + interval '9 days'), '病'"
                " from staff order by id desc limit 1"
            )
        )
        session.execute(
            text(
                "insert into webhook (name, url, secret, kinds, made_at) values ('平台', 'https://x.example/', 's', '{}', now())"
            )
        )
        columns = session.execute(
            text(
                "select c.table_name, c.column_name from information_schema.columns c"
                " join information_schema.tables t using (table_schema, table_name)"
                " where c.table_schema = 'public' and t.table_type = 'BASE TABLE'"
                " and c.data_type = 'text' and c.is_generated = 'NEVER' order by 1, 2"
            )
        ).all()
        for table, column in columns:
            if column not in WORDS or f"{table}.{column}" in NOT_WORDS:
                continue
            with session.begin_nested():
                session.execute(text(f'alter table "{table}" disable trigger user'))
                unique = session.scalar(
                    text(
                        "select exists (select 1 from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
                        " and a.attnum = any(i.indkey) where i.indrelid = cast(:t as regclass) and i.indisunique"
                        " and a.attname = :c)"
                    ),
                    {"t": f'"{table}"', "c": column},
                )
                beside = " || ' ' || ctid::text" if unique else ""
                session.execute(
                    text(f'update "{table}" set "{column}" = coalesce("{column}", \'\'){beside} || :a'),
                    {"a": ATTACK},
                )  # fmt: skip
                session.execute(text(f'alter table "{table}" enable trigger user'))
            filled.append(f"{table}.{column}")
        session.execute(text("update town set ground_version = ground_version + 1"))
        session.commit()
    return filled


@pytest.fixture(scope="module")
def base(town_services: Services, poisoned: list[str]) -> Iterator[str]:
    with town_services.sessions() as session:
        keep_if_free(session, datetime.now(UTC))  # what the worker does every minute
        session.commit()
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def signer(path: str) -> str | None:
    """Whose page it is."""
    for start, who in (
        *(
            ("/admin", "admin"),
            ("/field", "cleaner"),
            ("/exports", "analyst"),
            ("/maps", "analyst"),
        ),
        *(("/console", "dispatcher"), ("/account", "dispatcher")),
    ):
        if path.startswith(start):
            return who
    return None


def pages(number: str) -> list[tuple[str, str | None, list[str]]]:
    """Every page that there is: address, who opens it, names of its query parameters."""
    found = []
    for router in routers:
        for route in router.routes:
            path = str(getattr(route, "path", ""))
            if "GET" not in getattr(route, "methods", ()) or path.startswith("/api/"):
                continue
            if path.endswith((".js", ".webmanifest", ".geojson", "/back", "{evidence}")):
                continue
            names = parameters(route.dependant)  # type: ignore[attr-defined]
            for name in MAPS if "{name}" in path else [""]:
                filled = path.replace("{number}", number).replace("{name}", name)
                if "{" not in filled:
                    found.append((filled, signer(path), names))
    return found


def parameters(dependant: Any) -> list[str]:
    own = [field.alias for field in dependant.query_params]
    return own + [name for part in dependant.dependencies for name in parameters(part)]


def assert_unhurt(page: Page) -> None:
    """Nothing ran, nothing was made of the words, no link leads to a script."""
    found = page.evaluate(
        """() => [window.__hit ?? null, document.querySelectorAll('img[src="x"]').length,
        [...document.scripts].filter((s) => s.textContent.trim() === 'window.__hit=1').length,
        [...document.querySelectorAll('a[href], form[action], iframe[src]')].filter((e) => /^javascript:/i.test((e.getAttribute('href') || e.getAttribute('action') || e.getAttribute('src')).trim())).length]"""
    )
    assert found == [None, 0, 0, 0], page.url


def assert_escaped(seen: Visit, path: str) -> None:
    """The page's own text has no mark-up made of the words."""
    answer = seen.page.request.get(seen.base + path, timeout=120_000)
    assert "<img src=x" not in answer.text(), path
    assert "<script>window.__hit" not in answer.text(), path
    assert not re.search(r"""(href|src|action)\s*=\s*["']?\s*javascript:""", answer.text()), path
    assert answer.status != 500, path


def open_everything(page: Page) -> None:
    """Bubbles and labels of the map, and what is folded away."""
    page.evaluate(
        """() => { for (const one of document.querySelectorAll('details')) one.open = true;
        const map = window.gridward?.map; if (!map) return; let opened = 0;
        map.eachLayer((layer) => { if (opened > 40 || !layer.getPopup?.()) return; opened += 1; layer.openPopup(); });
        let lines = 0; map.eachLayer((layer) => { const at = layer.getLatLngs?.().flat(3)[0];
          if (!at || lines > 5) return; lines += 1; layer.fire('click', { latlng: at }); });
        map.eachLayer((layer) => layer.getTooltip?.() && layer.openTooltip()); }"""
    )
    page.wait_for_timeout(120)


def as_visitor(browser: Browser, base: str, who: str | None, **options: Any) -> Any:
    return _opened(visit(browser, base, "zh", bypass_csp=True, **options), who)


class _opened:  # noqa: N801 (used as a function)
    def __init__(self, window: Any, who: str | None) -> None:
        self.window, self.who = window, who

    def __enter__(self) -> Visit:
        seen: Visit = self.window.__enter__()
        if self.who:
            seen.sign_in(self.who)
        return seen

    def __exit__(self, *problem: Any) -> None:
        self.window.__exit__(*problem)


def test_what_is_stored_is_shown_as_it_was_typed_on_every_page(
    browser: Browser, base: str, poisoned: list[str], number: str, first: str
) -> None:
    assert {
        *("incident.description", "history.note", "reporter.name", "staff.name", "street.name", "grid.name"),
        *("place.name", "saved_filter.name", "category.name_zh", "channel.name_zh", "unit.name"),
    } <= set(poisoned)  # fmt: skip
    by_person: dict[str | None, list[str]] = {}
    for path, who, _ in pages(number):
        by_person.setdefault(who, []).append(path)
    by_person["dispatcher"].append(f"/console/incidents/{first}")
    shown: list[str] = []
    for who, paths in by_person.items():
        with as_visitor(browser, base, who) as seen:
            for path in paths:
                if path.startswith(BY_TEXT):
                    assert_escaped(seen, path)
                    continue
                seen.page.goto(base + path)
                seen.page.wait_for_timeout(250)
                open_everything(seen.page)
                assert_unhurt(seen.page)
                if ATTACK in seen.page.inner_text("body"):
                    shown.append(path)
            assert seen.foreign == []
    print(f"words stand as typed on: {', '.join(shown)}")
    own = f"/console/incidents/{number}"
    assert {"/console", own, "/console/grids", "/field", f"/track/{number}"} <= set(shown)


def test_panels_bubbles_and_sheets_show_words_as_words(
    browser: Browser, base: str, number: str, spot: Spot
) -> None:
    with as_visitor(browser, base, "dispatcher") as seen:
        page = seen.page
        page.wait_for_selector(ROWS)
        page.click(f"#row-{number}")
        expect(page.locator("#panel .said")).to_contain_text(ATTACK)
        expect(page.locator("#panel .tasks")).to_contain_text(ATTACK)  # the person's name
        expect(page.locator("#panel [data-reason]")).to_contain_text(ATTACK)
        who = page.locator("#panel button", has_text="查看反映人")
        if who.count():
            who.click()
            page.wait_for_timeout(400)
        for move in ("reassign", "note", "merge"):
            button = page.locator(f"#panel [data-move={move}]")
            if button.count():
                button.click()
                assert_unhurt(page)
        open_everything(page)
        assert_unhurt(page)
        page.click("#duty-open")
        page.wait_for_timeout(300)
        assert_unhurt(page)
        expect(page.locator("#saved")).to_contain_text(ATTACK)
    phone = {"has_touch": True, "is_mobile": True, "size": PHONE}
    with as_visitor(browser, base, "cleaner", **phone) as seen:
        page = seen.page
        with page.expect_response(lambda answer: answer.url.endswith("/api/v1/categories")):
            page.reload()
        page.wait_for_timeout(500)
        page.click(f'.task[data-number="{number}"]')
        expect(page.locator("#sheet .said")).to_contain_text(ATTACK)
        open_everything(page)
        for act in ("help", "hand", "category", "note"):
            page.evaluate("document.querySelector('details.more').open = true")
            page.locator(f"[data-act={act}]").dispatch_event("click")
            expect(page.locator(f"[data-form={act}]")).to_be_visible()
            assert_unhurt(page)
        page.click("#sheet [data-close]")
        page.locator(".tabs [data-view=map]").dispatch_event("click")
        page.wait_for_timeout(300)
        open_everything(page)
        assert_unhurt(page)
        page.locator(".tabs [data-view=mine]").dispatch_event("click")
        expect(page.locator("[data-notices]")).to_contain_text(number)
        assert_unhurt(page)


def test_what_is_typed_into_forms_stays_words(
    browser: Browser, base: str, town_services: Services, number: str
) -> None:
    with as_visitor(browser, base, None) as seen:
        page = seen.page
        page.goto(f"{base}/report")
        for field in page.locator("form#report input:visible:not([type=file]), form#report textarea:visible").all():  # fmt: skip
            if (field.get_attribute("type") or "text") in ("text", "tel", "search", "email"):
                field.fill(ATTACK)
        page.fill("#description", ATTACK)
        page.click("#report button[type=submit]")
        page.wait_for_url("**/track/**")
        expect(page.locator("main")).to_contain_text(ATTACK)
        assert_unhurt(page)
        page.goto(f"{base}/track/{number}")
        page.locator("main details summary").last.click()
        page.fill("#own-phone", ATTACK[:40])
        page.click("[data-ask=phone] button")
        expect(page.locator("[role=alert]")).to_be_visible()
        assert_unhurt(page)
        page.goto(f"{base}/login?next={quote(SCRIPT_URL)}")
        page.fill("#username", ATTACK)
        page.fill("#password", ATTACK)
        page.click("form.card button")
        expect(page.locator("[role=alert]")).to_be_visible()
        assert_unhurt(page)
    with as_visitor(browser, base, "dispatcher") as seen:
        page = seen.page
        page.wait_for_selector(ROWS)
        page.keyboard.press("n")
        for name in ("description", "address", "category", "name", "phone"):
            page.fill(f"#r-{name}", ATTACK[:40] if name == "phone" else ATTACK)
        page.wait_for_timeout(900)
        assert_unhurt(page)
        page.fill("#r-category", "")
        page.fill("#r-address", "")
        page.locator("#r-description").press("Control+Enter")
        expect(page.locator("#panel .said")).to_contain_text(ATTACK)
        page.click("#panel [data-move=note]")
        page.fill("#move-note", ATTACK)
        page.click(".move-form button[type=submit]")
        expect(page.locator("#panel .steps")).to_contain_text(ATTACK)
        page.fill("#filters [name=q]", ATTACK)
        page.fill("#search [name=q]", ATTACK)
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
        assert_unhurt(page)


def test_what_a_resident_answers_stays_words(
    browser: Browser, base: str, town_services: Services, number: str
) -> None:
    link = base + page_of(town_services.settings.database.home_folder, number)
    with as_visitor(browser, base, "dispatcher") as desk, as_visitor(browser, base, None) as seen:
        page = seen.page
        token = str(desk.page.locator('meta[name="csrf-token"]').get_attribute("content"))
        asked = desk.page.request.post(
            f"{base}/api/v1/incidents/{number}/moves",
            data={"move": "ask_reporter", "note": ATTACK},
            headers={"X-CSRF-Token": token},
        )
        assert asked.ok, asked.text()
        page.goto(link)
        expect(page.locator("[data-ask=answer]")).to_contain_text(ATTACK)
        assert_unhurt(page)
        # Too long for the record: what was typed comes back in the field.
        words = page.locator("#answer-words")
        words.evaluate("(area) => area.removeAttribute('maxlength')")
        words.fill(f"</textarea>{ATTACK}" + "长" * 1000)
        page.click("[value=answer]")
        expect(page.locator("[role=alert]")).to_be_visible()
        expect(words).to_have_value(re.compile("^</textarea>"))
        assert_unhurt(page)
        words.fill(ATTACK)
        page.click("[value=answer]")
        page.wait_for_url("**said=answer**")
        assert_unhurt(page)
        with town_services.sessions() as session:
            session.execute(
                text(
                    "update incident set status = 'closed', queue = null, ended_at = now(), facts = facts ||"
                    " jsonb_build_object('state', 'closed', 'closed_at', now()) where number = :n"
                ),
                {"n": number},
            )
            session.commit()
        page.goto(link)
        page.fill("#solved-words", ATTACK)
        page.click("[value=not_solved]")
        page.wait_for_url("**said=not_solved**")
        assert_unhurt(page)
        desk.page.goto(f"{base}/console/incidents/{number}")
        expect(desk.page.locator(".steps")).to_contain_text(ATTACK)
        assert_unhurt(desk.page)


def test_what_the_desk_keeps_for_itself_stays_words(browser: Browser, base: str) -> None:
    """Replies, the hand-over note, a saved filter, names of grids, a password, a filter of layers."""
    with as_visitor(browser, base, "watch_chief") as seen:
        page = seen.page
        page.goto(f"{base}/console/replies")
        page.fill("#p-words", f"备好的{ATTACK}")
        page.click("#reply button[type=submit]")
        row = page.locator(".reply-row", has_text=f"备好的{ATTACK}")
        expect(row).to_have_count(1)
        row.locator("button").first.click()
        expect(page.locator("#p-words")).to_have_value(f"备好的{ATTACK}")
        assert_unhurt(page)
        page.goto(f"{base}/console/handover")
        page.fill("#note-body", ATTACK)
        page.click("#note button[type=submit]")
        expect(page.locator("#notes li").first).to_contain_text(ATTACK)
        assert_unhurt(page)
    with as_visitor(browser, base, "dispatcher") as seen:
        page = seen.page
        page.wait_for_selector(ROWS)
        page.click("[data-queue=to_check]")
        page.click("[data-save]")
        page.fill(".save-form input", ATTACK[:60])
        page.click(".save-form .main")
        expect(page.locator("#saved")).to_contain_text(ATTACK[:60])
        assert_unhurt(page)
        page.goto(f"{base}/console/grids")
        page.locator("#edit > summary").click()
        page.select_option("#c-action", "rename")
        page.select_option("#c-code", "G001")
        page.fill("#c-name", ATTACK)
        page.fill("#c-name-en", ATTACK)
        page.click("#change button[type=submit]")
        expect(page.locator("#plan")).to_contain_text(ATTACK)
        assert_unhurt(page)
        page.click("[data-apply]")
        expect(page.locator(".toasts")).to_be_visible()
        page.fill("#find", ATTACK)
        assert_unhurt(page)
        page.goto(f"{base}/account")
        for name in ("old", "new", "again"):
            page.fill(f"#{name}", ATTACK)
        page.click("#password-form button")
        expect(page.locator("#answer")).to_be_visible()
        assert_unhurt(page)
    with as_visitor(browser, base, "analyst") as seen:
        page = seen.page
        page.goto(f"{base}/exports")
        page.locator("#export details summary").click()
        page.fill("#e-crs", ATTACK)
        page.keyboard.press("Escape")
        page.fill("#e-where", f"description = '{ATTACK}")
        page.locator("#export button.main").click()
        expect(page.locator("#export-problem")).to_be_visible()
        assert_unhurt(page)


# What opens each form of the administration that stands in a dialog, and the forms that stand on the pages themselves.
DIALOGS = {
    "/admin/people": (
        *("#post-rows button", "#person-rows button", "#person-new", "#unit-new"),
        *("#leave-new", "#shift-new"),
    ),
    "/admin/sending": ("#contact-new", "#system-new"),
    "/admin/basemaps": ("#map-new",),
    "/admin/rules": ("#category-new", "#category-rows button"),
}
ON_THE_PAGE = {
    "/admin": ("#add-account", "#template"),
    "/admin/rules": ("#stage-form", "#chase-form", "#day-form"),
}
FILL = """([form, attack]) => { for (const field of form.querySelectorAll('input, textarea')) {
  if (['text', 'search', 'tel', 'url', 'email', 'textarea'].includes(field.type)) field.value = attack.slice(0, field.maxLength > 0 ? field.maxLength : undefined);
  if (field.type === 'number' && !field.value) field.value = '5';
  if (field.type === 'date' && !field.value) field.value = '2027-01-01'; }
  form.noValidate = true; form.requestSubmit(); }"""


def test_what_the_administrator_types_into_every_form_and_dialog_stays_words(
    browser: Browser, base: str, tmp_path: Path
) -> None:
    """Filled with the attack as far as each field allows, sent, refused or kept, and shown again."""
    with as_visitor(browser, base, "admin") as seen:
        page = seen.page
        page.on("dialog", lambda asked: asked.accept())
        for path in {**DIALOGS, **ON_THE_PAGE}:
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
            for opener in DIALOGS.get(path, ()):
                page.goto(base + path)  # what was sent before closes no dialog of now
                page.locator(opener).first.click()
                page.wait_for_timeout(200)
                forms = page.locator("dialog[open] form").count()
                assert forms, opener
                for each in range(forms):
                    if page.locator("dialog[open]").count():
                        page.evaluate(FILL, [page.locator("dialog[open] form").nth(each).element_handle(), ATTACK])  # fmt: skip
                        page.wait_for_timeout(250)
                        assert_unhurt(page)
            if path == "/admin":
                page.locator("#templates button").first.click()
            for form in ON_THE_PAGE.get(path, ()):
                page.evaluate(FILL, [page.locator(form).element_handle(), ATTACK])
                page.wait_for_timeout(250)
                assert_unhurt(page)
            for search in page.locator("input[type=search]").all():
                search.fill(ATTACK)
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
            assert_unhurt(page)
        sheet = tmp_path / "<img src=x onerror=window.__hit=1>.csv"
        sheet.write_text(f"staff_no,name,post,\"{ATTACK.replace(chr(34), chr(34) * 2)}\"\n<img src=x onerror=window.__hit=1>,<script>window.__hit=1</script>,<img src=x onerror=window.__hit=1>,x\nP900,<script>window.__hit=1</script>,cleaner,x\n", "utf-8")  # fmt: skip
        page.goto(f"{base}/admin/imports")
        page.select_option("#i-kind", "staff")
        page.set_input_files("#i-file", sheet)
        page.click("#check")
        expect(page.locator("#refused")).to_contain_text("<img src=x")
        assert_unhurt(page)
        page.click("#publish")
        expect(page.locator("#before-rows")).to_contain_text("img src=x onerror", timeout=60_000)
        assert_unhurt(page)


def test_what_is_typed_on_a_phone_stays_words(
    browser: Browser, base: str, town_services: Services, spot: Spot
) -> None:
    own = report_at(town_services, spot, "电话里打字", category_of(town_services, "cleaner"))
    here = {"longitude": spot.lon, "latitude": spot.lat}
    phone = {"has_touch": True, "is_mobile": True, "size": PHONE, "geolocation": here}
    with as_visitor(browser, base, "cleaner", permissions=["geolocation"], **phone) as seen:
        page = seen.page
        page.wait_for_selector("#tasks .task")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_timeout(300)
        page.click(f'.task[data-number="{own}"]')
        seen.context.set_offline(True)
        for act in ("note", "more", "return"):
            if page.locator("#sheet").is_hidden():
                page.click(f'.task[data-number="{own}"]')
            if act != "return":
                page.evaluate("document.querySelector('details.more').open = true")
            page.locator(f"#sheet [data-act={act}]").dispatch_event("click")
            page.fill(f"#{act}-note", ATTACK)
            page.click(f"[data-send={act}]")
            expect(page.locator("#sheet")).to_be_hidden()
            assert_unhurt(page)
        page.click(".tabs [data-new]")
        page.fill("#new-words", ATTACK)
        page.click("[data-send=report]")
        expect(page.locator("#sheet")).to_be_hidden()
        expect(page.locator("#tasks")).to_contain_text(ATTACK)
        page.click("#unsent")
        expect(page.locator("#box")).to_contain_text(ATTACK)
        assert_unhurt(page)
        seen.context.set_offline(False)
        expect(page.locator("#unsent")).to_be_hidden(timeout=60_000)
        page.reload()
        page.wait_for_selector("#tasks .task")
        page.click(f'.task[data-number="{own}"]')
        expect(page.locator("#sheet")).to_contain_text(ATTACK)
        assert_unhurt(page)
    with town_services.sessions() as session:
        notes = session.scalars(
            text(
                "select h.note from history h join incident i on i.id = h.incident_id"
                " where i.number = :n and h.actor = 'account:cleaner' order by h.seq"
            ),
            {"n": own},
        ).all()
    assert len(notes) >= 3
    assert set(notes) == {ATTACK}, "kept as it was typed"


def test_what_stands_in_an_address_stays_words(browser: Browser, base: str, number: str) -> None:
    by_person: dict[str | None, list[tuple[str, list[str]]]] = {}
    for path, who, names in pages(number):
        by_person.setdefault(who, []).append((path, names))
    tried = 0
    for who, asked in by_person.items():
        with as_visitor(browser, base, who) as seen:
            for path, names in asked:
                for words in (ATTACK, SCRIPT_URL):
                    query = "&".join(f"{n}={quote(words)}" for n in sorted({*names, "next", "q"}))
                    assert_escaped(seen, f"{path}?{query}")
                    tried += 1
                if path in READ_BY_SCRIPTS:
                    query = f"q={quote(ATTACK)}&number={quote(ATTACK)}&queue={quote(ATTACK)}"
                    seen.page.goto(f"{base}{path}?{query}#{quote(ATTACK)}")
                    seen.page.wait_for_timeout(150)
                    assert_unhurt(seen.page)
            for path in (f"/track/{quote(ATTACK, safe='')}", f"/{quote(ATTACK, safe='')}"):
                assert_escaped(seen, path)
    assert tried > 30


def test_no_address_of_a_script_is_taken_where_addresses_are(browser: Browser, base: str) -> None:
    with as_visitor(browser, base, "admin") as seen:
        token = str(seen.page.locator('meta[name="csrf-token"]').get_attribute("content"))
        for path, body in (
            ("webhooks", {"name": "x", "url": SCRIPT_URL, "events": ["created"]}),
            ("contacts", {"name": "x", "url": SCRIPT_URL, "role": "dispatcher"}),
        ):
            answer = seen.page.request.post(
                f"{base}/api/v1/{path}", data=body, headers={"X-CSRF-Token": token}
            )
            assert answer.status == 422, (path, answer.status)
    with as_visitor(browser, base, "cleaner") as seen:
        token = str(seen.page.locator('meta[name="csrf-token"]').get_attribute("content"))
        answer = seen.page.request.post(
            f"{base}/api/v1/push/subscriptions",
            data={"endpoint": SCRIPT_URL, "keys": {"p256dh": "x", "auth": "y"}},
            headers={"X-CSRF-Token": token},
        )
        assert answer.status == 422
    with as_visitor(browser, base, None) as seen:
        page = seen.page
        for target in (SCRIPT_URL, "//evil.example/", "https://evil.example/", "/\\evil.example"):
            seen.context.clear_cookies()
            page.goto(f"{base}/login?next={quote(target)}")
            page.fill("#username", "dispatcher")
            page.fill("#password", SAMPLE_PASSWORD)
            page.click("form.card button")
            page.wait_for_url(re.compile(re.escape(base) + r"/(?!login)"))
            assert page.evaluate("window.__hit ?? null") is None
