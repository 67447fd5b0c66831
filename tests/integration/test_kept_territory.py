"""The kept territory: the same as one made whole, read again without work, never taken for newer than it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from shapely.geometry import box
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.services import Services
from grid.changing import apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.core.errors import Conflict
from grid.given_areas import NamedArea, apply_areas, plan_give, plan_take
from grid.kept_territory import (
    keep_territory,
    read_territory,
    standing,
    territory_frame,
)
from grid.town import ground_changed
from grid.town_territory import TownTerritory, town_territory
from tests.ground import LADDER, MORNING, at, load_lines, segment_ids, street, two_grids

NOW = datetime.now(UTC)
SOON = NOW + timedelta(days=30)
PARK = NamedArea("人民公园", box(*at(0.6, 0.3), *at(1.4, 0.7)))


@pytest.fixture
def ladder(empty_services: Services) -> Iterator[Session]:
    """The drawn town with two grids, its territory kept; rolled back."""
    with empty_services.sessions() as session:
        load_lines(session, MORNING, *LADDER)
        two_grids(session, MORNING)
        assert keep_territory(session, NOW).how == "whole"
        yield session
        session.rollback()


def assert_same_ground(one: TownTerritory, other: TownTerritory) -> None:
    """The same grids with the same ground, to a hundredth of a square metre."""
    assert one.whole.labels.tolist() == other.whole.labels.tolist()
    differ = shapely.area(shapely.symmetric_difference(one.whole.polygons, other.whole.polygons))
    assert float(np.max(differ)) < 0.01


def assert_kept(session: Session, moment: datetime = NOW) -> None:
    """What is kept is whole and what the whole making gives."""
    state = standing(session, moment)
    assert state.current
    assert state.kept_version == state.ground_version
    read, version = read_territory(session, moment)
    assert version == state.ground_version
    assert read.bad_parts() == []
    assert_same_ground(read, town_territory(session, moment))


def test_what_was_kept_is_read_and_not_made_again(
    ladder: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_kept(ladder)

    def never(*_given: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("grid.kept_territory.town_territory", never)
    monkeypatch.setattr("grid.kept_territory.read_ground_index", never)
    frame = territory_frame(ladder, NOW)
    assert frame["code"].tolist() == ["A", "B"]
    # What does not touch the ground raises the version all the same: the territory goes on as it is.
    ground_changed(ladder)
    assert standing(ladder, NOW).current is False
    assert standing(ladder, NOW).same_ground
    read_territory(ladder, NOW)
    assert keep_territory(ladder, NOW).how == "renewed"
    assert standing(ladder, NOW).current
    assert keep_territory(ladder, NOW).how == "kept"


def test_every_change_of_the_ground_is_seen_and_made_anew_where_it_is(ladder: Session) -> None:
    ids = segment_ids(ladder)
    changes = {
        "a move": lambda: apply_plan(ladder, plan_move(ladder, ids["二巷"], "A", NOW)),
        "one side": lambda: apply_plan(
            ladder, plan_move(ladder, ids["三巷"], "A", NOW, ("left",)), allow_disconnected=True
        ),
        "a split": lambda: apply_plan(ladder, plan_split(ladder, "A", NOW, None, ids["一巷"])),
        "a park": lambda: apply_areas(ladder, plan_give(ladder, "B", [PARK], NOW)),
        "another name": lambda: apply_plan(ladder, plan_rename(ladder, "A", "老城", NOW)),
        "a merge": lambda: apply_plan(ladder, plan_merge(ladder, "G001", "B", NOW), allow_disconnected=True),
        "the park taken": lambda: apply_areas(
            ladder, plan_take(ladder, [_areas(ladder)[0]], NOW)
        ),
        "a street moved": lambda: load_lines(
            ladder, NOW, *LADDER[:3], street("二巷", (1, 0), (1.04, 0.5), (1, 1), class_="residential"),
            LADDER[4],
        ),
        "a street gone and one new": lambda: load_lines(
            ladder, NOW, *LADDER[:4], street("新巷", (0.5, 0), (0.5, 1), class_="residential")
        ),
    }  # fmt: skip
    for name, change in changes.items():
        version = standing(ladder, NOW).ground_version
        change()
        assert not standing(ladder, NOW).current, name
        # A reader never gets the old one for the new.
        read, now_version = read_territory(ladder, NOW)
        assert now_version > version, name
        assert_same_ground(read, town_territory(ladder, NOW))
        assert keep_territory(ladder, NOW).how in ("local", "whole", "renewed"), name
        assert_kept(ladder)


def _areas(session: Session) -> list[int]:
    return list(session.scalars(text("select id from grid_area order by id")))


def test_small_changes_are_local_and_only_their_rows_are_written(ladder: Session) -> None:
    everything = "select ctid::text || grid_id from territory order by grid_id"
    extra = [street(f"横{n}", (10 + n, 0), (11 + n, 0)) for n in range(6)]
    load_lines(ladder, NOW, *LADDER, *extra)
    last = segment_ids(ladder)["横5"]
    apply_plan(ladder, plan_split(ladder, "B", NOW, None, last), allow_disconnected=True)
    keep_territory(ladder, NOW)
    before = list(ladder.scalars(text(everything)))
    apply_plan(
        ladder, plan_move(ladder, segment_ids(ladder)["横4"], "G001", NOW), allow_disconnected=True
    )
    done = keep_territory(ladder, NOW)
    assert (done.how, done.made_anew) == ("local", 2)
    after = list(ladder.scalars(text(everything)))
    assert len(set(before) & set(after)) == 1  # the row of A stood
    assert_kept(ladder)


def test_what_is_planned_is_another_territory_from_its_moment_on(ladder: Session) -> None:
    apply_plan(ladder, plan_move(ladder, segment_ids(ladder)["二巷"], "A", SOON))
    keep_territory(ladder, NOW)
    assert standing(ladder, SOON - timedelta(seconds=1)).current
    assert not standing(ladder, SOON).current
    later, _ = read_territory(ladder, SOON)
    assert_same_ground(later, town_territory(ladder, SOON))
    first = read_territory(ladder, NOW)[0].frame().set_index("code")["area_m2"]
    assert later.frame().set_index("code")["area_m2"]["A"] > first["A"] + 1000
    keep_territory(ladder, SOON)
    assert_kept(ladder, SOON)


def test_the_layer_for_maps_tells_its_version_and_whether_it_is_the_present_one(
    ladder: Session,
) -> None:
    layer = text(
        "select code, is_current, ground_version, st_srid(area) from territory_layer order by 1"
    )
    version = standing(ladder, NOW).ground_version
    assert [tuple(row) for row in ladder.execute(layer)] == [
        ("A", True, version, 4326),
        ("B", True, version, 4326),
    ]
    ground_changed(ladder)
    assert {row.is_current for row in ladder.execute(layer)} == {False}


def test_a_town_that_lost_its_division_says_so_and_keeps_what_it_knows_as_old(
    ladder: Session,
) -> None:
    ladder.execute(text("delete from grid_segment where side = 'left'"))
    ground_changed(ladder)
    with pytest.raises(Conflict) as refused:
        keep_territory(ladder, NOW)
    assert refused.value.code == "territory.not_divided"
    assert not standing(ladder, NOW).current
