"""Every field of a bundle in turn blank, null, huge or of the wrong type: a sidecar runs it or refuses it, no more."""

import copy
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import pytest

from controller.folder import read_folder
from schemas.bundle import MAX_BUNDLE_BYTES, Bundle, BundleRefused, decode_bundle, encode_bundle
from schemas.load import load
from sidecar.routing.snapshot import build_snapshot
from tests.fakes.processes import REPOSITORY

Path: TypeAlias = tuple[str | int, ...]

ODD_VALUES: tuple[object, ...] = (
    None, "", " ", "\u0000", "x" * 300, True, -1, 0, 10**400, 1.5, -1e300, [], [None], [""], [{}], {}, {"": None},
    "NaN",
)  # fmt: skip


def examples() -> Bundle:
    files = read_folder(FilePath(REPOSITORY) / "examples" / "rules").files
    bundle = load(files, today=date(2026, 11, 23), revision="r").bundle
    assert bundle is not None
    return bundle


def paths_of(value: object, at: Path = ()) -> Iterator[Path]:
    """To every part, deepest first."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from paths_of(part, (*at, key))
    if at:
        yield at


def shape(path: Path) -> Path:
    """Names and places aside: one model stands for all."""
    kept = [part if number in (0, *range(2, len(path))) else "*" for number, part in enumerate(path)]
    return tuple("#" if isinstance(part, int) else part for part in kept)


def put(document: Any, path: Path, value: object) -> None:
    for part in path[:-1]:
        document = document[part]
    document[path[-1]] = value


def test_every_field_in_turn() -> None:
    whole = json.loads(encode_bundle(examples()))
    one_of_each = {shape(path): path for path in paths_of(whole)}
    assert len(one_of_each) > 100
    refused = ran = 0
    for path in one_of_each.values():
        for value in ODD_VALUES:
            forged = copy.deepcopy(whole)
            put(forged, path, value)
            try:
                build_snapshot(decode_bundle(json.dumps(forged).encode()))
                ran += 1
            except BundleRefused:
                refused += 1
    assert min(refused, ran) > 100


@pytest.mark.parametrize(("more", "is_run"), [(0, True), (1, False)])
def test_a_bundle_may_be_as_large_as_the_bound_and_no_byte_larger(more: int, is_run: bool) -> None:
    data = encode_bundle(examples())
    # White space is no part of what it says.
    padded = data + b" " * (MAX_BUNDLE_BYTES + more - len(data))
    if is_run:
        assert decode_bundle(padded) == decode_bundle(data)
    else:
        with pytest.raises(BundleRefused, match="at most"):
            decode_bundle(padded)
