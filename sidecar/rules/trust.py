"""Whether a pointer may be believed: its Ed25519 signature (RFC 8032), and that its bundle is the one it names."""

import base64

import msgspec

from schemas.bundle import BundleRefused, Pointer, SignedPointer, digest_of


class Trust:
    """Keys whose signature counts. Without any, every source must be on this machine: settings see to that."""

    def __init__(self, public_keys: tuple[bytes, ...] = ()) -> None:
        """Raw 32-byte keys. Raises ValueError for one that is not."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._keys = tuple(Ed25519PublicKey.from_public_bytes(key) for key in public_keys)

    def pointer(self, signed: SignedPointer) -> Pointer:
        """Raises BundleRefused: no known key signed these bytes, or they are not a pointer."""
        from cryptography.exceptions import InvalidSignature

        try:
            signature = base64.b64decode(signed.signature, validate=True)
        except ValueError as error:
            raise BundleRefused("the pointer's signature is not base64") from error
        for key in self._keys:
            try:
                key.verify(signature, signed.pointer.encode())
            except InvalidSignature:
                continue
            return parse_pointer(signed)
        raise BundleRefused("no trusted key signed the pointer")


class LocalTrust:
    """For sources on this machine: the pointer's words are taken as they are."""

    def pointer(self, signed: SignedPointer) -> Pointer:
        return parse_pointer(signed)


def parse_pointer(signed: SignedPointer) -> Pointer:
    try:
        return msgspec.json.decode(signed.pointer, type=Pointer)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BundleRefused(f"the pointer cannot be read: {error}") from error


def pointer_naming(pointer: Pointer, data: bytes) -> Pointer:
    """The pointer as whoever ran these bytes had read it. Raises BundleRefused: it names other ones."""
    trial = pointer.rollout
    stable = msgspec.structs.replace(pointer, rollout=None)
    if trial is not None and digest_of(data) == trial.digest:
        return msgspec.structs.replace(stable, digest=trial.digest, size=trial.size, revision=trial.revision)
    check_digest(stable, data)
    return stable


def check_digest(pointer: Pointer, data: bytes) -> None:
    """Raises BundleRefused when the bytes are not the ones that the pointer names."""
    if (found := digest_of(data)) != pointer.digest:
        raise BundleRefused(f"the bundle is {found}, the pointer names {pointer.digest}")
