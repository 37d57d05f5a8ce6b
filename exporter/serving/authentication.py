"""HTTP basic authentication against bcrypt hashes, as Prometheus exporters do it.

bcrypt is slow on purpose, so a pair of name and password that was right once is remembered: by a digest keyed
with a secret of this process, never by the password. Only right pairs are remembered, so that guesses cannot
push them out; one guess is computed at a time, so that they cost one core at most.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

__all__ = ["Authenticator"]

_REMEMBERED = 128
_BCRYPT_READS_BYTES = 72
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Authenticator:
    """Checks Authorization headers against `users`, name -> bcrypt hash. The hashes must be well-formed."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._hashes = {name.encode(): text.encode() for name, text in users.items()}
        self._decoy = _decoy(max(int(text.split("$")[2]) for text in users.values())).encode()
        self._secret = secrets.token_bytes(32)
        self._verified: dict[bytes, None] = {}
        self._one_at_a_time = asyncio.Lock()

    async def accepts(self, authorization: bytes) -> bool:
        """Tell whether the header's value is `Basic` with a known name and its password; never raises.

        An unknown name costs what a known one costs.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        name, password = credentials
        known = name in self._hashes
        stored = self._hashes.get(name, self._decoy)
        key = hmac.digest(self._secret, len(name).to_bytes(4, "big") + name + stored + password, "sha256")
        if key in self._verified:
            return True
        async with self._one_at_a_time:
            if key in self._verified:
                return True
            matches = await asyncio.to_thread(_matches, password, stored)
        if not (matches and known):
            return False
        if len(self._verified) >= _REMEMBERED:
            self._verified.pop(next(iter(self._verified)))
        self._verified[key] = None
        return True


def _credentials(authorization: bytes) -> tuple[bytes, bytes] | None:
    """Name and password of a Basic header (RFC 7617), or None."""
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(b":")
    return (name, password) if colon else None


def _matches(password: bytes, stored: bytes) -> bool:
    """Compare in constant time. bcrypt reads 72 bytes: a longer password is never right, at the usual cost."""
    import bcrypt

    fits = len(password) <= _BCRYPT_READS_BYTES
    try:
        return bcrypt.checkpw(password if fits else password[:_BCRYPT_READS_BYTES], stored) and fits
    except ValueError:  # not every release takes a password with a NUL byte
        return False


def _decoy(cost: int) -> str:
    """A well-formed hash of no known password, as slow to check as the users' own."""
    import bcrypt

    return bcrypt.gensalt(cost).decode() + "".join(secrets.choice(_BCRYPT_ALPHABET) for _ in range(31))
