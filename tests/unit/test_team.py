"""Teams of workers: the same answers in the same order, bounded work under way, and an end when one dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from api.cli.team import in_turn, team
from grid.core.errors import BadInput, Unavailable


def square(state: dict[str, int], value: int) -> tuple[int, int]:
    if value % 5 == 0:
        time.sleep(0.02)  # some take longer: the order must not change
    return value * value + state["plus"], os.getpid()


def refuse(_state: object, value: int) -> int:
    raise BadInput("category.unknown", field="category", category=value)


def large(_state: object, size: int) -> bytes:
    return bytes(size)


def die(_state: object, _value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_answers_keep_their_order_and_come_from_several_processes() -> None:
    with team({"plus": 7}, 2) as workers:
        found = list(in_turn(workers, range(60), lambda v: workers.ask(square, v)))
    assert [(value, answer[0]) for value, answer in found] == [(v, v * v + 7) for v in range(60)]
    pids = {answer[1] for _, answer in found}
    assert len(pids) == 2
    assert os.getpid() not in pids
    with team({"plus": 7}, 1) as alone:
        assert [a for _, a in in_turn(alone, range(3), lambda v: alone.ask(square, v))] == [
            (v * v + 7, os.getpid()) for v in range(3)
        ]


def test_what_is_under_way_is_bounded() -> None:
    taken = 0

    def given() -> Iterator[int]:
        nonlocal taken
        for value in range(50):
            taken += 1
            yield value

    with team({"plus": 0}, 2) as workers:
        answers = in_turn(workers, given(), lambda v: workers.ask(square, v))
        for k, _ in enumerate(answers):
            assert taken - k <= 2 * workers.width + 1


def test_a_refusal_in_a_worker_arrives_whole() -> None:
    with team({}, 2) as workers, pytest.raises(BadInput) as refused:
        list(in_turn(workers, range(4), lambda v: workers.ask(refuse, v)))
    assert refused.value.code == "category.unknown"
    assert (refused.value.field, refused.value.values) == ("category", {"category": 0})


def test_a_worker_that_dies_ends_the_work() -> None:
    with pytest.raises(Unavailable) as lost, team({}, 2) as workers:
        list(in_turn(workers, range(9), lambda v: workers.ask(die, v)))
    assert lost.value.code == "work.worker_lost"


@pytest.mark.timeout(60)
def test_work_given_up_while_answers_are_on_their_way_ends() -> None:
    def give_up() -> None:
        with team({}, 2) as workers:
            for _ in range(4):
                workers.ask(large, 20_000_000)
            workers.ask(large, 1).result()
            raise KeyError

    for _ in range(5):
        with pytest.raises(KeyError):
            give_up()


def test_workers_leave_when_their_parent_is_killed() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with team({"plus": 0}, 2) as workers:
            pids = {workers.ask(square, v).result()[1] for v in range(30)}
            os.write(writing, ",".join(map(str, pids)).encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    os.waitpid(child, 0)
    pids = [int(p) for p in os.read(reading, 999).decode().split(",")]
    os.close(reading)
    end = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < end, pids
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable) as nobody, team({}, 2, "tcp://127.0.0.1:9"):
        pass
    assert (nobody.value.code, nobody.value.values) == (
        "dask.unreachable",
        {"address": "tcp://127.0.0.1:9"},
    )
    with pytest.raises(Unavailable) as wrong, team({}, 2, "nonsense://"):
        pass
    assert wrong.value.code == "dask.unreachable"
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unavailable) as missing, team({}, 2, "tcp://127.0.0.1:9"):
        pass
    assert missing.value.code == "dask.not_installed"
    assert threading.active_count() < 50
