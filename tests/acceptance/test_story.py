"""The story of one incident through five people's screens, in both languages: a call, a crew without network, a check,
the closing, and the resident who called.

Every step leaves a picture in build/screenshots (or the folder of GRIDWARD_PICTURES).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import text

from api.services import Services
from tests.acceptance.site import (
    DESKTOP,
    PHONE,
    Visit,
    category_of,
    chromium,
    picture,
    scene,
    serving,
    spot_of,
    take_photo,
    visit,
)

CALLER = "13800001234"
SAYS = {
    "zh": ("{street}{number}号门口垃圾桶满了，垃圾掉了一地", "处置中", "已结案", "解决了，谢谢"),
    "en": ("Bin overflowing at {street}{number}号", "In disposal", "Closed", "Solved, thank you"),
}


@pytest.fixture(scope="module")
def base(town_services: Services) -> Iterator[str]:
    with serving(town_services) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    return {
        name: scene(folder / f"{name}.jpg", clean=name != "before")
        for name in ("before", "after", "checked")
    }


@pytest.fixture(scope="module")
def doors(town_services: Services) -> list[tuple[str, str]]:
    """Doors in the cleaner's own grid: street and house number."""
    grid = spot_of(town_services, "cleaner").grid
    with town_services.sessions() as session:
        rows = session.execute(
            text(
                "select d.street_name, d.house_number from door_plate d"
                " join grid_segment h on h.segment_id = d.segment_id and upper_inf(h.valid)"
                " and h.side = d.side join grid g on g.id = h.grid_id where g.code = :grid"
                " and (select count(distinct grid_id) from grid_segment k"
                "  where k.segment_id = d.segment_id and upper_inf(k.valid)) = 1"
                " order by d.id"
            ),
            {"grid": grid},
        ).all()
    assert len(rows) > 10
    return [(row.street_name, row.house_number) for row in rows[:: len(rows) // 5]]


def opened(stack: ExitStack, browser: Browser, base: str, who: str, language: str) -> Visit:
    """A desk, or a phone for those who have one."""
    desk = who in ("operator", "watch_chief")
    phone: dict[str, Any] = {"has_touch": True, "is_mobile": True}
    seen = stack.enter_context(
        visit(browser, base, language, DESKTOP if desk else PHONE, **({} if desk else phone))
    )
    if who != "resident":
        seen.sign_in(who)
    return seen


def comes_back(seen: Visit) -> None:
    """The phone is taken out of the pocket again."""
    seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_one_incident_through_five_peoples_screens(
    browser: Browser,
    base: str,
    town_services: Services,
    photos: dict[str, Path],
    doors: list[tuple[str, str]],
    language: str,
) -> None:
    sentence, in_work, closed, thanks = SAYS[language]
    street, house = doors[1 if language == "zh" else 2]
    said = sentence.format(street=street, number=house.removesuffix("号"))
    with town_services.sessions() as session:
        name = session.scalar(
            text(f"select name_{language} from category where code = :c"),
            {"c": category_of(town_services, "cleaner")},
        )
    with ExitStack() as stack:
        crew = opened(stack, browser, base, "cleaner", language)
        crew.page.wait_for_selector("#tasks .task, #tasks .empty")
        crew.page.evaluate("navigator.serviceWorker.ready.then(() => true)")

        # The operator types what the caller says, and saves.
        operator = opened(stack, browser, base, "operator", language)
        page = operator.page
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        page.keyboard.press("n")
        page.fill("#r-description", said)
        page.fill("#r-category", str(name))
        page.select_option("#r-channel", "hotline_12345")
        page.fill("#r-phone", CALLER)
        expect(page.locator("#preview .facts")).to_contain_text(street)
        picture(page, f"story-{language}-01-operator-types")
        page.locator("#r-description").press("Control+Enter")
        expect(page.locator("#panel h1")).to_be_visible()
        expect(page.locator("#panel")).to_contain_text(in_work)
        number = str(page.locator("#panel").inner_text()).split("20", 1)[1]
        number = "20" + number.split()[0]
        picture(page, f"story-{language}-02-operator-saved")

        # The crew's phone has it when it is looked at, loses the network, and the work is done all the same.
        comes_back(crew)
        page = crew.page
        task = page.locator(f'.task[data-number="{number}"]')
        expect(task).to_be_visible()
        picture(page, f"story-{language}-03-crew-tasks")
        crew.context.set_offline(True)
        task.click()
        picture(page, f"story-{language}-04-crew-task")
        page.click("[data-act=accept]")
        page.click("[data-act=arrive]")
        take_photo(page, "[data-act=before]", photos["before"])
        expect(page.locator("#unsent")).to_contain_text("3")
        page.click("[data-act=finish]")
        take_photo(page, "[data-take=after]", photos["after"])
        page.locator("[data-form=finish] .choice input").first.check()
        expect(page.locator("[data-send=finish]")).to_be_enabled()
        picture(page, f"story-{language}-05-crew-finishes")
        page.click("[data-send=finish]")
        expect(page.locator("#sheet")).to_be_hidden()
        expect(page.locator("#unsent")).to_contain_text("5")
        page.click("#unsent")
        picture(page, f"story-{language}-06-crew-unsent")
        put_back(town_services, number, crew, minutes=38)
        crew.context.set_offline(False)
        expect(page.locator("#unsent")).to_be_hidden(timeout=30_000)
        page.click(".tabs [data-view=tasks]")
        expect(task).to_have_class("task over")
        picture(page, f"story-{language}-07-crew-sent")

        # The collector looks at the place and passes it.
        collector = opened(stack, browser, base, "collector", language)
        page = collector.page
        page.click(f'.task[data-number="{number}"]')
        picture(page, f"story-{language}-08-collector-check")
        page.click("[data-act=passed]")
        take_photo(page, "[data-take=after]", photos["checked"])
        expect(page.locator("[data-send=passed]")).to_be_enabled()
        page.click("[data-send=passed]")
        expect(page.locator("#sheet")).to_be_hidden()
        expect(page.locator("#unsent")).to_be_hidden(timeout=30_000)

        # The watch chief finds it in the queue, reads the story, and closes it.
        chief = opened(stack, browser, base, "watch_chief", language)
        page = chief.page
        page.click("[data-queue=to_close]")
        page.click(f"#row-{number}")
        done = page.locator("#panel .steps li").filter(has_text=crew_word(language)).first
        expect(done).to_be_visible()
        picture(page, f"story-{language}-09-chief-reads")
        page.click("[data-move=close]")
        page.locator(".move-form button[type=submit]").click()
        expect(page.locator("#panel")).to_contain_text(closed)
        page.evaluate("document.querySelector('#panel .steps li:last-child').scrollIntoView()")
        picture(page, f"story-{language}-10-chief-closed")

        # The resident has the number from the call, shows that it was theirs, sees the result and says so.
        resident = opened(stack, browser, base, "resident", language)
        page = resident.page
        page.goto(f"{base}/track/{number}")
        expect(page.locator(".result img")).to_have_count(0)
        assert said not in page.inner_text("body"), "a number alone shows no words"
        page.locator("details summary", has=page.locator(":scope")).last.click()
        page.fill("#own-phone", CALLER)
        page.click("[data-ask=phone] button")
        expect(page.locator(".result img").first).to_be_visible()
        loaded = "(img) => img.complete && img.naturalWidth > 0"
        page.wait_for_function(f"() => ({loaded})(document.querySelector('.result img'))")
        picture(page, f"story-{language}-11-resident-result")
        page.check("[name=rating][value=satisfied]")
        page.locator("[value=solved]").scroll_into_view_if_needed()
        picture(page, f"story-{language}-12-resident-answers")
        expect(page.locator("[value=solved]")).to_have_text(thanks)
        page.click("[value=solved]")
        page.wait_for_url("**said=solved**")
        expect(page.locator("[data-ask=solved] [value=solved]")).to_have_count(0)
        picture(page, f"story-{language}-13-resident-thanked")
        for seen in (operator, crew, collector, chief, resident):
            seen.assert_fits()
            seen.assert_clean()
    as_recorded(town_services, number)


def crew_word(language: str) -> str:
    """How the record says that something was done before it was received."""
    return "收到" if language == "zh" else "received"


def put_back(services: Services, number: str, crew: Visit, minutes: int) -> None:
    """As if the crew had had no network for so long: the report and the phone's steps lie that far back."""
    by = {"n": number, "by": timedelta(minutes=minutes)}
    mine = "incident_id = (select id from incident where number = :n)"
    with services.sessions() as session:
        session.execute(text("alter table history disable trigger user"))
        session.execute(
            text(f"update history set at = at - cast(:by as interval) where {mine}"),
            by,
        )
        session.execute(text("alter table history enable trigger user"))
        session.execute(
            text(f"update task set assigned_at = assigned_at - cast(:by as interval) where {mine}"),
            by,
        )
        session.execute(
            text(
                "update incident set clocks = (select jsonb_agg(c || jsonb_build_object("
                "'started_at', (c->>'started_at')::timestamptz - cast(:by as interval))"
                " || case when c->>'stopped_at' is null then '{}'::jsonb else jsonb_build_object("
                "'stopped_at', (c->>'stopped_at')::timestamptz - cast(:by as interval)) end)"
                " from jsonb_array_elements(clocks) c) where number = :n"
            ),
            by,
        )
        session.commit()
    crew.page.evaluate(
        """(minutes) => new Promise((done) => { const asked = indexedDB.open('gridward-field');
        asked.onsuccess = () => { const tx = asked.result.transaction('outbox', 'readwrite'); const store = tx.objectStore('outbox');
          store.getAll().onsuccess = (event) => event.target.result.forEach((item) => {
            item.at = new Date(new Date(item.at).getTime() - minutes * 60000).toISOString(); store.put(item); });
          tx.oncomplete = () => done(); }; })""",
        minutes,
    )


def as_recorded(services: Services, number: str) -> None:
    """What the record and the clocks say in the end."""
    with services.sessions() as session:
        row = session.execute(
            text("select id, status, facts, clocks from incident where number = :n"), {"n": number}
        ).one()
        lines = session.execute(
            text(
                "select move, at, detail, actor from history where incident_id = :id order by seq"
            ),
            {"id": row.id},
        ).all()
        stages = session.scalars(
            text("select stage from evidence where incident_id = :id order by id"), {"id": row.id}
        ).all()
    moves = [line.move for line in lines]
    wanted = ["accept_task", "arrive", "finish_task", "submit", "check_passed", "close", "confirm_solved"]  # fmt: skip
    assert [move for move in moves if move in wanted] == wanted
    assert list(stages) == ["before", "after", "after"]
    assert (row.status, row.facts["solved_said"]) == ("closed", "satisfied")
    by_move = {line.move: line for line in lines}
    for move in ("accept_task", "arrive", "finish_task", "submit"):
        line = by_move[move]
        waited = line.at - datetime.fromisoformat(line.detail["done_at"])
        assert waited > timedelta(minutes=37), f"{move} counts from when it was done"
    disposal = next(clock for clock in row.clocks if clock["kind"] == "disposal")
    told = datetime.fromisoformat(by_move["submit"].detail["done_at"])
    assert abs(datetime.fromisoformat(disposal["stopped_at"]) - told) < timedelta(seconds=1)
    assert by_move["confirm_solved"].actor == "anonymous"
