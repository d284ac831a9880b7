"""What the tests of the bench share: its compiled programs and its upstream, running on a free port."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.bench import live
from tests.bench.live import Upstream
from tests.bench.native import Programs, compile_programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.skip("the bench needs a C compiler")
    return compile_programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def upstream(programs: Programs) -> Iterator[Upstream]:
    running = live.start_upstream(programs.upstream, core=min(os.sched_getaffinity(0)))
    yield running
    running.stop()
