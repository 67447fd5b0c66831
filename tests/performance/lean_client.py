"""The least that a client can do: one kept-alive socket, one request, the whole answer. Its own time is the floor of a bench."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

_MOST_BYTES = 64 * 1024 * 1024


class Answer(NamedTuple):
    """What came back, and how long it took in milliseconds."""

    status: int
    head: bytes
    body: bytes
    took_ms: float


class LeanClient:
    """Asks one server over one connection. `headers` go with every request."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = {"Host": f"127.0.0.1:{port}", **(headers or {})}
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._into = bytearray(1024 * 1024)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """One GET; the answer must say its length, as every answer that is no stream does."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        request = f"GET {path} HTTP/1.1\r\n{self._lines}{more}\r\n".encode()
        began = time.perf_counter()
        self._socket.sendall(request)
        got, needed, head = 0, None, b""
        while needed is None or got < needed:
            if got == len(self._into):
                if got >= _MOST_BYTES:
                    raise OSError("the answer is too long")
                self._into.extend(bytes(got))
            came = self._socket.recv_into(memoryview(self._into)[got:])
            if not came:
                raise OSError("the server has closed the connection")
            got += came
            end = self._into.find(b"\r\n\r\n", 0, got) if needed is None else -1
            if end >= 0:
                head = bytes(self._into[:end])
                needed = end + 4 + _length(head)
        took_ms = (time.perf_counter() - began) * 1000
        body = bytes(self._into[len(head) + 4 : got])
        return Answer(int(head.split(b" ", 2)[1]), head, body, took_ms)

    def close(self) -> None:
        self._socket.close()


def _length(head: bytes) -> int:
    lower = head.lower()
    place = lower.find(b"content-length:")
    # 204 and 304 have no body and say no length.
    return int(lower[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
