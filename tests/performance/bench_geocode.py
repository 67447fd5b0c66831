"""Speed and memory of geocoding, with any other geocoder beside it in the same run.

    .venv/bin/python -m tests.performance.bench_geocode [folder of the test data]

A peer is a function from a text to a point or None: add it to `PEERS`. The one here is what a programmer writes
first, a fuzzy search over all full addresses with rapidfuzz. Nominatim 5 is given by its measured figures: 38 plain
queries a second, 430 s to load 60,000 door plates. Times are processor time of one core, best of three.
"""

from __future__ import annotations

import gc
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz, process, utils

from grid.geocode import Gazetteer, GazetteerData, geocode
from tests.geocode_towns import cambridge, keelung, keelung_data, openstreetmap
from tests.geocode_wrong_keys import homophones, with_homophone, with_missing, with_typo

Ask = Callable[[str], tuple[float, float] | None]
NOMINATIM_PLAIN_PER_S = 38.0
NOMINATIM_LOAD_S = 430.0


def ours(gazetteer: Gazetteer) -> Ask:
    """This project's geocoder as a peer."""

    def ask(text: str) -> tuple[float, float] | None:
        answer = geocode(text, gazetteer)
        return None if answer.x_m is None or answer.y_m is None else (answer.x_m, answer.y_m)

    return ask


def fuzzy(data: GazetteerData) -> Ask:
    """The nearest of all full addresses by rapidfuzz."""
    names = dict(zip(data.street_id, data.street_name, strict=True))
    texts = [names[s] + n for s, n in zip(data.plate_street, data.plate_number, strict=True)]
    points = list(zip(data.plate_x_m, data.plate_y_m, strict=True))

    def ask(text: str) -> tuple[float, float] | None:
        found = process.extractOne(text, texts, scorer=fuzz.ratio, processor=utils.default_process)
        return None if found is None else (float(points[found[2]][0]), float(points[found[2]][1]))

    return ask


PEERS: dict[str, Callable[[GazetteerData], Ask]] = {"rapidfuzz over all addresses": fuzzy}


def per_second(ask: Ask, texts: Sequence[str], times: int = 3) -> float:
    """Texts asked in a second of processor time."""
    best = float("inf")
    for _ in range(times):
        started = time.process_time()
        for text in texts:
            ask(text)
        best = min(best, time.process_time() - started)
    return len(texts) / best


def memory_mb() -> float:
    """Resident memory of this process now (Linux), else its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def many_streets(plates: int = 100_000, streets: int = 10_000) -> GazetteerData:
    """Columns of a large invented town: as many plates, streets and segments."""
    rng = np.random.default_rng(1)
    first = "解文建新和青幸健育光长河前兴学迎团振环朝永商后南工农府县红东西北中大金银龙凤春夏秋冬梅兰竹菊松柏杨柳"
    stems = [a + b + c for a in first for b in first for c in first[:20]]
    segments = streets * 4
    xy = rng.uniform(0, 50_000, (segments, 2))
    return GazetteerData(
        street_id=list(range(streets)),
        street_name=[stems[i] + "路" for i in range(streets)],
        segment_id=list(range(segments)),
        segment_street=[i // 4 for i in range(segments)],
        segment_xy=np.repeat(xy, 2, axis=0) + np.tile([[0.0, 0.0], [150.0, 0.0]], (segments, 1)),
        segment_offset=list(range(0, 2 * segments + 1, 2)),
        plate_street=rng.integers(0, streets, plates),
        plate_number=[f"{n}号" for n in rng.integers(1, 900, plates)],
        plate_x_m=rng.uniform(0, 50_000, plates),
        plate_y_m=rng.uniform(0, 50_000, plates),
    )


def main(folder: Path) -> None:
    """Print the tables."""
    rng = random.Random(3)
    gc.collect()
    before = memory_mb()
    large = many_streets()
    gc.collect()
    columns = memory_mb()
    started = time.process_time()
    big = Gazetteer.build(large)
    took = time.process_time() - started
    gc.collect()
    print(
        f"100,000 plates, 10,000 streets, 40,000 segments: built in {took:.1f} s; {memory_mb() - columns:.0f} MB"
    )
    print(f"  ({columns - before:.0f} MB more for the columns it was built from)")
    del big, large

    frame, _ = keelung(folder)
    part = frame.sample(60_000, random_state=1)
    data = keelung_data(part, frame)
    started = time.process_time()
    Gazetteer.build(data)
    took = time.process_time() - started
    print(
        f"60,000 door plates and their streets: {took:.2f} s; Nominatim / ours = {NOMINATIM_LOAD_S / took:.0f}"
    )

    data = keelung_data(frame, frame)
    gazetteer = Gazetteer.build(data)
    rows = list(frame.sample(3_000, random_state=2).itertuples())
    table = homophones("".join(set(frame.ROAD)))
    city = Gazetteer.build(cambridge(folder).data)
    names = city.street_names
    osm = Gazetteer.build(openstreetmap(folder / "china/shanghai-west-roads.osm.pbf").data)
    roads = [n for n in osm.street_names if n.endswith("路")]
    pairs = [(rng.choice(roads), rng.choice(roads)) for _ in range(1_500)]
    work: list[tuple[str, Gazetteer, list[str]]] = [
        ("plain addresses", gazetteer, [r.ADDRESS for r in rows]),
        (
            "one homophone",
            gazetteer,
            [r.ADDRESS.replace(r.ROAD, with_homophone(r.ROAD, table, rng) or r.ROAD) for r in rows],
        ),
        (
            "one missing character",
            gazetteer,
            [r.ADDRESS.replace(r.ROAD, with_missing(r.ROAD, rng)) for r in rows],
        ),
        (
            "Latin, one typo",
            city,
            [f"{rng.randrange(1, 300)} {with_typo(rng.choice(names), rng)}" for _ in range(1_500)],
        ),
        (
            "crossings, Latin",
            city,
            [f"{rng.choice(names)} & {rng.choice(names)}" for _ in range(1_500)],
        ),
        ("crossings, Chinese", osm, [f"{a}与{b}交叉口" for a, b in pairs]),
        (
            "crossing, bearing, distance, side",
            osm,
            [f"{a}与{b}交叉口向北约120米路西" for a, b in pairs],
        ),
        ("stretches", osm, [f"{a}({b}至{rng.choice(roads)}段)北侧" for a, b in pairs]),
        (
            "streets with noise around",
            osm,
            [f"市民反映{a}上有人乱倒垃圾，请处理" for a, _ in pairs],
        ),
    ]
    print(
        "\nNominatim 5 was not run here: its stated figures are 38 plain queries a second and 430 s to load."
    )
    print(f"\n{'work':36s} {'a second':>9s} {'Nominatim x':>12s}")
    for name, town, texts in work:
        rate = per_second(ours(town), texts)
        print(f"{name:36s} {rate:9.0f} {rate / NOMINATIM_PLAIN_PER_S:12.0f}")
    for name, make in PEERS.items():
        peer, mine = make(data), ours(gazetteer)
        texts = [r.ADDRESS for r in rows[:20]]
        theirs, here = per_second(peer, texts, 1), per_second(mine, texts * 50, 1)
        print(f"\n{name}: {theirs:.1f} a second; ours / theirs = {here / theirs:.0f}")


if __name__ == "__main__":
    main(
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).resolve().parents[3] / "shared/data"
    )
