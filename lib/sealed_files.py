"""Files at rest: AES-256-GCM in pieces, so that a backup of any size is sealed and opened as it streams.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): each piece's nonce holds its number and whether
it is the last, so that pieces cannot be dropped, repeated, reordered or cut off. Each file has a key of its own,
derived by HKDF-SHA256 (RFC 5869) from the sealing key and a random salt.
"""

import os
from collections.abc import Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lib.sealing import SealingError, key_of, newest_key

MAGIC = b"candor sealed file 1\n"
PIECE = 1 << 20
TAG = 16
SALT = 16
KEY_ID = 8


def seal_file(source: IO[bytes], target: IO[bytes]) -> int:
    """Seal all of `source` into `target` under the newest key; number of bytes read.

    Raises:
        SealingError: SECRETS_KEYS is missing or unusable.
    """
    key_id, key = newest_key()
    header = MAGIC + key_id.encode() + os.urandom(SALT)
    cipher, total = _cipher(key, header), 0
    target.write(header)
    for number, (piece, last) in enumerate(_pieces(source, PIECE)):
        target.write(cipher.encrypt(_nonce(number, last=last), piece, header))
        total += len(piece)
    return total


def open_file(source: IO[bytes]) -> Iterator[bytes]:
    """The pieces of what `seal_file` wrote, each proven before it is given out; cut-off files fail at their end.

    Raises:
        SealingError: it is no sealed file, was changed or cut off, or its key is no longer in SECRETS_KEYS.
    """
    header = source.read(len(MAGIC) + KEY_ID + SALT)
    if not header.startswith(MAGIC) or len(header) != len(MAGIC) + KEY_ID + SALT:
        raise SealingError("this is no sealed file of Candor's: name one that `manage.py backup` wrote")
    cipher = _cipher(key_of(header[len(MAGIC) : len(MAGIC) + KEY_ID].decode(errors="replace")), header)
    for number, (piece, last) in enumerate(_pieces(source, PIECE + TAG)):
        try:
            yield cipher.decrypt(_nonce(number, last=last), piece, header)
        except InvalidTag:
            raise SealingError(f"the sealed file was changed or cut off near byte {number * PIECE}") from None


def _cipher(key: bytes, header: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=header[-SALT:], info=b"candor file").derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _pieces(source: IO[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of `size` bytes, and whether each is the last; an empty source is one empty piece."""
    piece = _read(source, size)
    while True:
        following = _read(source, size)
        yield piece, not following
        if not following:
            return
        piece = following


def _read(source: IO[bytes], size: int) -> bytes:
    """As many bytes as asked for, also from a pipe, which gives fewer at a time."""
    parts, left = [], size
    while left and (part := source.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
