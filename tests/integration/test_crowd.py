"""Fifty people pressing at once on a hundred incidents, while the sweep runs: each move once, nobody hangs."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

from sqlalchemy import text

from api.services import Services
from dispatch.chasing import sweep
from dispatch.checking import check_record
from dispatch.intake import Report, take_in
from dispatch.steps import Actor, Asked, make_move
from grid.core.errors import Conflict
from tests.ground import MORNING
from tests.integration.test_chasing import on_ground

PEOPLE, INCIDENTS, EACH = 50, 100, 20


def test_each_move_is_made_once(town_services: Services) -> None:
    desk = town_services.desk
    with town_services.sessions() as session:
        _, point = on_ground(session)
        made = [
            take_in(session, desk, Report("patrol", "", "06042", point=point), "x", MORNING)
            for _ in range(INCIDENTS)
        ]
        holder = session.scalar(
            text("select assignee_id from task where incident_id = :id"),
            {"id": made[0].incident_id},
        )
        session.commit()
    results: Counter[str] = Counter()
    failures: list[Exception] = []
    together = threading.Barrier(PEOPLE + 1)
    later = MORNING + timedelta(minutes=1)

    def press(who: int) -> None:
        # One half are the same cleaner on many phones, the other half leaders pressing.
        crew = who % 2 == 0
        actor = Actor(f"account:{who}", "cleaner" if crew else "leader", holder if crew else None)
        asked = Asked("accept_task" if crew else "supervise")
        together.wait()
        for step in range(EACH):
            number = made[(who * 7 + step * 3) % INCIDENTS].number
            try:
                with town_services.sessions() as session:
                    make_move(session, desk, number, asked, actor, later)
                    session.commit()
                results[asked.move] += 1
            except Conflict as told:
                results[told.code] += 1
            except Exception as failure:
                failures.append(failure)

    def watch() -> None:
        together.wait()
        for _ in range(5):
            with town_services.sessions() as session:
                sweep(session, desk, MORNING.replace(hour=14, minute=30))
                session.commit()

    threads = [threading.Thread(target=press, args=(who,)) for who in range(PEOPLE)]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    ids = [one.incident_id for one in made]
    with town_services.sessions() as session:
        lines = session.execute(
            text(
                "select incident_id, move, count(*) as n from history"
                " where incident_id = any(:ids) and move in ('accept_task', 'supervise')"
                " group by 1, 2"
            ),
            {"ids": ids},
        ).all()
        assert {row.n for row in lines} == {1}
        assert Counter(row.move for row in lines) == Counter(
            {move: results[move] for move in ("accept_task", "supervise")}
        )
        # Nobody was told twice, and everybody who was to be told was.
        notices = session.execute(
            text(
                "select incident_id, kind, count(*) as n from notice where incident_id = any(:ids)"
                " and kind in ('task_offered', 'supervised') and staff_id is not null"
                " group by 1, 2"
            ),
            {"ids": ids},
        ).all()
        assert {row.n for row in notices} == {1}
        offered = {row.incident_id for row in notices if row.kind == "task_offered"}
        assert offered == set(ids)
        assert sum(results.values()) == PEOPLE * EACH
        assert [f for f in check_record(session) if f.code.startswith("record.history")] == []
