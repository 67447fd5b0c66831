"""Due times a second: many at once, and one after another, in one run; both must give the same moments.

    python -m tests.performance.bench_due [count]

Starts over three years at any minute, limits of all four units, the Chinese calendar with its shifted workdays.
"""

from __future__ import annotations

import sys
import time
from zoneinfo import ZoneInfo

import numpy as np

from dispatch.calendars import seed_calendar
from dispatch.worktime import Limit, Unit, add, add_many, from_us, limit_minutes

COUNT = 1_000_000
SINGLE = 50_000


def main(count: int = COUNT) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    calendar = seed_calendar("CN", zone, range(2024, 2029))
    rng = np.random.default_rng(5)
    starts = rng.integers(1_704_067_200, 1_798_761_600, count) * 1_000_000
    kinds = [
        Limit(4.0, Unit.WORKING_HOURS),
        Limit(2.0, Unit.WORKING_DAYS),
        Limit(2.0, Unit.HOURS),
        Limit(7.0, Unit.NATURAL_DAYS),
    ]
    limits = [kinds[k] for k in rng.integers(0, len(kinds), count).tolist()]
    add(from_us(int(starts[0]), zone), kinds[0], calendar)  # compiles the years
    begun = time.process_time()
    many = add_many(starts, *limit_minutes(limits, calendar), calendar)
    bulk_s = time.process_time() - begun
    moments = [from_us(at, zone) for at in starts[:SINGLE].tolist()]
    begun = time.process_time()
    single = [add(at, limit, calendar) for at, limit in zip(moments, limits[:SINGLE], strict=True)]
    single_s = time.process_time() - begun
    assert single == [from_us(at, zone) for at in many[:SINGLE].tolist()]
    print(
        f"many: {count / bulk_s:,.0f} a second; one by one: {len(single) / single_s:,.0f} a second"
        " (of CPU; at least 100,000)"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
