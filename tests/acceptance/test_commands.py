"""Every command of `gridward` in one home of its own: what it does, how it ends, and that nothing stays half-done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import psycopg
import pytest

from api.cli import COMMANDS
from api.cli.database import app as db_app
from fixtures.town import make_town
from tests.commands import Commands, Done
from tests.ground import NEVER_COMPARED
from tests.web import GRIDWARD


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with a private cluster of its own."""
    made = Path(tempfile.mkdtemp(prefix="gridward-home-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def run(home: Path) -> Iterator[Commands]:
    assert "GRIDWARD_DATABASE_URL" not in os.environ, "these tests need the private cluster"
    commands = Commands({"GRIDWARD_HOME": str(home)})
    yield commands
    commands("db", "stop")
    commands.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented town as the files a bureau would bring."""
    folder = tmp_path_factory.mktemp("files")
    town = make_town(incident_count=60)
    streets = town.streets.drop(columns=["node_ids", "names", "form", "level", "source_key"])
    streets = streets.rename(columns={"class_": "class"}).to_crs(4547)
    streets.to_file(folder / "streets.gpkg", driver="GPKG")
    town.door_plates.to_file(folder / "addresses.geojson", driver="GeoJSON")
    town.places.drop(columns="names").to_file(folder / "places.geojson", driver="GeoJSON")
    town.boundaries.drop(columns="names").to_file(folder / "boundaries.geojson", driver="GeoJSON")
    town.staff.to_csv(folder / "staff.csv", index=False)
    crews = town.crews([f"G{k:03d}" for k in range(1, 13)])
    crews.to_csv(folder / "crews.csv", index=False)
    columns = [c for c in town.incidents.columns if not c.startswith("truth")]
    town.incidents[columns].assign(
        external_id=[f"X{n}" for n in range(len(town.incidents))]
    ).to_csv(folder / "incidents.csv", index=False)
    return folder


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    socket = home / "cluster" / "run"
    with psycopg.connect(f"postgresql://gridward@/gridward?host={socket}") as connection:
        return connection.execute(query.encode()).fetchall()


def everything(home: Path) -> list[tuple[Any, ...]]:
    """How many rows each table has: what must not change."""
    tables = rows(home, "select table_name from information_schema.tables where"
                        " table_schema = 'public' and table_type = 'BASE TABLE' order by 1")  # fmt: skip
    return [
        (table, rows(home, f"select count(*) from {table}")[0][0])
        for (table,) in tables
        if table not in NEVER_COMPARED
    ]


@pytest.fixture(scope="module")
def town(run: Commands, files: Path) -> dict[str, Any]:
    """The town brought in by commands alone, in the order of the README."""
    told: dict[str, Any] = {}
    told["streets"] = run.well("import", "streets", files / "streets.gpkg", "--name", "文件县")
    told["addresses"] = run.well("import", "addresses", files / "addresses.geojson")
    told["places"] = run.well("import", "places", files / "places.geojson")
    told["boundaries"] = run.well("import", "boundaries", files / "boundaries.geojson")
    told["divide"] = run.well("divide", "--grids", 12, "--apply")
    told["staff"] = run.well("import", "staff", files / "staff.csv")
    told["crews"] = run.well("import", "crews", files / "crews.csv")
    told["incidents"] = run.well("import", "incidents", files / "incidents.csv")
    return told


def test_a_town_comes_in_by_commands_alone(
    town: dict[str, Any], run: Commands, home: Path, files: Path
) -> None:
    source = gpd.read_file(files / "streets.gpkg")
    assert town["streets"]["refused"] == 0
    kept = rows(home, "select count(*), sum(length_m) from segment where gone_at is null")[0]
    assert town["streets"]["streets"]["new"] == kept[0] >= len(source)
    assert kept[1] == pytest.approx(source.to_crs(4547).length.sum(), rel=0.001)
    for name, file in (("addresses", "addresses"), ("places", "places")):
        assert town[name]["read"] == len(gpd.read_file(files / f"{file}.geojson"))
        assert town[name]["refused"] == 0
    assert (town["divide"]["connected"], town["divide"]["applied"]) == (12, True)
    assert town["divide"]["balance"] <= 1.05
    assert town["staff"]["refused"] == 0
    assert (town["crews"]["taken"], town["crews"]["refused"]) == (12, 0)
    assert town["incidents"]["taken"] == 60
    assert rows(home, "select name from town") == [("文件县",)]


def test_check_finds_a_whole_town_whole(town: dict[str, Any], run: Commands) -> None:
    done = run("check", "--json")
    assert (done.code, done.json) == (0, {"ok": True, "findings": []})


def test_importing_everything_again_changes_no_table(
    town: dict[str, Any], run: Commands, home: Path, files: Path
) -> None:
    before = everything(home)
    again = run.well("import", "streets", files / "streets.gpkg", "--name", "文件县")
    assert (again["streets"]["new"], again["streets"]["gone"]) == (0, 0)
    for name in ("addresses", "places", "boundaries"):
        assert run.well("import", name, files / f"{name}.geojson")["new_or_changed"] == 0
    run.well("import", "staff", files / "staff.csv")
    run.well("import", "crews", files / "crews.csv")
    assert run.well("import", "incidents", files / "incidents.csv")["known_before"] == 60
    # The seven imports stand in the record of the administration, and nothing else is new.
    changed = dict(set(everything(home)) - set(before))
    assert changed == {"catalogue_change": dict(before)["catalogue_change"] + 7}


DRY_RUNS = [
    ("import", "streets", "streets.gpkg"),
    ("import", "places", "places.geojson"),
    ("import", "crews", "crews.csv"),
    ("import", "staff", "staff.csv"),
    ("import", "incidents", "more.csv"),
]


@pytest.mark.parametrize("command", DRY_RUNS, ids=lambda c: c[1])
def test_a_dry_run_reports_and_changes_nothing(
    town: dict[str, Any], run: Commands, home: Path, files: Path, command: tuple[str, ...]
) -> None:
    table = pd.read_csv(files / "incidents.csv", dtype=str)
    table.assign(external_id="more-" + table["external_id"]).to_csv(files / "more.csv", index=False)
    before = everything(home)
    told = run.well(*command[:2], files / command[2], "--dry-run")
    assert told["dry_run"] is True
    assert everything(home) == before


def test_a_division_is_only_shown_until_it_is_applied(
    town: dict[str, Any], run: Commands, home: Path
) -> None:
    before = everything(home)
    told = run.well("divide", "--grids", 20)
    assert (told["applied"], len(told["table"])) == (False, 20)
    after = everything(home)
    assert [table for table in before if table not in after and table[0] != "division"] == []
    shown = run("divide", "--grids", 20)
    assert shown.code == 0
    assert "G020" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nosuch",), 2),
        (("divide",), 2),
        (("divide", "--grids", "many"), 2),
        (("divide", "--grids", 0), 2),
        (("divide", "--grids", 100_000), 2),
        (("divide", "--grids", 5, "--within", "planets"), 2),
        (("divide", "--grids", 5, "--balance", "colour"), 2),
        (("import", "osm", "no-such-file.osm.pbf"), 2),
        (("import", "osm", "bad.txt"), 2),
        (("import", "streets", "bad.txt"), 2),
        (("import", "streets", "streets.gpkg", "--map", "name=NOPE"), 2),
        (("import", "streets", "streets.gpkg", "--map", "nonsense"), 2),
        (("import", "streets", "streets.gpkg", "--layer", "nope"), 2),
        (("import", "places", "noplace.csv"), 2),
        (("import", "crews", "no-such.csv"), 2),
        (("import", "staff", "crews.csv"), 2),
        (("import", "incidents", "staff.csv"), 2),
        (("geocode", "incidents.csv", "out.csv", "--column", "nope"), 2),
        (("geocode", "no-such.csv", "out.csv", "--column", "text"), 2),
        (("geocode", "incidents.csv", "no/such/folder/out.csv", "--column", "address"), 2),
        (("route", "staff.csv", "out.csv"), 2),
        (("route", "points.csv", "out.csv", "--category", "code"), 2),
        (("route", "points.csv", "out.csv", "--datum", "mars"), 2),
        (("route", "points.csv", "out.csv", "--at", "when"), 2),
        (("export", "nolayer", "out.gpkg"), 2),
        (("export", "segments", "out.docx"), 2),
        (("export", "segments", "no/such/folder/out.gpkg"), 2),
        (("db", "restore", "no-such.dump", "--yes"), 2),
        (("db", "restore", "staff.csv"), 2),
        (("demo", "--scale", "galaxy"), 2),
        (("demo",), 1),
        (("account", "add", "x", "--role", "king", "--password", "long enough"), 2),
        (("account", "add", "x", "--role", "operator", "--password", "short"), 2),
        (("account", "password", "nobody", "--password", "long enough"), 2),
        (("serve", "--port", "not-a-port"), 2),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else str(value),
)
def test_bad_input_is_one_clear_line_and_nothing_is_half_done(
    town: dict[str, Any],
    run: Commands,
    home: Path,
    files: Path,
    arguments: tuple[Any, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (files / "bad.txt").write_text("this is no map\n")
    (files / "noplace.csv").write_text("name,kind\n市场,market\n")
    (files / "points.csv").write_text("lon,lat,code,when\n114.6,33.6,99999,never\n")
    before = everything(home)
    placed = [
        str(files / a) if isinstance(a, str) and re.search(r"\.\w+$|/", a) else a for a in arguments
    ]
    done = run(*placed)
    assert done.code == code, done.err
    assert one_line(done)
    assert everything(home) == before
    assert not (files / "out.csv").exists()
    assert not (files / "out.gpkg").exists()
    assert [p.name for p in files.iterdir() if p.name.startswith(".")] == []


def one_line(done: Done) -> bool:
    """One sentence on stderr, no code and no traceback, nothing on stdout."""
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert not re.fullmatch(r"[a-z_]+\.[a-z_]+", lines[0]), f"the code has no sentence: {lines[0]}"
    assert "Traceback" not in done.err
    assert done.out == ""
    return True


def test_refused_rows_are_told_with_line_and_reason(
    town: dict[str, Any], run: Commands, files: Path
) -> None:
    (files / "some.csv").write_text(
        "grid_code,officer\nG001,ZF0001\nZ999,ZF0001\nG002,nobody\n,ZF0001\n"
    )
    told = run.well("import", "crews", files / "some.csv", "--dry-run")
    assert (told["taken"], told["refused"]) == (1, 3)
    assert [(r["row"], r["code"]) for r in told["refused_rows"]] == [
        (3, "crews.grid_unknown"),
        (4, "crews.person_unknown"),
        (5, "crews.place_missing"),
    ]
    assert all("." not in r["reason"].split()[0] for r in told["refused_rows"])


# Geocode and route.


def test_geocode_adds_its_columns_and_keeps_theirs(
    town: dict[str, Any], run: Commands, files: Path, tmp_path: Path
) -> None:
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "text": ["永胜路与站前路交叉口", "没有这样的地方", None],
            "lon": ["1", "2", "3"],
        }
    )
    table.to_csv(tmp_path / "in.csv", index=False)
    told = run.well("geocode", tmp_path / "in.csv", tmp_path / "out.csv", "--column", "text")
    assert (told["rows"], told["answered"]) == (3, 1)
    out = pd.read_csv(tmp_path / "out.csv", dtype={"id": str})
    assert out["id"].tolist() == ["a", "b", "c"]
    assert out["lon_in"].tolist() == [1, 2, 3]
    assert list(out.columns[-7:]) == [
        *("lon", "lat", "match", "confidence", "street", "segment_id", "grid_code")
    ]
    assert out["match"].tolist()[:2] == ["crossing", "none"]
    assert out["lon"].notna().tolist() == [True, False, False]


def test_route_writes_csv_and_parquet_alike(
    town: dict[str, Any], run: Commands, home: Path, tmp_path: Path
) -> None:
    places = rows(home, "select st_x(m), st_y(m) from segment,"
                        " lateral st_lineinterpolatepoint(line, 0.4) m order by id limit 50")  # fmt: skip
    table = pd.DataFrame(places, columns=["lon", "lat"]).assign(code="06042")
    table.loc[len(table)] = [0.0, 0.0, "06042"]
    table.loc[len(table)] = [None, None, "06042"]
    table.to_csv(tmp_path / "in.csv", index=False)
    table.to_parquet(tmp_path / "in.parquet")
    for ending in ("csv", "parquet"):
        told = run.well(
            "route", tmp_path / f"in.{ending}", tmp_path / f"out.{ending}", "--category", "code"
        )
        assert (told["rows"], told["routed"]) == (52, 50)
    out = pd.read_csv(tmp_path / "out.csv", dtype={"code": str})
    same = pd.read_parquet(tmp_path / "out.parquet")
    assert out["segment_id"].tolist()[:50] == same["segment_id"].tolist()[:50]
    assert out["assignee"].tolist()[:50] == same["assignee"].tolist()[:50]
    assert out["assignee"].notna().sum() == 50
    assert set(out["post"].dropna()) == {"cleaner"}
    assert out["reason"].tolist()[50:] == ["point_outside"] * 2


# Exports.


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb"])
@pytest.mark.parametrize("layer", ["segments", "grids", "incidents"])
def test_an_export_opens_in_the_right_place_elsewhere(
    town: dict[str, Any], run: Commands, home: Path, tmp_path: Path, layer: str, ending: str
) -> None:
    target = tmp_path / f"{layer}.{ending}"
    told = run.well("export", layer, target)
    queries = {
        "segments": "segment where gone_at is null",
        "grids": "grid where upper_inf(valid)",
        "incidents": "incident where point is not null",
    }
    count = rows(home, f"select count(*) from {queries[layer]}")[0][0]
    frame = gpd.read_file(target)
    assert told["features"] == len(frame) == count > 0
    assert frame.crs.to_epsg() == 4326
    west, south, east, north = frame.total_bounds
    assert 114.5 < west < east < 114.7
    assert 33.5 < south < north < 33.7
    described = subprocess.run(
        ["ogrinfo", "-so", "-al", str(target)], capture_output=True, text=True, check=True
    ).stdout
    assert f"Feature Count: {count}" in described
    extent = re.search(r"Extent: \(([\d.]+), ([\d.]+)\)", described)
    assert extent is not None
    assert (float(extent[1]), float(extent[2])) == pytest.approx((west, south), abs=1e-5)
    if layer == "incidents":
        assert {"status", "grid_code", "assignee", "due_at"} <= set(frame.columns)
        assert not {"reporter_name", "phone", "reporter_phone", "description"} & set(frame.columns)
    else:
        assert {"officer", "cleaner", "gardener", "maintainer"} <= set(frame.columns)
        assert frame["cleaner"].notna().all()


def test_a_text_file_has_its_dictionary_beside_and_the_consoles_filters_choose_its_rows(
    town: dict[str, Any], run: Commands, home: Path, tmp_path: Path
) -> None:
    told = run.well("export", "incidents", tmp_path / "open.csv", "--open", "--q", "路")
    words = pd.read_csv(tmp_path / "open.dictionary.csv")
    assert told["dictionary"] == str(tmp_path / "open.dictionary.csv")
    assert set(pd.read_csv(tmp_path / "open.csv").columns) - {"x", "y", "wkt", "crs"} == set(words["column"]) - {"geom"}  # fmt: skip
    where = "point is not null and ended_at is null and (description like '%路%' or address like '%路%')"
    assert told["features"] == rows(home, f"select count(*) from incident where {where}")[0][0] > 0
    bare = run.well("export", "incidents", tmp_path / "bare.geojson", "--no-dictionary")
    assert "dictionary" not in bare
    # What holds its dictionary itself needs none beside.
    assert "dictionary" not in run.well("export", "places", tmp_path / "p.gpkg")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "bare.geojson", "open.csv", "open.dictionary.csv", "p.gpkg",
    ]  # fmt: skip
    refused = run("export", "segments", tmp_path / "s.csv", "--queue", "to_file")
    assert refused.code == 2


# The database.


def test_db_says_where_it_is_and_stops_and_starts(
    town: dict[str, Any], run: Commands, home: Path
) -> None:
    before = everything(home)
    assert run.well("db", "status") == {"private": True, "running": True, "home": str(home)}
    url = run("db", "url").out.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from segment").fetchone() is not None
    assert run.well("db", "stop")["stopped"] is True
    assert run.well("db", "status")["running"] is False
    assert run.well("db", "start")["running"] is True
    assert run.well("db", "migrate") == {"migrated": True}
    assert everything(home) == before


def test_a_backup_brings_the_town_back(
    town: dict[str, Any], run: Commands, home: Path, tmp_path: Path
) -> None:
    before = everything(home)
    told = run.well("db", "backup", tmp_path / "town.dump")
    assert told["bytes"] == (tmp_path / "town.dump").stat().st_size > 10_000
    socket = home / "cluster" / "run"
    with psycopg.connect(f"postgresql://gridward@/gridward?host={socket}") as connection:
        connection.execute("delete from post_holding")
        connection.execute("delete from grid_segment")
    assert run("check").code == 1
    unconfirmed = run("db", "restore", tmp_path / "town.dump")
    assert (unconfirmed.code, one_line(unconfirmed)) == (2, True)
    run.well("db", "restore", tmp_path / "town.dump", "--yes")
    assert everything(home) == before
    assert run("check").code == 0
    broken = tmp_path / "broken.dump"
    broken.write_bytes((tmp_path / "town.dump").read_bytes()[:5000])
    assert run("db", "restore", broken, "--yes").code == 1
    assert everything(home) == before


def test_check_names_what_is_broken_and_its_repair(
    town: dict[str, Any], run: Commands, home: Path
) -> None:
    socket = home / "cluster" / "run"
    url = f"postgresql://gridward@/gridward?host={socket}"
    breakages = {
        "ground.post_empty": (
            (
                "update post_holding set valid = tstzrange(lower(valid), now()) where id = (select"
                " min(id) from post_holding where post = 'cleaner')"
            ),
            (
                "update post_holding set valid = tstzrange(lower(valid), null) where id = (select"
                " min(id) from post_holding where post = 'cleaner')"
            ),
        ),
        "record.history_broken": (
            (
                "alter table history disable trigger user; update history set actor = 'x' || actor"
                " where id = (select min(id) from history)"
            ),
            (
                "update history set actor = substr(actor, 2) where id = (select min(id) from history);"
                " alter table history enable trigger user"
            ),
        ),
        "record.floating": (
            (
                "update task set assignee_id = null, status = 'withdrawn' where id = (select max(id)"
                " from task where status = 'offered')"
            ),
            None,
        ),
    }
    for code, (breakage, repair) in breakages.items():
        if code == "record.floating" and not rows(
            home, "select 1 from task where status = 'offered'"
        ):
            continue
        with psycopg.connect(url) as connection:
            connection.execute(breakage.encode())
        done = run("check", "--json")
        assert done.code == 1
        found = {item["code"]: item for item in done.json["findings"]}
        assert code in found, found
        assert found[code]["count"] >= 1
        assert found[code]["repair"]
        if repair:
            with psycopg.connect(url) as connection:
                connection.execute(repair.encode())
            assert run("check").code == 0


def test_history_cannot_be_changed_or_deleted_by_sql(town: dict[str, Any], home: Path) -> None:
    socket = home / "cluster" / "run"
    for statement in ("update history set note = 'x'", "delete from history"):
        with (
            psycopg.connect(f"postgresql://gridward@/gridward?host={socket}") as connection,
            pytest.raises(psycopg.Error),
        ):
            connection.execute(statement.encode())


# Accounts, demo, help.


def test_accounts_are_made_listed_and_given_new_passwords(
    town: dict[str, Any], run: Commands
) -> None:
    run.well("account", "add", "wang", "--role", "dispatcher", "--password", "a long one")
    assert "wang" in [a["username"] for a in run.well("account", "list")["accounts"]]
    assert run.well("account", "password", "wang", "--password", "another one")


def test_the_demo_does_not_overwrite_a_town_unless_told(
    town: dict[str, Any], run: Commands, home: Path
) -> None:
    before = everything(home)
    done = run("demo")
    assert done.code == 1
    assert one_line(done)
    assert run.well("demo", "--if-empty") == {"loaded": False}
    assert everything(home) == before


def all_commands() -> list[tuple[str, ...]]:
    return [*((name,) for name in COMMANDS), *(("db", name) for name in db_app._places)]


def test_every_command_has_help_with_an_example(run: Commands) -> None:
    for command in all_commands():
        done = run(*command, "--help")
        assert done.code == 0, done.err
        words = " ".join(done.out.split())
        assert "Example: " in words or command in (("import",), ("account",)), command


def test_the_program_itself_answers_quickly_and_by_itself(home: Path) -> None:
    env = {**os.environ, "GRIDWARD_HOME": str(home), "GRIDWARD_LANG": "en"}
    done = subprocess.run(
        [str(GRIDWARD), "nosuch"], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    loaded = subprocess.run(
        [str(GRIDWARD.parent / "python"), "-X", "importtime", "-c", "import api.cli.database"],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    for heavy in ("numba", "pandas", "geopandas", "scipy", "fastapi", "sqlalchemy"):
        assert not re.search(rf"\| +{heavy}$", loaded, re.M), f"db loads {heavy}"
