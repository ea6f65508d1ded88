"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under keys that can be changed while the site runs.

A sealed text is `v1.<key id>.<nonce and ciphertext>`. The context (whose secret it is, in which row) is authenticated
with it and stored nowhere: a text that was copied into another row, or to another tenant, does not open there.
"""

import base64
import binascii
import hashlib
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from lib.errors import CandorError

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12  # 96 random bits: under one key safe for 2^32 texts, of which we seal a few per customer
REMEDY = "set SECRETS_KEYS to base64 of 32 random bytes: openssl rand -base64 32"


class SealingError(CandorError):
    """A missing or unusable key, or a sealed text that does not open."""


def new_key() -> str:
    """A fresh key as SECRETS_KEYS takes it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def key_id(key: bytes) -> str:
    """Eight hex digits that name a key and tell nothing about it."""
    return hashlib.sha256(b"candor key " + key).hexdigest()[:8]


def seal(plain: str, *, context: str) -> str:
    """Encrypt under the newest key.

    Args:
        plain: the secret.
        context: where it belongs, such as `tenant:7:secret:<row>`; the same words open it again.

    Raises:
        SealingError: SECRETS_KEYS is missing or unusable.
    """
    newest = next(iter(_keys()))
    nonce = os.urandom(NONCE_BYTES)
    body = _cipher(newest).encrypt(nonce, plain.encode(), _bound(newest, context))
    return f"{VERSION}.{newest}.{base64.urlsafe_b64encode(nonce + body).decode()}"


def unseal(sealed: str, *, context: str) -> str:
    """Decrypt what `seal` made in the same context.

    Raises:
        SealingError: it is damaged, belongs elsewhere, or its key is no longer in SECRETS_KEYS.
    """
    try:
        version, key, packed = sealed.split(".")
        body = base64.b64decode(packed, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise SealingError("a sealed secret is damaged: enter it again") from None
    if version != VERSION:
        raise SealingError(f"a sealed secret has version {version[:8]!r}, this program reads {VERSION}")
    if key not in _keys():
        raise SealingError(f"a secret is sealed under key {key[:8]!r}: put that key back into SECRETS_KEYS")
    try:
        return _cipher(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(key, context)).decode()
    except (InvalidTag, ValueError):
        raise SealingError("a sealed secret is damaged or belongs elsewhere: enter it again") from None


def is_current(sealed: str) -> bool:
    """Whether the text is sealed under the newest key."""
    return sealed.startswith(f"{VERSION}.{next(iter(_keys()))}.")


def check_keys() -> None:
    """Raise `SealingError` unless SECRETS_KEYS can be used."""
    _keys()


def newest_key() -> tuple[str, bytes]:
    """The id and the bytes of the key that seals."""
    return next(iter(_keys().items()))


def key_of(key: str) -> bytes:
    """The bytes of one key.

    Raises:
        SealingError: it is no longer in SECRETS_KEYS.
    """
    if key not in _keys():
        raise SealingError(f"this was sealed under key {key[:8]!r}: put that key back into SECRETS_KEYS")
    return _keys()[key]


def _keys() -> dict[str, bytes]:
    """Keys by id, the newest first."""
    return _read(tuple(settings.SECRETS_KEYS))


@lru_cache(maxsize=8)
def _read(words: tuple[str, ...]) -> dict[str, bytes]:
    if not words:
        raise SealingError(f"there is no key to seal secrets with: {REMEDY}")
    keys = [_decode(number, word) for number, word in enumerate(words, 1)]
    return {key_id(key): key for key in keys}


def _decode(number: int, word: str) -> bytes:
    try:
        key = base64.b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise SealingError(f"key {number} of SECRETS_KEYS is not base64 of 32 bytes: {REMEDY}")
    return key


@lru_cache(maxsize=8)
def _cipher_of(key: bytes) -> AESGCM:
    return AESGCM(key)


def _cipher(key: str) -> AESGCM:
    return _cipher_of(_keys()[key])


def _bound(key: str, context: str) -> bytes:
    """The associated data; version and key id are in it so that neither can be swapped."""
    return f"{VERSION}.{key}.{context}".encode()
