import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from controller.errors import Refused, SourceUnavailable
from controller.git import Git, LocalRepository, RemoteRepository, is_repository, is_url, without_credentials
from controller.tree import MAX_FILE_BYTES
from tests.fakes.rules_repo import PLATFORM, RULES, RulesRepo, write_files

DEADLINE_SECONDS = 10.0


def text_of_files(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def empty_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.chmod(path, 0o600)
            path.write_bytes(b"")


async def test_the_files_of_a_commit_are_read_whatever_lies_in_the_work_tree(repo: RulesRepo) -> None:
    commit = repo.commit()
    write_files(repo.path, {"pointsman.yaml": "not committed", "models/new.yaml": "neither"})
    source = LocalRepository(repo.path, ref="main")
    assert await source.fetch() == commit
    tree = await source.read(commit)
    assert dict(tree.files) == dict(RULES)
    assert (tree.revision, tree.problems) == (commit, ())


async def test_a_folder_inside_the_repository(repo: RulesRepo) -> None:
    commit = repo.commit({f"teams/rules/{name}": text for name, text in RULES.items()} | {"pointsman.yaml": "other"})
    tree = await LocalRepository(repo.path, ref="main", folder="teams/rules").read(commit)
    assert dict(tree.files) == dict(RULES)
    with pytest.raises(SourceUnavailable, match="no folder 'teams/other'"):
        await LocalRepository(repo.path, ref="main", folder="teams/other").read(commit)


async def test_links_submodules_and_large_files_are_not_followed(repo: RulesRepo, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("token: 1")
    repo.commit()
    (repo.path / "models" / "link.yaml").symlink_to(secret)
    (repo.path / "models" / "large.yaml").write_text("#" * (MAX_FILE_BYTES + 1))
    inner = RulesRepo(repo.path / "providers" / "inner.yaml")
    inner.commit({"a.yaml": "a"})
    commit = repo.commit({})
    tree = await LocalRepository(repo.path, ref="main").read(commit)
    assert set(tree.files) == set(RULES)
    assert {(problem.file, problem.code, problem.severity) for problem in tree.problems} == {
        ("models/link.yaml", "not-a-file", "error"),
        ("providers/inner.yaml", "not-a-file", "error"),
        ("models/large.yaml", "file-too-large", "error"),
    }


async def test_text_that_is_not_utf8_is_named_with_its_place(repo: RulesRepo) -> None:
    repo.commit()
    (repo.path / "models" / "latin.yaml").write_bytes(b"model: a\nname: caf\xe9\n")
    (repo.path / "notes.txt").write_bytes(b"\xff")
    tree = await LocalRepository(repo.path, ref="main").read(repo.commit({}))
    assert [(p.file, p.line, p.column, p.code) for p in tree.problems] == [("models/latin.yaml", 2, 10, "not-utf8")]


async def test_file_names_with_spaces_and_other_scripts(repo: RulesRepo) -> None:
    names = {"models/two words.yaml": "a: 1\n", "models/größe.yaml": "b: 2\n", "models/tab\there.yaml": "c: 3\n"}
    tree = await LocalRepository(repo.path, ref="main").read(repo.commit(names))
    assert dict(tree.files) == names


async def test_a_ref_that_is_not_there_is_said_plainly(repo: RulesRepo) -> None:
    with pytest.raises(SourceUnavailable, match="no commit at 'main'"):
        await LocalRepository(repo.path, ref="main").fetch()


@pytest.mark.parametrize("ref", ["release", "refs/heads/release", "v1"])
async def test_branches_tags_and_full_refs(repo: RulesRepo, ref: str) -> None:
    commit = repo.commit()
    repo.git("branch", "release")
    repo.git("tag", "--annotate", "--message", "one", "v1")
    repo.commit_variant(1)
    assert await LocalRepository(repo.path, ref=ref).fetch() == commit


async def test_every_way_in_which_a_ref_moves_is_seen_within_a_second(repo: RulesRepo, tmp_path: Path) -> None:
    repo.commit()
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "--quiet", "--detach", str(linked))
    for path in (repo.path, linked):
        source = LocalRepository(path, ref="main", look_seconds=0.01)
        looks = source.looks()
        await anext(looks)
        for move in (
            lambda: repo.commit_variant(1),
            lambda: repo.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "again"),
            lambda: repo.git("pack-refs", "--all"),
            lambda: repo.commit_variant(2),
            lambda: repo.git("reset", "--quiet", "--hard", "HEAD~1"),
        ):
            waiting = asyncio.ensure_future(anext(looks))
            moved = await asyncio.to_thread(move)
            async with asyncio.timeout(1.0):
                await waiting
            assert moved is not None
            assert await source.fetch() == repo.git("rev-parse", "main")
        await looks.aclose()


async def test_settings_of_a_repository_make_nothing_run(repo: RulesRepo) -> None:
    marker = repo.path / "ran"
    commit = repo.commit({**RULES, ".gitattributes": "*.yaml filter=evil\n"})
    repo.git("config", "core.fsmonitor", f"touch {marker}")
    repo.git("config", "filter.evil.smudge", f"touch {marker}")
    repo.git("config", "core.hooksPath", str(repo.path))
    assert set((await LocalRepository(repo.path, ref="main").read(commit)).files) == set(RULES)
    assert not marker.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
async def test_a_repository_that_belongs_to_another_user_is_read(repo: RulesRepo) -> None:
    commit = repo.commit()
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, 12345, 12345)
    assert await LocalRepository(repo.path, ref="main").fetch() == commit


async def test_a_url_is_mirrored_and_follows_new_commits_and_rewritten_history(repo: RulesRepo, tmp_path: Path) -> None:
    first = repo.commit()
    source = RemoteRepository(f"file://{repo.path}", tmp_path / "mirror.git", ref="main")
    assert await source.fetch() == first
    second = repo.commit_variant(1)
    assert await source.fetch() == second
    assert dict((await source.read(first)).files) == dict(RULES)
    repo.git("reset", "--quiet", "--hard", first)
    rewritten = repo.commit_variant(2)
    assert await source.fetch() == rewritten
    assert "variant 2" in (await source.read(rewritten)).files["use-cases/support/use-case.yaml"]


async def test_a_stale_lock_and_a_damaged_mirror_heal(repo: RulesRepo, tmp_path: Path) -> None:
    commit = repo.commit()
    mirror = tmp_path / "mirror.git"
    source = RemoteRepository(f"file://{repo.path}", mirror, ref="main")
    await source.fetch()
    for lock in ("HEAD.lock", "refs/pointsman/head.lock", "packed-refs.lock", "config.lock"):
        (mirror / lock).touch()
    second = repo.commit_variant(1)
    assert await source.fetch() == second
    empty_files(mirror / "objects")
    with pytest.raises(SourceUnavailable):
        await source.read(second)
    assert await source.fetch() == second
    assert set((await source.read(second)).files) == set(RULES)
    assert commit != second


@pytest.mark.parametrize(
    "url", ["http://user:s3cret-word@127.0.0.1:9/rules.git", "http://s3cret-word@127.0.0.1:9/r.git"]
)
async def test_no_error_and_no_file_holds_a_credential(tmp_path: Path, url: str) -> None:
    source = RemoteRepository(url, tmp_path / "mirror.git", ref="main")
    assert "s3cret" not in source.name
    with pytest.raises(SourceUnavailable) as error:
        await source.fetch()
    assert "s3cret" not in str(error.value)
    assert "127.0.0.1" in str(error.value)
    assert "@" not in str(error.value)
    assert "s3cret" not in text_of_files(tmp_path)


async def test_whatever_git_says_is_masked(repo: RulesRepo) -> None:
    git = Git(repo.path / ".git", config={}, secrets=["s3cret"])
    with pytest.raises(SourceUnavailable) as error:
        await git.run(["no-command-https://user:word@example.com/r?s3cret"])
    assert "https://example.com/r?***" in str(error.value)


async def test_a_server_that_never_answers_ends_at_the_deadline(tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/rules.git"
        source = RemoteRepository(url, tmp_path / "mirror.git", ref="main", fetch_timeout_seconds=0.3)
        async with asyncio.timeout(DEADLINE_SECONDS):
            with pytest.raises(SourceUnavailable, match="took longer"):
                await source.fetch()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:pw@example.com/r.git", "https://example.com/r.git"),
        ("failed for 'ssh://git@example.com/r'", "failed for 'ssh://example.com/r'"),
        ("git@example.com:r.git", "git@example.com:r.git"),
        ("https://example.com/a@b", "https://example.com/a@b"),
    ],
)
def test_without_credentials(text: str, masked: str) -> None:
    assert without_credentials(text) == masked


@pytest.mark.parametrize(
    ("repo", "is_one"),
    [("https://h/r", True), ("git@h:r.git", True), ("/srv/rules", False), ("./a:b", False), ("rules", False)],
)
def test_is_url(repo: str, is_one: bool) -> None:
    assert is_url(repo) is is_one


def test_only_a_repository_s_top_is_one(repo: RulesRepo, tmp_path: Path) -> None:
    repo.commit({"models/a.yaml": PLATFORM})
    repo.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    assert is_repository(repo.path)
    assert is_repository(tmp_path / "bare.git")
    assert not is_repository(repo.path / "models")
    assert not is_repository(tmp_path)


class TestSignatures:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> Path:
        """A key that is allowed, and one that is not."""
        folder = tmp_path / "keys"
        folder.mkdir()
        for name in ("allowed", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
            )
        public = (folder / "allowed.pub").read_text()
        (folder / "signers").write_text(f'author@example.com namespaces="git" {public}')
        return folder

    def signed_by(self, repo: RulesRepo, key: Path) -> str:
        repo.git(
            "-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "commit", "-q", "--allow-empty", "-S", "-m", "x"
        )
        return repo.git("rev-parse", "HEAD")

    async def test_only_a_commit_that_an_allowed_signer_signed_is_read(self, repo: RulesRepo, keys: Path) -> None:
        unsigned = repo.commit()
        source = LocalRepository(repo.path, ref="main", signers=keys / "signers")
        good = self.signed_by(repo, keys / "allowed")
        assert (await source.read(good)).files
        foreign = self.signed_by(repo, keys / "stranger")
        for commit in (unsigned, foreign):
            with pytest.raises(Refused) as refused:
                await source.read(commit)
            (problem,) = refused.value.problems
            assert (problem.code, commit[:12] in problem.message) == ("not-signed", True)

    async def test_a_signature_over_another_commit_does_not_count(self, repo: RulesRepo, keys: Path) -> None:
        repo.commit()
        source = LocalRepository(repo.path, ref="main", signers=keys / "signers")
        raw = repo.git("cat-file", "commit", self.signed_by(repo, keys / "allowed"))
        (repo.path / "raw").write_text(raw.replace("author Author", "author Autor") + "\n")
        forged = repo.git("hash-object", "-t", "commit", "-w", "raw")
        with pytest.raises(Refused):
            await source.read(forged)


@pytest.mark.parametrize(
    ("message", "is_urgent"),
    [("change\n\nRollout: urgent", True), ("Rollout: urgent is what this is not\n\nmore", False), ("change", False)],
)
async def test_a_commit_says_by_its_trailer_that_it_cannot_wait(repo: RulesRepo, message: str, is_urgent: bool) -> None:
    repo.commit()
    repo.git("commit", "--quiet", "--allow-empty", "--message", message)
    source = LocalRepository(repo.path, ref="main")
    assert (await source.read(await source.fetch())).is_urgent is is_urgent
