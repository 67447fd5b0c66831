"""The analyst's role, over the network as QGIS comes: every layer, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from maps.layers import LAYERS
from tests.commands import Commands
from tests.web import free_port


@pytest.fixture(scope="module")
def run() -> Iterator[Commands]:
    """A home of its own whose database listens on this machine."""
    home = Path(tempfile.mkdtemp(prefix="gridward-analyst-"))
    home.chmod(0o755)
    listen = f"127.0.0.1:{free_port()}"
    commands = Commands({"GRIDWARD_HOME": str(home), "GRIDWARD_DATABASE_LISTEN": listen})
    yield commands
    commands("db", "stop")
    commands.close()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def anna(run: Commands) -> dict[str, Any]:
    told = run.well("db", "analyst", "anna")
    assert told["reachable"] is True
    return told


def refused(url: str, statement: str) -> bool:
    with psycopg.connect(url) as connection:
        connection.read_only = False
        try:
            connection.execute(statement.encode())
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
            return True
    return False


def test_every_layer_is_read(anna: dict[str, Any]) -> None:
    with psycopg.connect(anna["url"]) as connection:
        for layer in LAYERS:
            assert connection.execute(f"select count(*) from gis.{layer}".encode()).fetchone() == (
                0,
            )
        assert (
            connection.execute(
                b"select * from gis.hotspots_of(now() - interval '1 year', now())"
            ).fetchall()
            == []
        )


def test_nothing_else_is_read(anna: dict[str, Any]) -> None:
    with psycopg.connect(anna["url"]) as connection:
        readable = {
            row[0]
            for row in connection.execute(
                b"select n.nspname || '.' || c.relname from pg_class c join pg_namespace n"
                b" on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'p', 'f')"
                b" and n.nspname not in ('pg_catalog', 'information_schema')"
                b" and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')"
            )
        }
    postgis = {"public.spatial_ref_sys", "public.geometry_columns", "public.geography_columns"}
    assert readable - postgis == {f"gis.{layer}" for layer in LAYERS}
    for table in (
        "public.reporter",
        "public.incident",
        "public.staff",
        "public.account",
        "gis.people",
    ):
        assert refused(anna["url"], f"select * from {table}"), table


@pytest.mark.parametrize(
    "statement",
    [
        "update public.incident set status = 'closed'",
        "insert into gis.places (name) values ('x')",
        "delete from gis.places",
        "create table public.mine (a int)",
        "create table gis.mine (a int)",
        "create temp table mine (a int)",
        "select lo_create(0)",
        "create role other",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
    ],
)
def test_nothing_is_written(anna: dict[str, Any], statement: str) -> None:
    begun = f"set session characteristics as transaction read write; {statement}"
    assert refused(anna["url"], begun)


def test_the_owner_does_not_come_over_the_network(anna: dict[str, Any]) -> None:
    url = anna["url"].replace(f"anna:{anna['url'].split(':')[2].split('@')[0]}", "gridward")
    with pytest.raises(psycopg.OperationalError, match="reject"):
        psycopg.connect(url)


def test_names_are_granted_apart_and_outlive_new_views(run: Commands) -> None:
    told = run.well("db", "analyst", "bert", "--with-names")
    with psycopg.connect(run.well("db", "url")["url"], autocommit=True) as connection:
        connection.execute(b"comment on schema gis is 'an older version names '")
    run.well("db", "migrate")
    with psycopg.connect(told["url"]) as connection:
        assert connection.execute(b"select count(*) from gis.people").fetchone() == (0,)
        assert connection.execute(b"select count(*) from gis.grids").fetchone() == (0,)


def test_a_second_time_gives_a_new_password_and_removing_ends_it(run: Commands) -> None:
    first = run.well("db", "analyst", "cleo")
    second = run.well("db", "analyst", "cleo")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first["url"])
    psycopg.connect(second["url"]).close()
    assert run.well("db", "analyst", "cleo", "--remove") == {"removed": "cleo"}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(second["url"])
    for name, code in (("Anna-1", 2), ("gridward", 1), ("nobody_here", 2)):
        assert run("db", "analyst", name, *(["--remove"] if code == 2 else [])).code == code, name


def test_a_restore_gives_analysts_their_rights_back(run: Commands, tmp_path: Path) -> None:
    told = run.well("db", "analyst", "berta", "--with-names")
    run.well("db", "analyst", "user")
    file = tmp_path / "town.dump"
    run.well("db", "backup", file)
    # Made after the backup: whoever reads now goes on reading.
    late = run.well("db", "analyst", "dora")
    done = run.well("db", "restore", file, "--yes")
    assert {"berta", "dora", "user"} <= set(done["analysts"])
    assert done["missing"] == []
    for one, names in ((told, True), (late, False)):
        with psycopg.connect(one["url"]) as connection:
            assert connection.execute(b"select count(*) from gis.incidents").fetchone() == (0,)
        assert refused(one["url"], "select name from gis.people") is not names
        assert refused(one["url"], "select * from public.reporter")
    run.well("db", "analyst", "berta", "--remove")
    again = run("db", "restore", file, "--yes")
    assert again.code == 0
    assert "gridward db analyst berta --with-names" in again.err
    assert "dora" not in again.err
