"""Console and phone page in Chromium, its CPU four times slower, on 10,000 open incidents and 20,000 segments.

    flock /tmp/gridward-bench.lock python -m tests.performance.bench_console

Prints the first useful paint (the first rows are on the screen; then the streets), that of the phone page (its tasks), the
compressed size of each one's scripts, the frames while the map is
dragged and zoomed, how long a filter takes until its rows stand, and a new incident until it is in the list. The peer,
in the same run: the same streets given to Leaflet whole, as GeoJSON on a canvas, under the same hand movements.
"""

from __future__ import annotations

import gzip
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Page, Response

from api.cli.demonstration import load_demo
from api.cli.opening import seed
from api.migrate import migrate
from api.services import Services, make_services
from fixtures.town import make_town
from tests.acceptance.site import (
    PHONE,
    ROWS,
    category_of,
    chromium,
    report_at,
    serving,
    spot_of,
    visit,
)
from tests.databases import TestCluster

INCIDENTS, SLOWER = 10_000, 4
PAINT_MS, PHONE_MS, FILTER_MS = 1500, 1000, 1000
# A lattice of 100 x 100 crossings beside the invented town; 100 grids of 200 segments each.
GROUND = """
insert into street (name) select '格街' || g from generate_series(1, 200) g;
insert into grid (code, name, valid)
    select 'L' || lpad(g::text, 3, '0'), '格' || g, tstzrange('2020-01-01', null) from generate_series(1, 100) g;
insert into segment (source_key, street_id, class, rank, from_crossing_id, to_crossing_id, length_m, line, line_plane)
select 'lattice' || i || '/' || j || d, (select min(id) from street where name like '格街%') + case when d = 0 then i else 100 + j end,
    (array['primary', 'secondary', 'tertiary', 'residential', 'residential', 'service'])[1 + (i + j) % 6],
    1, c.id, c.id, 90, st_setsrid(l, 4326), st_setsrid(st_transform(st_setsrid(l, 4326), (select plane_epsg from town)), 0)
from generate_series(0, 99) i cross join generate_series(0, 99) j cross join generate_series(0, 1) d
cross join (select min(id) as id from crossing) c
cross join (select st_xmax(e) + 0.004 as x, st_ymin(e) as y from (select st_extent(line)::box2d as e from segment) b) at
cross join lateral (select st_makeline(array(select st_makepoint(
    at.x + i * 0.001 + case when d = 0 then k * 0.0002 else 0.00003 * sin(k * 2 + j) end,
    at.y + j * 0.001 + case when d = 1 then k * 0.0002 else 0.00003 * sin(k * 2 + i) end)
    from generate_series(0, 5) k)) l) x;
insert into grid_segment (segment_id, side, grid_id, valid)
select s.id, side, (select min(id) from grid where code like 'L%') + (regexp_match(source_key, '^lattice(\\d+)/'))[1]::int / 10 * 10
    + (regexp_match(source_key, '/(\\d+)\\d$'))[1]::int / 10, tstzrange('2020-01-01', null)
from segment s cross join (values ('left'), ('right')) v (side) where source_key like 'lattice%';
"""
REPORTS = """
insert into incident (number, channel_code, category_code, description, address, status, queue, occurred_at, reported_at,
    filed_at, dispatched_at, due_at, amber_at, point, match, confidence, segment_id, side, distance_m, grid_id,
    reason, facts, clocks, ground_version)
select '20200101-' || lpad(g::text, 6, '0'), one.channel_code, one.category_code, one.description || g, one.address,
    one.status, case when g % 40 = 0 then 'to_check' end, now() - g * interval '1 minute', now() - g * interval '1 minute',
    one.filed_at, one.dispatched_at, now() + (g % 900 - 300) * interval '1 minute',
    now() + (g % 900 - 400) * interval '1 minute', st_lineinterpolatepoint(s.line, random()), 'point', 1, s.id, 'left', 5,
    h.grid_id, one.reason, one.facts, one.clocks, one.ground_version
from generate_series(1, {count}) g
join (select id, line, row_number() over (order by md5(id::text)) as place from segment where source_key like 'lattice%') s
    on s.place = g
join grid_segment h on h.segment_id = s.id and h.side = 'left'
cross join (select * from incident where dispatched_at is not null and ended_at is null order by id limit 1) one;
insert into task (incident_id, post, lead, assignee_id, status, assigned_at)
select i.id, 'cleaner', true, (select min(id) from staff) + i.id % 40, 'offered', i.reported_at
from incident i where i.number like '20200101-%';
"""
# Notes when the first rows and the first streets are on the screen, and the longest work of the page.
WATCH = """
window.seen = {}; window.long_ms = [];
new PerformanceObserver((list) => { for (const e of list.getEntries()) window.long_ms.push(Math.round(e.duration)); })
  .observe({ type: 'longtask', buffered: true });
const note = (name) => { if (name in window.seen) return; window.seen[name] = 0;
  requestAnimationFrame(() => setTimeout(() => { window.seen[name] = performance.now(); }, 0)); };
const sheet = new OffscreenCanvas(128, 128).getContext('2d', { willReadFrequently: true });
const ink = (canvas) => { if (!canvas.width || !canvas.classList.contains('leaflet-tile-loaded')) return false;
  sheet.clearRect(0, 0, 128, 128); sheet.drawImage(canvas, 0, 0, 128, 128);
  return sheet.getImageData(0, 0, 128, 128).data.some(Boolean); };
const look = () => { if (document.querySelector('.line')) note('rows'); if (document.querySelector('.task')) note('tasks');
  if (!('streets' in window.seen) && [...document.querySelectorAll('.leaflet-pane canvas')].some(ink)) note('streets');
  if (!('rows' in window.seen) || !('streets' in window.seen)) setTimeout(look, 25); };
look();
"""
HAND = """async ([steps, zooms]) => {
  const map = window.gridward?.map || window.map; const frames = []; let last = performance.now(); let going = true;
  const tick = (now) => { frames.push(now - last); last = now; if (going) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  for (let i = 0; i < steps; i += 1) { map.panBy([i % 2 ? -260 : 260, i % 3 ? 120 : -120], { duration: 0.3 }); await rest(500); }
  const panned = frames.splice(0);
  for (let i = 0; i < zooms; i += 1) { map.setZoom(map.getZoom() + (i % 4 < 2 ? 1 : -1)); await rest(900); }
  going = false; return [panned.slice(1), frames]; }"""


def fill(services: Services) -> None:
    """The invented town with its accounts, beside it a lattice of streets full of open incidents."""
    with services.sessions() as session:
        seed(services, session)
        load_demo(
            services, session, make_town(incident_count=40), lambda *_: None, datetime.now(UTC)
        )
        session.commit()
    report_at(services, spot_of(services), "垃圾满溢", category_of(services, "cleaner"))
    address = services.engine.url.render_as_string(False).replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as raw:
        raw.execute("set statement_timeout = 0")
        raw.execute(GROUND.encode())
        raw.execute(REPORTS.replace("{count}", str(INCIDENTS)).encode())
        raw.execute("update town set ground_version = ground_version + 1")
        raw.execute("vacuum analyze")
        found = raw.execute("select count(*) from segment where gone_at is null").fetchone()
        opened = raw.execute("select count(*) from incident where ended_at is null").fetchone()
        print(f"{found and found[0]} segments, {opened and opened[0]} open incidents")


def slow(page: Page) -> None:
    """The browser's CPU as that of a cheap machine."""
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})


def frames(name: str, taken: list[float]) -> float:
    """Prints the frames of a movement; returns the share of them longer than 50 ms."""
    ordered = sorted(taken)
    late = sum(one for one in taken if one > 50) / sum(taken)
    print(
        f"  {name:<28} p50 {statistics.median(ordered):5.0f} ms  p95 {ordered[int(len(ordered) * 0.95)]:5.0f} ms"
        f"  longest {ordered[-1]:5.0f} ms  time in frames over 50 ms {late:4.0%}"
    )
    return ordered[-1]


def opened(page: Page, base: str) -> dict[str, float]:
    """Opens the console; milliseconds from the navigation to what is seen first."""
    page.goto(f"{base}/console")
    # The page's policy forbids the usual waiting for an expression.
    for _ in range(1200):
        if page.evaluate("window.seen.rows > 0 && window.seen.streets > 0"):
            break
        page.wait_for_timeout(100)
    found: dict[str, float] = page.evaluate("window.seen")
    return found


def filtered(page: Page, name: str, value: str) -> float:
    """Milliseconds from choosing a filter to its rows on the screen."""
    return float(
        page.evaluate(
            """([name, value]) => new Promise((done) => { const began = performance.now();
            const box = document.querySelector('#incidents');
            new MutationObserver((_, me) => { me.disconnect(); requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))); })
              .observe(box, { childList: true });
            const field = document.querySelector(`#filters [name=${name}]`); field.value = value;
            field.dispatchEvent(new Event('change', { bubbles: true })); })""",
            [name, value],
        )
    )


def whole(page: Page, base: str) -> tuple[float, list[list[float]]]:
    """The peer: all streets as one GeoJSON on Leaflet's canvas; ms from the file to the drawing, and its frames."""
    page.goto(f"{base}/maps")
    page.set_content(
        f'<base href="{base}/"><link rel="stylesheet" href="{base}/static/vendor/leaflet/leaflet.css">'
        '<div id="m" style="position:fixed;inset:0"></div>'
    )
    page.evaluate(
        """src => new Promise((done) => { const s = document.createElement('script'); s.src = src; s.onload = done; document.head.append(s); })""",
        f"{base}/static/vendor/leaflet/leaflet.js",
    )
    took = page.evaluate(
        """async () => { const began = performance.now(); const answer = await (await fetch('/api/v1/grids.geojson')).json();
        window.map = L.map('m', { preferCanvas: true });
        const layer = L.geoJSON(answer, { style: { weight: 3 } }); window.map.fitBounds(layer.getBounds()); layer.addTo(window.map);
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); return performance.now() - began; }"""
    )
    return took, page.evaluate(HAND, [8, 6])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        cluster = TestCluster(home)
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        try:
            fill(services)
            with serving(services) as base, chromium() as browser, visit(browser, base) as seen:
                measure(services, seen, base)
                with visit(browser, base, size=PHONE) as phone:
                    measure_phone(phone, base)
        finally:
            services.engine.dispose()
            cluster.stop()


def measure(services: Services, seen: Any, base: str) -> None:
    """Everything once, and the opening three times."""
    page = seen.page
    seen.sign_in("dispatcher")
    # Once without a clock, so that the server has read its rules and the browser its scripts.
    print(f"  console: {script_kb(page, f'{base}/console', ROWS)} kB of script compressed")
    page.add_init_script(WATCH)
    slow(page)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, the browser's CPU {SLOWER} times slower"
    )
    for _ in range(3):
        found = opened(page, base)
        print(
            f"  rows {found['rows']:6.0f} ms  streets {found['streets']:6.0f} ms (under {PAINT_MS})"
        )
    page.wait_for_timeout(2500)
    print(f"  longest work while it opened {max(page.evaluate('window.long_ms'), default=0)} ms")
    panned, zoomed = page.evaluate(HAND, [8, 6])
    ours = frames("dragged", panned), frames("zoomed", zoomed)
    for name, value in (("queue", "to_check"), ("queue", ""), ("grid", "L007"), ("grid", "")):
        print(
            f"  filter {name}={value or 'any':<14} {filtered(page, name, value):6.0f} ms (under {FILTER_MS})"
        )
        page.wait_for_timeout(1200)
    spot, category = spot_of(services), category_of(services, "cleaner")
    began = time.perf_counter()
    number = report_at(services, spot, "刚刚发生", category)
    page.wait_for_selector(f"#row-{number}")
    print(f"  a new incident in the list {1000 * (time.perf_counter() - began):6.0f} ms")
    took, (panned, zoomed) = whole(page, base)
    print(f"peer: all streets as GeoJSON on one canvas, drawn after {took:.0f} ms")
    peer = frames("dragged", panned), frames("zoomed", zoomed)
    print(
        f"longest frame, ours to the peer's: dragged {ours[0] / peer[0]:.2f}, zoomed {ours[1] / peer[1]:.2f}"
    )


def measure_phone(seen: Any, base: str) -> None:
    """The phone page: three openings after the first."""
    page = seen.page
    seen.sign_in("cleaner")
    print(f"  phone page: {script_kb(page, f'{base}/field', '.task')} kB of script compressed")
    page.add_init_script(WATCH)
    slow(page)
    for _ in range(3):
        page.goto(f"{base}/field")
        page.wait_for_selector(".task", timeout=120_000)
        page.wait_for_timeout(300)
        print(f"  phone tasks {page.evaluate('window.seen.tasks'):6.0f} ms (under {PHONE_MS})")


def script_kb(page: Page, address: str, ready: str) -> int:
    """Kilobytes of all scripts of a page, each compressed as a server in front would."""
    sizes: dict[str, int] = {}

    def weigh(answer: Response) -> None:
        if answer.request.resource_type == "script" and answer.ok:
            sizes[answer.url] = len(gzip.compress(answer.body()))

    page.on("response", weigh)
    page.goto(address)
    page.wait_for_selector(ready, timeout=120_000)
    page.wait_for_timeout(1500)
    page.remove_listener("response", weigh)
    return sum(sizes.values()) // 1000


if __name__ == "__main__":
    main()
