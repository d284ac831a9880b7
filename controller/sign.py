"""The signing key (Ed25519, RFC 8032) and what it signs: the exact bytes of a pointer."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller import files
from controller.errors import CannotStart
from schemas.bundle import SignedPointer

KEY_FILE = "signing.key"
PUBLIC_FILE = "signing.pub"
SEED_BYTES = 32


class Signer:
    def __init__(self, seed: bytes, earlier: Sequence[bytes] = ()) -> None:
        """`earlier`: seeds of keys that this one takes the place of."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        """32 raw bytes: what a sidecar's `--public-key` file holds in base64."""
        self.key_id = key_id_of(self.public_key)
        self.known_key_ids = frozenset({self.key_id, *(Signer(seed).key_id for seed in earlier)})

    def sign(self, pointer: str) -> SignedPointer:
        signature = self._key.sign(pointer.encode())
        return SignedPointer(pointer=pointer, signature=base64.b64encode(signature).decode("ascii"), key_id=self.key_id)


def key_id_of(public_key: bytes) -> str:
    """Names a key without being one: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def load_signer(key_file: Path, *, make: bool) -> Signer:
    """Reads the key (base64 of its 32-byte seed); with `make`, a missing one is made.

    The first line signs. Further ones are the keys before it, which other controllers may still sign with.

    Raises:
        CannotStart: the file is missing or is not such a key.
    """
    if make and not key_file.exists():
        seed = Ed25519PrivateKey.generate().private_bytes_raw()
        files.save(key_file, base64.b64encode(seed) + b"\n")
    try:
        seeds = [base64.b64decode(line, validate=True) for line in key_file.read_bytes().split()]
    except FileNotFoundError as error:
        raise CannotStart(f"no signing key {key_file}") from error
    except (OSError, binascii.Error) as error:
        raise CannotStart(f"cannot read a signing key from {key_file}: {type(error).__name__}") from error
    if not seeds or any(len(seed) != SEED_BYTES for seed in seeds):
        raise CannotStart(
            f"{key_file} must hold the base64 of {SEED_BYTES} bytes, an Ed25519 seed, or one on each line"
        )
    return Signer(seeds[0], seeds[1:])


def save_public_key(path: Path, signer: Signer) -> None:
    """For people to copy to their sidecars."""
    text = base64.b64encode(signer.public_key) + b"\n"
    if not path.exists() or path.read_bytes() != text:
        files.save(path, text)
