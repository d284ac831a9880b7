import base64
import hashlib
from pathlib import Path

import pytest

from controller.errors import CannotStart
from controller.sign import Signer, load_signer, save_public_key


def test_a_made_key_is_private_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made = load_signer(path, make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(path.read_text())) == 32
    assert load_signer(path, make=True).public_key == made.public_key
    assert made.key_id == hashlib.sha256(made.public_key).hexdigest()[:16]


def test_the_public_key_lies_beside_it_in_base64(tmp_path: Path) -> None:
    signer = load_signer(tmp_path / "signing.key", make=True)
    save_public_key(tmp_path / "signing.pub", signer)
    assert base64.b64decode((tmp_path / "signing.pub").read_text()) == signer.public_key


@pytest.mark.parametrize("content", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "signing.key"
    path.write_text(content)
    with pytest.raises(CannotStart) as refused:
        load_signer(path, make=True)
    assert str(path) in str(refused.value)
    assert not content or content not in str(refused.value)


def test_of_several_keys_the_first_signs_and_those_before_it_are_known(tmp_path: Path) -> None:
    seeds = [bytes([number] * 32) for number in (1, 2, 3)]
    path = tmp_path / "signing.key"
    path.write_bytes(b"\n".join(base64.b64encode(seed) for seed in seeds))
    signer = load_signer(path, make=False)
    assert signer.key_id == Signer(seeds[0]).key_id
    assert signer.known_key_ids == {Signer(seed).key_id for seed in seeds}


def test_a_named_key_that_is_missing_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="no signing key"):
        load_signer(tmp_path / "mine.key", make=False)
    assert not (tmp_path / "mine.key").exists()
