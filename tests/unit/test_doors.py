"""Where the server may be sent to knock, and where not."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from dispatch.doors import NoAnswer, check_door, parse_networks, post
from grid.core.errors import BadInput
from tests.partners import partners

LOOPBACK = parse_networks("127.0.0.0/8")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:5432/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://2130706433/",
    ],
)
def test_closed_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"outside\.(address_closed|host_unknown)"):
        check_door(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://user:word@example.org/",
        "http:///nothing",
        "http://example.org:99999/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"outside\.url_bad"):
        check_door(url, ())


def test_named_networks_are_open_and_no_other() -> None:
    networks = parse_networks("10.1.0.0/16, fd00::/8")
    assert check_door("http://10.1.2.3:8080/a?b=1", networks).target == "/a?b=1"
    assert check_door("http://[fd00::1]/", networks).address == "fd00::1"
    with pytest.raises(BadInput, match=r"outside\.address_closed"):
        check_door("http://10.2.0.1/", networks)
    with pytest.raises(BadInput, match=r"outside\.network_unreadable"):
        parse_networks("10.1.0.0/99")


def test_one_closed_address_among_several_closes_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(*_args: Any, **_more: Any) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(BadInput, match=r"outside\.address_closed"):
        check_door("http://two.example/", ())


def test_the_checked_address_is_used_whatever_the_name_means_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with partners(there={}) as made:
        port = made["there"].port
        answer = [(2, 1, 6, "", ("127.0.0.1", port))]
        with monkeypatch.context() as first:
            first.setattr(socket, "getaddrinfo", lambda *_a, **_m: answer)
            door = check_door(f"http://gate.example:{port}/x", LOOPBACK)
        # gate.example is known to nobody now; only the address that was checked can be meant.
        assert post(door, b"{}", {}, 5) == 200
        headers, _ = made["there"].requests[0]
        assert headers["host"] == f"gate.example:{port}"


def test_redirects_are_not_followed() -> None:
    with partners(there={"status": 302}) as made:
        assert post(check_door(made["there"].http, LOOPBACK), b"", {}, 5) == 302
        assert len(made["there"].requests) == 1


def test_no_way_and_no_answer_are_told_apart() -> None:
    with partners(hung={"hangs": True}) as made:
        with pytest.raises(NoAnswer) as silent:
            post(check_door(made["hung"].http, LOOPBACK), b"", {}, 0.3)
        assert silent.value.reached
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(NoAnswer) as away:
        post(check_door(f"http://127.0.0.1:{port}/", LOOPBACK), b"", {}, 0.3)
    assert not away.value.reached
