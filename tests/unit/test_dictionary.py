"""The codes that the dictionary explains are those that the code writes and the pages name."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from api.pages.console import QUEUES, STATUSES
from dispatch import codes, progress
from dispatch.duplicates import FLAG
from maps.dictionary import dictionary

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = (ROOT / "api/locales/en/messages.po").read_text(encoding="utf-8")


def named(family: str) -> set[str]:
    """The words of a family that have a sentence, as `match.place`."""
    return set(re.findall(rf'^msgid "{family}\.([a-z_]+)"', CATALOGUE, re.MULTILINE))


def test_queues_are_those_that_progress_names() -> None:
    tree = ast.parse(inspect.getsource(progress.queues))
    appended = {
        node.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "append"
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(codes.QUEUES) == appended | set(progress._PLAIN_QUEUES.values())
    assert set(codes.QUEUES) == set(QUEUES)


def test_states_matches_and_doubts_are_those_with_a_sentence() -> None:
    assert set(codes.STATES) == set(STATUSES) == named("status")
    assert set(codes.MATCHES) == named("match")
    assert set(codes.FLAGS) == named("flag")
    assert FLAG in codes.FLAGS
    files = ("placing", "placed_by_words")
    placing = "".join((ROOT / f"dispatch/{name}.py").read_text(encoding="utf-8") for name in files)
    written = set(re.findall(r'"([a-z_]+)"', " ".join(re.findall(r"flags=\(.*", placing))))
    assert written <= set(codes.FLAGS)
    assert len(written) >= 6


def test_the_dictionary_gives_every_code() -> None:
    told = {(row["layer"], row["column"]): tuple(row["codes"].split(", ")) for row in dictionary()}
    for column, known in (
        ("status", codes.STATES), ("queue", codes.QUEUES), ("match", codes.MATCHES),
        ("flags", codes.FLAGS), ("limit_unit", codes.UNITS), ("urgency", codes.URGENCIES),
        ("task_status", codes.TASK_STATES), ("post", codes.POSTS),
    ):  # fmt: skip
        assert told["incidents", column] == known, column
    assert told["crews", "post"] == (*codes.POSTS, "leader")
