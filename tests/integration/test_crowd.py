"""Fifty people pressing at once on a hundred incidents, while the sweep runs: each move once, nobody hangs, none is lost."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.chasing import sweep
from dispatch.checking import check_record
from dispatch.desk import Desk
from dispatch.intake import take_in
from dispatch.reports import Report, Taken
from dispatch.steps import Actor, Asked, make_move
from grid.core.errors import Conflict, NotAllowed
from tests.ground import MORNING
from tests.integration.test_chasing import on_ground

PEOPLE, INCIDENTS, EACH, TO_CLOSE = 50, 100, 20, 20
# Tasks that nobody has accepted by then are taken back by the sweep, in the middle of it all.
LATER = MORNING.replace(hour=14, minute=30)
COLLECTOR = Actor("account:collector", "collector", None)
PHOTO = text(
    "insert into evidence (incident_id, stage, sha256, media_type, size_bytes, actor, received_at)"
    " values (:id, 'after', 'x', 'image/jpeg', 1, 'x', :at)"
)
# By account and move: how many lines the record has, of these incidents.
MADE = text(
    "select actor, move, count(*) as n from history where incident_id = any(:ids)"
    " and actor like 'account:crowd%' group by 1, 2"
)
TOLD = text(
    "select i.id, (select count(*) from history h where h.incident_id = i.id and h.move = 'dispatch') as given,"
    " (select count(*) from notice n where n.incident_id = i.id and n.kind = 'task_offered') as offered,"
    " (select count(*) from history h where h.incident_id = i.id and h.move = 'return') as came_back,"
    " (select count(*) from notice n where n.incident_id = i.id and n.kind = 'returned') as returned,"
    " (select count(*) from history h where h.incident_id = i.id and h.move = 'supervise') as pressed,"
    " (select count(*) from notice n where n.incident_id = i.id and n.kind = 'supervised'"
    "  and n.audience = 'role:dispatcher') as supervised,"
    " (select count(*) from history h where h.incident_id = i.id and h.move = 'close') as closed,"
    " (select count(*) from history h where h.incident_id = i.id and h.move = 'merge') as merged,"
    " (select count(*) from history h where h.incident_id = i.id and h.move = 'merged_in') as merged_in,"
    " (select count(*) from incident m where m.merged_into_id = i.id) as parts, i.status"
    " from incident i where i.id = any(:ids)"
)
OPEN_TASKS = text(
    "select i.status, count(t.id) as n from incident i join task t on t.incident_id = i.id"
    " and t.status in ('offered', 'accepted', 'arrived', 'waiting') and t.lead"
    " where i.id = any(:ids) group by i.id, i.status"
)


def ready(session: Session, desk: Desk) -> tuple[list[Taken], int, int]:
    """A hundred incidents with one cleaner, of which TO_CLOSE wait to be closed; the cleaner and a colleague."""
    _, point = on_ground(session)
    made = [
        take_in(session, desk, Report("patrol", "", "06042", point=point), "x", MORNING)
        for _ in range(INCIDENTS)
    ]
    holder = session.scalar(
        text("select assignee_id from task where incident_id = :id"), {"id": made[0].incident_id}
    )
    colleague = session.scalar(
        text(
            "select s.id from staff s join staff m on m.unit_id = s.unit_id and m.id = :me"
            " where s.id <> :me and s.post = 'cleaner' and s.left_at is null order by s.id limit 1"
        ),
        {"me": holder},
    )
    crew = Actor("account:cleaner", "cleaner", holder)
    for one in made[:TO_CLOSE]:
        session.execute(PHOTO, {"id": one.incident_id, "at": MORNING})
        make_move(session, desk, one.number, Asked("finish_task"), crew, MORNING)
        make_move(session, desk, one.number, Asked("check_passed"), COLLECTOR, MORNING)
    session.commit()
    assert holder is not None
    assert colleague is not None
    return made, holder, colleague


def presser(
    who: int, made: Sequence[Taken], holder: int, colleague: int
) -> tuple[Actor, Callable[[int], Asked]]:
    """What one of the fifty does again and again: cleaners, leaders, dispatchers, chiefs."""
    dice, key = random.Random(who), f"account:crowd{who}"
    if who % 5 == 0:
        # The same cleaner, or the colleague, on many phones.
        mine = holder if who % 2 == 0 else colleague
        return Actor(key, "cleaner", mine), lambda _: Asked("accept_task")
    if who % 5 == 1:
        return Actor(key, "leader", None), lambda _: Asked("supervise")
    if who % 5 == 2:
        mine = holder if who % 2 == 0 else colleague
        return Actor(key, "cleaner", mine), lambda _: Asked("return_task", note="不归我")
    if who % 5 == 3:
        return Actor(key, "watch_chief", None), lambda _: Asked("close", condition="met")

    def give_or_merge(_: int) -> Asked:
        if dice.random() < 0.6:
            return Asked("dispatch", to=dice.choice([holder, colleague]))
        return Asked("merge", to=dice.choice(made).number)

    return Actor(key, "dispatcher", None), give_or_merge


def test_each_move_is_made_once(town_services: Services) -> None:
    desk = town_services.desk
    with town_services.sessions() as session:
        made, holder, colleague = ready(session, desk)
    results: Counter[tuple[str, str]] = Counter()
    refused: Counter[str] = Counter()
    failures: list[Exception] = []
    together = threading.Barrier(PEOPLE + 1)

    def press(who: int) -> None:
        actor, wanted = presser(who, made, holder, colleague)
        together.wait()
        for step in range(EACH):
            number, asked = made[(who * 7 + step * 3) % INCIDENTS].number, wanted(step)
            try:
                with town_services.sessions() as session:
                    make_move(session, desk, number, asked, actor, LATER)
                    session.commit()
                results[actor.key, asked.move] += 1
            except (Conflict, NotAllowed) as told:
                refused[told.code] += 1
            except Exception as failure:
                failures.append(failure)

    def watch() -> None:
        together.wait()
        for _ in range(5):
            with town_services.sessions() as session:
                sweep(session, desk, LATER)
                session.commit()

    threads = [threading.Thread(target=press, args=(who,)) for who in range(PEOPLE)]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    # No deadlock, no fault: whoever was slower was told why.
    assert failures == []
    assert sum(results.values()) + sum(refused.values()) == PEOPLE * EACH
    pressed = {move for _, move in results}
    assert pressed == {"accept_task", "supervise", "return_task", "dispatch", "close", "merge"}
    ids = [one.incident_id for one in made]
    with town_services.sessions() as session:
        # Each answer is one line of the record, and no line stands there that nobody was answered.
        lines = {(row.actor, row.move): row.n for row in session.execute(MADE, {"ids": ids})}
        beside = {"return", "merged_in"}
        assert {key: n for key, n in lines.items() if key[1] not in beside} == results
        for row in session.execute(TOLD, {"ids": ids}):
            # Nobody was told twice, and everybody who was to be told was.
            assert row.offered == row.given
            assert row.returned == row.came_back
            # A lead is told of the supervision of what was merged into it, too.
            assert row.pressed <= 1
            assert row.supervised == row.pressed or (row.merged_in and row.supervised)
            assert row.closed == (row.status == "closed")
            assert row.merged == (row.status == "merged")
            assert row.merged_in == row.parts
        for row in session.execute(OPEN_TASKS, {"ids": ids}):
            assert (row.status in ("dispatched", "in_disposal"), row.n) == (True, 1)
        assert [f for f in check_record(session) if f.code.startswith("record.history")] == []
