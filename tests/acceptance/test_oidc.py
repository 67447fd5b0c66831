"""Signing in at an identity provider: a small real one in a thread, with true signatures, codes and PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from api import auth
from api.services import Services
from grid.core.settings import OidcSettings, Settings
from tests.acceptance.site import serving


class FakeProvider:
    """Knows one code at a time; `claims` go into the token it signs."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.signs_with = self.key
        self.claims: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.answers = True
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def say(self, body: Any, status: int = 200) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                if not provider.answers:
                    self.say({}, 500)
                elif self.path.endswith("openid-configuration"):
                    self.say(provider.about())
                else:
                    self.say({"keys": [provider.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.say(*provider.token(sent))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def about(self) -> dict[str, str]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def agree(self, address: str) -> str:
        """What the person does there; gives back the state."""
        self.asked = {k: v[0] for k, v in parse_qs(urlsplit(address).query).items()}
        assert self.asked["response_type"] == "code"
        return self.asked["state"]

    def token(self, sent: dict[str, list[str]]) -> tuple[dict[str, Any], int]:
        challenge = hashlib.sha256(sent.get("code_verifier", [""])[0].encode()).digest()
        fits = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        if sent["code"] != ["good"] or fits != self.asked["code_challenge"]:
            return {"error": "invalid_grant"}, 400
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "gridward",
            "sub": "person-7",
            "nonce": self.asked["nonce"],
            "exp": now + 300,
            "iat": now,
            "preferred_username": "kept_elsewhere",
            **self.claims,
        }
        header = {"alg": "RS256", "kid": "one"}
        written = jwt.encode(header, claims, self.signs_with)
        return {"access_token": "x", "token_type": "Bearer", "id_token": written}, 200


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    made = FakeProvider()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def base(town_services: Services, provider: FakeProvider) -> Iterator[str]:
    old = town_services.settings
    settings = Settings(
        old.database, old.town, old.web, old.notices, OidcSettings(oidc_issuer=provider.issuer)
    )
    with town_services.sessions() as session:
        for name in ("kept_elsewhere", "second"):
            auth.save_account(session, name, "a long password", "外部", "dispatcher")
        session.commit()
    services = Services(settings, town_services.engine, town_services.sessions, town_services.desk)
    with serving(services) as address:
        yield address


@pytest.fixture
def reader(base: str, provider: FakeProvider) -> Iterator[httpx.Client]:
    provider.claims, provider.answers, provider.signs_with = {}, True, provider.key
    with httpx.Client(base_url=base, headers={"Accept": "text/html"}, timeout=30) as client:
        yield client


def there_and_back(reader: httpx.Client, provider: FakeProvider, code: str = "good") -> Any:
    left = reader.get("/login/elsewhere?next=/console?grid=G001")
    assert left.status_code == 303, left.text
    state = provider.agree(left.headers["location"])
    return reader.get("/login/elsewhere/back", params={"state": state, "code": code})


def test_the_way_there_and_back_opens_the_console(
    reader: httpx.Client, provider: FakeProvider
) -> None:
    assert "/login/elsewhere" in reader.get("/login").text
    back = there_and_back(reader, provider)
    assert (back.status_code, back.headers["location"]) == (303, "/console?grid=G001")
    assert reader.get("/console").status_code == 200


def test_the_subject_counts_and_not_a_name_that_changed(
    reader: httpx.Client, provider: FakeProvider
) -> None:
    assert there_and_back(reader, provider).status_code == 303
    # The same person under another's name is still the same person …
    provider.claims = {"preferred_username": "second"}
    assert there_and_back(reader, provider).status_code == 303
    me = reader.get("/api/v1/me", headers={"Accept": "application/json"}).json()
    assert me["username"] == "kept_elsewhere"
    # … and another person under that name gets nothing.
    provider.claims = {"sub": "person-8"}
    assert there_and_back(reader, provider).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody-else"},
        {"iss": "http://elsewhere.test"},
        {"exp": 1},
        {"nonce": "another"},
        {"preferred_username": "unknown", "sub": "person-9"},
    ],
)
def test_a_token_that_does_not_hold_opens_nothing(
    reader: httpx.Client, provider: FakeProvider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    back = there_and_back(reader, provider)
    assert back.status_code == 403
    assert "gridward_session" not in reader.cookies


def test_a_wrong_signature_code_or_state_opens_nothing(
    reader: httpx.Client, provider: FakeProvider
) -> None:
    assert there_and_back(reader, provider, code="bad").status_code == 403
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    assert there_and_back(reader, provider).status_code == 403
    provider.signs_with = provider.key
    reader.get("/login/elsewhere")
    forged = reader.get("/login/elsewhere/back", params={"state": "forged", "code": "good"})
    assert forged.status_code == 403
    assert "gridward_session" not in reader.cookies


def test_an_account_with_a_role_that_is_closed_stays_closed(
    reader: httpx.Client, provider: FakeProvider, town_services: Services
) -> None:
    assert there_and_back(reader, provider).status_code == 303
    with town_services.sessions() as session:
        auth.set_disabled(session, "kept_elsewhere", datetime.now(UTC), disabled=True)
        session.commit()
    try:
        assert reader.get("/console").status_code == 303
        assert there_and_back(reader, provider).status_code == 403
    finally:
        with town_services.sessions() as session:
            auth.set_disabled(session, "kept_elsewhere", datetime.now(UTC), disabled=False)
            session.commit()
