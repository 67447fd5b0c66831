"""The layers as they are in the database: every column explained, types that all clients know, counts by the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.indicators import INDICATORS, counts, measure_by
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report
from grid.core.crs import to_plane
from grid.kept_territory import keep_territory
from maps.dictionary import PEOPLE, columns_of, dictionary
from maps.hotspots import gathering, square_neighbours, squares
from maps.layer_frames import layer_frame
from maps.layers import LAYERS
from maps.thematic_frames import ground_points

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
    session.execute(
        text(
            "insert into cell (code, community, area) select '1', name, area from boundary limit 1"
        )
    )
    session.execute(
        text(
            "update place set area = st_multi(st_expand(point, 0.0005)) where id = (select min(id) from place)"
        )
    )
    for name in LAYERS:
        row = session.execute(text(f"select count(*), count(distinct id) from gis.{name}")).one()
        assert row[0] == row[1] > 0, name


def test_incidents_without_a_place_are_a_layer_of_their_own(session: Session) -> None:
    total = session.scalar(text("select count(*) from incident"))
    placed, waiting = (
        set(session.scalars(text(f"select id from gis.{name}")))
        for name in ("incidents", "incidents_unplaced")
    )
    assert waiting
    assert not placed & waiting
    assert len(placed | waiting) == total
    assert session.scalar(text("select count(geom) from gis.incidents_unplaced")) == 0


def test_the_story_of_an_incident_in_columns(session: Session) -> None:
    lead, other = session.scalars(
        text("select id from incident where point is not null order by id limit 2")
    )
    number = session.scalar(text("select number from incident where id = :id"), {"id": lead})
    clocks = (
        '[{"kind": "disposal", "extensions": 2, "stopped_at": null},'
        ' {"kind": "check", "extensions": 0, "stopped_at": "2026-03-01T08:00:00+08:00"}]'
    )
    facts = f'{{"reopened": 3, "forced": true, "suspensions": 1, "reworks": 2, "merged_into": "{number}"}}'
    session.execute(
        text(
            "update incident set clocks = cast(:clocks as jsonb), facts = cast(:facts as jsonb), repeats = 7,"
            " amber_at = '2026-02-01Z', reply_due_at = '2026-02-02Z', merged_into_id = :lead where id = :id"
        ),
        {"id": other, "lead": lead, "clocks": clocks, "facts": facts},
    )
    row = session.execute(text("select * from gis.incidents where id = :id"), {"id": other}).one()
    told = (row.extensions, row.suspensions, row.reopened, row.forced, row.reworks, row.repeats)
    assert told == (2, 1, 3, True, 2, 7)
    assert row.merged_into == number
    assert row.checked_at == datetime(2026, 3, 1, tzinfo=UTC)
    assert (row.amber_at, row.reply_due_at) == (
        datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    )  # fmt: skip


def test_neither_words_nor_the_exact_point_of_a_report_are_in_any_layer(
    session: Session, town_services: Services
) -> None:
    plate = session.execute(
        text(
            "select street_name, house_number, st_x(point) as lon, st_y(point) as lat from door_plate order by id limit 1"
        )
    ).one()
    report = Report(
        channel="hotline_12345", description="下水道堵了，联系赵秘密13987654321",
        address=f"{plate.street_name}{plate.house_number}号 赵秘密家 电话13987654321",
        point=GivenPoint(plate.lon + 0.00012345, plate.lat, "wgs84"),
    )  # fmt: skip
    taken = take_in(session, town_services.desk, report, "account:x", datetime.now(UTC))
    number = session.scalar(text("select max(number) from incident"))
    assert taken is not None
    lon = plate.lon + 0.00012345
    for name in LAYERS:
        for row in session.execute(text(f"select to_jsonb(l) - 'geom' as said from gis.{name} l")):
            said = str(row.said)
            assert "13987654321" not in said, name
            assert "赵秘密" not in said, name
    seen = session.execute(
        text("select address, street, given_lon from gis.incidents where number = :n"),
        {"n": number},
    ).one()
    assert seen.address.startswith(seen.street)
    assert seen.given_lon == pytest.approx(lon, abs=0.0006)
    assert seen.given_lon != lon
    assert round(seen.given_lon * 1000) == pytest.approx(seen.given_lon * 1000, abs=1e-6)


def test_a_house_number_by_which_a_place_was_found_is_its_address(session: Session) -> None:
    one = session.scalar(
        text("select id from incident where segment_id is not null order by id limit 1")
    )

    def address(match: str, number: str) -> tuple[str, str]:
        session.execute(
            text(
                "update incident set match = :match,"
                " geocoding = jsonb_build_object('reading', jsonb_build_object('house_number', cast(:number as text)))"
                " where id = :id"
            ),
            {"id": one, "match": match, "number": number},
        )
        row = session.execute(
            text("select address, street from gis.incidents where id = :id"), {"id": one}
        ).one()
        return row.address, row.street

    found, street = address("door_plate", "12")
    assert found == f"{street}12号"
    assert address("interpolated", "7-2")[0] == f"{street}7-2号"
    # What is no house number is somebody's telephone; what was not found by its number says nothing of it.
    assert address("door_plate", "13900001111")[0] == street
    assert address("place", "12")[0] == street


def test_communities_and_townships_are_told_where_they_are_known(session: Session) -> None:
    names = dict(
        session.execute(text("select level, array_agg(name) from boundary group by level")).all()
    )
    for layer in ("grids", "territories"):
        keep_territory(session, datetime.now(UTC))
        rows = session.execute(text(f"select community, township from gis.{layer}")).all()
        assert rows
        assert {row.community for row in rows} <= {*names["community"], None}
        assert any(row.community for row in rows)
        assert any(row.township for row in rows) == ("township" in names)
    # Each grid by its own segments: the community where most of their middles are.
    code, told = session.execute(
        text("select code, community from gis.grids where community is not null limit 1")
    ).one()
    by_hand = session.execute(
        text(
            "select b.name, count(*) as n from grid_segment h join grid g on g.id = h.grid_id and h.side = 'left'"
            " join segment s on s.id = h.segment_id join boundary b on b.level = 'community'"
            " and st_contains(b.area, st_lineinterpolatepoint(s.line, 0.5))"
            " where g.code = :code and upper_inf(h.valid) group by 1 order by 2 desc"
        ),
        {"code": code},
    ).all()
    assert told in {row.name for row in by_hand if row.n == by_hand[0].n}
    cell = session.execute(text("select i.id, c.name from incident i join boundary c on c.level = 'community'"
                                " and st_covers(c.area, i.point) limit 1")).one()  # fmt: skip
    session.execute(text("insert into cell (code, community, area) select 'X1', name, area from boundary where name = :n and level = 'community'"), {"n": cell.name})  # fmt: skip
    session.execute(text("update incident set cell_code = 'X1' where id = :id"), {"id": cell.id})
    assert (
        session.scalar(text("select community from gis.incidents where id = :id"), {"id": cell.id})
        == cell.name
    )


def test_the_evaluation_tells_density_and_the_time_work_took(session: Session) -> None:
    now = datetime.now(UTC)
    rows = session.execute(
        text("select * from gis.evaluation_of(:since, :now)"), {"since": now - timedelta(days=4000), "now": now}
    ).all()  # fmt: skip
    grids = {row.code: row for row in session.execute(text("select code, length_m from gis.grids"))}
    assert rows
    for row in rows:
        assert row.length_m == pytest.approx(grids[row.code].length_m)
        assert row.incidents_per_km == pytest.approx(1000 * row.incidents / row.length_m)
        took = session.scalars(
            text(
                "select extract(epoch from disposed_at - dispatched_at)::float8 / 60 from incident where grid_id = :g"
                " and filed_at is not null and disposed_at is not null and dispatched_at is not null"
                " and status not in ('voided', 'merged', 'fixed_on_spot')"
            ),
            {"g": row.id},
        ).all()
        if took:
            assert row.mean_disposal_minutes == pytest.approx(np.mean(took))
            assert row.median_disposal_minutes == pytest.approx(np.median(took))
        else:
            assert row.mean_disposal_minutes is None
    assert any(row.median_disposal_minutes for row in rows)


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


def test_the_corrected_level_is_that_of_the_map(session: Session) -> None:
    # A heap that stands out, so that there is something to find.
    heap = session.execute(
        text(
            "select id, st_x(point) as lon, st_y(point) as lat from incident where point is not null order by id limit 1"
        )
    ).one()
    session.execute(
        text(
            "update incident set point = st_setsrid(st_makepoint(:lon + (id % 5) * 1e-5, :lat), 4326)"
            " where id % 3 = 0 and point is not null"
        ),
        {"lon": heap.lon, "lat": heap.lat},
    )
    epsg = int(session.scalar(text("select plane_epsg from town")) or 0)
    points = np.array(
        session.execute(
            text(
                "select st_x(point), st_y(point) from incident where point is not null and status not in ('voided', 'merged')"
            )
        ).all()
    )
    units, row = squares(
        ground_points(session), np.column_stack(to_plane(points[:, 0], points[:, 1], epsg))
    )
    scores = gathering(np.bincount(row, minlength=len(units)), square_neighbours(units))
    of_map = {
        (int(cx), int(cy)): (int(level), float(p))
        for cx, cy, level, p in zip(units["cx"], units["cy"], scores.level, scores.p, strict=True)
    }
    found = session.execute(
        text(
            "select id, level, level_corrected, p from gis.hotspots_of('2000-01-01', '2100-01-01')"
        )
    ).all()
    for one in found:
        cx = round(one.id / 10_000_000)
        level, p = of_map[cx, one.id - cx * 10_000_000]
        assert one.level_corrected == level
        assert one.p == pytest.approx(p, rel=1e-5, abs=1e-12)
    assert any(one.level_corrected >= 95 for one in found)
