"""Requests that arrive at the same time, worked together: what comes while others are at work waits and goes as one batch.

Alone a request waits for nobody. When many come, a batch pays once for what each would pay by itself: the change of
threads, the questions to the database, and the commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

# While one batch waits for the disk another is made ready; a third would only cut the batches smaller.
AT_WORK = 2
# A batch's answers leave together: more of them would keep the first waiting.
MOST = 32


class Together(Generic[Asked, Answer]):
    """Hands what is asked to `work` in batches, in threads; it gives an answer, or an error to raise, for each."""

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._work = work
        self._threads = ThreadPoolExecutor(AT_WORK, "together")
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._at_work = 0

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one; whoever goes away leaves it to be worked all the same."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        # Not at once: what the same turn of the loop still brings goes along.
        asyncio.get_running_loop().call_soon(self._begin)
        return await answer

    def _begin(self) -> None:
        while self._waiting and self._at_work < AT_WORK:
            batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            self._at_work += 1
            working = asyncio.get_running_loop().run_in_executor(
                self._threads, self._work, [asked for asked, _ in batch]
            )
            answers = [answer for _, answer in batch]
            working.add_done_callback(partial(self._done, answers))

    def _done(
        self,
        answers: Sequence[asyncio.Future[Answer]],
        working: asyncio.Future[Sequence[Answer | Exception]],
    ) -> None:
        self._at_work -= 1
        failure = asyncio.CancelledError() if working.cancelled() else working.exception()
        made = working.result() if failure is None else [failure] * len(answers)
        for answer, outcome in zip(answers, made, strict=True):
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        self._begin()
