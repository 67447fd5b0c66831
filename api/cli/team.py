"""Who does the work of a bulk command: this process, one process for each core, or a Dask cluster.

A team holds one state, read only, and answers asks in any order; `in_turn` keeps the order of the rows and a
bounded number of pieces in the air.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

from grid.core.errors import Trouble, Unavailable

T = TypeVar("T")
A = TypeVar("A")
Answer = TypeVar("Answer", covariant=True)
CONNECT_SECONDS = 10
# What a forked worker finds in its memory: the team's state, put here just before the fork.
_held: dict[str, Any] = {}


class Pending(Protocol[Answer]):
    """An answer that comes later."""

    def result(self) -> Answer:
        """Waits for it; raises what the work raised."""


class Team(Protocol):
    """Workers that share one state."""

    width: int

    def ask(self, work: Callable[..., Any], *values: Any) -> Pending[Any]:
        """`work(state, *values)`, done by somebody; `work` is a function of a module."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def team(state: Any, width: int, dask: str | None = None) -> AbstractContextManager[Team]:
    """A team of `width` processes, of this one alone where that is 1, or of a Dask cluster's workers.

    Raises Unavailable `dask.not_installed`, `dask.unreachable`, `dask.no_workers`.
    """
    if dask is not None:
        return _Cluster(state, dask)
    return _Forked(state, width) if width > 1 else _Alone(state)


def in_turn(
    team: Team, given: Iterable[A], ask: Callable[[A], Pending[T]]
) -> Iterator[tuple[A, T]]:
    """Each of `given` with its answer, in their order; never more than twice the team's width under way.

    Raises Unavailable `work.worker_lost` when a worker died, and what the work raised.
    """
    under_way: deque[tuple[A, Pending[T]]] = deque()
    for item in given:
        under_way.append((item, ask(item)))
        if len(under_way) >= 2 * team.width:
            yield _finished(*under_way.popleft())
    while under_way:
        yield _finished(*under_way.popleft())


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Lets a `kill` unwind like Ctrl-C, so that nothing half-written is left behind."""

    def leave(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _finished(item: A, pending: Pending[T]) -> tuple[A, T]:
    try:
        return item, pending.result()
    except BrokenProcessPool as error:
        raise Unavailable("work.worker_lost") from error


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


class _Alone:
    width = 1

    def __init__(self, state: Any) -> None:
        self._state = state

    def __enter__(self) -> _Alone:
        return self

    def __exit__(self, *_why: object) -> None:
        return

    def ask(self, work: Callable[..., Any], *values: Any) -> Pending[Any]:
        return _Done(work(self._state, *values))


class _Forked:
    """Processes forked from this one: they read the state where it lies, without a copy."""

    def __init__(self, state: Any, width: int) -> None:
        self.width = width
        self._state = state

    def __enter__(self) -> _Forked:
        _held["state"] = self._state
        # Frozen objects are not touched by the collector of a worker, so their pages stay shared.
        gc.collect()
        gc.freeze()
        self._pool = ProcessPoolExecutor(
            self.width, multiprocessing.get_context("fork"), initializer=_begin
        )
        self._pool.submit(os.getpid).result()
        _held.clear()
        return self

    def __exit__(self, *_why: object) -> None:
        # What is given up is not begun; a piece under way is ended, not killed: a worker that dies while it writes
        # leaves half an answer in the pipe, and whoever reads it waits for the rest for ever.
        self._pool.shutdown(wait=True, cancel_futures=True)
        gc.unfreeze()

    def ask(self, work: Callable[..., Any], *values: Any) -> Pending[Any]:
        try:
            return self._pool.submit(_with_state, work, values)
        except BrokenProcessPool as error:
            raise Unavailable("work.worker_lost") from error


def _begin() -> None:
    """In a worker: Ctrl-C is the parent's to answer, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def _with_state(work: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    return work(_held["state"], *values)


class _Cluster:
    """The workers of a Dask cluster; each is sent the state once."""

    def __init__(self, state: Any, address: str) -> None:
        self._state = state
        self._address = address

    def __enter__(self) -> _Cluster:
        try:
            # Its functions are without types.
            client_of: Any = import_module("distributed").Client
        except ImportError as error:
            raise Unavailable("dask.not_installed", field="dask") from error
        try:
            self._client = client_of(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable("dask.unreachable", field="dask", address=self._address) from error
        try:
            self.width = sum(self._client.nthreads().values())
            if not self.width:
                raise Unavailable("dask.no_workers", field="dask", address=self._address)
            self._sent = self._client.scatter(self._state, broadcast=True, hash=False)
        except BaseException as error:
            self._client.close()
            raise _of_cluster(error) from error
        return self

    def __exit__(self, *_why: object) -> None:
        self._client.close()

    def ask(self, work: Callable[..., Any], *values: Any) -> Pending[Any]:
        return _Sent(self._client.submit(work, self._sent, *values, pure=False))


class _Sent:
    def __init__(self, future: Any) -> None:
        self._future = future

    def result(self) -> Any:
        try:
            return self._future.result()
        except Exception as error:
            raise _of_cluster(error) from error


def _of_cluster(error: BaseException) -> BaseException:
    """What a cluster failed of, as a trouble of ours; troubles and interrupts stay themselves."""
    if isinstance(error, Trouble) or not isinstance(error, Exception):
        return error
    return Unavailable("dask.failed", field="dask", why=f"{type(error).__name__}: {error}"[:300])
