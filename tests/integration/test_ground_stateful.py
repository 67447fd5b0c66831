"""Random lives of a small town: whatever is done to it by hand, by import or by a new division, every invariant of
`gridward check` holds, the kept territory is the one made whole, and readers of points agree with it.

More examples: `GRIDWARD_EXAMPLES=200 pytest tests/integration/test_ground_stateful.py`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import shapely
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from shapely.geometry import box
from sqlalchemy import text

from api.services import Services
from dispatch.checking import check_record
from grid.bulk_locate import grids_of, read_ground_index
from grid.changing import apply_plan, plan_merge, plan_move, plan_rename, plan_split
from grid.checking import check_ground
from grid.core.errors import Trouble
from grid.dividing import apply, propose
from grid.given_areas import NamedArea, apply_areas, plan_give, plan_take
from grid.in_force import withdraw_planned
from grid.kept_territory import keep_territory, read_territory
from grid.loading.people import load_crews, load_staff
from grid.locate import locate
from grid.town_territory import town_territory
from tests.ground import MORNING, at, load_lines, street

EXAMPLES = int(os.environ.get("GRIDWARD_EXAMPLES", "4"))
STEPS = 8
POSTS = ("officer", "cleaner", "gardener", "maintainer")
COLUMNS, ROWS = 4, 3
NUMBER = st.integers(0, 10**6)
PLANNED = st.sampled_from([0, 0, 0, 30, 60])
# A split copies its crew, a new division makes grids that nobody serves yet.
FOR_PEOPLE = {"ground.post_empty"}
# A park may cut what a grid owns; streets that were cut off by an import are told and divided anew.
FOR_DIVISION = {"ground.grid_disconnected"}
# It is kept only now and then; what readers get in between is checked all the same.
OUTDATED = {"ground.territory_outdated"}


def lattice(edits: dict[str, float]) -> list[dict[str, Any]]:
    """Streets in rows and columns; `edits` bends, shifts or leaves out a street by name."""
    rows = []
    for row in range(ROWS):
        bend = edits.get(f"横{row}", 0.0)
        if bend < 0.9:
            places = [(column, row + bend * 0.1 * (column % 2)) for column in range(COLUMNS)]
            rows.append(street(f"横{row}", *places))
    for column in range(COLUMNS):
        bend = edits.get(f"纵{column}", 0.0)
        if bend < 0.9 or column in (0, COLUMNS - 1):
            places = [(column, row) for row in range(ROWS)]
            rows.append(street(f"纵{column}", *places, class_="residential"))
    if edits.get("新", 0.0) > 0.5:
        rows.append(street("新街", (0, 0), (0, -0.6), class_="residential"))
    return rows


class Town(RuleBasedStateMachine):
    """One town in one transaction, taken back at the end."""

    services: ClassVar[Services]

    def __init__(self) -> None:
        super().__init__()
        self.session = self.services.sessions()
        self.now = datetime.now(UTC)
        self.edits: dict[str, float] = {}

    @initialize()
    def begin(self) -> None:
        load_lines(self.session, MORNING, *lattice({}))
        apply(self.session, propose(self.session, 3), MORNING)
        staff = [(f"P{n}", f"人{n}", POSTS[n % 4], "局") for n in range(12)]
        load_staff(self.session, pd.DataFrame(staff, columns=["staff_no", "name", "post", "unit"]))
        keep_territory(self.session, self.now)

    def teardown(self) -> None:
        self.session.rollback()
        self.session.close()

    def attempt(self, change: Any) -> None:
        """A change that may be refused, but then changes nothing."""
        saved = self.session.begin_nested()
        try:
            change()
            saved.commit()
        except Trouble:
            saved.rollback()

    def codes(self) -> list[str]:
        return list(
            self.session.scalars(
                text("select code from grid where valid @> cast(:at as timestamptz) order by code"),
                {"at": self.now},
            )
        )

    def segments(self) -> list[int]:
        return list(
            self.session.scalars(text("select id from segment where gone_at is null order by id"))
        )

    def moment(self, days: int) -> datetime:
        return self.now + timedelta(days=days)

    @rule(
        one=NUMBER, other=NUMBER, side=st.sampled_from([("left",), ("left", "right")]), days=PLANNED
    )
    def move(self, one: int, other: int, side: tuple[str, ...], days: int) -> None:
        codes, ids = self.codes(), self.segments()
        self.attempt(
            lambda: apply_plan(
                self.session,
                plan_move(
                    self.session,
                    [ids[other % len(ids)]],
                    codes[one % len(codes)],
                    self.moment(days),
                    side,
                ),
            )
        )

    @rule(one=NUMBER, days=PLANNED)
    def split(self, one: int, days: int) -> None:
        codes = self.codes()
        self.attempt(
            lambda: apply_plan(
                self.session, plan_split(self.session, codes[one % len(codes)], self.moment(days))
            )
        )

    @rule(one=NUMBER, other=NUMBER, days=PLANNED)
    def merge(self, one: int, other: int, days: int) -> None:
        codes = self.codes()
        pair = codes[one % len(codes)], codes[other % len(codes)]
        self.attempt(
            lambda: apply_plan(self.session, plan_merge(self.session, *pair, self.moment(days)))
        )

    @rule(one=NUMBER, other=NUMBER, days=PLANNED)
    def rename(self, one: int, other: int, days: int) -> None:
        codes = self.codes()
        self.attempt(
            lambda: apply_plan(
                self.session,
                plan_rename(self.session, codes[one % len(codes)], f"名{other}", self.moment(days)),
            )
        )

    @rule(grids=st.integers(2, 5), keep=st.booleans(), days=PLANNED)
    def divide(self, grids: int, keep: bool, days: int) -> None:
        self.attempt(
            lambda: apply(
                self.session,
                propose(self.session, grids, keep=keep, at=self.moment(days)),
                self.moment(days),
            )
        )

    @rule(
        name=st.sampled_from(
            [*(f"横{n}" for n in range(ROWS)), *(f"纵{n}" for n in range(COLUMNS)), "新"]
        ),
        bend=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def import_streets(self, name: str, bend: float) -> None:
        self.edits[name] = 0.5 if name == "横0" and bend == 1.0 else bend
        self.attempt(lambda: load_lines(self.session, self.now, *lattice(self.edits)))

    @rule(
        one=NUMBER,
        west=st.floats(-0.3, 2.8),
        south=st.floats(-0.3, 1.8),
        size=st.floats(0.1, 0.8),
        days=PLANNED,
    )
    def give(self, one: int, west: float, south: float, size: float, days: int) -> None:
        codes = self.codes()
        area = NamedArea("公园", box(*at(west, south), *at(west + size, south + size)))
        self.attempt(
            lambda: apply_areas(
                self.session,
                plan_give(self.session, codes[one % len(codes)], [area], self.moment(days)),
            )
        )

    @rule(one=NUMBER, days=PLANNED)
    def take(self, one: int, days: int) -> None:
        ids = list(self.session.scalars(text("select id from grid_area order by id")))
        if ids:
            chosen = [ids[one % len(ids)]]
            self.attempt(
                lambda: apply_areas(
                    self.session, plan_take(self.session, chosen, self.moment(days))
                )
            )

    @rule(one=NUMBER, other=NUMBER, post=st.sampled_from(POSTS))
    def serve(self, one: int, other: int, post: str) -> None:
        codes = self.codes()
        people = [f"P{n}" for n in range(12) if POSTS[n % 4] == post]
        row = {"grid_code": codes[one % len(codes)], post: people[other % len(people)]}
        self.attempt(
            lambda: load_crews(
                self.session, pd.DataFrame([row]), self.now, time_zone="Asia/Shanghai"
            )
        )

    @rule()
    def withdraw(self) -> None:
        self.attempt(lambda: withdraw_planned(self.session, self.now))

    @rule(days=st.sampled_from([10, 40]))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    def check(self, days: int) -> None:
        findings = check_ground(self.session, self.moment(days))
        allowed = FOR_PEOPLE | FOR_DIVISION | OUTDATED
        assert {f.code: f.things for f in findings if f.code not in allowed} == {}

    @rule()
    def keep(self) -> None:
        """The territory is kept only now and then: what differs piles up. Then what is planned is looked at too."""
        self.check(45)
        self.check(90)
        assert check_record(self.session) == []
        keep_territory(self.session, self.now)
        kept, _ = read_territory(self.session, self.now)
        whole = town_territory(self.session, self.now)
        assert kept.whole.labels.tolist() == whole.whole.labels.tolist()
        differ = shapely.symmetric_difference(kept.whole.polygons, whole.whole.polygons)
        assert float(shapely.area(differ).max()) < 0.01

    @invariant()
    def every_check_holds(self) -> None:
        if not self.session.in_transaction():
            return  # nothing was begun yet
        self.check(0)

    @invariant()
    def points_agree_with_the_territory(self) -> None:
        if not self.session.in_transaction():
            return
        made, _ = read_territory(self.session, self.now)
        west, south, east, north = made.boundary.bounds
        random = np.random.default_rng(5)
        x, y = random.uniform(west, east, 60), random.uniform(south, north, 60)
        ground = read_ground_index(self.session)
        found = ground.index.nearest(x, y, second=False)
        moments = np.full(len(x), int(self.now.timestamp() * 1_000_000))
        bulk, _ = grids_of(
            ground, found.row, found.side.astype(np.int64), moments, np.column_stack([x, y])
        )
        borders = shapely.union_all(shapely.boundary(made.whole.polygons))
        for k, point in enumerate(shapely.points(x, y)):
            inside = made.whole.labels[shapely.contains(made.whole.polygons, point)]
            if borders.distance(point) > 0.5 and len(inside):
                assert inside.tolist() == [bulk[k]], shapely.to_wkt(point)
                if k % 10 == 0:
                    one = locate(self.session, x[k], y[k], self.now, neighbour_m=0.0)
                    assert one is not None
                    assert one.grid is not None
                    assert one.grid.id == bulk[k]


def test_random_lives_keep_every_invariant(empty_services: Services) -> None:
    Town.services = empty_services
    run_state_machine_as_test(
        Town,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
