"""`gridward` for tests: each call a process of its own, forked from one that has loaded everything once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line as the object it must be."""
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


class Commands:
    """Runs `gridward` with one home (or database), again and again."""

    def __init__(self, env: dict[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gridward-commands-"))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "GRIDWARD_LANG": "en", **env},
            cwd=Path(__file__).resolve().parent.parent,
        )  # fmt: skip

    def __call__(self, *arguments: object, env: dict[str, str] | None = None) -> Done:
        """One command; `env` is added for this call only."""
        out, err = self._folder / "out", self._folder / "err"
        asked = {
            "arguments": [str(a) for a in arguments],
            "env": env or {},
            "out": str(out),
            "err": str(err),
        }
        if self._server.stdin is None or self._server.stdout is None:
            raise RuntimeError("no pipes")
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Done(code, out.read_text(), err.read_text())

    def well(self, *arguments: object) -> dict[str, Any]:
        """A command that must go well, asked for JSON."""
        done = self(*arguments, "--json")
        assert done.code == 0, done.err
        return done.json

    def close(self) -> None:
        """Ends the process that the others are forked from."""
        if self._server.stdin is not None:
            self._server.stdin.close()
        self._server.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)


def serve() -> None:
    """Reads one request a line, forks a child for it and answers with its exit code."""
    from importlib import import_module

    import api.cli

    for place in api.cli.COMMANDS.values():
        import_module(place.module)
    import_module("api.cli.keeping")
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(asked, api.cli.main)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(asked: dict[str, Any], main: Any) -> None:
    code = 1
    try:
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.environ.update(asked["env"])
        sys.argv = ["gridward", *asked["arguments"]]
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
