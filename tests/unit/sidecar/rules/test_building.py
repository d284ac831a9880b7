"""Rules are built while calls go on, and the collector never walks over them."""

import asyncio
import gc
import sys

import pytest

from schemas.bundle import BundleRefused, encode_bundle
from sidecar.rules.building import build, build_aside
from tests.fakes.core_bundles import bundle

DATA = encode_bundle(bundle())


async def test_the_event_loop_turns_while_rules_are_built() -> None:
    task = asyncio.create_task(build_aside(DATA, "sha256:1"))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1
    assert (await task).use_cases.keys() == build(DATA, "sha256:1").use_cases.keys()


async def test_everything_is_as_before_also_where_rules_are_refused() -> None:
    interval = sys.getswitchinterval()
    with pytest.raises(BundleRefused):
        await build_aside(b"{", "sha256:2")
    assert gc.isenabled()
    assert sys.getswitchinterval() == interval


def test_what_is_built_is_out_of_the_collectors_sight_and_goes_all_the_same() -> None:
    build(DATA, "sha256:3")
    before = gc.get_freeze_count()
    built = build(DATA, "sha256:4")
    held = gc.get_freeze_count()
    assert not any(one is built for one in gc.get_objects())
    del built
    assert before < held
    assert gc.get_freeze_count() < held
