"""Commits that should never have been made, one after another: each is refused by name, and every call is answered."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import pytest

from controller.tree import MAX_FILE_BYTES
from schemas.bundle import Bundle, SignedPointer, decode_bundle
from tests.fakes.rules_repo import RulesRepo, write_files
from tests.rules_faults.conftest import System
from tests.system.rules import USE_CASE_FILE, use_case

RED: Final = "models/red.yaml"
BOMB: Final = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
BRANCHES: Final = 10
LEVELS: Final = 10
SECRET: Final = "word-that-lies-outside"

Change = Callable[[System], None]


def writes(files: dict[str, str]) -> Change:
    return lambda system: write_files(system.git.repo.path, files)


def holds(path: str, data: bytes) -> Change:
    return lambda system: void((system.git.repo.path / path).write_bytes(data))


def void(_: object) -> None:
    return None


def removes(*paths: str) -> Change:
    return lambda system: void(system.git.repo.git("rm", "-r", "-q", *paths))


def links(path: str, to: str) -> Change:
    def change(system: System) -> None:
        outside = system.git.repo.path.parent / "outside"
        outside.mkdir(exist_ok=True)
        (outside / "red.yaml").write_text(f"model: {SECRET}\n")
        system.git.repo.git("rm", "-r", "-q", path)
        link = system.git.repo.path / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside / to)

    return change


def becomes_a_submodule(path: str) -> Change:
    def change(system: System) -> None:
        system.git.repo.git("rm", "-r", "-q", path)
        RulesRepo(system.git.repo.path / path).commit({"red.yaml": "model: red\n"})

    return change


def differs_in_case(system: System) -> None:
    write_files(system.git.repo.path, {"models/Red.yaml": system.rules[RED].replace("model: red", "model: Red")})


def tree_of(repo: RulesRepo, lines: list[str]) -> str:
    made = subprocess.run(
        ["git", "mktree"], cwd=repo.path, input="\n".join(lines), text=True, check=True, capture_output=True, timeout=20
    )
    return made.stdout.strip()


def commits_tree(repo: RulesRepo, tree: str) -> None:
    repo.git("reset", "--quiet", "--soft", repo.git("commit-tree", tree, "-p", "HEAD", "-m", "change"))


def explodes(system: System) -> None:
    """Ten trees, each of which holds the one before ten times: 10^10 files in a few hundred bytes."""
    repo = system.git.repo
    inner, kind = repo.git("hash-object", "-w", RED), "100644 blob"
    for _ in range(LEVELS):
        inner, kind = tree_of(repo, [f"{kind} {inner}\tf{n}" for n in range(BRANCHES)]), "040000 tree"
    commits_tree(repo, tree_of(repo, [*repo.git("ls-tree", "HEAD").splitlines(), f"{kind} {inner}\tzz"]))


def has_many(count: int, size: int) -> Change:
    def change(system: System) -> None:
        repo = system.git.repo
        (repo.path / "blob").write_text("#" * size)
        blob = repo.git("hash-object", "-w", "blob")
        models = tree_of(repo, [f"100644 blob {blob}\tm{n}.yaml" for n in range(count)])
        rest = [line for line in repo.git("ls-tree", "HEAD").splitlines() if not line.endswith("\tmodels")]
        commits_tree(repo, tree_of(repo, [*rest, f"040000 tree {models}\tmodels"]))

    return change


FAILING_TEST: Final = "- {name: blue first, expect: {first: green}}\n"

REFUSED: Final[dict[str, tuple[Change, str, str]]] = {
    # what a commit does: the change, the code and the file of its problem
    "breaks the YAML": (writes({USE_CASE_FILE: "use_case: [support\n"}), "yaml-syntax", USE_CASE_FILE),
    "leaves the marks of a merge": (
        writes({"pointsman.yaml": "<<<<<<< HEAD\nschema: 1\n=======\nschema: 2\n>>>>>>> other\n"}),
        "yaml-syntax", "pointsman.yaml",
    ),
    "names what is not there": (writes({USE_CASE_FILE: use_case("purple")}), "unknown-model", USE_CASE_FILE),
    "falls back to itself": (writes({USE_CASE_FILE: use_case("red", "red")}), "repeated-model", USE_CASE_FILE),
    "has an unknown key": (writes({USE_CASE_FILE: use_case("red", more="hue: 1\n")}), "unknown-key", USE_CASE_FILE),
    "says nothing": (writes({USE_CASE_FILE: ""}), "empty-file", USE_CASE_FILE),
    "says two things": (writes({USE_CASE_FILE: use_case("red") + "---\na: 1\n"}), "several-documents", USE_CASE_FILE),
    "fails its own test": (
        writes({"use-cases/support/tests.yaml": FAILING_TEST}), "rule-test-failed", "use-cases/support/tests.yaml",
    ),
    "is a bomb of aliases": (writes({USE_CASE_FILE: BOMB}), "too-many-values", USE_CASE_FILE),
    "is nested without end": (writes({USE_CASE_FILE: "a: " + "[" * 5000}), "too-deep", USE_CASE_FILE),
    "asks for a Python object": (
        writes({USE_CASE_FILE: "use_case: !!python/object/apply:os.system [exit]\n"}), "yaml-tag", USE_CASE_FILE,
    ),
    "is not text": (holds(USE_CASE_FILE, b"use_case: \xff\xfe\n"), "not-utf8", USE_CASE_FILE),
    "is UTF-16": (holds(USE_CASE_FILE, use_case("red").encode("utf-16")), "not-utf8", USE_CASE_FILE),
    "holds a zero byte": (holds(USE_CASE_FILE, b"use_case: a\0b\n"), "not-text", USE_CASE_FILE),
    "is a large file": (writes({USE_CASE_FILE: "#" * (MAX_FILE_BYTES + 1)}), "file-too-large", USE_CASE_FILE),
    "is kept elsewhere": (
        writes({RED: "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"}), "wrong-type", RED,
    ),
    "links a file": (links(RED, "red.yaml"), "not-a-file", RED),
    "links a use case": (links(USE_CASE_FILE, "red.yaml"), "not-a-file", USE_CASE_FILE),
    "links a folder": (links("use-cases", "."), "not-a-file", "use-cases"),
    "links a use case's folder": (links("use-cases/support", "."), "not-a-file", "use-cases/support"),
    "makes a folder a submodule": (becomes_a_submodule("use-cases"), "not-a-file", "use-cases"),
    "makes a file a submodule": (becomes_a_submodule(RED), "not-a-file", RED),
    "differs in case alone": (differs_in_case, "case-collision", RED),
    "removes everything": (removes("."), "missing-file", "pointsman.yaml"),
    "explodes": (explodes, "tree-too-large", "."),
    "has too many files": (has_many(20_001, 1), "tree-too-large", "."),
    "has too many bytes": (has_many(40, 1 << 20), "tree-too-large", "."),
}  # fmt: skip


MADE_OF_OBJECTS: Final = ("explodes", "has too many files", "has too many bytes")
"""These commit by themselves: no work tree could hold them."""


@pytest.fixture
def good(system: System) -> Iterator[str]:
    """The revision that runs; the next commit is made on top of it again, and pushed with force."""
    repo = system.git.repo
    revision = system.sidecar.status().active.revision
    yield revision
    for path in repo.path.iterdir():  # a repository inside the work tree is nothing that git would clean away
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    repo.git("reset", "--quiet", "--hard", revision)


@pytest.mark.parametrize("does", REFUSED)
def test_no_commit_is_run_that(system: System, good: str, does: str) -> None:
    change, code, file = REFUSED[does]
    change(system)
    if does not in MADE_OF_OBJECTS:
        system.git.repo.git("add", "--all")
        system.git.repo.git("commit", "--quiet", "--allow-empty", "--message", "change")
    report = system.wait_for_report(system.git.push())
    found = {(problem["code"], problem["file"]) for problem in report["problems"] if problem["severity"] == "error"}
    assert (code, file) in found
    assert report["active_revision"] == good
    assert SECRET not in str(report)
    assert system.sidecar.status().active.revision == good
    assert system.answers() == "red"


ODD: Final[dict[str, Change]] = {
    "ends its lines as Windows does": lambda system: rewrites(system, lambda text: text.replace("\n", "\r\n")),
    "begins its files with a byte order mark": lambda system: rewrites(system, lambda text: "\ufeff" + text),
    "makes its files programs": lambda system: void(system.git.repo.git("update-index", "--chmod=+x", RED)),
    "wants filters": writes({".gitattributes": "* text=auto eol=crlf filter=lfs export-ignore\n"}),
    "brings files that are no rules": writes({"README.md": "rules", "tools/a.py": "raise SystemExit\n"}),
    "brings hooks and modules of its own": writes({
        "hooks/post-checkout": "#!/bin/sh\nexit 1\n",
        ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c exit\n',
    }),
}  # fmt: skip


def rewrites(system: System, way: Callable[[str], str]) -> None:
    for name, text in system.rules.items():
        (system.git.repo.path / name).write_text(way(text), encoding="utf-8", newline="")


@pytest.mark.parametrize("does", ODD)
def test_the_same_rules_run_after_a_commit_that(system: System, good: str, does: str) -> None:
    before = rules_that_run(system)
    ODD[does](system)
    system.git.repo.git("add", "--all")
    system.git.repo.git("commit", "--quiet", "--allow-empty", "--message", "change")
    odd = system.git.push()
    report = system.wait_for_report(odd)
    assert not [problem for problem in report["problems"] if problem["severity"] == "error"]
    system.wait_for(odd)
    assert rules_that_run(system) == before
    assert system.answers() == "red"


def rules_that_run(system: System) -> Bundle:
    """Without the name of their revision."""
    signed = msgspec.json.decode((system.sidecar.state / "rules" / "current.json").read_bytes(), type=SignedPointer)
    return msgspec.structs.replace(decode_bundle((signed.bundle or "").encode()), revision="")
