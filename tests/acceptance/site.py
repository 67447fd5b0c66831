"""The running site for acceptance tests: a real server on a free port, and a real browser that watches itself."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from sqlalchemy import text

from api.app import make_app
from api.cli.demonstration import SAMPLE_PASSWORD
from api.services import Services
from dispatch.intake import take_in
from dispatch.placement import GivenPoint
from dispatch.reports import Report

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
# A busy machine is slow, not wrong: five seconds, the default, are too few there.
expect.set_options(timeout=20_000)
DESKTOP, PHONE = (1440, 900), (390, 844)
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
# The list with its rows as the script shows them: the first rows come with the page, before it can do anything.
ROWS = "#incidents[aria-busy=false] .line"
# The browser says so itself when a test takes the network away, or asks for what is refused on purpose.
EXPECTED_NOISE = (
    "ERR_INTERNET_DISCONNECTED",
    "the server responded with a status of",
    # Advice on how leaflet.heat reads its canvas.
    "willReadFrequently",
)


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """The application on a free port of this machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(
        make_app(services),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not start")
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=15)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One person's browser window: the page, and everything it asked for or complained about."""

    base: str
    context: BrowserContext
    page: Page
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, username: str, password: str = SAMPLE_PASSWORD) -> None:
        """Signs in by the form."""
        self.page.goto(f"{self.base}/login")
        self.page.fill("#username", username)
        self.page.fill("#password", password)
        self.page.click("form.card button")
        self.page.wait_for_url(lambda url: "/login" not in url)

    def assert_clean(self) -> None:
        """Nothing was asked of another host, and no script or policy complained."""
        assert self.foreign == []
        noise = [c for c in self.complaints if not any(word in c for word in EXPECTED_NOISE)]
        assert noise == []

    def assert_fits(self) -> None:
        """Nothing sticks out sideways."""
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"


@contextmanager
def visit(
    browser: Browser,
    base: str,
    language: str = "zh",
    size: tuple[int, int] = DESKTOP,
    **options: Any,
) -> Iterator[Visit]:
    """A fresh window in a language and size; closed afterwards."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=LOCALES[language],
        timezone_id="Asia/Shanghai",
        **options,
    )
    page = context.new_page()
    seen = Visit(base, context, page)

    def watch(request: Request) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            seen.foreign.append(request.url)

    context.on("request", watch)
    page.on(
        "console",
        lambda said: (
            seen.complaints.append(said.text) if said.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: seen.complaints.append(f"uncaught: {error}"))
    yield seen
    context.close()


PICTURES = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"


def picture(page: Page, name: str) -> None:
    """A picture of the page as it is now, kept in build/screenshots or the folder of GRIDWARD_PICTURES."""
    folder = Path(os.environ.get("GRIDWARD_PICTURES") or PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(150)
    page.screenshot(path=folder / f"{name}.png")


def take_photo(page: Page, selector: str, photo: Path) -> None:
    """Presses a button that opens the camera, and takes this photograph."""
    with page.expect_file_chooser() as chooser:
        page.click(selector)
    chooser.value.set_files(photo)


def scene(path: Path, *, clean: bool) -> Path:
    """A drawn street with a bin, clean or overflowing, as large as a phone's photograph."""
    image = Image.new("RGB", (2000, 1500), "#b9d4ea")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 900, 2000, 1500), fill="#8d9299")
    draw.rectangle((0, 840, 2000, 900), fill="#c9c4b8")
    for left in range(0, 2000, 260):
        draw.rectangle((left, 260, left + 220, 850), fill="#e3d6bd" if left % 520 else "#cfae91")
    draw.rectangle((820, 620, 1180, 1120), fill="#2f6f4f")
    draw.rectangle((800, 560, 1200, 630), fill="#24573e")
    if not clean:
        for x, y, radius, colour in (
            (760, 1120, 110, "#f0e9da"), (1240, 1140, 130, "#3b3b3b"), (1000, 560, 150, "#d8cfae"),
            (900, 1200, 90, "#b7472a"), (1120, 520, 100, "#5a6f8f"), (640, 1200, 70, "#e8e2d2"),
        ):  # fmt: skip
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    image.save(path, "JPEG", quality=88)
    return path


@dataclass(frozen=True)
class Spot:
    """A place on a named street of one grid, and another a little way along the same segment."""

    street: str
    lon: float
    lat: float
    grid: str
    along_lon: float = 0.0
    along_lat: float = 0.0


def spot_of(services: Services, username: str = "cleaner") -> Spot:
    """The middle of a named segment in the first grid that the account's person serves."""
    with services.sessions() as session:
        row = session.execute(
            text(
                "select t.name, g.code, st_x(st_lineinterpolatepoint(s.line, 0.5)) as lon,"
                " st_y(st_lineinterpolatepoint(s.line, 0.5)) as lat,"
                " st_x(st_lineinterpolatepoint(s.line, 0.2)) as along_lon,"
                " st_y(st_lineinterpolatepoint(s.line, 0.2)) as along_lat from account a"
                " join post_holding p on p.staff_id = a.staff_id and upper_inf(p.valid)"
                " join grid g on g.id = p.grid_id join grid_segment h on h.grid_id = g.id"
                " and upper_inf(h.valid) join segment s on s.id = h.segment_id"
                " join street t on t.id = s.street_id where a.username = :name"
                " and (select count(distinct grid_id) from grid_segment k"
                "  where k.segment_id = s.id and upper_inf(k.valid)) = 1"
                " order by g.code, s.length_m desc limit 1"
            ),
            {"name": username},
        ).one()
    return Spot(row.name, row.lon, row.lat, row.code, row.along_lon, row.along_lat)


def category_of(services: Services, post: str) -> str:
    """A category of conduct or conditions that belongs to a post."""
    with services.sessions() as session:
        code: str = (
            session.execute(
                text("select code from category where post = :p and kind = 'event' order by code"),
                {"p": post},
            )
            .scalars()
            .first()
        )
    return code


def report_at(services: Services, spot: Spot | None, words: str, category: str | None) -> str:
    """A report of a patrol taken in now; returns its number. Without a spot it waits for its place."""
    with services.sessions() as session:
        point = GivenPoint(spot.lon, spot.lat, "wgs84") if spot else None
        taken = take_in(
            session,
            services.desk,
            Report(channel="patrol", description=words, category=category, point=point),
            "account:dispatcher",
            datetime.now(UTC),
        )
        session.commit()
    return taken.number
