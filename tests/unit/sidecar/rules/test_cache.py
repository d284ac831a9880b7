"""The last good rules on disk: one whole or the other, whatever happened to either."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from schemas.bundle import SignedPointer, digest_of
from sidecar.rules.cache import LastGood

ONE, TWO = SignedPointer(pointer="one", bundle="{}"), SignedPointer(pointer="two", bundle="{}")


def test_the_newest_comes_first_and_the_one_before_is_kept(tmp_path: Path) -> None:
    cache = LastGood(tmp_path / "rules")
    assert cache.load() == []
    cache.save(ONE)
    cache.save(TWO)
    assert LastGood(tmp_path / "rules").load() == [TWO, ONE]


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"pointer":"\xff"}', b"[]", b"[" * 100_000, b'{"x":1}'])
def test_one_that_is_damaged_leaves_the_other(tmp_path: Path, damage: bytes) -> None:
    cache = LastGood(tmp_path)
    cache.save(ONE)
    cache.save(TWO)
    (tmp_path / "current.json").write_bytes(damage)
    assert cache.load() == [ONE]
    (tmp_path / "previous.json").write_bytes(damage)
    assert cache.load() == []


def test_a_save_that_fails_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    cache = LastGood(tmp_path)
    cache.save(ONE)
    monkeypatch.setattr("sidecar.rules.cache.write_durably", full)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            cache.save(TWO)
        assert cache.load() == [ONE]


def test_another_pointer_is_never_put_over_other_rules(tmp_path: Path) -> None:
    cache = LastGood(tmp_path)
    cache.save(ONE)
    cache.renew(TWO, digest_of(b"others"))
    assert cache.load() == [ONE]
    cache.renew(TWO, digest_of(b"{}"))
    assert cache.load() == [TWO]


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


def test_killed_at_any_step_of_a_save_one_whole_rule_set_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each call to the system in turn, and after it."""
    was = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "close", "unlink")}
    for step in count():
        folder = tmp_path / str(step)
        cache = LastGood(folder)
        cache.save(ONE)
        done = iter(range(step))

        def at_a_step(call: Callable[..., Any], left: Any = done) -> Callable[..., Any]:
            def runs(*args: Any, **options: Any) -> Any:
                if next(left, None) is None:
                    raise Killed
                return call(*args, **options)

            return runs

        for name, call in was.items():
            monkeypatch.setattr(os, name, at_a_step(call))
        try:
            cache.save(TWO)
            killed = False
        except Killed:
            killed = True
        finally:
            monkeypatch.undo()
        assert LastGood(folder).load() in ([ONE], [TWO, ONE])
        if not killed:
            break
    assert step > 5
    assert LastGood(folder).load() == [TWO, ONE]
