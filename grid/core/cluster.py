"""The private PostGIS cluster: one data folder, one unix socket, no network port unless it is asked for.

The server process belongs to the user who starts it; root hands it to the account `postgres`,
because PostgreSQL refuses to run as root. Two homes never meet: the socket lies in a folder named
after the home. A cluster that was killed starts again by itself (write-ahead log).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from grid.core.errors import BadInput, Unavailable
from grid.core.settings import DatabaseSettings

DATABASE = "gridward"
ROLE = "gridward"
# Tried on 2 cores with 24 GB; small enough for a 2 GB machine because memory is taken as it is used.
SERVER_OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "2GB",
    "max_connections": "120",
    "jit": "off",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_min_messages": "warning",
    # A cold start after SIGKILL must not wait for a lock file of a dead process.
    "logging_collector": "off",
}
PORT = 5432
# Over the network, where it is asked for at all: analysts' roles by password, the owner never.
HBA = f"""# Written at each start. On the socket only local accounts that may stand for the owner: pg_ident.conf.
local all all peer map=gridward
host all {ROLE} all reject
host {DATABASE} all all scram-sha-256
"""
START_SECONDS = 30
# A killed server that lives again first replays its log (at most max_wal_size); that is no failure.
RECOVERY_SECONDS = 600
# A unix socket path holds 107 bytes at most, the file's own name included.
LONGEST_SOCKET_FOLDER = 90


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The operating-system account the server runs as."""

    uid: int
    gid: int
    name: str


def find_binaries(settings: DatabaseSettings) -> Path:
    """Folder with initdb, postgres and psql; Unavailable `cluster.postgres_missing` when there is none."""
    candidates: list[Path] = []
    if settings.postgres_bin:
        candidates.append(settings.postgres_bin)
    packaged = Path("/usr/lib/postgresql")
    if packaged.is_dir():
        versions = [p for p in packaged.iterdir() if p.name.isdigit()]
        candidates += [p / "bin" for p in sorted(versions, key=lambda p: -int(p.name))]
    found = shutil.which("initdb")
    if found:
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        extension = folder.parent / "share" / "extension" / "postgis.control"
        debian = Path(f"/usr/share/postgresql/{folder.parent.name}/extension/postgis.control")
        if (folder / "initdb").exists() and (extension.exists() or debian.exists()):
            return folder
    raise Unavailable("cluster.postgres_missing", looked_in=[str(c) for c in candidates])


def server_account() -> ServerAccount:
    """Who runs the server: ourselves, or `postgres` when we are root."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return ServerAccount(me.pw_uid, me.pw_gid, me.pw_name)
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError as error:
        raise Unavailable("cluster.no_postgres_account") from error
    return ServerAccount(entry.pw_uid, entry.pw_gid, entry.pw_name)


class Cluster:
    """One private cluster in `home`; start, stop and status are safe to call at any time."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.home = settings.home_folder
        self.settings = settings
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        # Root hands the server to `postgres`, who cannot pass a closed folder such as root's own home.
        reachable = os.geteuid() != 0 or _open_to_all(self.home.parent)
        cluster = self.home / "cluster" if reachable else Path("/var/lib/gridward") / digest
        self.data = cluster / "data"
        self.log = cluster / "postgres.log"
        self.socket = cluster / "run"
        if len(str(self.socket)) > LONGEST_SOCKET_FOLDER:
            self.socket = Path(tempfile.gettempdir()) / f"gridward-{os.geteuid()}-{digest}"

    def url(self) -> str:
        """The libpq URL of the town's database."""
        return self._url(DATABASE)

    def listening(self) -> tuple[str, int] | None:
        """Address and port the settings ask for; None is no network port. Raises BadInput `cluster.listen_bad`."""
        written = self.settings.database_listen
        if not written:
            return None
        address, _, port = written.rpartition(":")
        if not address or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise BadInput("cluster.listen_bad", field="GRIDWARD_DATABASE_LISTEN", listen=written)
        return address.strip("[]"), int(port)

    def running(self) -> bool:
        """Whether the server answers on its socket."""
        try:
            with psycopg.connect(self._admin_url(), connect_timeout=3):
                return True
        except psycopg.OperationalError:
            return False

    def start(self) -> None:
        """Makes the cluster if it is new, starts it if it is down, and returns when it answers.

        Raises Unavailable `cluster.postgres_missing`, `cluster.no_postgres_account`,
        `cluster.home_unreachable`, `cluster.will_not_start` (with the log's last lines).
        """
        with self._lock():
            if not self.running():
                binaries = find_binaries(self.settings)
                account = server_account()
                self._prepare_folders(account)
                if not (self.data / "PG_VERSION").exists():
                    self._initialise(binaries, account)
                self._launch(binaries, account)
            self._ensure_database()

    def stop(self) -> bool:
        """Stops the server cleanly; False when it was not running."""
        pid = self._postmaster_pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if not _alive(pid):
                return True
            time.sleep(0.05)
        raise Unavailable("cluster.will_not_stop", pid=pid)

    def _admin_url(self) -> str:
        return self._url("postgres")

    def _url(self, database: str) -> str:
        host, port = quote(str(self.socket), safe=""), self._port()
        return f"postgresql://{ROLE}@/{database}?host={host}" + (
            "" if port == PORT else f"&port={port}"
        )

    def _port(self) -> int:
        """The port of the server that runs (its socket is named after it), else the one it would get."""
        with contextlib.suppress(FileNotFoundError, PermissionError, IndexError, ValueError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            if _alive(int(lines[0])):
                return int(lines[3])
        asked = self.listening()
        return asked[1] if asked else PORT

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One starter at a time for one home."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "cluster.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _prepare_folders(self, account: ServerAccount) -> None:
        cluster = self.data.parent
        self.home.chmod(self.home.stat().st_mode | 0o011)
        for folder in (cluster, self.socket):
            folder.mkdir(parents=True, exist_ok=True)
            if folder.stat().st_uid != account.uid:
                os.chown(folder, account.uid, account.gid)
            # Only the server and root come near: the socket is the door to everything.
            folder.chmod(0o700)
        if account.uid != os.geteuid():
            test = self._as(account, ["test", "-x", str(cluster)])
            if test.returncode != 0:
                raise BadInput(
                    "cluster.home_unreachable", field="GRIDWARD_HOME", home=str(self.home)
                )

    def _initialise(self, binaries: Path, account: ServerAccount) -> None:
        # Made beside and moved into place, so that a killed initdb leaves nothing half-made.
        fresh = self.data.with_name("data.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        done = self._as(
            account,
            [
                str(binaries / "initdb"),
                *("-D", str(fresh), "-U", ROLE, "-A", "trust", "-E", "UTF8"),
                *("--locale=C.UTF-8", "-N"),
            ],
        )
        if done.returncode != 0:
            raise Unavailable("cluster.initdb_failed", detail=done.stderr.strip()[-500:])
        names = sorted({account.name, pwd.getpwuid(os.geteuid()).pw_name, "root"})
        # Analysts' roles and the owner: every operating-system account that may pass the socket folder.
        (fresh / "pg_ident.conf").write_text("".join(f"gridward {name} {ROLE}\n" for name in names))
        fresh.rename(self.data)

    def _launch(self, binaries: Path, account: ServerAccount) -> None:
        options: list[str] = []
        chosen = {**SERVER_OPTIONS, "unix_socket_directories": str(self.socket)}
        asked = self.listening()
        if asked is not None:
            chosen |= {"listen_addresses": asked[0], "port": str(asked[1])}
        (self.data / "pg_hba.conf").write_text(HBA)
        for key, value in chosen.items():
            options += ["-c", f"{key}={value}"]
        command = [str(binaries / "postgres"), "-D", str(self.data), *options]
        log = self.log.open("ab")
        os.chown(self.log, account.uid, account.gid)
        began = time.monotonic()
        process: subprocess.Popen[bytes] | None = None
        while True:
            alive = process is not None and process.poll() is None
            if time.monotonic() - began > (RECOVERY_SECONDS if alive else START_SECONDS):
                break
            if process is None or process.poll() is not None:
                # A killed postmaster may stay a zombie for seconds and hold its lock file: try again.
                process = subprocess.Popen(  # noqa: S603 (our own command, no shell)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    **_identity(account),
                )
            for _ in range(10):
                if self.running():
                    log.close()
                    return
                if process.poll() is not None:
                    time.sleep(0.3)
                    break
                time.sleep(0.05)
        log.close()
        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        raise Unavailable("cluster.will_not_start", log=str(self.log), detail=" | ".join(tail))

    def _ensure_database(self) -> None:
        with psycopg.connect(self._admin_url(), autocommit=True) as connection:
            known = connection.execute(
                "select 1 from pg_database where datname = %s", (DATABASE,)
            ).fetchone()
            if not known:
                connection.execute(f"create database {DATABASE}")

    def _postmaster_pid(self) -> int | None:
        try:
            first = (self.data / "postmaster.pid").read_text().splitlines()[0]
        except (FileNotFoundError, IndexError):
            return None
        pid = int(first)
        return pid if _alive(pid) else None

    def _as(self, account: ServerAccount, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 (our own command, no shell)
            command, capture_output=True, text=True, cwd="/", check=False, **_identity(account)
        )


def _identity(account: ServerAccount) -> dict[str, Any]:
    if account.uid == os.geteuid():
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _open_to_all(folder: Path) -> bool:
    """Whether any account may pass through the folder and all above it (parts not made yet will be)."""
    existing = [part for part in (folder, *folder.parents) if part.exists()]
    return all(part.stat().st_mode & 0o001 for part in existing)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return False
    return state != "Z"
