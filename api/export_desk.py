"""Exports of one server: files sent while they are written, and larger ones made in the background.

A file lies under a name of its own in the home until it is whole, and goes when it was sent, when the reader
leaves, or when its time is over.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.layers import keep_territory_now
from api.models import ExportJob
from api.services import Services
from grid.core.database import database_url
from grid.core.errors import Conflict, NotFound, Trouble, Unavailable
from maps.export_rows import Watch
from maps.exports import Plan, export, write_export

LOG = logging.getLogger("gridward")
SENDING_AT_ONCE = 4
MAKING_AT_ONCE = 2
PIECE_BYTES = 262_144
LOOK_SECONDS = 0.02
NOTE_SECONDS = 1.0
# A job that nobody has worked at for so long was left by a server that stopped.
FORSAKEN = timedelta(minutes=2)


class ExportDesk:
    """Made once for a server; `close` stops what is under way."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.folder = services.settings.database.home_folder / "exports"
        self._slots = threading.BoundedSemaphore(SENDING_AT_ONCE)
        self._pool = ThreadPoolExecutor(MAKING_AT_ONCE, thread_name_prefix="export")
        self._stopping = threading.Event()
        self._own: set[str] = set()

    def close(self) -> None:
        """Stops background exports; their rows say so."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def _slot(self) -> Iterator[Callable[[], None]]:
        """A place among the exports under way; handed on by taking it out of the `with`. Unavailable `export.busy`."""
        if not self._slots.acquire(blocking=False):
            raise Unavailable("export.busy")
        kept: list[bool] = []
        try:
            yield lambda: kept.append(True)
        finally:
            if not kept:
                self._slots.release()

    def send(self, plan: Plan) -> tuple[Body, int | None]:
        """The bytes of an export and their number where it is known: sent while written if the format allows.

        Raises what `plan` meets before the first byte: troubles come as answers, not as a broken file.
        """
        self._prepare(plan)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._slot() as keep:
            folder = Path(tempfile.mkdtemp(prefix=".sending-", dir=self.folder))
            sent = Sending(self, plan, folder / f"layer.{plan.format.ending}")
            try:
                size = sent.begin()
            except BaseException:
                sent.clear()
                raise
            sent.then(self._slots.release)
            keep()
        return Body(sent), size

    def start(self, session: Session, account_id: int, asked: dict[str, Any], plan: Plan) -> str:
        """Makes a row for a job; `run` it when the row is committed."""
        now = datetime.now(UTC)
        self.sweep(session, now)
        job_id = secrets.token_urlsafe(12)
        layers = "-".join(layer.name for layer in plan.layers)
        session.add(
            ExportJob(
                id=job_id,
                account_id=account_id,
                asked=asked,
                file_name=f"{layers[:80]}.{plan.format.ending}",
                status="waiting",
                made_at=now,
                seen_at=now,
                expires_at=now + timedelta(hours=self.services.settings.web.export_hours),
            )
        )
        self._own.add(job_id)
        return job_id

    def run(self, job_id: str, plan: Plan) -> None:
        """Puts a committed job in the line."""
        self._pool.submit(self._make, job_id, plan)

    def job(self, session: Session, account_id: int, job_id: str) -> ExportJob:
        """An account's job. Raises NotFound `export.job_unknown`."""
        row = session.scalar(
            select(ExportJob).where(ExportJob.id == job_id, ExportJob.account_id == account_id)
        )
        now = datetime.now(UTC)
        if row is None or row.expires_at <= now:
            raise NotFound("export.job_unknown", field="id")
        under_way = row.status in ("waiting", "running")
        if under_way and row.id not in self._own and row.seen_at < now - FORSAKEN:
            row.status, row.code, row.finished_at = "failed", "export.interrupted", now
        return row

    def file_of(self, row: ExportJob) -> Path:
        """The file of a job that is done. Raises Conflict `export.job_not_ready`, NotFound `export.job_unknown`."""
        if row.status != "done":
            raise Conflict("export.job_not_ready", field="id", status=row.status)
        file = self._file(row.id, row.file_name)
        if not file.is_file():
            raise NotFound("export.job_unknown", field="id")
        return file

    def drop(self, row: ExportJob) -> None:
        """Cancels a job under way, or takes its file away."""
        if row.status in ("waiting", "running"):
            row.status, row.finished_at = "cancelled", datetime.now(UTC)
        elif row.status == "done":
            self._file(row.id, row.file_name).unlink(missing_ok=True)
            row.status = "cancelled"

    def sweep(self, session: Session, now: datetime) -> None:
        """Takes away what is over its time, and what a stopped server left half-written."""
        for row in session.scalars(select(ExportJob).where(ExportJob.expires_at <= now)):
            self._file(row.id, row.file_name).unlink(missing_ok=True)
        session.execute(delete(ExportJob).where(ExportJob.expires_at <= now))
        oldest = time.time() - self.services.settings.web.export_hours * 3600
        for left in self.folder.glob(".*") if self.folder.is_dir() else ():
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    def _file(self, job_id: str, name: str) -> Path:
        ending = name.partition(".")[2]
        return self.folder / f"{job_id}.{ending}"

    def _prepare(self, plan: Plan) -> None:
        if any(layer.name == "territories" for layer in plan.layers):
            keep_territory_now(self.services.engine, datetime.now(UTC))

    def _make(self, job_id: str, plan: Plan) -> None:
        """One background export from beginning to end; whatever happens is written in its row."""
        noted = [0.0, False]

        def note(_layer: str, rows: int) -> None:
            if time.monotonic() - noted[0] >= NOTE_SECONDS:
                noted[0] = time.monotonic()
                noted[1] = not self._note(job_id, status="running", rows=rows)

        ended: dict[str, Any]
        try:
            if not self._note(job_id, status="running"):
                return
            self._prepare(plan)
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / f"{job_id}.{plan.format.ending}"
            watch = Watch(lambda: bool(noted[1]) or self._stopping.is_set(), note)
            counts = export(self.url, plan, file, watch, self.services.settings.town.zone)
            ended = {
                "status": "done",
                "rows": sum(counts.values()),
                "size_bytes": file.stat().st_size,
            }
            if not self._note(job_id, **ended, finished_at=datetime.now(UTC)):
                file.unlink(missing_ok=True)
            return
        except Trouble as trouble:
            stopped = self._stopping.is_set()
            code = "export.interrupted" if stopped else trouble.code
            ended = {"status": "failed", "code": code, "values": dict(trouble.values)}
        except Exception as error:
            LOG.exception("export %s failed", job_id)
            ended = {
                "status": "failed",
                "code": "server.failed",
                "values": {"kind": type(error).__name__},
            }
        finally:
            self._own.discard(job_id)
        self._note(job_id, **ended, finished_at=datetime.now(UTC))

    @property
    def url(self) -> str:
        """Where the rows are read from."""
        return database_url(self.services.settings.database)

    def _note(self, job_id: str, **values: Any) -> bool:
        """Writes how a job stands; False when it was cancelled meanwhile."""
        with self.services.sessions() as session:
            done = session.execute(
                update(ExportJob)
                .where(ExportJob.id == job_id, ExportJob.status.in_(("waiting", "running")))
                .values(**values, seen_at=text("clock_timestamp()"))
            )
            session.commit()
            return bool(getattr(done, "rowcount", 0))


class Sending:
    """The bytes of a file while it is written by a thread; whoever stops reading stops the writing."""

    def __init__(self, desk: ExportDesk, plan: Plan, file: Path) -> None:
        self._desk, self._plan, self._file = desk, plan, file
        self._gone = threading.Event()
        self._written = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="export-sending", daemon=True)
        self._handle: Any = None
        self._afterwards: list[Callable[[], None]] = []

    def then(self, do: Callable[[], None]) -> None:
        """What else to do when it is over."""
        self._afterwards.append(do)

    def begin(self) -> int | None:
        """Starts; returns when the first bytes are there, or all of them with their number. Raises what went wrong so far."""
        self._thread.start()
        while not self._written.wait(LOOK_SECONDS):
            if self._plan.format.grows and self._file.exists() and self._file.stat().st_size:
                break
        if self._written.is_set() and self._error is not None:
            raise self._error
        self._handle = self._file.open("rb")
        return self._file.stat().st_size if self._written.is_set() else None

    def clear(self) -> None:
        """Stops the writing and takes everything away; may be called again."""
        self._gone.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._handle is not None:
            self._handle.close()
        shutil.rmtree(self._file.parent, ignore_errors=True)
        while self._afterwards:
            self._afterwards.pop()()

    def _write(self) -> None:
        zone = self._desk.services.settings.town.zone
        watch = Watch(self._gone.is_set)
        try:
            write_export(self._desk.url, self._plan, self._file, watch, zone)
        except BaseException as error:
            self._error = error
        finally:
            self._written.set()

    def piece(self) -> bytes:
        """The next bytes, empty at the end; waits for the writer. Raises what broke the writing."""
        while True:
            over = self._written.is_set()
            piece: bytes = self._handle.read(PIECE_BYTES)
            if piece:
                return piece
            if over:
                error = self._error
                self.clear()
                if error is not None:
                    # The connection breaks: half a file must not look like a whole one.
                    raise error
                return b""
            self._written.wait(LOOK_SECONDS)


class Body:
    """What a web answer reads. Apart from `Sending`, which its own thread keeps alive: when the answer is
    given up, nobody holds this any more and the writing ends."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._sending.piece()
        if not piece:
            raise StopIteration
        return piece

    def clear(self) -> None:
        """Ends the writing and takes the file away; may be called again."""
        self._sending.clear()

    def __del__(self) -> None:
        self.clear()


class FileSent(StreamingResponse):
    """The answer with the bytes of a `Body`. When it is over, also because the reader has gone, the body is cleared at
    once: its place among the exports under way must not wait until somebody collects what nobody holds."""

    def __init__(self, body: Body, **options: Any) -> None:
        super().__init__(body, **options)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._body.clear)
