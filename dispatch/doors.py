"""Posting to addresses that somebody typed in: only where we allow, to the address that was checked.

A webhook or a push endpoint is a URL from outside. Without care the server could be sent to knock at
doors only it can reach (SSRF). So: http(s) only, no user names in it, the host is resolved here, every
address must be public or lie in a network that the settings name, the connection goes to the very
address that was checked (a second look-up could answer otherwise), and redirects are not followed.
A proxy is not used.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import certifi
import urllib3

from grid.core.errors import BadInput
from grid.core.values import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
LONGEST_URL = 2000


class NoAnswer(Exception):
    """The partner did not answer; `reached` when the message may have arrived all the same."""

    def __init__(self, code: str, *, reached: bool) -> None:
        super().__init__(code)
        self.code, self.reached = code, reached


@dataclass(frozen=True, slots=True)
class Door:
    """A URL that was checked, and the address behind it."""

    scheme: str
    host: str
    port: int
    target: str
    address: str


@lru_cache(maxsize=32)
def parse_networks(written: str) -> tuple[Network, ...]:
    """Networks in CIDR form with commas; BadInput `outside.network_unreadable`."""
    try:
        parts = (part.strip() for part in written.split(","))
        return tuple(ipaddress.ip_network(part, strict=False) for part in parts if part)
    except ValueError as error:
        raise BadInput("outside.network_unreadable", written=written) from error


def read_url(url: str) -> SplitResult:
    """The parts of an http(s) URL; BadInput `outside.url_bad`."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError as error:
        raise BadInput("outside.url_bad", field="url") from error
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if parts.scheme not in PORTS or not parts.hostname or parts.username or not plain:
        raise BadInput("outside.url_bad", field="url")
    if not port_fits:
        raise BadInput("outside.url_bad", field="url")
    return parts


def check_door(url: str, networks: tuple[Network, ...]) -> Door:
    """Resolves and checks a URL.

    Raises BadInput `outside.url_bad`, `outside.host_unknown`, `outside.address_closed`.
    """
    parts = read_url(url)
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadInput("outside.host_unknown", field="url", host=host) from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        # One closed address among several is refused: the next look-up may give that one first.
        if not _is_open(ipaddress.ip_address(address.partition("%")[0]), networks):
            raise BadInput("outside.address_closed", field="url", host=host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Door(parts.scheme, host, port, target, addresses[0])


def post(door: Door, body: bytes, headers: Mapping[str, str], limit_s: float) -> int:
    """Posts to a checked door and returns the status number. Raises NoAnswer `unreachable`, `no_answer`."""
    timeout = urllib3.Timeout(connect=min(5.0, limit_s), read=limit_s)
    usual = door.port == PORTS[door.scheme]
    host = f"[{door.host}]" if ":" in door.host else door.host
    sent = {**headers, "Host": host if usual else f"{host}:{door.port}"}
    pool: urllib3.HTTPConnectionPool
    if door.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            door.address,
            door.port,
            timeout=timeout,
            cert_reqs="CERT_REQUIRED",
            ca_certs=certifi.where(),
            server_hostname=door.host,
            assert_hostname=door.host,
        )
    else:
        pool = urllib3.HTTPConnectionPool(door.address, door.port, timeout=timeout)
    try:
        answer = pool.urlopen(
            "POST", door.target, body, sent, retries=False, redirect=False, preload_content=False
        )
        answer.close()
        return int(answer.status)
    except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
        raise NoAnswer("unreachable", reached=False) from error
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswer("no_answer", reached=True) from error
    finally:
        pool.close()


def _is_open(address: Address, networks: tuple[Network, ...]) -> bool:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if any(mapped.version == network.version and mapped in network for network in networks):
        return True
    return bool(mapped.is_global and not mapped.is_multicast)
