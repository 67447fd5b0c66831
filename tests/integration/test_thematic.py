"""Thematic maps from the database: what is counted, what a scope bounds, what the server puts together when there are many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.i18n import translate
from api.services import Services
from dispatch.reading import IncidentFilter
from dispatch.scope import Scope
from grid.core.errors import BadInput
from maps import thematic_frames
from maps.drawing import Drawing, class_of, classes, told_apart
from maps.print_map import round_length_m, wrapped
from maps.thematic import thematic_map
from maps.thematic_points import MOST_DOTS
from tests.ground import LADDER, MORNING, at, load_lines, two_grids

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 6, 1, tzinfo=ZONE), datetime(2026, 7, 1, tzinfo=ZONE)


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with grids A (west) and B (east); rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        yield session
        session.rollback()


def add(session: Session, count: int, grid: str, when: datetime, **more: object) -> None:
    """Incidents of a grid at one moment, spread over its street."""
    values = {
        "n": count, "grid": grid, "at": when, "status": "filed", "filed": when, "due": None,
        "disposed": None, "lon": at(0.5 if grid == "A" else 1.5, 0)[0], "lat": at(0, 0.02)[1],
        "channel": session.scalar(text("select code from channel order by code limit 1")), **more,
    }  # fmt: skip
    session.execute(
        text(
            "insert into incident (number, version, channel_code, description, status, point, grid_id, segment_id,"
            " side, ground_version, occurred_at, reported_at, filed_at, due_at, disposed_at, flags, facts, clocks, reason)"
            " select 'T' || :grid || '-' || extract(epoch from cast(:at as timestamptz))::bigint || '-' || k || '-' || :status,"
            " 1, :channel, '甲', :status, st_setsrid(st_makepoint(:lon + (k % 100) * 1e-6, :lat), 4326), g.id, h.segment_id,"
            " 'left', 1, :at, :at, :filed, :due, :disposed, '{}', '{}', '{}', '[]'"
            " from generate_series(1, :n) k, grid g"
            " cross join lateral (select segment_id from grid_segment x where x.grid_id = g.id order by 1 limit 1) h"
            " where g.code = :grid"
        ),
        values,
    )


def draw(session: Session, name: str, by: str | None = None, **filters: object) -> Drawing:
    asked = IncidentFilter(**{"from_at": SINCE, "to_at": UNTIL, **filters})  # type: ignore[arg-type]
    return thematic_map(
        session, name, by, asked, NOW, partial(translate, "en"), ZONE, with_names=True, english=True
    )  # fmt: skip


def cells(drawing: Drawing) -> dict[str, tuple[str, ...]]:
    return {row[0].split()[0]: row[1:] for row in drawing.rows}


def test_load_counts_the_period_and_leaves_void_ones_out(ladder: Session) -> None:
    add(ladder, 7, "A", SINCE)
    add(ladder, 2, "B", UNTIL - timedelta(seconds=1))
    add(ladder, 5, "B", UNTIL)
    add(ladder, 4, "A", SINCE - timedelta(seconds=1))
    add(ladder, 3, "A", SINCE + timedelta(days=2), status="voided")
    found = draw(ladder, "load")
    assert {code: row[0] for code, row in cells(found).items()} == {"A": "7", "B": "2"}
    assert found.incidents == 9
    # Voided ones are seen when they are asked for.
    assert cells(draw(ladder, "load", statuses=("voided",)))["A"][0] == "3"
    assert draw(ladder, "load", grid="B").incidents == 2


def test_rates_are_those_of_the_evaluation(ladder: Session) -> None:
    day = timedelta(days=1)
    begun = SINCE + day
    add(ladder, 3, "A", begun, status="disposed", due=begun + 2 * day, disposed=begun + day)
    add(
        ladder,
        1,
        "A",
        begun + day,
        status="disposed",
        due=begun + 2 * day,
        disposed=begun + 3 * day,
    )
    add(ladder, 1, "A", begun + 2 * day, due=begun + 3 * day)
    add(ladder, 1, "A", begun + 3 * day, due=UNTIL + day)
    # Due: three in time, one late, one open and past its limit. In time 3/5, overdue 2/5.
    assert cells(draw(ladder, "on_time"))["A"] == ("5", "3", "60.0 %", "2", "40.0 %")
    assert cells(draw(ladder, "on_time"))["B"][2] == "—"


def test_before_and_after_compare_periods_of_one_length(ladder: Session) -> None:
    add(ladder, 4, "A", SINCE - timedelta(days=3))
    add(ladder, 40, "A", SINCE + timedelta(days=3))
    add(ladder, 9, "A", SINCE - timedelta(days=31))
    found = draw(ladder, "compare")
    assert cells(found)["A"] == ("4", "40", "+36", "+900 %")
    # (40 - 4) / sqrt(44) is 5.4: many more. B has none of either.
    assert found.shapes is not None
    assert found.shapes["line"].tolist() == ["#c75100", "#dedede"]


def test_many_incidents_are_put_together_by_the_server(
    ladder: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ladder, MOST_DOTS, "A", SINCE + timedelta(days=1, hours=1))
    add(ladder, 500, "B", SINCE + timedelta(days=2))
    found = draw(ladder, "incidents")
    assert found.incidents == MOST_DOTS + 500
    assert found.dots is not None
    assert len(found.dots) < 10
    assert found.dots["n"].sum() == MOST_DOTS + 500
    assert found.dots.groupby("step")["n"].sum().to_dict() == {1: MOST_DOTS, 2: 500}
    monkeypatch.setattr(thematic_frames, "MOST_READ", 1000)
    with pytest.raises(BadInput, match=r"maps\.too_many"):
        draw(ladder, "on_time")


def test_the_slider_has_a_step_for_each_day_and_every_incident_its_own(ladder: Session) -> None:
    for n, day in enumerate((0, 0, 14, 29)):
        add(
            ladder,
            1,
            "A",
            SINCE + timedelta(days=day, hours=23),
            status="filed" if day else f"filed{n}",
        )
    found = draw(ladder, "incidents", by="category")
    assert found.timeline is not None
    assert len(found.timeline.steps) == 30
    assert (found.timeline.steps[0], found.timeline.steps[-1]) == ("2026-06-01", "2026-06-30")
    assert found.dots is not None
    assert sorted(found.dots["step"]) == [0, 0, 14, 29]


def test_a_scope_bounds_grids_and_counts(ladder: Session) -> None:
    add(ladder, 7, "A", SINCE)
    add(ladder, 2, "B", SINCE)
    key = ladder.scalar(text("select id from grid where code = 'B'"))
    found = draw(ladder, "load", scope=Scope(grid_ids=(key,)))
    assert {code: row[0] for code, row in cells(found).items()} == {"B": "2"}
    assert any("you may see" in note for note in found.notes)
    assert draw(ladder, "heat", scope=Scope(grid_ids=(key,))).incidents == 2


def test_hot_spots_by_squares_segments_and_cells(ladder: Session) -> None:
    add(ladder, 30, "A", SINCE)
    for by in ("squares", "segments"):
        found = draw(ladder, "hotspots", by=by)
        assert found.shapes is not None
        assert found.incidents == 30
    assert "No cells" in str(draw(ladder, "hotspots", by="cells").empty)


def test_patrol_shows_which_segments_a_shift_saw(ladder: Session) -> None:
    assert draw(ladder, "patrol").empty
    ladder.execute(
        text("insert into staff (staff_no, name, post) values ('S1', '张三', 'cleaner')")
    )
    staff = ladder.scalar(text("select id from staff where staff_no = 'S1'"))
    shift = ladder.scalar(
        text(
            "insert into attendance (staff_id, began_at, received_at, ended_at)"
            " values (:s, :at, :at, :at) returning id"
        ),
        {"s": staff, "at": SINCE + timedelta(days=1)},
    )
    first, second = ladder.scalars(text("select id from segment order by id limit 2"))
    for segment, share in ((first, 0.9), (second, 0.2)):
        ladder.execute(
            text("insert into patrol_cover (attendance_id, segment_id, share) values (:a, :s, :p)"),
            {"a": shift, "s": segment, "p": share},
        )
    found = draw(ladder, "patrol")
    assert found.empty is None
    assert sum(int(row[2]) for row in found.rows) == 1


def test_classes_hold_about_as_many_each_and_touching_owners_differ() -> None:
    values = np.array([0, 0, 1, 2, 3, 4, 5, 6, 50, np.nan])
    limits = classes(values)
    assert limits[-1] == 50
    assert class_of(values, limits).tolist()[-1] == -1
    assert (np.diff(class_of(np.sort(values[:-1]), limits)) >= 0).all()
    assert classes(np.array([3.0, 3.0])).tolist() == [3.0]
    squares = pd.Series([(x, y) for x in range(6) for y in range(6)])
    import shapely

    shapes = np.array([shapely.box(x, y, x + 1, y + 1) for x, y in squares], dtype=object)
    owners = [str(k) for k in range(36)]
    colours = told_apart(owners, shapes)
    for i, a in enumerate(shapes):
        for k, b in enumerate(shapes):
            if i < k and a.touches(b):
                assert colours[str(i)] != colours[str(k)]


def test_a_scale_bar_is_a_round_length_and_words_break_whole() -> None:
    assert [round_length_m(width) for width in (1000, 5200, 12_000, 240)] == [200, 1000, 2000, 20]
    assert wrapped("only words stay whole here", 6) == ["only words", "stay whole", "here"]
    assert wrapped("按网格统计案件。", 4) == ["按网格统", "计案件。"]
