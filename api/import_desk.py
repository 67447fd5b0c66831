"""Imports of one server: a file is looked over first, then the very same file is taken in; one at a time.

Both are done by one function in a thread of its own, each in one transaction: the look is rolled back, the import is
committed together with its row and its line in the record. Whoever comes back to the page finds it by the row.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from api.auth import Account
from api.imports.asked import Loaded, Reading
from api.imports.files import KEPT_SECONDS, BroughtFiles, ending_of, opened_file
from api.imports.kept import hash_of, plain_counts
from api.imports.kinds import KINDS
from api.models import AccountRow, ImportRun
from api.routes.grid_areas import keep_after
from api.services import Services
from dispatch.desk import Desk
from dispatch.rules_log import write_down
from grid.core.errors import BadInput, Conflict, NotFound, Trouble
from grid.counted import differences, remember

LOG = logging.getLogger("gridward")
KEPT = timedelta(seconds=KEPT_SECONDS)
# So many refused rows, faults and incidents are kept to be shown; all are counted.
MOST_REFUSED, MOST_SHOWN = 10_000, 500
NOTE_SECONDS = 0.5
# Between the row and the thread that takes it up.
BEGINS_WITHIN = timedelta(seconds=30)
LOCK = 7_305_121
UNDER_WAY = ("checking", "importing")


class ImportDesk:
    """Made once for a server; `close` waits for what is under way."""

    def __init__(self, services: Services) -> None:
        self.services = services
        most_bytes = services.settings.web.import_limit_mb * 1_000_000
        self.files = BroughtFiles(services.settings.database.home_folder / "imports", most_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="import")

    def close(self) -> None:
        """Waits for the import under way: it is whole or not at all."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def start(
        self, session: Session, account: Account, kind: str, file_hash: str, asked: dict[str, Any],
        now: datetime,
    ) -> str:  # fmt: skip
        """Makes the row of a look; `run` it when the row is committed.

        Raises BadInput `imports.kind_unknown`, `imports.ending`, NotFound `imports.file_gone`, Conflict `imports.busy`.
        """
        self.sweep(session, now)
        known = KINDS.get(kind)
        if known is None:
            raise BadInput("imports.kind_unknown", field="kind", kind=kind, kinds=", ".join(KINDS))
        file = self.files.find(account.id, file_hash)
        if ending_of(file.name) not in known.endings:
            endings = " ".join(known.endings)
            raise BadInput("imports.ending", field="file", file=file.name, endings=endings)
        self._free(session, now)
        run = ImportRun(
            id=secrets.token_urlsafe(12), account_id=account.id, kind=kind, file_name=file.name,
            file_hash=file_hash, asked=asked, status="checking", made_at=now, seen_at=now,
            expires_at=now + KEPT,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id

    def publish(self, session: Session, account: Account, run_id: str, now: datetime) -> None:
        """Lets a file that was looked over be taken in; `run` it when that is committed.

        Raises NotFound `imports.unknown`, `imports.file_gone`; Conflict `imports.not_checked`, `imports.busy`.
        """
        run = self.find(session, account.id, run_id, now)
        if run.status != "checked":
            raise Conflict("imports.not_checked", field="id", status=run.status)
        self.files.find(account.id, run.file_hash)
        self._free(session, now)
        run.status, run.seen_at, run.step = "importing", now, ""

    def run(self, run_id: str) -> None:
        """Puts a committed row in the line."""
        self._pool.submit(self._work, run_id)

    def find(self, session: Session, account_id: int, run_id: str, now: datetime) -> ImportRun:
        """An account's run, locked; one that a stopped server left is told as failed. NotFound `imports.unknown`."""
        run = session.scalar(
            select(ImportRun)
            .where(ImportRun.id == run_id, ImportRun.account_id == account_id)
            .with_for_update()
        )
        if run is None or (run.expires_at <= now and run.status not in UNDER_WAY):
            raise NotFound("imports.unknown", field="id")
        if run.status in UNDER_WAY and not self._alive(session, run, now):
            run.status, run.code = "failed", "imports.interrupted"
        return run

    def sweep(self, session: Session, now: datetime) -> None:
        """Takes away runs and files whose hour is over; what was taken in stays in the record."""
        session.execute(
            delete(ImportRun).where(
                ImportRun.expires_at <= now - KEPT,
                ImportRun.status.not_in(UNDER_WAY),
            )
        )
        self.files.sweep()

    def _free(self, session: Session, now: datetime) -> None:
        """One at a time in the town. Raises Conflict `imports.busy`."""
        session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        for run in session.scalars(select(ImportRun).where(ImportRun.status.in_(UNDER_WAY))):
            if self._alive(session, run, now):
                who = session.get_one(AccountRow, run.account_id)
                raise Conflict("imports.busy", who=who.name, file=run.file_name)
            run.status, run.code = "failed", "imports.interrupted"

    def _alive(self, session: Session, run: ImportRun, now: datetime) -> bool:
        """Whether somebody works at it: it has just been made, or its lock is held."""
        if now - run.seen_at < BEGINS_WITHIN:
            return True
        return bool(
            session.scalar(
                text(
                    "select exists (select 1 from pg_locks l join pg_database d on d.oid = l.database"
                    " where d.datname = current_database() and l.locktype = 'advisory'"
                    " and l.classid = cast(:lock as oid) and cast(l.objid as bigint) = :key)"
                ),
                {"lock": LOCK, "key": _key(run.id)},
            )
        )

    def _work(self, run_id: str) -> None:
        """One look or import from beginning to end; whatever happens is written in its row."""
        try:
            with tempfile.TemporaryDirectory(prefix="gridward-import-") as folder:
                changed = self._load(run_id, Path(folder))
        except Trouble as trouble:
            field = {"field": trouble.field} if trouble.field else {}
            self._failed(run_id, trouble.code, {**field, **trouble.values})
        except Exception:
            LOG.exception("import %s failed", run_id)
            self._failed(run_id, "server.failed", {})
        else:
            if changed:
                keep_after(self.services, datetime.now(UTC))

    def _load(self, run_id: str, folder: Path) -> bool:
        """True when something was taken in."""
        with self.services.sessions() as session:
            session.execute(text("set local statement_timeout = 0"))
            session.execute(
                text("select pg_advisory_xact_lock(:lock, cast(:key as bigint)::bit(32)::int)"),
                {"lock": LOCK, "key": _key(run_id)},
            )
            run = session.get_one(ImportRun, run_id)
            account = session.get_one(AccountRow, run.account_id)
            dry_run, kind, now = run.status == "checking", KINDS[run.kind], datetime.now(UTC)
            kept = self.files.find(run.account_id, run.file_hash)
            if hash_of(kept) != run.file_hash:
                raise NotFound("imports.file_gone", field="file")
            actor = f"account:{account.username}"
            remember(session, kind.changes)
            loaded = kind.load(
                Reading(
                    session,
                    # A desk of its own: what it reads here may be rolled back.
                    Desk(self.services.settings.town),
                    opened_file(kept, folder),
                    now,
                    dry_run=dry_run,
                    actor=actor,
                    step=self._steps(run_id),
                    **run.asked,
                )
            )
            rows = [asdict(one) for one in differences(session, kind.changes)]
            found = found_of(loaded, rows)
            if dry_run:
                session.rollback()
                self._note(run_id, status="checked", found=found, step="")
                return False
            run.status, run.found, run.step = "done", found, ""
            told = {"file": run.file_name, "sha256": run.file_hash, **plain_counts(loaded)}
            write_down(session, "import", run.kind, None, told, now, actor, now)
            session.commit()
        return True

    def _steps(self, run_id: str) -> Any:
        noted = [0.0]

        def step(*words: object) -> None:
            if time.monotonic() - noted[0] >= NOTE_SECONDS:
                noted[0] = time.monotonic()
                self._note(run_id, step=" ".join(str(word) for word in words))

        return step

    def _failed(self, run_id: str, code: str, values: dict[str, Any]) -> None:
        plain = orjson.loads(orjson.dumps(values, default=str))
        self._note(run_id, status="failed", code=code, values=plain, step="")

    def _note(self, run_id: str, **values: Any) -> None:
        with self.services.sessions() as session:
            session.execute(
                update(ImportRun)
                .where(ImportRun.id == run_id)
                .values(seen_at=datetime.now(UTC), **values)
            )
            session.commit()


def found_of(loaded: Loaded, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the row keeps: counts, rows by table, refused rows, faults, incidents; long lists are cut, never counts."""
    faults: list[dict[str, Any]] = []
    layer = None
    if loaded.faults is not None and len(loaded.faults):
        shown = loaded.faults.head(MOST_SHOWN)
        faults = shown.drop(columns="geometry").to_dict("records")
        layer = shown.to_json()
    found = {
        "counts": plain_counts(loaded),
        "rows": rows,
        "refused": [
            {"row": one.row, "code": one.code, "values": one.values,
             "kept": bool(getattr(one, "kept", False))}
            for one in loaded.refused[:MOST_REFUSED]
        ],
        "faults": faults,
        "faults_total": 0 if loaded.faults is None else len(loaded.faults),
        "fault_layer": layer,
        "incidents": [asdict(one) for one in loaded.incidents[:MOST_SHOWN]],
        "incidents_total": len(loaded.incidents),
        "placed": [asdict(one) for one in loaded.placed[:MOST_SHOWN]],
        "placed_total": len(loaded.placed),
    }  # fmt: skip
    # Numbers of numpy and moments become plain.
    plain: dict[str, Any] = orjson.loads(
        orjson.dumps(found, default=str, option=orjson.OPT_SERIALIZE_NUMPY)
    )
    return plain


def _key(run_id: str) -> int:
    """An unsigned 32-bit number of a run."""
    return zlib.crc32(run_id.encode())
