"""Random text for as long as you like: no crash, no hang, and any text under 2,000 characters answered in under 50 ms.

    nice -n 19 .venv/bin/python -m tests.performance.fuzz_geocode [minutes of processor time: 60] [seed] [folder of the test data]

Three real gazetteers (Keelung's plates, Cambridge's ranges, the streets of western Shanghai, with learned places)
are asked random Unicode, their own names and words of place in disorder, endless repetitions, and real sentences with
pieces cut, doubled and mixed. Slow texts count by processor time, the best of three. Ends with 1 when anything fell.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from grid.geocode import Gazetteer, geocode
from grid.geocode.learned import Learned, lesson, taught
from tests.geocode_towns import cambridge, keelung, keelung_data, openstreetmap
from tests.unit.test_geocode_fuzz import WORDS

LONGEST = 1_999
SLOW_S = 0.05
Write = Callable[[random.Random], str]


def random_text(rng: random.Random) -> str:
    """Characters of one or several blocks, surrogates left out."""
    blocks = ((0x20, 0x7F), (0x4E00, 0x9FFF), (0xFF01, 0xFF5E), (0x80, 0x24F), (0xE000, 0xF8FF), (0x1, 0xD7FF), (0x1F300, 0x1FAFF))  # fmt: skip
    chosen = rng.sample(blocks, rng.randrange(1, 4))
    size = int(10 ** rng.uniform(0, 3.3))
    return "".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(min(size, LONGEST)))


def word_salad(words: list[str]) -> Write:
    """A town's names and the words of place in any order."""

    def write(rng: random.Random) -> str:
        size = int(10 ** rng.uniform(0, 2.7))
        return "".join(rng.choice(words) for _ in range(size))[:LONGEST]

    return write


def repetition(words: list[str]) -> Write:
    """One to four words again and again."""

    def write(rng: random.Random) -> str:
        return ("".join(rng.choice(words) for _ in range(rng.randrange(1, 5))) * 2_000)[:LONGEST]

    return write


def mangled(sentences: list[str]) -> Write:
    """Real sentences cut, doubled, turned and joined."""

    def write(rng: random.Random) -> str:
        text = "".join(rng.choice(sentences) for _ in range(rng.randrange(1, 6)))
        for _ in range(rng.randrange(0, 8)):
            i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
            piece = text[i:j]
            text = rng.choice(
                (
                    text[:i] + text[j:],
                    text[:i] + piece + text[i:],
                    text[:i] + piece[::-1] + text[j:],
                )
            )
            if not text:
                break
        return text[:LONGEST]

    return write


def towns(folder: Path) -> list[tuple[str, Gazetteer, list[Write]]]:
    """The gazetteers with the writers of texts for each."""
    frame, _ = keelung(folder)
    parcels = pd.read_csv(
        folder / "us-cambridge/parcel-addresses-fy2014.csv.gz", dtype=str, keep_default_na=False
    )
    places = pd.read_csv(folder / "china/shanghai-west-poi.csv", dtype=str, keep_default_na=False)
    made = (
        ("Keelung", keelung_data(frame, frame), frame.ADDRESS.tolist()),
        ("Cambridge", cambridge(folder).data, parcels.ADDRESS.tolist()),
        (
            "Shanghai",
            openstreetmap(folder / "china/shanghai-west-roads.osm.pbf").data,
            [*places.address, *places.name],
        ),
    )
    found = []
    for name, data, sentences in made:
        base = Gazetteer.build(data)
        told = [Learned(i, words, 0.0, 0.0) for i, words in enumerate(("老东门", "鼎盛建材城", "Red Lion Yard"), 1)]  # fmt: skip
        rng = random.Random(name)
        words = [*WORDS, *rng.sample(list(data.street_name), min(300, len(data.street_name)))]
        writers = [random_text, word_salad(words), repetition(words), mangled([s for s in sentences if s])]  # fmt: skip
        found.append((name, taught(base, told), writers))
    return found


def took_s(text: str, gazetteer: Gazetteer) -> float:
    """Processor time of one answer, the best of three when the first is slow."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        geocode(text, gazetteer)
        best = min(best, time.process_time() - started)
        if best < SLOW_S:
            break
    return best


def main(minutes: float, seed: int, folder: Path) -> int:
    """Asks until the time is used up; prints what fell and the slowest answer."""
    rng = random.Random(seed)
    every = towns(folder)
    until = time.process_time() + minutes * 60
    asked = fell = 0
    slowest = (0.0, "", "")
    told_at = time.process_time()
    while time.process_time() < until:
        if time.process_time() - told_at >= 60:
            told_at = time.process_time()
            left = (until - told_at) / 60
            print(f"{asked} texts, {fell} fell, slowest {slowest[0] * 1000:.1f} ms, {left:.0f} min left", flush=True)  # fmt: skip
        name, gazetteer, writers = rng.choice(every)
        text = rng.choice(writers)(rng)
        asked += 1
        try:
            took = took_s(text, gazetteer)
            if asked % 20 == 0:
                lesson(text, gazetteer)
        except Exception:
            fell += 1
            print(f"\nFELL in {name}: {text!r}\n{traceback.format_exc()}", flush=True)
            continue
        slowest = max(slowest, (took, name, text))
        if took >= SLOW_S:
            fell += 1
            print(f"\nSLOW in {name}, {took * 1000:.0f} ms: {text!r}", flush=True)
    print(f"{asked} texts in {minutes:g} min of processor time, {fell} fell or were slow")
    print(f"slowest {slowest[0] * 1000:.1f} ms in {slowest[1]}: {slowest[2][:80]!r}")
    return 1 if fell else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(
        main(
            float(given[0]) if given else 60.0,
            int(given[1]) if len(given) > 1 else 1,
            Path(given[2])
            if len(given) > 2
            else Path(__file__).resolve().parents[3] / "shared/data",
        )
    )
