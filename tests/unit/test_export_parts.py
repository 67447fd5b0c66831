"""A layer read by two connections: every id in one range, every batch in its place, and nobody left reading."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maps.export_parts import PART_ROWS, Read, in_parts, ranges

SCHEMA = pa.schema([("n", pa.int64())])


@given(
    first=st.integers(-(10**6), 10**6),
    span=st.integers(0, 10**6),
    rows=st.floats(0, 100 * PART_ROWS),
    one=st.integers(-(10**7), 10**7),
)
def test_every_id_is_in_one_range(first: int, span: int, rows: float, one: int) -> None:
    found = ranges(first, first + span, rows)
    holding = [
        (low, high)
        for low, high in found
        if (low is None or one >= low) and (high is None or one < high)
    ]
    assert len(holding) == 1
    assert [high for _, high in found[:-1]] == [low for low, _ in found[1:]]
    ends = [low for low, _ in found if low is not None]
    assert ends == sorted(set(ends))
    assert len(ends) == len(found) - 1


def reading(sizes: list[list[int]], wrong: int | None = None, ended: list[int] | None = None) -> Read:  # fmt: skip
    """Part p is batches of those sizes; the rows tell part and place. The part `wrong` fails at its end."""

    @contextmanager
    def read(part: int) -> Iterator[pa.RecordBatchReader]:
        def batches() -> Iterator[pa.RecordBatch]:
            place = 0
            for size in sizes[part]:
                numbers = [part * 1000 + place + n for n in range(size)]
                yield pa.record_batch([pa.array(numbers, pa.int64())], schema=SCHEMA)
                place += size
            if part == wrong:
                raise RuntimeError("the server has gone")

        try:
            yield pa.RecordBatchReader.from_batches(SCHEMA, batches())
        finally:
            if ended is not None:
                ended.append(part)

    return read


@given(sizes=st.lists(st.lists(st.integers(0, 5), max_size=9), min_size=1, max_size=9))
def test_batches_come_in_the_order_of_the_parts(sizes: list[list[int]]) -> None:
    with in_parts([reading(sizes)] * 2, len(sizes)) as coming:
        found = [n for batch in coming for n in batch.column(0).to_pylist()]
    assert found == [part * 1000 + n for part, own in enumerate(sizes) for n in range(sum(own))]


def test_a_failure_comes_where_it_stands() -> None:
    found: list[int] = []
    read = reading([[1, 1], [1, 1], [1]], wrong=1)
    with pytest.raises(Exception, match="the server has gone"), in_parts([read] * 2, 3) as coming:
        found.extend(n for batch in coming for n in batch.column(0).to_pylist())
    assert found == [0, 1, 1000, 1001]


def test_who_leaves_early_leaves_nobody_reading() -> None:
    ended: list[int] = []
    before = threading.active_count()
    with (
        suppress(KeyboardInterrupt),
        in_parts([reading([[1] * 50] * 20, ended=ended)] * 2, 20) as coming,
    ):
        next(coming)
        raise KeyboardInterrupt
    assert threading.active_count() == before
    assert sorted(ended) == list(range(len(ended)))
    assert len(ended) <= 3
