"""The two C programs of the bench, the upstream and the load generator: compiled when they changed, then run.
They are C so that what limits a run is the proxy under test and not the bench."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "c"


class NoCompiler(Exception):
    """There is no `cc` on the path, and nothing compiled earlier; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the compiled programs lie."""

    upstream: Path
    load: Path


def cache_folder() -> Path:
    """The user's cache folder for what we compile."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointsman-bench"


def compile_programs(cache: Path) -> Programs:
    """Compile what is not in `cache` yet. A build is named by its sources, so an edit never meets an old binary.

    Raises NoCompiler, or CalledProcessError when the sources do not compile."""
    sources = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    folder = cache / hashlib.sha256(sources).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return Programs(upstream=_compiled("upstream", folder), load=_compiled("load", folder))


def _compiled(name: str, folder: Path) -> Path:
    program = folder / name
    if program.exists():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("the bench compiles its load generator and needs a C compiler: apt-get install gcc libc6-dev")
    unfinished = folder / f"{name}.{os.getpid()}"
    subprocess.run([compiler, "-O2", "-o", unfinished, SOURCES / f"{name}.c"], check=True)
    unfinished.replace(program)  # two benches may compile at once
    return program
