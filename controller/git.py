"""The only module that runs git: fetch a ref, name its commit, read the rule files of a commit.

Plumbing alone: nothing is ever checked out, so no hook, filter, symbolic link or submodule of the repository can act.
"""

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

from controller.errors import Refused, SourceUnavailable
from controller.tree import Commit, Entry, Tree, about, select, too_large, tree_of

FETCH_TIMEOUT_SECONDS: Final = 60.0
READ_TIMEOUT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.1
"""How often a local repository's ref is looked at: a few stat calls, and no watch to run out of."""
SAFETY_LOOK_SECONDS: Final = 5.0
"""A ref may be kept in a way that the quick look does not know."""
RETRY_LOCAL_SECONDS: Final = 0.2
FETCHED_REF: Final = "refs/pointsman/head"
MAX_OUTPUT_BYTES: Final = 64 << 20
MAX_VERSIONS: Final = 50
MAX_LIST_BYTES: Final = 16 << 20
"""Names of files, rule files or not: more than a hundred thousand."""

_PIECE_BYTES: Final = 1 << 16

_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_LOGGED: Final = "%H%x00%P%x00%aI%x00%an%x00%s"

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}
_KEPT: Final = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
                "SSL_CERT_FILE", "SSL_CERT_DIR")  # fmt: skip


class Endless(SourceUnavailable):
    """A command that answers without end."""


class TookTooLong(SourceUnavailable):
    """A command that did not end in its time: a server that says nothing, as a rule."""


def without_credentials(text: str) -> str:
    """Masks what stands before the `@` of any URL in a text: errors and logs never hold it."""
    return _USERINFO.sub("", text)


def is_url(repo: str) -> bool:
    """`https://…`, `ssh://…`, or scp's `host:path`; a path with a colon is written `./a:b`."""
    return "://" in repo or (":" in repo and "/" not in repo.partition(":")[0])


def is_repository(path: Path) -> bool:
    """A work tree's top folder or a bare repository; a folder somewhere inside one is a plain folder."""
    return (path / ".git").exists() or all((path / part).exists() for part in ("HEAD", "objects", "refs"))


class LocalRepository:
    """A repository on this machine, read where it lies: commits only, at one ref."""

    def __init__(
        self, path: Path, *, ref: str, folder: str = ".", look_seconds: float = LOOK_SECONDS,
        signers: Path | None = None, git: Path | None = None,
    ) -> None:  # fmt: skip
        """`signers` is a file of allowed signers: a commit that none of them signed is refused. `git` is the folder of
        git's own files, for a repository that may be away; it is looked for otherwise."""
        self._path = path.resolve()
        self._ref = ref
        self._folder = folder
        self._look_seconds = look_seconds
        self._signers = signers
        # A partial clone would fetch what it lacks, from wherever its own settings say: reading never fetches.
        self._git = Git(git or git_folder(self._path), config={"protocol.allow": "never"})

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def retry_seconds(self) -> float:
        return RETRY_LOCAL_SECONDS

    async def looks(self) -> AsyncGenerator[None, None]:
        seen: object = None
        quiet_seconds = 0.0
        while True:
            mark = await asyncio.to_thread(self._mark)
            if mark != seen or quiet_seconds >= SAFETY_LOOK_SECONDS:
                seen, quiet_seconds = mark, 0.0
                yield
            await asyncio.sleep(self._look_seconds)
            quiet_seconds += self._look_seconds

    async def fetch(self) -> str:
        return await self._git.commit_of(self._ref)

    async def read(self, revision: str) -> Tree:
        return await self._git.read_tree(revision, self._folder, signers=self._signers)

    async def follows(self, revision: str, before: str) -> bool:
        return await self._git.is_ancestor(before, revision)

    async def history(self, revision: str, paths: Sequence[str], most: int) -> Sequence[Commit]:
        return await self._git.history(revision, self._folder, paths, most)

    async def look_back(self, revision: str) -> Tree:
        return await self._git.read_tree(revision, self._folder)

    async def common_commit(self, ref: str) -> str:
        """The last commit that `ref` and ours share: where a change of ours began.

        Raises:
            SourceUnavailable: no such ref, or none that they share, as in a clone that is cut short.
        """
        theirs, ours = await self._git.commit_of(ref), await self._git.commit_of(self._ref)
        failure = f"{ref} and {self._ref} share no commit here; fetch the whole history (fetch-depth: 0)"
        return (await self._git.run(["merge-base", theirs, ours], failure=failure)).decode("ascii").split()[0]

    async def changed_files(self, base: str) -> set[str]:
        """Paths inside the folder that differ between a commit and ours, whatever they hold."""
        inside = "" if self._folder in ("", ".") else f"{self._folder.strip('/')}/"
        ours = await self._git.commit_of(self._ref)
        out = await self._git.run(["diff-tree", "-r", "-z", "--name-only", "--no-renames", base, ours])
        paths = (path.decode("utf-8", "replace") for path in out.split(b"\0") if path)
        return {path.removeprefix(inside) for path in paths if path.startswith(inside)}

    async def earlier_versions(self, commit: str, file: str, *, days: int) -> list[str]:
        """What a file inside the folder said in the commit's history within so many days, the newest first: with what
        was in force as they began."""
        place = file if self._folder in ("", ".") else f"{self._folder.strip('/')}/{file}"
        log = [
            "log",
            "--first-parent",
            f"-{MAX_VERSIONS}",
            f"--since={days}.days",
            "--format=%H %P",
            commit,
            "--",
            place,
        ]
        lines = (await self._git.run(log)).decode("ascii", "replace").splitlines()
        commits = dict.fromkeys(word for line in lines for word in line.split()[:2])
        versions = []
        for one in commits:
            with contextlib.suppress(SourceUnavailable):  # it was not there yet
                versions.append(
                    (await self._git.run(["cat-file", "blob", f"{one}:{place}"])).decode("utf-8", "replace")
                )
        return versions

    def _mark(self) -> tuple[object, ...]:
        """Changes whenever the ref does: its own file as a loose ref, or the file that all packed ones share."""
        common = self._git.folder
        with contextlib.suppress(OSError):
            common = (common / (common / "commondir").read_text().strip()).resolve()  # a linked work tree
        loose = [common / "HEAD", *(common / place / self._ref for place in ("", "refs", "refs/heads", "refs/tags"))]
        shared = (common / "packed-refs", common / "reftable" / "tables.list")
        return (*map(_content_of, loose), *map(_stat_of, shared))


class RemoteRepository:
    """A repository behind a URL: a bare mirror in the state folder, fetched again and again."""

    def __init__(
        self, url: str, mirror: Path, *, ref: str, folder: str = ".", poll_seconds: float = 15.0,
        fetch_timeout_seconds: float = FETCH_TIMEOUT_SECONDS, signers: Path | None = None,
    ) -> None:  # fmt: skip
        """`signers` as for a repository on this machine."""
        self._url = url
        self._mirror = mirror
        self._ref = ref
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._fetch_timeout_seconds = fetch_timeout_seconds
        self._signers = signers
        # The URL goes by the environment: an argument would show its credentials to every user of the machine.
        self._git = Git(
            mirror, config={"remote.rules.url": url, "protocol.ext.allow": "never"}, secrets=_secrets_of(url)
        )

    @property
    def name(self) -> str:
        return without_credentials(self._url)

    @property
    def retry_seconds(self) -> float:
        return self._poll_seconds * random.uniform(0.8, 1.2)

    async def looks(self) -> AsyncGenerator[None, None]:
        while True:
            yield
            await asyncio.sleep(self._poll_seconds * random.uniform(0.8, 1.2))

    async def fetch(self) -> str:
        await self._prepare()
        try:
            await self._git.run(
                ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "rules", f"+{self._ref}:{FETCHED_REF}"],
                timeout=self._fetch_timeout_seconds,
            )
        except TookTooLong:
            raise
        except SourceUnavailable:
            if await self._is_there():
                await self._drop_mirror()
            raise
        return await self._git.commit_of(FETCHED_REF)

    async def read(self, revision: str) -> Tree:
        try:
            return await self._git.read_tree(revision, self._folder, signers=self._signers)
        except SourceUnavailable:
            await self._drop_mirror()  # just fetched and yet unreadable
            raise

    async def _is_there(self) -> bool:
        """Whether the ref can be had: a fetch that fails all the same fails by the mirror."""
        try:
            return bool(await self._git.run(["ls-remote", "--quiet", "rules", self._ref]))
        except SourceUnavailable:
            return False

    async def _drop_mirror(self) -> None:
        """It is damaged. The next look makes it anew."""
        await asyncio.to_thread(_remove, self._mirror)

    async def follows(self, revision: str, before: str) -> bool:
        return await self._git.is_ancestor(before, revision)

    async def history(self, revision: str, paths: Sequence[str], most: int) -> Sequence[Commit]:
        return await self._git.history(revision, self._folder, paths, most)

    async def look_back(self, revision: str) -> Tree:
        return await self._git.read_tree(revision, self._folder)

    async def _prepare(self) -> None:
        if not (self._mirror / "HEAD").exists():
            await self._drop_mirror()
            self._mirror.mkdir(parents=True)
            await self._git.run(["init", "--quiet", "--bare", "--template="])
        # Only this process uses the mirror, one command at a time: a lock that is there was left by a killed one.
        for lock in await asyncio.to_thread(lambda: list(self._mirror.rglob("*.lock"))):
            lock.unlink(missing_ok=True)


class Git:
    """Runs git commands on one git directory, each with a deadline and an environment that users cannot bend."""

    def __init__(self, folder: Path, *, config: Mapping[str, str], secrets: Sequence[str] = ()) -> None:
        self.folder = folder
        self._config = {"gc.auto": "0", "core.hooksPath": os.devnull} | dict(config)
        self._secrets = secrets

    async def commit_of(self, ref: str) -> str:
        out = await self.run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"],
                             failure=f"no commit at {ref!r}")  # fmt: skip
        commit = out.decode("ascii", "replace").strip()
        if not _COMMIT.fullmatch(commit):
            raise SourceUnavailable(f"no commit at {ref!r}")
        return commit

    async def is_ancestor(self, before: str, commit: str) -> bool:
        """False as well where the earlier one is not here any more."""
        try:
            await self.run(["merge-base", "--is-ancestor", before, commit])
        except SourceUnavailable:
            return False
        return True

    async def read_tree(self, commit: str, folder: str, *, signers: Path | None = None) -> Tree:
        """The rule files under a folder of a commit, within the bounds of `tree.select`.

        Raises:
            Refused: none of the signers signed it.
        """
        if signers is not None:
            await self._verify(commit, signers)
        inside = folder.strip("/")
        place = f"{commit}^{{tree}}" if inside in ("", ".") else f"{commit}:{inside}"
        try:
            listed = await self.run(["ls-tree", "-r", "-z", "-l", "--end-of-options", place],
                                    failure=f"no folder {inside!r} in {commit[:12]}",
                                    most=MAX_LIST_BYTES)  # fmt: skip
        except Endless as error:  # perhaps trees that hold one another many times: in a few bytes, files without end
            raise Refused([too_large(f"more than {MAX_LIST_BYTES} bytes of file names")]) from error
        chosen, problems = select(_entries(listed))
        blobs = await self._read_blobs([entry.handle for entry in chosen])
        tree = tree_of(commit, {entry.path: blobs[entry.handle] for entry in chosen}, problems)
        return replace(tree, is_urgent=await self._is_urgent(commit))

    async def history(self, commit: str, folder: str, paths: Sequence[str], most: int) -> list[Commit]:
        """The newest commits that touched one of these paths inside a folder; of a merge, what it brought."""
        inside = "" if folder.strip("/") in ("", ".") else f"{folder.strip('/')}/"
        log = ["log", "--first-parent", "-m", "-z", f"-{most}", "--name-only", "--no-renames", f"--format={_LOGGED}",
               "--end-of-options", commit, "--", *(f"{inside}{path}" for path in paths)]  # fmt: skip
        out = (await self.run(log, most=MAX_LIST_BYTES)).decode("utf-8", "replace")
        return list(_logged(out.split("\0"), inside))

    async def _verify(self, commit: str, signers: Path) -> None:
        """As git itself verifies an SSH signature; other kinds would look into this user's own key rings."""
        config = {
            "gpg.ssh.allowedSignersFile": str(signers),
            "gpg.minTrustLevel": "fully",
            "gpg.program": "false",
            "gpg.openpgp.program": "false",
            "gpg.x509.program": "false",
        }
        options = [part for key, value in config.items() for part in ("-c", f"{key}={value}")]
        try:
            await self.run([*options, "verify-commit", commit])
        except SourceUnavailable as error:
            message = f"commit {commit[:12]} has no good SSH signature of anybody in {signers.name}"
            raise Refused([about(".", "not-signed", message)]) from error

    async def _is_urgent(self, commit: str) -> bool:
        said = await self.run(["log", "-1", "--format=%(trailers:key=Rollout,valueonly)", commit])
        return said.decode("utf-8", "replace").strip().lower() == "urgent"

    async def _read_blobs(self, ids: Sequence[str]) -> dict[str, bytes]:
        if not ids:
            return {}
        out = await self.run(["cat-file", "--batch"], stdin="".join(f"{oid}\n" for oid in ids).encode())
        blobs: dict[str, bytes] = {}
        position = 0
        for oid in ids:
            end = out.index(b"\n", position)
            name, kind, *size = out[position:end].decode("ascii").split(" ")
            if name != oid or kind != "blob" or not size:
                raise SourceUnavailable(f"object {oid} cannot be read")
            start, length = end + 1, int(size[0])
            blobs[oid] = out[start : start + length]
            position = start + length + 1
        return blobs

    async def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = READ_TIMEOUT_SECONDS,
        failure: str = "",
        most: int = MAX_OUTPUT_BYTES,
    ) -> bytes:
        """Standard output of a git command.

        Raises:
            SourceUnavailable: it failed, took too long or said too much; credentials are masked in the message.
        """
        with tempfile.TemporaryFile() as asked:  # a file, as a pipe to a command that has ended is an error of its own
            asked.write(stdin)
            asked.seek(0)
            process = await self._start(arguments, asked)
        complaining = asyncio.ensure_future(_last_of(process.stderr))
        try:
            async with asyncio.timeout(timeout):
                out = await _whole(process.stdout, most)
                await process.wait()
        except TimeoutError as error:
            raise TookTooLong(f"git {arguments[0]} took longer than {timeout:.0f} s") from error
        except Endless as error:
            raise Endless(f"git {arguments[0]} answered with more than {most} bytes") from error
        finally:
            await _end(process)
            complaint = await complaining
        if process.returncode != 0:
            said = " ".join(complaint.decode("utf-8", "replace").split())[-400:]
            raise SourceUnavailable(self._masked(failure or f"git {arguments[0]} failed: {said}"))
        return out

    async def _start(self, arguments: Sequence[str], stdin: IO[bytes]) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                "git", "--git-dir", str(self.folder), *arguments,
                stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=_environment(self._config), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise SourceUnavailable(f"cannot run git: {error.strerror}") from error

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return without_credentials(text)


async def _whole(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """All of it. Raises `Endless` as soon as it is more than anybody wants, whatever else would come."""
    assert stream is not None
    data = bytearray()
    while piece := await stream.read(_PIECE_BYTES):
        data += piece
        if len(data) > most:
            raise Endless
    return bytes(data)


async def _last_of(stream: asyncio.StreamReader | None) -> bytes:
    """The end of what it says; a server may send as many words as it likes."""
    assert stream is not None
    data = b""
    while piece := await stream.read(_PIECE_BYTES):
        data = (data + piece)[-_PIECE_BYTES:]
    return data


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the command and whatever it started (ssh, a remote helper): they share its session."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _environment(config: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    numbered = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    return {**kept, **_ENVIRONMENT, "GIT_SSH_COMMAND": ssh, **numbered}


def _logged(words: Sequence[str], inside: str) -> Iterator[Commit]:
    """`<each of _LOGGED>\\0\\n<file>\\0<file>\\0`, commit after commit (git-log(1), `-z` and `--name-only`): no
    rule file's path is a commit's id.
    """
    start = 0
    while len(words) - start > _LOGGED.count("%x00"):
        revision, parents, at, author, title = words[start : start + 5]
        rest = words[start + 5 :]
        files = list(takewhile(lambda word: not _COMMIT.fullmatch(word), rest))
        start += 5 + len(files)
        touched = (file.removeprefix("\n").removeprefix(inside) for file in files)
        yield Commit(revision, parents.partition(" ")[0], at, author, title, tuple(filter(None, touched)))


def _entries(listed: bytes) -> list[Entry]:
    """`<mode> <type> <id> <size>\\t<path>\\0`, with `-` as the size of a submodule (git-ls-tree(1))."""
    entries = []
    for line in filter(None, listed.split(b"\0")):
        head, _, path = line.partition(b"\t")
        mode, _kind, oid, size = head.decode("ascii").split()
        name = path.decode("utf-8", "replace")
        bytes_in_it = 0 if size == "-" else int(size)
        entries.append(Entry(name, bytes_in_it, is_regular=mode.startswith("100"), handle=oid))
    return entries


def git_folder(path: Path) -> Path:
    """`.git` is a folder, or in a linked work tree a file `gitdir: <path>` (gitrepository-layout(5))."""
    marker = path / ".git"
    if marker.is_file():
        return (path / marker.read_text().partition("gitdir:")[2].strip()).resolve()
    return marker if marker.is_dir() else path


def _secrets_of(url: str) -> tuple[str, ...]:
    """The password of a URL, or a token that stands alone before the `@` of an https one."""
    if "://" not in url:
        return ()
    parts = urlsplit(url)
    secret = parts.password or (parts.username if parts.scheme.startswith("http") else None)
    return (secret, unquote(secret)) if secret else ()


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _stat_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
