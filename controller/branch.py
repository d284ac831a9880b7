"""Files onto a branch of their own, by git's plumbing: no work tree, index or hook of whoever asks is touched."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TIMEOUT_SECONDS: Final = 60


class NoBranch(Exception):
    """`str(error)` says why there is none, and what to do."""


def top_of(folder: Path) -> tuple[Path, str]:
    """The repository's top folder, and where in it this one lies: empty, or with a slash at its end."""
    top = _git(folder, "rev-parse", "--show-toplevel", failure=f"{folder} is in no git repository")
    inside = _git(folder, "rev-parse", "--show-prefix")
    return Path(top), inside


def text_at_head(folder: Path, file: str) -> str:
    """A file below the folder as it is committed."""
    return _git(folder, "cat-file", "blob", f"HEAD:./{file}", failure=f"{file} is not committed", strip=False)


def uncommitted(folder: Path, path: str) -> bool:
    """Whether something below the folder differs from what is committed."""
    return bool(_git(folder, "status", "--porcelain", "--untracked-files=all", "--", path))


def commit_on_branch(folder: Path, branch: str, files: Mapping[str, bytes], message: str) -> str:
    """A commit on top of HEAD with these files, under a new branch's name.

    Args:
        files: path below `folder` to content.

    Raises:
        NoBranch: no repository, no commit, no identity, or there is such a branch.
    """
    top, inside = top_of(folder)
    head = _git(top, "rev-parse", "--verify", "HEAD^{commit}", failure="the repository has no commit yet")
    _git(top, "check-ref-format", "--branch", branch, failure=f'"{branch}" is no name for a branch')
    ref = f"refs/heads/{branch}"
    if _succeeds(top, "rev-parse", "--verify", "--quiet", ref):
        raise NoBranch(f"there is a branch {branch} already: merge or delete it, or name another by --branch")
    _git(
        top, "var", "GIT_COMMITTER_IDENT", failure="git does not know who you are: git config user.name and user.email"
    )
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        _git(top, "read-tree", head, env=index)
        for path, data in sorted(files.items()):
            blob = _git(top, "hash-object", "-w", "--stdin", stdin=data)
            _git(top, "update-index", "--add", "--cacheinfo", f"100644,{blob},{inside}{path}", env=index)
        tree = _git(top, "write-tree", env=index)
    commit = _git(top, "commit-tree", tree, "-p", head, "-F", "-", stdin=message.encode())
    # An empty old value: whoever made such a branch meanwhile keeps it.
    _git(top, "update-ref", "-m", "pointsman eval propose", ref, commit, "", failure=f"cannot make branch {branch}")
    return commit


def _succeeds(folder: Path, *arguments: str) -> bool:
    return _run(folder, arguments, b"", {}).returncode == 0


def _git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    failure: str = "",
    strip: bool = True,
) -> str:
    done = _run(folder, arguments, stdin, env or {})
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
        raise NoBranch(f"{failure} ({said})" if failure and said else failure or f"git {arguments[0]} failed: {said}")
    text = done.stdout.decode("utf-8", "replace")
    return text.strip() if strip else text


def _run(
    folder: Path, arguments: tuple[str, ...], stdin: bytes, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], input=stdin, env={**os.environ, "LC_ALL": "C", **env},
            capture_output=True, timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoBranch(f"cannot run git: {error}") from error
