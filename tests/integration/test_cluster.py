"""The private PostGIS: starts, starts again after the worst, keeps to its own home."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from grid.core.cluster import LONGEST_SOCKET_FOLDER, Cluster, find_binaries
from grid.core.errors import Unavailable
from grid.core.settings import DatabaseSettings

MakeCluster = Callable[[Path], Cluster]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may pass."""
    made = Path(tempfile.mkdtemp(prefix="gridward-cluster-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def make() -> Iterator[MakeCluster]:
    """Makes clusters that are stopped at the end, with what they left outside their home."""
    made: list[Cluster] = []

    def one(home: Path) -> Cluster:
        cluster = Cluster(DatabaseSettings(home=home, database_url=None))
        made.append(cluster)
        return cluster

    yield one
    for cluster in made:
        cluster.stop()
        for left in (cluster.data.parent, cluster.socket):
            shutil.rmtree(left, ignore_errors=True)


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])


def note(cluster: Cluster, words: str) -> None:
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("create table if not exists note (words text)")
        connection.execute("insert into note values (%s)", (words,))


def notes(cluster: Cluster) -> list[str]:
    with psycopg.connect(cluster.url()) as connection:
        return [row[0] for row in connection.execute("select words from note")]


def test_starting_twice_is_one_server_and_stopping_keeps_the_data(
    folder: Path, make: MakeCluster
) -> None:
    cluster = make(folder / "home")
    cluster.start()
    first = postmaster(cluster)
    cluster.start()
    make(folder / "home").start()
    assert postmaster(cluster) == first
    note(cluster, "kept")
    assert cluster.stop() is True
    assert cluster.running() is False
    assert cluster.stop() is False
    cluster.start()
    assert notes(cluster) == ["kept"]


def test_several_starters_at_once_make_one_server(folder: Path, make: MakeCluster) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            Cluster(DatabaseSettings(home=folder / "home", database_url=None)).start()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster = make(folder / "home")
    assert failures == []
    assert cluster.running()
    note(cluster, "one")
    assert notes(cluster) == ["one"]


def test_a_killed_server_starts_again_with_everything_committed(
    folder: Path, make: MakeCluster
) -> None:
    cluster = make(folder / "home")
    cluster.start()
    note(cluster, "before the kill")
    killed = postmaster(cluster)
    os.kill(killed, signal.SIGKILL)
    cluster.start()
    assert postmaster(cluster) != killed
    assert notes(cluster) == ["before the kill"]


def test_an_initdb_that_was_killed_does_not_stop_the_next_start(
    folder: Path, make: MakeCluster
) -> None:
    cluster = make(folder / "home")
    half = cluster.data.with_name("data.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    cluster.start()
    assert cluster.running()
    assert not half.exists()


def test_two_homes_never_meet(folder: Path, make: MakeCluster) -> None:
    one, other = make(folder / "one"), make(folder / "other")
    one.start()
    other.start()
    note(one, "one")
    note(other, "other")
    assert (notes(one), notes(other)) == (["one"], ["other"])
    assert one.url() != other.url()
    one.stop()
    assert notes(other) == ["other"]


def test_nothing_listens_on_the_network_and_strangers_find_a_closed_door(
    folder: Path, make: MakeCluster
) -> None:
    cluster = make(folder / "home")
    cluster.start()
    with psycopg.connect(cluster.url()) as connection:
        row = connection.execute("show listen_addresses").fetchone()
    assert row == ("",)
    assert cluster.socket.stat().st_mode & 0o077 == 0
    assert cluster.data.stat().st_mode & 0o077 == 0


def test_a_home_too_deep_for_a_socket_path_still_works(folder: Path, make: MakeCluster) -> None:
    deep = folder
    for _ in range(6):
        deep = deep / ("a folder named so " * 2).strip()
    cluster = make(deep)
    assert len(str(deep)) > 107
    assert len(str(cluster.socket)) <= LONGEST_SOCKET_FOLDER
    cluster.start()
    note(cluster, "deep")
    assert notes(cluster) == ["deep"]
    beside = make(deep.parent / "neighbour of a deep folder with a long name as well")
    assert beside.socket != cluster.socket


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_root_may_keep_its_home_in_a_closed_folder(folder: Path, make: MakeCluster) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    cluster = make(closed / "home")
    cluster.start()
    note(cluster, "closed")
    assert notes(cluster) == ["closed"]
    assert closed.stat().st_mode & 0o777 == 0o700
    assert make(closed / "other").data != cluster.data


def test_missing_postgres_is_said_by_its_code(
    folder: Path, make: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    settings = DatabaseSettings(home=folder / "home", postgres_bin=folder, database_url=None)
    monkeypatch.setattr(Path, "is_dir", lambda _self: False)
    with pytest.raises(Unavailable) as raised:
        find_binaries(settings)
    assert raised.value.code == "cluster.postgres_missing"
    assert str(folder) in str(raised.value.values["looked_in"])


def test_a_server_that_dies_at_start_is_said_with_its_last_words(
    folder: Path, make: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grid.core.cluster.START_SECONDS", 3)
    cluster = make(folder / "home")
    cluster.start()
    cluster.stop()
    (cluster.data / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(Unavailable) as raised:
        cluster.start()
    assert raised.value.code == "cluster.will_not_start"
    assert "no_such_setting" in str(raised.value.values["detail"])
