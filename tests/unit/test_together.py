"""Requests worked together: each gets its own answer, none waits alone, none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from api.together import AT_WORK, MOST, Together


def test_one_that_comes_alone_goes_alone_and_at_once() -> None:
    batches: list[list[int]] = []

    def work(asked: Sequence[int]) -> list[int | Exception]:
        batches.append(list(asked))
        return [-each for each in asked]

    assert asyncio.run(Together(work).ask(7)) == -7
    assert batches == [[7]]


def test_what_comes_while_others_are_at_work_goes_as_one_batch_in_its_order() -> None:
    begun, let_go = threading.Semaphore(0), threading.Event()
    batches: list[list[int]] = []

    def work(asked: Sequence[int]) -> list[int | Exception]:
        batches.append(list(asked))
        begun.release()
        assert let_go.wait(10)
        return [-each for each in asked]

    async def story() -> list[int]:
        together: Together[int, int] = Together(work)
        loop = asyncio.get_running_loop()
        first = []
        for number in range(AT_WORK):
            first.append(loop.create_task(together.ask(number)))
            await asyncio.to_thread(begun.acquire)
        others = [loop.create_task(together.ask(100 + number)) for number in range(MOST + 1)]
        await asyncio.sleep(0.05)
        assert len(batches) == AT_WORK
        let_go.set()
        return list(await asyncio.gather(*first, *others))

    answers = asyncio.run(story())
    assert answers == [-n for n in range(AT_WORK)] + [-100 - n for n in range(MOST + 1)]
    assert batches[:AT_WORK] == [[n] for n in range(AT_WORK)]
    # No larger than a batch may be: the one too many goes with the next.
    assert batches[AT_WORK:] == [[100 + n for n in range(MOST)], [100 + MOST]]


def test_an_error_reaches_the_one_it_belongs_to_and_nobody_else() -> None:
    def work(asked: Sequence[int]) -> list[int | Exception]:
        return [ValueError(each) if each % 2 else each for each in asked]

    async def story() -> list[int | BaseException]:
        together: Together[int, int] = Together(work)
        return await asyncio.gather(*map(together.ask, range(6)), return_exceptions=True)

    answers = asyncio.run(story())
    assert answers[::2] == [0, 2, 4]
    assert [str(each) for each in answers[1::2]] == ["1", "3", "5"]


def test_a_batch_that_fails_whole_tells_each_of_it_and_the_next_goes_on() -> None:
    def work(asked: Sequence[int]) -> list[int | Exception]:
        if 3 in asked:
            raise RuntimeError("the disk is full")
        return list(asked)

    async def story() -> None:
        together: Together[int, int] = Together(work)
        answers = await asyncio.gather(*map(together.ask, range(4)), return_exceptions=True)
        assert [str(each) for each in answers] == ["the disk is full"] * 4
        assert await together.ask(4) == 4

    asyncio.run(story())


def test_one_who_goes_away_is_worked_all_the_same_and_holds_nobody_up() -> None:
    worked: list[int] = []
    let_go = threading.Event()

    def work(asked: Sequence[int]) -> list[int | Exception]:
        assert let_go.wait(10)
        worked.extend(asked)
        return list(asked)

    async def story() -> None:
        together: Together[int, int] = Together(work)
        loop = asyncio.get_running_loop()
        gone, stays = loop.create_task(together.ask(1)), loop.create_task(together.ask(2))
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        let_go.set()
        assert await stays == 2

    asyncio.run(story())
    assert worked == [1, 2]
