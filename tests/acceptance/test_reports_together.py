"""Many reports at the same moment over HTTP: each its own answer, whatever came beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from api.app import make_app
from api.cli.demonstration import SAMPLE_PASSWORD
from api.routes.intake import Sent
from api.services import Services
from dispatch.checking import check_record
from grid.core.database import make_sessions, sqlalchemy_url

SENTENCE = "永胜路与站前路交叉口东北角垃圾满溢"
REPORT = {"channel": "hotline_12345", "category": "06042", "description": SENTENCE}
PATH = "/api/v1/incidents"


async def _token(client: httpx.AsyncClient, role: str) -> dict[str, str]:
    signed_in = await client.post(
        "/api/v1/token", data={"username": role, "password": SAMPLE_PASSWORD}
    )
    return {"Authorization": f"Bearer {signed_in.json()['access_token']}"}


def test_every_report_of_a_crowd_gets_its_own_answer(town_services: Services) -> None:
    services = town_services
    sizes: list[int] = []

    async def story() -> tuple[list[httpx.Response], list[dict[str, Any]]]:
        app = make_app(services)
        work = app.state.reports_together._work

        def counted(sent: Sequence[Sent]) -> Any:
            sizes.append(len(sent))
            return work(sent)

        app.state.reports_together._work = counted
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            operator = await _token(client, "operator")

            async def send(headers: dict[str, str], **changes: Any) -> httpx.Response:
                key = changes.pop("key", None)
                keyed = {"Idempotency-Key": key} if key else {}
                return await client.post(
                    PATH, json={**REPORT, **changes}, headers={**headers, **keyed}
                )

            answers = await asyncio.gather(
                send(operator, description="第一件：" + SENTENCE),
                send(operator, channel="no such channel"),
                send({"Authorization": "Bearer nobody"}),
                send({}, channel="citizen", description="第二件：" + SENTENCE),
                send({}),
                send(operator, reporter={"mail": "a\x00b", "tell_by": "mail"}),
                send(operator, channel="camera", description="第三件：" + SENTENCE),
                send(operator, key="twice", description="第四件：" + SENTENCE),
                send(operator, key="twice", description="第四件：" + SENTENCE),
                send(operator, channel="camera", description="第五件：" + SENTENCE),
            )
            read = [
                (await client.get(answer.headers["Location"], headers=operator)).json()
                for answer in answers
                if answer.is_success
            ]
        return answers, read

    answers, read = asyncio.run(story())
    codes = [answer.json().get("code") or answer.status_code for answer in answers]
    assert codes[:6] == [
        *(201, "channel.unknown", "auth.sign_in_needed"),
        *(201, "auth.sign_in_needed", "request.invalid"),
    ]
    # Of two with one key, one is the incident and the other is told of it; a camera sees what somebody reported.
    assert sorted(codes[7:9]) == [200, 201]
    assert answers[7].json()["number"] == answers[8].json()["number"]
    assert (codes[6], codes[9]) == (200, 200)
    assert max(sizes) > 1, "nothing came together"
    for answer, later in zip([a for a in answers if a.is_success], read, strict=True):
        assert answer.json()["number"] == later["number"]
        assert answer.json()["description"] == later["description"]
    with services.sessions() as session:
        made = session.execute(
            text(
                "select description, count(*) from incident where description like '第_件：%'"
                " group by 1 order by 1"
            )
        ).all()
        # Once each; what the cameras saw is attached and no incident of its own.
        assert [tuple(row) for row in made] == [
            (f"第{n}件：{SENTENCE}", 1) for n in sorted(("一", "二", "四"))
        ]
        assert [f for f in check_record(session) if f.code.startswith("record.history")] == []


def test_where_the_database_fails_all_of_them_each_is_still_taken_in(
    town_services: Services,
) -> None:
    """What PostgreSQL refuses ends the common transaction: nobody else pays for it."""
    services = town_services
    with services.sessions() as session:
        session.execute(
            text(
                "create function refuse() returns trigger language plpgsql as"
                " $$ begin raise data_exception using message = 'refused'; end $$"
            )
        )
        session.execute(
            text(
                "create trigger refuse before insert on incident for each row"
                " when (new.description = 'refuse me') execute function refuse()"
            )
        )
        session.commit()

    async def story() -> list[httpx.Response]:
        app = make_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            operator = await _token(client, "operator")
            return list(
                await asyncio.gather(
                    *(
                        client.post(
                            PATH,
                            json={**REPORT, **({"description": "refuse me"} if n % 5 == 0 else {})},
                            headers=operator,
                        )
                        for n in range(20)
                    )
                )
            )

    try:
        answers = asyncio.run(story())
    finally:
        with services.sessions() as session:
            session.execute(text("drop function refuse cascade"))
            session.commit()
    assert [answer.status_code for answer in answers] == [
        422 if n % 5 == 0 else 201 for n in range(20)
    ]
    numbers = [answer.json()["number"] for answer in answers if answer.is_success]
    assert len(set(numbers)) == 16


def test_a_connection_that_is_lost_at_the_commit_is_told_and_nothing_is_written_a_second_time(
    town_services: Services,
) -> None:
    """Nobody knows then whether the common transaction was committed: who sent must ask again, with a key."""
    services = town_services
    with services.sessions() as session:
        session.execute(
            text(
                "create function cut() returns trigger language plpgsql as $$ begin"
                " if (select count(*) from incident where description = 'cut me'"
                " and xmin = pg_current_xact_id()::xid) > 1 then"
                " perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$"
            )
        )
        session.execute(
            text(
                "create constraint trigger cut after insert on incident deferrable initially deferred"
                " for each row when (new.description = 'cut me') execute function cut()"
            )
        )
        session.commit()

    async def story() -> list[httpx.Response]:
        app = make_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            operator = await _token(client, "operator")
            sent = {**REPORT, "description": "cut me"}
            return list(
                await asyncio.gather(
                    *(client.post(PATH, json=sent, headers=operator) for _ in range(6))
                )
            )

    try:
        answers = asyncio.run(story())
        with services.sessions() as session:
            written = session.scalar(
                text("select count(*) from incident where description = 'cut me'")
            )
    finally:
        with services.sessions() as session:
            session.execute(text("drop function cut cascade"))
            session.commit()
    taken = [answer for answer in answers if answer.status_code == 201]
    assert len(taken) == written
    lost = [answer.json()["code"] for answer in answers if answer.status_code != 201]
    assert lost
    assert set(lost) == {"database.unavailable"}


def test_a_database_that_does_not_answer_is_not_asked_again_for_each_of_them(
    empty_services: Services,
) -> None:
    """Each asking may take as long as a connection is waited for: a crowd must not stand in line for that."""
    asked: list[int] = []

    def refuse(listener: socket.socket) -> None:
        # Ends when the listener is closed.
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()
                asked.append(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        url = f"postgresql://nobody@127.0.0.1:{listener.getsockname()[1]}/none?sslmode=disable&gssencmode=disable"
        engine = create_engine(sqlalchemy_url(url))
        services = replace(empty_services, engine=engine, sessions=make_sessions(engine))
        app = make_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)

        async def story() -> list[httpx.Response]:
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                headers = {"Authorization": "Bearer somebody"}
                return list(
                    await asyncio.gather(
                        *(client.post(PATH, json=REPORT, headers=headers) for _ in range(20))
                    )
                )

        answers = asyncio.run(story())
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(503, "database.unavailable")}
    # Once for all of them; they may have come as two batches.
    assert len(asked) <= 2
