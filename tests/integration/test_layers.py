"""The layers as they are in the database: every column explained, types that all clients know, counts by the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.indicators import INDICATORS, counts, measure_by
from grid.core.crs import to_plane
from grid.kept_territory import keep_territory
from maps.dictionary import PEOPLE, columns_of, dictionary
from maps.layer_frames import layer_frame
from maps.layers import LAYERS

TYPES = {
    "int8": "integer", "int4": "integer", "float8": "number", "text": "text", "bool": "flag", "timestamptz": "moment",
    "geometry": "geometry",
}  # fmt: skip


def in_database(session: Session, view: str) -> list[tuple[str, str]]:
    rows = session.execute(
        text(
            "select column_name, udt_name from information_schema.columns"
            " where table_schema = 'gis' and table_name = :view order by ordinal_position"
        ),
        {"view": view},
    )
    return [(row.column_name, TYPES[row.udt_name]) for row in rows]


@pytest.mark.parametrize("name", LAYERS)
def test_every_column_of_a_layer_is_in_the_dictionary_and_none_too_many(
    session: Session, name: str
) -> None:
    told = [(entry.column, entry.type) for entry in columns_of(name)]
    assert in_database(session, name) == told
    kind = session.scalar(
        text(
            "select type || ' ' || srid from geometry_columns where f_table_schema = 'gis' and f_table_name = :name"
        ),
        {"name": name},
    )
    assert kind == f"{LAYERS[name].geometry.upper()} 4326"


def test_people_are_in_the_dictionary_and_there_is_no_other_view(session: Session) -> None:
    assert in_database(session, "people") == [(entry.column, entry.type) for entry in PEOPLE]
    views = set(
        session.scalars(
            text("select table_name from information_schema.views where table_schema = 'gis'")
        )
    )
    assert views == {*LAYERS, "people"}


def test_every_entry_is_written_in_both_languages() -> None:
    for row in dictionary(with_names=True):
        assert row["zh"].strip(), row
        assert row["en"].strip(), row
        assert row["zh"] != row["en"]


def test_ids_are_one_each_and_no_layer_is_empty(session: Session) -> None:
    keep_territory(session, datetime.now(UTC))
    for name in LAYERS:
        row = session.execute(text(f"select count(*), count(distinct id) from gis.{name}")).one()
        assert row[0] == row[1] > 0, name


def test_another_moment_shows_the_grids_of_then(session: Session) -> None:
    now = datetime.now(UTC)
    session.execute(
        text("update grid set valid = tstzrange(lower(valid), :soon) where code = 'G001'"),
        {"soon": now + timedelta(days=1)},
    )
    codes = set(layer_frame(session, "grids", now)["code"])
    later = set(layer_frame(session, "grids", now + timedelta(days=2))["code"])
    assert codes - later == {"G001"}


def test_the_evaluation_counts_by_the_rules_of_the_indicators(session: Session) -> None:
    now = datetime.now(UTC)
    since = now - timedelta(days=4000)
    # The invented town has no granted appeal and nothing voided after filing: two of each are made so.
    closed = session.scalars(
        text("select id from incident where status = 'closed' and filed_at is not null limit 4")
    ).all()
    session.execute(
        text("update incident set facts = facts || cast(:f as jsonb) where id = any(:ids)"),
        {"f": '{"appeal": "granted"}', "ids": closed[:2]},
    )
    session.execute(
        text("update incident set status = 'voided' where id = any(:ids)"), {"ids": closed[2:]}
    )
    rows = session.execute(
        text(
            "select grid_id, status, filed_at, due_at, disposed_at, ended_at, facts ->> 'reworks' as reworks, facts ->> 'appeal' as appeal from incident where grid_id is not null"
        )
    ).all()
    frame = pd.DataFrame(rows, columns=list(rows[0]._fields))
    frame["voided"], frame["merged"] = frame["status"] == "voided", frame["status"] == "merged"
    frame["on_the_spot"], frame["suspended"] = (
        frame["status"] == "fixed_on_spot",
        frame["status"] == "suspended",
    )
    frame["closed_at"] = frame["ended_at"].where(frame["status"] == "closed")
    frame["reworks"] = frame["reworks"].fillna(0).astype(int)
    frame["appeal_granted"] = frame["appeal"] == "granted"
    by_rule = counts(frame, now).groupby(frame["grid_id"]).sum()
    found = pd.DataFrame(
        session.execute(
            text("select * from gis.evaluation_of(:since, :now)"), {"since": since, "now": now}
        ).mappings()
    ).set_index("id")
    same = [
        "reported",
        "on_the_spot",
        "merged",
        "filed_with_void",
        "filed",
        "due",
        "due_without_appeal",
        "overdue",
        "closed",
        "closed_on_time",
        "closed_late",
        "disposed",
        "disposed_on_time",
        "reworked",
    ]
    for name in same:
        assert found.loc[by_rule.index, name].tolist() == by_rule[name].tolist(), name
    assert by_rule["filed"].sum() > 10
    rates = [name for name in INDICATORS if name in found.columns]
    assert len(rates) == 8
    for grid_id, ratio in measure_by(frame, "grid_id", now).items():
        for name in rates:
            value = found.loc[int(float(grid_id)), name]
            assert value == pytest.approx(ratio[name].value) or (
                pd.isna(value) and ratio[name].value is None
            ), name


def test_ratings_and_reopenings_are_counted_beside_the_rates(session: Session) -> None:
    now = datetime.now(UTC)
    asked = text("select * from gis.evaluation_of(:since, :now)")
    period = {"since": now - timedelta(days=4000), "now": now}
    before = pd.DataFrame(session.execute(asked, period).mappings()).set_index("id")
    ids = session.scalars(
        text(
            "select id from incident where filed_at is not null and grid_id is not null and status not in"
            " ('fixed_on_spot', 'merged', 'voided') and not facts ? 'solved_said' order by id limit 4"
        )
    ).all()
    said = ('{"solved_said": "satisfied"}', '{"solved_said": "dissatisfied"}',
            '{"solved_said": ""}', '{"reopened": 2}')  # fmt: skip
    for incident, facts in zip(ids, said, strict=True):
        session.execute(
            text("update incident set facts = facts || cast(:f as jsonb) where id = :id"),
            {"f": facts, "id": incident},
        )
    after = pd.DataFrame(session.execute(asked, period).mappings()).set_index("id")
    new = ["reopened", "rated", "rated_satisfied"]
    assert (after[new].sum() - before[new].sum()).tolist() == [1, 2, 1]
    rates = [name for name in INDICATORS if name in after.columns]
    pd.testing.assert_frame_equal(after[rates], before[rates])


def test_hot_spots_are_the_statistic_of_getis_and_ord(session: Session) -> None:
    epsg = int(session.scalar(text("select plane_epsg from town")) or 0)
    points = session.execute(
        text(
            "select st_x(point), st_y(point) from incident where point is not null and status not in ('voided', 'merged')"
        )
    ).all()
    x, y = to_plane([p[0] for p in points], [p[1] for p in points], epsg)
    ends = session.execute(
        text(
            "select st_x(p), st_y(p) from segment, lateral (values (st_startpoint(line_plane)),"
            " (st_lineinterpolatepoint(line_plane, 0.5)), (st_endpoint(line_plane))) e (p) where gone_at is null"
        )
    ).all()
    cells = {(int(a // 200), int(b // 200)): 0 for a, b in ends}
    for a, b in zip(x, y, strict=True):
        key = (int(a // 200), int(b // 200))
        cells[key] = cells.get(key, 0) + 1
    values = np.array(list(cells.values()), dtype=float)
    n, mean, s = len(values), values.mean(), np.sqrt((values**2).mean() - values.mean() ** 2)
    found = session.execute(
        text(
            "select id, incidents, around, gi_star, level from gis.hotspots_of('2000-01-01', '2100-01-01')"
        )
    ).all()
    assert len(found) == (values > 0).sum()
    for row in found:
        cx = round(row.id / 10_000_000)
        cy = row.id - cx * 10_000_000
        near = [
            cells[(cx + i, cy + j)]
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if (cx + i, cy + j) in cells
        ]
        w = len(near)
        z = (sum(near) - mean * w) / (s * np.sqrt((n * w - w * w) / (n - 1)))
        assert (row.incidents, row.around) == (cells[(cx, cy)], sum(near))
        assert row.gi_star == pytest.approx(z, rel=1e-9)
        assert (abs(row.level) >= 95) == (abs(z) >= 1.96)
