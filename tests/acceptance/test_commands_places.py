"""What people teach the gazetteer, by commands: former names, corrections and their undoing, points not to be believed, categories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from api.services import make_services
from grid.geocode.learned import Lesson
from grid.learning import learn
from tests.acceptance.test_commands import one_line
from tests.commands import Commands
from tests.databases import TestCluster, rows

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)


def found(town_commands: Commands, folder: Path, words: str) -> dict[str, str]:
    """What `gridward geocode` adds to one text."""
    (folder / "in.csv").write_text(f'text\n"{words}"\n', encoding="utf-8")
    town_commands.well(
        "geocode", folder / "in.csv", folder / "out.csv", "--column", "text", "--cores", 1
    )
    head, line = (folder / "out.csv").read_text(encoding="utf-8").splitlines()[:2]
    return dict(zip(head.split(","), line.split(","), strict=False))


def test_former_names_come_in_from_a_table_and_are_understood(
    town_commands: Commands, town_url: str, tmp_path: Path
) -> None:
    table = tmp_path / "names.csv"
    table.write_text(
        "alias,name,kind\n凯旋旧街;胜利旧街,永胜路,street\n站前路,永胜路,\n老东门,没有这条路,\n,永胜路,\n",
        encoding="utf-8",
    )
    before = rows(town_url, "select count(*) from alias")
    tried = town_commands.well("import", "aliases", table, "--dry-run")
    assert (tried["taken"], tried["new"], tried["refused"], tried["dry_run"]) == (2, 2, 3, True)
    assert rows(town_url, "select count(*) from alias") == before
    assert found(town_commands, tmp_path, "凯旋旧街与站前路交叉口").get("street") != "永胜路"
    told = town_commands.well("import", "aliases", table)
    assert (told["taken"], told["new"]) == (2, 2)
    assert [(r["row"], r["code"]) for r in told["refused_rows"]] == [
        (2, "alias.is_a_street"),
        (3, "alias.name_unknown"),
        (4, "alias.blank"),
    ]
    for words in ("凯旋旧街与站前路交叉口", "胜利旧街和站前路路口东北角"):
        assert found(town_commands, tmp_path, words)["street"] == "永胜路"
    assert town_commands.well("import", "aliases", table)["new"] == 0


def test_a_table_without_its_columns_changes_nothing(
    town_commands: Commands, town_url: str, tmp_path: Path
) -> None:
    before = rows(town_url, "select count(*) from alias")
    (tmp_path / "wrong.csv").write_text("旧名,现名\n凯旋街,永胜路\n", encoding="utf-8")
    done = town_commands("import", "aliases", tmp_path / "wrong.csv")
    assert done.code == 2
    assert one_line(done)
    missing = town_commands("import", "aliases", tmp_path / "nothing.csv")
    assert missing.code == 2
    assert one_line(missing)
    assert rows(town_url, "select count(*) from alias") == before
    mapped = town_commands.well(
        "import", "aliases", tmp_path / "wrong.csv", "--map", "alias=旧名,name=现名"
    )
    assert mapped["new"] == 1


def test_what_was_learned_is_listed_and_forgotten_once(
    town_commands: Commands, cluster: TestCluster, town_url: str, tmp_path: Path
) -> None:
    assert town_commands.well("places", "learned") == {"learned": []}
    assert town_commands("places", "learned").code == 0
    services = make_services(cluster.settings(town_url))
    with services.sessions() as session:
        taught = learn(session, Lesson("鼎盛建材城"), 114.6, 33.6, None, "account:operator", NOW)
        session.commit()
    services.engine.dispose()
    (row,) = town_commands.well("places", "learned")["learned"]
    assert (row["id"], row["words"], row["learned_by"]) == (
        taught,
        "鼎盛建材城",
        "account:operator",
    )
    assert (round(row["lon"], 6), round(row["lat"], 6)) == (114.6, 33.6)
    assert "鼎盛建材城" in town_commands("places", "learned").out
    assert float(found(town_commands, tmp_path, "鼎盛建材城门口垃圾成堆")["confidence"]) == pytest.approx(0.75, abs=0.05)  # fmt: skip
    assert town_commands.well("places", "forget", taught) == {"forgotten": taught}
    assert town_commands.well("places", "learned") == {"learned": []}
    (kept,) = town_commands.well("places", "learned", "--all")["learned"]
    assert (kept["undone_by"], kept["undone_at"] is not None) == ("command", True)
    assert float(found(town_commands, tmp_path, "鼎盛建材城门口垃圾成堆")["confidence"] or 0) < 0.5
    again = town_commands("places", "forget", taught)
    assert again.code == 1
    assert one_line(again)
    assert "鼎盛建材城" in again.err
    unknown = town_commands("places", "forget", 99_999)
    assert unknown.code == 2
    assert one_line(unknown)
    assert town_commands("places", "forget", "twelve").code == 2


def test_a_default_point_that_is_known_is_not_believed_in_an_archive(
    town_commands: Commands, town_url: str, tmp_path: Path
) -> None:
    ((lon, lat),) = rows(
        town_url,
        "select st_x(p), st_y(p) from segment s join street t on t.id = s.street_id"
        " cross join lateral st_lineinterpolatepoint(s.line, 0.5) p"
        " where t.name = '人民大道' order by s.length_m desc, s.id limit 1",
    )
    archive = tmp_path / "archive.csv"
    archive.write_text(
        "channel,category,description,lon,lat,external_id\n"
        f"patrol,06042,永胜路与站前路交叉口垃圾满溢,{lon},{lat},A1\n"
        f"patrol,06042,,{lon},{lat},A2\n",
        encoding="utf-8",
    )
    # Two rows alone say nothing about a point: it is believed, and contradicts its words.
    assert (
        town_commands.well("import", "incidents", archive, "--dry-run")["flags"].get(
            "default_point"
        )
        is None
    )
    assert town_commands.well("places", "default-add", lon, lat) == {"added": 1}
    assert town_commands.well("places", "default-add", lon, lat) == {"added": 0}
    tried = town_commands.well("import", "incidents", archive, "--dry-run")
    assert tried["flags"]["default_point"] == 2
    assert (tried["placed"], tried["waiting"]) == (1, 1)
    told = town_commands.well("import", "incidents", archive)
    assert (told["taken"], told["refused"]) == (2, 0)
    stored = rows(
        town_url,
        "select external_id, match, point is null, 'default_point' = any(flags), queue from incident"
        " where external_id in ('A1', 'A2') order by external_id",
    )
    assert stored[0][:4] == ("A1", "crossing", False, True)
    assert stored[1] == ("A2", "none", True, True, "place_needed")
    (listed,) = town_commands.well("places", "defaults")["default_points"]
    assert town_commands.well("places", "default-drop", listed["id"]) == {"dropped": listed["id"]}
    assert town_commands("places", "default-drop", listed["id"]).code == 2
    assert (
        town_commands.well("import", "incidents", archive, "--dry-run")["flags"].get(
            "default_point"
        )
        is None
    )


def test_categories_are_learned_shown_and_asked_for(town_commands: Commands, town_url: str) -> None:
    few = town_commands("suggest", "train")
    assert few.code == 1
    assert one_line(few)
    assert town_commands.well("suggest", "models") == {"models": []}
    asked = town_commands.well("suggest", "ask", "垃圾桶满了没人清")
    assert (asked["items"][0]["code"], asked["items"][0]["source"]) == ("06042", "keywords")
    assert asked["model"] is None
    _closed(town_url)
    trained = town_commands.well("suggest", "train")
    assert trained["in_use"] is True
    assert trained["held_back"] >= 60
    assert trained["keywords_right"] < trained["learned_right"]
    assert [m["id"] for m in town_commands.well("suggest", "models")["models"]] == [trained["id"]]
    best = town_commands.well("suggest", "ask", "站前路附近鬼市又摆出来了")
    assert best["model"] == trained["id"]
    assert (best["items"][0]["code"], best["items"][0]["source"]) == ("09001", "learned")
    assert "09001" in town_commands("suggest", "ask", "站前路附近鬼市又摆出来了").out
    assert "%" in town_commands("suggest", "models").err


def _closed(town_url: str) -> None:
    words = {"09001": "鬼市又摆出来了", "01004": "水帘洞下面又淹了", "06012": "满地都是鬼画符"}
    with psycopg.connect(town_url) as connection:
        for n in range(330):
            code = sorted(words)[n % 3]
            connection.execute(
                "insert into incident (number, channel_code, category_code, description, status,"
                " occurred_at, reported_at, ended_at, facts, clocks, ground_version)"
                " values (%s, 'patrol', %s, %s, 'closed', %s, %s, %s, '{}', '[]', 1)",
                (f"T-{n}", code, f"永胜路{n % 90}号附近{words[code]}", *[NOW - timedelta(hours=n)] * 3),
            )  # fmt: skip
