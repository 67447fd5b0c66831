"""Questions that the event loop waits for itself: right answers side by side, and no answer read by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from api.loop_connections import LoopConnections
from tests.databases import TestCluster

STATEMENTS = {
    "twice": "select $1::int8 * 2",
    "long": "select convert_to(repeat('路', $1::int), 'UTF8')",
    "none": "select 1 where $1::text is null",
    "slow": "select pg_backend_pid() from pg_sleep($1)",
    "wrong": "select 1 / $1::int",
}


@pytest.fixture
def url(cluster: TestCluster) -> Iterator[str]:
    with cluster.database() as made:
        yield made


def number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")


def test_many_at_once_each_get_their_own_answer(url: str) -> None:
    async def ask() -> None:
        connections = LoopConnections(url, STATEMENTS)
        for _ in range(2):
            found = await asyncio.gather(*(connections.value("twice", [n]) for n in range(8)))
            assert [number(value) for value in found] == [2 * n for n in range(8)]
        # More than one packet, and none at all.
        assert await connections.value("long", [400_000]) == "路".encode() * 400_000
        assert await connections.value("none", ["x"]) is None
        connections.close()

    asyncio.run(ask())


def test_a_wrong_question_spoils_no_other_and_a_lost_connection_is_opened_anew(url: str) -> None:
    async def ask() -> None:
        connections = LoopConnections(url, STATEMENTS)
        first = number(await connections.value("slow", [0]))
        with pytest.raises(psycopg.OperationalError, match="zero"):
            await connections.value("wrong", [0])
        assert number(await connections.value("slow", [0])) == first
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", [first])
        assert number(await connections.value("slow", [0])) != first
        connections.close()

    asyncio.run(ask())


def test_an_answer_that_nobody_waits_for_is_read_by_nobody(url: str) -> None:
    async def ask() -> None:
        connections = LoopConnections(url, STATEMENTS)
        first = number(await connections.value("slow", [0]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connections.value("slow", [30]), 0.2)
        assert number(await connections.value("twice", [21])) == 42
        assert number(await connections.value("slow", [0])) != first
        connections.close()

    asyncio.run(ask())


def test_what_cannot_be_opened_says_so(url: str) -> None:
    for wrong in (
        LoopConnections("host=/nowhere", STATEMENTS),
        LoopConnections(url, {"twice": "select nothing from nowhere where $1 = 1"}),
    ):
        with pytest.raises(psycopg.OperationalError, match="nowhere"):
            asyncio.run(wrong.value("twice", [1]))
