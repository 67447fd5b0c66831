"""A large layer read by two connections at once, in one snapshot: ranges of ids, given on in their order.

While one connection's rows are decoded, PostgreSQL makes those of the other: one alone leaves a core half idle.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise

import pyarrow as pa

Read = Callable[[int], AbstractContextManager[pa.RecordBatchReader]]
Range = tuple[int | None, int | None]

# Some five batches of a dozen columns; below that many rows in all, a second connection is not worth its opening.
PART_ROWS = 32_768
LEAST_ROWS = 4 * PART_ROWS
# Batches of a range that wait for those before it: with fewer, its connection stands still; each is a megabyte.
MOST_WAITING = 4


def ranges(first: int, last: int, rows: float) -> list[Range]:
    """Ranges of ids, each from (included) and to (left out), the outer ends open, of about PART_ROWS rows each."""
    count = max(1, min(round(rows / PART_ROWS), last - first))
    edges = [None, *(first + (last + 1 - first) * n // count for n in range(1, count)), None]
    return list(pairwise(edges))


class _Line:
    """The batches of one range, from the thread that reads them to whoever writes them."""

    def __init__(self) -> None:
        self._batches: deque[pa.RecordBatch | BaseException | None] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, batch: pa.RecordBatch | BaseException | None) -> bool:
        """Waits for room for a batch; an end (None) or a failure needs none. False: nobody reads any more."""
        with self._changed:
            if isinstance(batch, pa.RecordBatch):
                self._changed.wait_for(lambda: self._closed or len(self._batches) < MOST_WAITING)
            self._batches.append(batch)
            self._changed.notify_all()
            return not self._closed

    def get(self) -> pa.RecordBatch | None:
        """The next batch, None at the end. Raises what reading raised."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._batches))
            found = self._batches.popleft()
            self._changed.notify_all()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@contextmanager
def in_parts(readers: Sequence[Read], parts: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """The batches of all parts in their order; each of `readers` opens a part by its number, on a connection of its own.

    Whatever happens, nobody reads any more at the end.
    """
    lines = [_Line() for _ in range(parts)]
    waiting, taking = iter(range(parts)), threading.Lock()
    stopped = threading.Event()

    def work(read: Read) -> None:
        # Parts are begun in their order, so the one that is waited for is always under way.
        while not stopped.is_set():
            with taking:
                number = next(waiting, None)
            if number is None:
                return
            try:
                with read(number) as reader:
                    for batch in reader:
                        if not lines[number].put(batch):
                            return
                lines[number].put(None)
            except BaseException as error:
                lines[number].put(error)
                return

    def flow() -> Iterator[pa.RecordBatch]:
        for line in lines:
            while (batch := line.get()) is not None:
                yield batch

    threads = [
        threading.Thread(target=work, args=(read,), name="export-reading") for read in readers
    ]
    for thread in threads:
        thread.start()
    try:
        yield flow()
    finally:
        stopped.set()
        for line in lines:
            line.close()
        for thread in threads:
            thread.join()
