"""Secrets that are kept: encrypted and authenticated with AES-256-GCM, under a key that is not in the database."""

import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from lib.errors import CandorError

NONCE_BYTES = 12


class BrokenSealError(CandorError):
    """A sealed text that was changed, or was sealed with another key or for another context."""


def seal(plain: str, *, context: str) -> str:
    """Encrypt a text; only `unseal` with the same context opens it."""
    nonce = os.urandom(NONCE_BYTES)
    return urlsafe_b64encode(nonce + _cipher(context).encrypt(nonce, plain.encode(), context.encode())).decode()


def unseal(sealed: str, *, context: str) -> str:
    """Decrypt what `seal` made.

    Raises:
        BrokenSealError: it was changed, or the key or the context is another.
    """
    try:
        data = urlsafe_b64decode(sealed)
        return _cipher(context).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], context.encode()).decode()
    except (ValueError, InvalidTag):
        raise BrokenSealError(f"a secret of {context} cannot be opened: was SECRET_KEY changed?") from None


def _cipher(context: str) -> AESGCM:
    return AESGCM(hashlib.sha256(f"candor:{context}:{settings.SECRET_KEY}".encode()).digest())
