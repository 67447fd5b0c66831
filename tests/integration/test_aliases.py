"""Former and short names from a table: found in words at once, kept over a new import, refused with their reason."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy.orm import Session

from api.services import Services
from dispatch.placed_by_words import find_words
from grid.loading.aliases import load_aliases


def placed(session: Session, services: Services, words: str) -> str:
    ground, _ = services.desk.read(session)
    assert ground is not None
    (answer,) = find_words([words], ground, [None])
    return answer.street


def test_an_alias_is_understood_and_refusals_are_told(
    session: Session, town_services: Services
) -> None:
    assert placed(session, town_services, "凯旋旧街与站前路交叉口") != "永胜路"
    table = pd.DataFrame(
        [
            {"alias": "凯旋旧街;胜利旧街", "name": "永胜路", "kind": "street"},
            {"alias": "站前路", "name": "永胜路", "kind": None},
            {"alias": "老东门", "name": "没有这条路", "kind": None},
            {"alias": "某街", "name": "永胜路", "kind": "river"},
            {"alias": " ", "name": "永胜路", "kind": None},
        ]
    )
    report = load_aliases(session, table)
    assert (report.taken, report.new) == (2, 2)
    assert [(r.row, r.code) for r in report.refused] == [
        (2, "alias.is_a_street"),
        (3, "alias.name_unknown"),
        (4, "alias.kind_unknown"),
        (5, "alias.blank"),
    ]
    for words in ("凯旋旧街与站前路交叉口", "胜利旧街与站前路交叉口"):
        assert placed(session, town_services, words) == "永胜路"
    assert load_aliases(session, table).new == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("老东门", True),
        ("二中", True),
        ("鼎盛建材城", True),
        ("Red Lion Yard", True),
        ("门口", False),
        ("小区门口", False),
        ("菜市场", False),
        ("路口", False),
        ("3号楼", False),
        ("the park", False),
        ("我家楼下", False),
    ],
)
def test_words_that_can_mean_one_place(words: str, expected: bool) -> None:
    from grid.geocode.learned import specific

    assert specific(words) is expected
