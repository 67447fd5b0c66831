"""Both languages are complete: nothing is shown as a bare key, no code of a trouble lacks its sentence."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from api.i18n import LANGUAGES, catalogue, has, translate
from api.pages.console import KEYS, QUEUES, SORTS, STATUSES
from api.permissions import ROLES
from dispatch.moves import MOVES, TASK_MOVES, State, TaskState
from dispatch.seeds import CHANNELS
from grid.models import HOLDINGS

ROOT = Path(__file__).resolve().parents[2]
CODE = r"[a-z][a-z_0-9]*(?:\.[a-z_0-9]+)+"
# Calls that name a sentence: translate(language, "x.y"), t("x.y"), say("x.y"), and a code of a trouble or a refusal.
NAMED_IN_PYTHON = re.compile(
    rf'(?:\bt\(|\bsay\(|translate\(\s*[^,()]+,|BadInput\(|NotFound\(|NotAllowed\(|Conflict\(|Unavailable\(|_Refusal\(|RefusedRow\([^,()]+,)\s*"({CODE})"'
)
NAMED_IN_PAGES = re.compile(rf"""\bt\(\s*['"]({CODE})['"]\s*[,)]""")
REASON = re.compile(rf'\breason\(\s*"({CODE})"')


def sources(*patterns: str) -> list[Path]:
    found = [file for pattern in patterns for file in sorted(ROOT.glob(pattern))]
    assert found, patterns
    return [file for file in found if "vendor" not in file.parts]


def named(pattern: re.Pattern[str], files: list[Path]) -> set[str]:
    return {key for file in files for key in pattern.findall(file.read_text(encoding="utf-8"))}


def test_the_languages_have_the_same_messages() -> None:
    keys = {language: set(catalogue(language)) for language in LANGUAGES}
    assert keys["zh"] == keys["en"]
    assert len(keys["zh"]) > 500


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_empty_or_its_own_key(language: str) -> None:
    for key, text in catalogue(language).items():  # type: ignore[arg-type]
        assert text.strip()
        assert text != key


def test_both_languages_fill_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    differ = {
        key
        for key in catalogue("zh")
        if places(catalogue("zh")[key]) != places(catalogue("en")[key])
    }
    # English moves a plain word where Chinese says it in place: none may lose a value.
    assert differ == set()


def test_every_sentence_that_pages_and_scripts_ask_for_is_there() -> None:
    asked = named(NAMED_IN_PAGES, sources("api/templates/*.html", "api/static/js/**/*.js"))
    assert len(asked) > 150
    assert {key for key in asked if not has(key)} == set()


def test_every_code_of_a_trouble_and_every_sentence_of_the_program_is_there() -> None:
    asked = named(NAMED_IN_PYTHON, sources("grid/**/*.py", "dispatch/**/*.py", "api/**/*.py"))
    assert len(asked) > 50
    assert {key for key in asked if not has(key)} == set()


def test_every_finding_of_the_check_has_its_sentence() -> None:
    finding = re.compile(r'"((?:ground|record)\.[a-z_]+)"')
    asked = named(finding, sources("grid/checking.py", "dispatch/checking.py"))
    assert len(asked) > 5
    assert {code for code in asked if not has(f"check.{code}")} == set()


def test_every_guard_of_a_move_has_its_sentence() -> None:
    # The last word of _unless(condition, "code"), and whole codes written out.
    guard = re.compile(r'(?:_unless\([^\n]*, "|return \(?"move\.)([a-z_]+)"\)?,')
    asked = named(guard, sources("dispatch/guards.py"))
    assert len(asked) > 10
    assert {code for code in asked if not has(f"move.{code}")} == set()


def test_every_reason_has_its_sentence() -> None:
    asked = named(REASON, sources("dispatch/**/*.py"))
    assert len(asked) > 10
    assert {key for key in asked if not has(f"reason.{key}")} == set()


FAMILIES = {
    "status": {*State, *STATUSES},
    "task_status": set(TaskState),
    "move": {*MOVES, *TASK_MOVES, "report"},
    "post": set(HOLDINGS),
    "role": {*ROLES, "system", "reporter"},
    "queue": set(QUEUES),
    "channel": {code for code, *_ in CHANNELS},
    "datum": {"wgs84", "cgcs2000", "gcj02", "bd09"},
    "side": {"left", "right"},
    "stage": {"before", "during", "after"},
    "sort": {sort.replace("-", "latest_") for sort in SORTS},
    "keys": {name for _, name in KEYS},
    "live": {"on", "off", "wait"},
    "legend": {"green", "amber", "red", "waiting"},
    "unit": {"hours", "working_hours", "working_days", "natural_days"},
    "match": {
        *("point", "door_plate", "interpolated", "crossing", "crossing_offset", "place"),
        *("span", "km_post", "street", "community", "none"),
    },
    "flag": {
        *("point_outside", "datum_suspect", "point_disagrees", "words_elsewhere"),
        *("corrected", "street_only"),
    },
    "reason.person": {"holder", "substitute", "unit_head", "leader", "none"},
    "track.plain": set(State),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_whose_codes_come_from_data_are_complete(family: str) -> None:
    joint = "_" if family == "track.plain" else "."
    missing = {code for code in FAMILIES[family] if not has(f"{family}{joint}{code}")}
    assert missing == set()


def test_a_missing_value_or_key_never_becomes_an_error() -> None:
    assert translate("en", "no.such.key", n=1) == "no.such.key"
    assert translate("en", "console.count") == "{n} incidents"
    assert translate("zh", "console.count", n=3) == "共 3 件"


def test_values_are_filled_as_they_are() -> None:
    assert translate("en", "incident.unknown", number="{x} <b>") == "There is no incident {x} <b>."


def test_the_check_would_find_a_missing_key() -> None:
    assert not has("console.not_there")
    assert NAMED_IN_PYTHON.findall('raise BadInput("a.b", field="x")') == ["a.b"]
    assert NAMED_IN_PAGES.findall("""{{ t('c.d') }} t("e.f", { n })""") == ["c.d", "e.f"]
