"""Signing in at the bureau's own identity provider (OpenID Connect), when one is set.

Authorization code with PKCE. The provider says who somebody is; what they may do stays with the account here:
the first sign-in ties an existing account of the same name to the provider's subject, later ones go by the
subject alone. Nobody gets an account by signing in elsewhere.
Sources: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.models import AccountRow
from grid.core.errors import NotAllowed, Unavailable
from grid.core.settings import OidcSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
TIMEOUT_SECONDS = 10.0
KEEP_SECONDS = 3600.0
CLOCK_LEEWAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back: what must come back with the reader."""

    state: str
    nonce: str
    verifier: str

    def packed(self) -> str:
        """For the reader's cookie."""
        return ".".join((self.state, self.nonce, self.verifier))

    @classmethod
    def of(cls, packed: str) -> Attempt | None:
        parts = packed.split(".")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    @classmethod
    def new(cls) -> Attempt:
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))


class Provider:
    """The identity provider of the settings; its addresses and keys are asked for once an hour."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Any]] = {}

    def address(self, attempt: Attempt, back: str) -> str:
        """Where to send the reader; Unavailable `oidc.no_answer`."""
        with self._client(back) as client:
            url, _ = client.create_authorization_url(
                self._about("authorization_endpoint"),
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    def identify(self, attempt: Attempt, code: str, back: str) -> dict[str, Any]:
        """The claims of who came back with a code.

        Raises NotAllowed `oidc.refused` for a code or token that does not hold; Unavailable `oidc.no_answer`.
        """
        try:
            with self._client(back) as client:
                answer = client.fetch_token(
                    self._about("token_endpoint"), code=code, code_verifier=attempt.verifier
                )
        except AuthlibBaseError as error:
            raise NotAllowed("oidc.refused") from error
        except httpx2.HTTPError as error:
            raise Unavailable("oidc.no_answer") from error
        written = answer.get("id_token")
        if not isinstance(written, str):
            raise NotAllowed("oidc.refused")
        claims = self._claims(written)
        registry = JWTClaimsRegistry(
            leeway=CLOCK_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.oidc_issuer or ""},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            nonce={"essential": True, "value": attempt.nonce},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise NotAllowed("oidc.refused") from error
        return claims

    def _claims(self, written: str) -> dict[str, Any]:
        """The signed claims; a key that is not known yet is asked for once more."""
        for fresh in (False, True):
            keys = KeySet.import_key_set(self._get(self._about("jwks_uri"), fresh=fresh))
            try:
                return dict(jwt.decode(written, keys, algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError) as error:
                if fresh:
                    raise NotAllowed("oidc.refused") from error
        raise AssertionError("the loop ends by return or raise")

    def _client(self, back: str) -> OAuth2Client:
        return OAuth2Client(
            client_id=self._settings.oidc_client_id,
            client_secret=self._settings.oidc_client_secret,
            scope="openid profile",
            redirect_uri=back,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
        )

    def _about(self, name: str) -> str:
        issuer = self._settings.oidc_issuer or ""
        about = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(about, dict) or about.get("issuer") != issuer or name not in about:
            raise Unavailable("oidc.no_answer")
        return str(about[name])

    def _get(self, url: str, *, fresh: bool = False) -> Any:
        with self._lock:
            at, known = self._known.get(url, (0.0, None))
        if known is not None and not fresh and time.monotonic() - at < KEEP_SECONDS:
            return known
        try:
            found = httpx2.get(url, timeout=TIMEOUT_SECONDS).raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Unavailable("oidc.no_answer") from error
        with self._lock:
            self._known[url] = (time.monotonic(), found)
        return found


def account_for(session: Session, claims: dict[str, Any], settings: OidcSettings) -> AccountRow:
    """The account of signed claims; NotAllowed `oidc.no_account` when there is none, or it is closed."""
    subject = f"{claims['iss']}|{claims['sub']}"
    row = session.scalar(select(AccountRow).where(AccountRow.oidc_subject == subject))
    if row is None:
        name = str(claims.get(settings.oidc_username_claim) or "")
        row = session.scalar(
            select(AccountRow)
            .where(AccountRow.username == name, AccountRow.oidc_subject.is_(None))
            .with_for_update()
        )
        if row is None:
            raise NotAllowed("oidc.no_account", username=name)
        row.oidc_subject = subject
    if row.disabled_at is not None:
        raise NotAllowed("oidc.no_account", username=row.username)
    return row
