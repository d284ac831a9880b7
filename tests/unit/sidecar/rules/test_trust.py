"""Whether a pointer may be believed. Whatever is sent in its place is refused, and nothing falls over."""

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.bundle import BundleRefused, Pointer, SignedPointer, digest_of
from sidecar.rules.trust import LocalTrust, Trust, check_digest

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))
POINTER = Pointer(epoch=1, seq=2, digest="sha256:00", size=3, revision="abc")
TEXT = msgspec.json.encode(POINTER).decode()
TRUST = Trust((KEY.public_key().public_bytes_raw(),))


def signed(text: str = TEXT, key: Ed25519PrivateKey = KEY) -> SignedPointer:
    return SignedPointer(pointer=text, signature=base64.b64encode(key.sign(text.encode())).decode())


def test_a_pointer_signed_with_a_trusted_key_is_believed() -> None:
    assert TRUST.pointer(signed()) == POINTER


def test_during_a_rotation_either_key_counts() -> None:
    both = Trust((OTHER.public_key().public_bytes_raw(), KEY.public_key().public_bytes_raw()))
    assert both.pointer(signed()) == both.pointer(signed(key=OTHER)) == POINTER


@pytest.mark.parametrize(
    "forged",
    [
        signed(key=OTHER),
        SignedPointer(pointer=TEXT.replace('"seq":2', '"seq":3'), signature=signed().signature),
        SignedPointer(pointer=TEXT),
        SignedPointer(pointer=TEXT, signature="AAAA"),
        SignedPointer(pointer=TEXT, signature="not base64!"),
        SignedPointer(pointer=TEXT, signature="ключ"),
        SignedPointer(pointer=TEXT, signature=signed().signature + "\n"),
        signed("not json"),
        signed("[]"),
        signed('{"epoch":1}'),
        signed(TEXT.replace('"seq":2', '"seq":"2"')),
        signed(TEXT.replace('"seq":2', '"seq":2,"more":1')),
        signed("[" * 100_000),
    ],
    ids=range(13),
)
def test_anything_else_is_refused(forged: SignedPointer) -> None:
    with pytest.raises(BundleRefused):
        TRUST.pointer(forged)


def test_without_keys_nobody_is_trusted() -> None:
    with pytest.raises(BundleRefused):
        Trust(()).pointer(signed())


def test_a_source_on_this_machine_needs_no_signature_but_a_pointer() -> None:
    assert LocalTrust().pointer(SignedPointer(pointer=TEXT)) == POINTER
    with pytest.raises(BundleRefused):
        LocalTrust().pointer(SignedPointer(pointer="{"))


def test_bytes_are_the_ones_that_are_named_or_refused() -> None:
    check_digest(msgspec.structs.replace(POINTER, digest=digest_of(b"x")), b"x")
    with pytest.raises(BundleRefused, match="the pointer names"):
        check_digest(POINTER, b"x")
