import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from controller.errors import SourceUnavailable
from controller.folder import SAFETY_LOOK_SECONDS, Folder, read_folder
from controller.tree import Tree
from tests.fakes.rules_repo import BROKEN, RULES, write_files

DEADLINE_SECONDS = SAFETY_LOOK_SECONDS * 0.8
"""A change that only the safety look finds is too late."""


def test_equal_files_are_one_revision_wherever_they_lie(tmp_path: Path) -> None:
    write_files(tmp_path / "a", RULES)
    write_files(tmp_path / "b", RULES)
    write_files(tmp_path / "b", {"README.md": "words", ".git/config": "x", ".github/a.yaml": "x"})
    one, other = read_folder(tmp_path / "a"), read_folder(tmp_path / "b")
    assert one.revision == other.revision
    assert one.revision.startswith("folder:")
    assert dict(other.files) == dict(RULES)
    write_files(tmp_path / "b", BROKEN)
    assert read_folder(tmp_path / "b").revision != one.revision


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path / "rules", RULES)
    write_files(tmp_path / "outside", {"secret.yaml": "token: 1"})
    (tmp_path / "rules/models/link.yaml").symlink_to(tmp_path / "outside/secret.yaml")
    (tmp_path / "rules/providers/more").symlink_to(tmp_path / "outside")
    tree = read_folder(tmp_path / "rules")
    assert set(tree.files) == set(RULES)
    assert [(problem.file, problem.code) for problem in tree.problems] == [("models/link.yaml", "not-a-file")]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write_files(tmp_path / "v1", RULES)
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    assert set(read_folder(tmp_path / "current").files) == set(RULES)


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="gone"):
        read_folder(tmp_path / "gone")


async def test_a_saved_file_is_seen_and_read_whole(tmp_path: Path) -> None:
    write_files(tmp_path, RULES)
    source = Folder(tmp_path)
    async with aclosing(source.looks()) as looks, asyncio.timeout(DEADLINE_SECONDS):
        await anext(looks)
        first = await source.fetch()
        write_files(tmp_path, BROKEN)
        await anext(looks)
    second = await source.fetch()
    assert second != first
    assert (await source.read(second)).files["use-cases/support/use-case.yaml"] == BROKEN[
        "use-cases/support/use-case.yaml"
    ]
    with pytest.raises(SourceUnavailable, match="no longer"):
        await source.read(first)


async def test_a_folder_in_the_middle_of_a_copy_is_read_when_it_has_settled(tmp_path: Path) -> None:
    copied = iter(range(100))

    def read_while_it_is_copied(root: Path) -> Tree:
        """Between any two of the first five readings another file has come."""
        if (number := next(copied)) < 5:
            write_files(root, {f"models/m{number}.yaml": f"model: m{number}\n"})
        return read_folder(root)

    write_files(tmp_path, RULES)
    source = Folder(tmp_path, read_while_it_is_copied)
    tree = await source.read(await source.fetch())
    assert {f"models/m{number}.yaml" for number in range(5)} <= set(tree.files)
