import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.channel import KEPT_BUNDLES
from controller.kept.folder import SHELF_FOLDER, STATE_FILE, StateFolder
from controller.publish import INLINE_BYTES, Publisher
from controller.sign import Signer
from schemas.bundle import Bundle, BundleRefused, Pointer, decode_bundle, digest_of

MakeBundle = Callable[..., Bundle]


async def test_a_publication_is_signed_over_the_exact_bytes_of_its_pointer(
    publisher: Publisher, signer: Signer, make_bundle: MakeBundle
) -> None:
    signed = (await publisher.publish(make_bundle())).signed

    key = Ed25519PublicKey.from_public_bytes(signer.public_key)
    key.verify(base64.b64decode(signed.signature), signed.pointer.encode())
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signed.signature), signed.pointer.encode() + b" ")
    assert signed.key_id == signer.key_id
    assert signed.bundle is not None
    assert decode_bundle(signed.bundle.encode()) == make_bundle()
    assert digest_of(signed.bundle.encode()) == msgspec.json.decode(signed.pointer, type=Pointer).digest


async def test_seq_grows_with_every_bundle_and_survives_a_restart(
    tmp_path: Path, signer: Signer, make_bundle: MakeBundle
) -> None:
    first = Publisher(StateFolder(tmp_path, epoch=7), signer)
    await first.publish(make_bundle("r1"))
    await first.publish(make_bundle("r2"))

    second = Publisher(StateFolder(tmp_path, epoch=99), signer)
    second.restore()

    assert second.pointer is not None
    assert (second.pointer.epoch, second.pointer.seq, second.pointer.revision) == (7, 2, "r2")
    assert (await second.publish(make_bundle("r3"))).event_id == "7.3"


async def test_the_same_bundle_is_not_published_twice(publisher: Publisher, make_bundle: MakeBundle) -> None:
    first = await publisher.publish(make_bundle())
    assert await publisher.publish(make_bundle()) is first


async def test_a_rollback_is_a_new_seq_with_the_old_digest(publisher: Publisher, make_bundle: MakeBundle) -> None:
    old = await publisher.publish(make_bundle("r1"))
    await publisher.publish(make_bundle("r2"))
    back = await publisher.publish(make_bundle("r1"))
    assert back.pointer.digest == old.pointer.digest
    assert back.pointer.seq == 3


async def test_a_new_key_signs_the_current_bundle_again(
    tmp_path: Path, signer: Signer, make_bundle: MakeBundle
) -> None:
    await Publisher(StateFolder(tmp_path, epoch=7), signer).publish(make_bundle())
    other = Signer(bytes(32))
    publisher = Publisher(StateFolder(tmp_path, epoch=8), other)
    publisher.restore()
    for _ in range(2):
        await publisher.sign_anew()
    publication = await publisher.publish(make_bundle())
    assert publication is publisher.current
    assert (publication.event_id, publication.signed.key_id) == ("7.2", other.key_id)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"signed": {"pointer": "{}"}, "bundle": "{}"}'])
async def test_an_unreadable_state_is_set_aside_and_a_higher_epoch_begins(
    tmp_path: Path, signer: Signer, make_bundle: MakeBundle, damage: bytes
) -> None:
    (tmp_path / STATE_FILE).write_bytes(damage)
    publisher = Publisher(StateFolder(tmp_path, epoch=8), signer)
    publisher.restore()
    assert publisher.current is None
    assert (await publisher.publish(make_bundle())).event_id == "8.1"
    assert (tmp_path / "published.bad").read_bytes() == damage


async def test_a_kept_bundle_that_is_not_what_its_name_says_is_not_served(
    tmp_path: Path, signer: Signer, make_bundle: MakeBundle
) -> None:
    await Publisher(StateFolder(tmp_path, epoch=7), signer).publish(make_bundle("r1"))
    (path,) = (tmp_path / SHELF_FOLDER).iterdir()
    path.write_bytes(path.read_bytes().replace(b"example.com", b"example.org"))
    publisher = Publisher(StateFolder(tmp_path, epoch=8), signer)
    publisher.restore()
    assert publisher.current is None


async def test_a_bundle_that_sidecars_would_refuse_is_refused_here(
    publisher: Publisher, make_bundle: MakeBundle
) -> None:
    dangling = msgspec.structs.replace(make_bundle(), models={})
    with pytest.raises(BundleRefused):
        await publisher.publish(dangling)
    assert publisher.current is None


async def test_when_the_state_cannot_be_written_nothing_is_announced(
    tmp_path: Path, signer: Signer, make_bundle: MakeBundle
) -> None:
    folder = tmp_path / "gone"
    publisher = Publisher(StateFolder(folder, epoch=7), signer)
    with pytest.raises(OSError, match="gone"):
        await publisher.publish(make_bundle())
    assert publisher.current is None
    folder.mkdir()
    assert (await publisher.publish(make_bundle())).pointer.seq == 1


async def test_a_large_bundle_is_not_inline_but_at_hand_by_its_digest(
    publisher: Publisher, make_bundle: MakeBundle
) -> None:
    publication = await publisher.publish(make_bundle(padding=INLINE_BYTES))
    assert publication.signed.bundle is None
    data = publisher.bundle(publication.pointer.digest)
    assert data is not None
    assert digest_of(data) == publication.pointer.digest
    assert len(data) == publication.pointer.size


async def test_the_last_few_bundles_are_kept(publisher: Publisher, make_bundle: MakeBundle) -> None:
    digests = [(await publisher.publish(make_bundle(f"r{n}"))).pointer.digest for n in range(KEPT_BUNDLES + 1)]
    assert publisher.bundle(digests[0]) is None
    assert all(publisher.bundle(digest) is not None for digest in digests[1:])


async def test_who_waits_gets_the_latest_and_nothing_in_between(publisher: Publisher, make_bundle: MakeBundle) -> None:
    first = await publisher.publish(make_bundle("r0"))
    waiting = asyncio.create_task(publisher.newer_than(first.event_id))
    await asyncio.wait({waiting}, timeout=0)
    for number in range(1, 4):
        await publisher.publish(make_bundle(f"r{number}"))
    woken = await waiting
    assert woken is not None
    later = await publisher.newer_than(first.event_id)
    assert later is not None
    assert later.pointer.revision == "r3"


async def test_closing_ends_every_wait(publisher: Publisher) -> None:
    waiting = [asyncio.create_task(publisher.newer_than("")) for _ in range(3)]
    await asyncio.wait(waiting, timeout=0)
    publisher.close()
    assert await asyncio.gather(*waiting) == [None, None, None]
