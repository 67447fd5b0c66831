"""What closed incidents teach about words: on small tables made by hand, with what must come out of them."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from dispatch.suggest import suggest
from dispatch.suggest_learned import (
    LEAST_KNOWN,
    LearnedModel,
    from_bytes,
    pieces_of,
    plain,
    pool,
    to_bytes,
    together,
)
from dispatch.suggest_training import LEAST_CASES, Case, Figures, train
from grid.core.errors import BadInput

# Words of one town that no keyword knows: 鬼市 is its name for stalls, 水帘洞 for a leaking tunnel.
WORDS = {
    "09001": ("鬼市又摆出来了", "鬼市占着路", "今晚鬼市很吵"),
    "01004": ("水帘洞下面又淹了", "水帘洞过不去", "水帘洞积水"),
    "06042": ("垃圾桶满了", "果皮箱满溢", "垃圾箱没人收"),
}
STREETS = ("永胜路", "站前路", "人民大道", "环城北路")


def cases(count: int, seed: int = 1) -> list[Case]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        category = rng.choice(sorted(WORDS))
        words = rng.choice(WORDS[category])
        found.append(Case(f"{rng.choice(STREETS)}{rng.randrange(1, 300)}号附近{words}", category))
    return found


@pytest.fixture(scope="module")
def trained() -> tuple[LearnedModel, Figures]:
    made = train(cases(400))
    assert made is not None
    return made


def test_a_towns_own_words_are_learned(trained: tuple[LearnedModel, Figures]) -> None:
    model, figures = trained
    assert suggest("站前路88号附近鬼市又摆出来了") == []
    for words, category in (("永胜路9号附近鬼市占路", "09001"), ("水帘洞又淹了", "01004")):
        best = together(words, model)[0]
        assert (best.category, best.source) == (category, "learned")
        assert best.certainty > 0.7
    assert figures.cases == 400
    assert (figures.categories, figures.held_back) == (3, 80)
    # Two of three categories have no keyword; what is left is 垃圾桶满了 and 果皮箱满溢 and 积水.
    assert figures.keywords_right < figures.learned_right == figures.together_right == 80
    assert figures.good_enough


def test_where_both_agree_both_are_named(trained: tuple[LearnedModel, Figures]) -> None:
    best = together("站前路12号附近垃圾桶满了", trained[0])[0]
    assert (best.category, best.source) == ("06042", "both")
    assert any("垃圾" in word for word in best.words)


def test_what_was_never_learned_is_left_to_the_keywords(
    trained: tuple[LearnedModel, Figures],
) -> None:
    model, _ = trained
    for words in ("The bin is full and overflowing", "路灯不亮好几天了", "闻到很浓的煤气味，怀疑燃气泄漏"):  # fmt: skip
        assert model.knows(words) < LEAST_KNOWN
        assert together(words, model) == suggest(words)
    # Known street, unlearned category: the keywords' certainty times what the model leaves open.
    words = "永胜路9号附近井盖丢失"
    assert model.knows(words) >= LEAST_KNOWN
    left_open = 1 - model.certainties(words).max()
    found = next(s for s in together(words, model) if s.category == "01023")
    assert found.certainty == pytest.approx(suggest(words)[0].certainty * left_open, abs=1e-3)
    assert found.source == "keywords"


def test_certainties_are_shares(trained: tuple[LearnedModel, Figures]) -> None:
    model, _ = trained
    for words in (
        "",
        " ",
        "永",
        "永胜路",
        "鬼市垃圾桶满了水帘洞",
        "0" * 5000,
        "🙂🙂🙂",
        "\x00\x01",
    ):
        assert model.certainties(words).sum() == pytest.approx(1.0)
        found = together(words, model, at_most=10)
        assert sum(s.certainty for s in found) <= 1.001
        assert [s.certainty for s in found] == sorted((s.certainty for s in found), reverse=True)


def test_too_few_cases_teach_nothing() -> None:
    assert train(cases(LEAST_CASES - 1)) is None
    assert train([Case("垃圾桶满了", "06042")] * 500) is None
    assert train([]) is None


def test_a_model_worse_than_the_keywords_is_told_so() -> None:
    # Closed as whatever: nothing can be learned, and the keywords know better.
    rng = random.Random(5)
    codes = ["09001", "01004", "06012"]
    mixed = [
        Case(words, "06042" if rng.random() < 0.6 else rng.choice(codes))
        for words in rng.choices(["垃圾桶满了", "果皮箱满溢", "垃圾箱满了", "路灯不亮"], k=240)
    ]
    flipped = [Case("垃圾桶满了", "09001")] * 240 + [Case("垃圾桶满了", "06042")] * 160
    assert train(mixed) is None
    made = train(flipped)
    assert made is not None
    assert made[1].keywords_right == 80
    assert not made[1].good_enough


def test_no_number_and_no_single_name_gets_in() -> None:
    told = [*cases(400), *(Case(f"李晓明 139{n:08d} 鬼市", "09001") for n in range(2))]
    made = train(told)
    assert made is not None
    assert not any(set("123456789") & set(piece) for piece in made[0].pieces)
    assert not any("晓" in piece for piece in made[0].pieces)


def test_what_is_kept_comes_back_and_what_is_no_model_is_refused(
    trained: tuple[LearnedModel, Figures],
) -> None:
    model, _ = trained
    again = from_bytes(to_bytes(model))
    assert again.categories == model.categories
    assert again.pieces == model.pieces
    for words in ("永胜路9号附近鬼市很吵", "垃圾箱没人收", "水帘洞"):
        np.testing.assert_allclose(again.certainties(words), model.certainties(words), atol=2e-3)
    assert (again.sharpness, again.trust) == (model.sharpness, model.trust)
    for broken in (b"", b"no model", to_bytes(model)[:-200]):
        with pytest.raises(BadInput, match="model_unreadable"):
            from_bytes(broken)


def test_the_numbers_are_those_of_the_formula() -> None:
    # "ab": pieces a, b, ab; rarity 1 each, so each counts 1/sqrt(3). Scores: (2+1)/sqrt(3) against 0.
    model = LearnedModel(
        ("X", "Y"),
        {"a": 0, "b": 1, "ab": 2},
        np.ones(3, dtype=np.float32),
        np.array([[2, 0], [1, 0], [0, 0]], dtype=np.float32),
        np.zeros(2, dtype=np.float32),
    )
    expected = 1 / (1 + math.exp(-3 / math.sqrt(3)))
    assert model.certainties("AB")[0] == pytest.approx(expected, rel=1e-6)
    assert model.knows("ab") == 1.0
    assert model.knows("abab") == pytest.approx(2 / 3)
    # Keywords 0.59 and 0, own 0.5 each, a tenth elsewhere: 0.6 to 0.01, of nine tenths.
    told = pool(np.log([[0.5, 0.5]]), np.array([[0.59, 0.0]]), [0.9], 1.0, 1.0)
    np.testing.assert_allclose(told, [[0.9 * 0.6 / 0.61, 0.9 * 0.01 / 0.61]])


def test_texts_are_read_alike_however_they_are_typed() -> None:
    assert plain("　Ｂ座１２号  西") == "b座00号 西"
    assert pieces_of("abc") == ["a", "b", "c", "ab", "bc", "abc"]
