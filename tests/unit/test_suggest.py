"""Categories suggested from plain words in both languages."""

from __future__ import annotations

import time

import pytest

from dispatch.categories import rows_of, seed_categories
from dispatch.suggest import WordBook, category_word, seed_words, suggest

# Sentences as people write them, with the category a dispatcher would choose.
SENTENCES = [
    ("人民路12号门口垃圾桶满了没人清", "06042"),
    ("解放路与中山路交叉口井盖丢失", "01023"),
    ("雨水井盖破了，车一过就响", "01003"),
    ("学校门口流动摊贩乱摆摊", "09001"),
    ("路灯不亮好几天了", "01037"),
    ("人行道上停了好多共享单车", "09011"),
    ("树枝断了挡住路", "04002"),
    ("雨水箅子堵塞导致积水", "01004"),
    ("小区门口绿化带里有垃圾", "06017"),
    ("工地半夜施工噪音太大睡不着", "08001"),
    ("楼上外墙瓷砖脱落要掉下来", "10994"),
    ("饭店油烟扰民", "06027"),
    ("渣土车带泥上路", "08012"),
    ("路上有一只死猫", "06037"),
    ("路面有个大坑，坑洼不平", "06013"),
    ("盲道砖缺了好几块", "06051"),
    ("电线杆上贴满小广告", "07001"),
    ("有人在河边露天烧烤", "06029"),
    ("店家把货摆到门外，店外经营", "09005"),
    ("消防通道被小车堵了", "09012"),
    ("闻到很浓的煤气味，怀疑燃气泄漏", "10998"),
    ("路面突然塌陷", "10996"),
    ("楼下有人飞线充电", "10991"),
    ("The bin is full and overflowing", "06042"),
    ("There is a big pothole on the road", "06013"),
    ("Street lights out for three nights", "01037"),
    ("Dead dog near the school", "06037"),
    ("Strong smell of gas", "10998"),
    ("Shared bikes all over the pavement", "09011"),
    ("Graffiti on the wall", "06004"),
    ("Loud music from the square", "06028"),
    ("manhole cover is missing", "01023"),
]


@pytest.mark.parametrize(("text", "category"), SENTENCES)
def test_sentences(text: str, category: str) -> None:
    best = suggest(text)[0]
    assert best.category == category
    assert 0.3 < best.certainty < 1
    assert best.words


def test_every_category_is_found_by_its_own_names() -> None:
    for category in seed_categories():
        for name in (category.name_zh, category.name_en):
            assert category.code in [each.category for each in suggest(name)], name


def test_words_belong_to_categories_that_exist() -> None:
    codes = {category.code for category in seed_categories()}
    assert {row["code"] for row in rows_of("category_words.csv")} == codes
    assert {word.category for word in seed_words()} == codes
    assert all(word.parts and all(word.parts) for word in seed_words())


def test_nothing_known_suggests_nothing() -> None:
    assert suggest("") == []
    assert suggest("你好") == []
    assert suggest("please help") == []


def test_doubt_shows_in_the_certainty() -> None:
    plain = suggest("垃圾桶满了")[0]
    mixed = suggest("垃圾桶满了，路灯也不亮")
    assert {each.category for each in mixed[:2]} == {"06042", "01037"}
    assert mixed[0].certainty < plain.certainty
    assert sum(each.certainty for each in mixed) < 1


def test_english_words_are_whole_words() -> None:
    assert "01012" not in [each.category for each in suggest("the sunshine binding")]
    assert all(each.category != "06004" for each in suggest("paragraffitic"))


def test_a_bureaus_own_words() -> None:
    book = WordBook([category_word("09001", "鬼市"), category_word("06010", "垃圾&鬼市")])
    assert [each.category for each in suggest("鬼市", book)] == ["09001"]
    assert [each.category for each in suggest("鬼市垃圾", book)] == ["06010", "09001"]


def test_a_suggestion_takes_well_under_a_millisecond_or_so() -> None:
    suggest("x")
    began = time.perf_counter()
    for text, _ in SENTENCES:
        suggest(text)
    assert (time.perf_counter() - began) / len(SENTENCES) < 0.005
