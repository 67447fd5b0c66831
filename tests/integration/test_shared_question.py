"""One question for many: everybody gets an answer begun after they asked, and a lost connection is opened anew."""

from __future__ import annotations

import asyncio
import contextlib

import psycopg
import pytest

from api.shared_question import SharedQuestion
from tests.databases import TestCluster

STATEMENT = "select k, pg_backend_pid(), nextval('turn') from unnest($1::text[]) k"


def counting(cluster: TestCluster, url: str) -> SharedQuestion:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create sequence turn")
    return SharedQuestion(url, STATEMENT)


def test_many_ask_and_share(cluster: TestCluster) -> None:
    async def ask_all(question: SharedQuestion) -> list[list[tuple[bytes | None, ...]]]:
        keys = [f"k{n}".encode() for n in range(50)]
        found = await asyncio.gather(*(question.ask(key) for key in keys))
        for key, rows in zip(keys, found, strict=True):
            assert key in {row[0] for row in rows}
        question.close()
        return found

    with cluster.database() as url:
        found = asyncio.run(ask_all(counting(cluster, url)))
    # While one is asked the others wait together: two answers at most.
    assert len({id(rows) for rows in found}) <= 2


def test_it_comes_back_after_a_loss_and_on_another_loop(cluster: TestCluster) -> None:
    async def once(question: SharedQuestion) -> bytes | None:
        return (await question.ask(b"a"))[0][1]

    async def lose(question: SharedQuestion, url: str) -> None:
        pid = await once(question)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", [int(pid or 0)])
        now = pid
        for _ in range(100):
            with contextlib.suppress(psycopg.OperationalError):
                now = await once(question)
        assert now != pid
        question.close()

    with cluster.database() as url:
        question = counting(cluster, url)
        first = asyncio.run(once(question))
        assert asyncio.run(once(question)) != first
        asyncio.run(lose(question, url))


def test_what_cannot_be_asked_says_so(cluster: TestCluster) -> None:
    with cluster.database() as url:
        wrong = SharedQuestion(url, "select nothing from nowhere where $1::text[] is null")
        with pytest.raises(psycopg.OperationalError, match="nowhere"):
            asyncio.run(wrong.ask(b"a"))
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(SharedQuestion("host=/nowhere", STATEMENT).ask(b"a"))
