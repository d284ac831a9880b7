"""What is asked of a source to tell what became of a use case, and what is remembered."""

from collections.abc import Mapping
from datetime import date

import pytest

from controller.errors import SourceUnavailable
from controller.git import LocalRepository
from controller.history import COMMITS, History, files_of
from controller.tree import Tree
from schemas.bundle import Bundle
from schemas.load import load
from tests.fakes.rules_repo import MODEL, PLATFORM, RULES, USE_CASE, RulesRepo

TODAY = date(2026, 11, 26)


class Counting(LocalRepository):
    """Counts how often whole revisions are read."""

    read_back = 0

    async def look_back(self, revision: str) -> Tree:
        self.read_back += 1
        return await super().look_back(revision)


def bundle_of(revision: str, files: Mapping[str, str] = RULES) -> Bundle:
    bundle = load(files, today=TODAY, revision=revision).bundle
    assert bundle is not None
    return bundle


def test_what_it_uses_is_each_model_that_it_may_reach_and_who_serves_them() -> None:
    models = {f"models/{name}.yaml": MODEL.replace("model: sonnet", f"model: {name}") for name in ("big", "idle")}
    own = f"{USE_CASE}quality_bar: {{checks: [complete], then: [big]}}\n"
    files = {**RULES, **models, "use-cases/support/use-case.yaml": own}
    assert files_of("support", bundle_of("r", files)) == [
        "use-cases/support", "pointsman.yaml", "models/big.yaml", "models/sonnet.yaml", "providers/anthropic.yaml"
    ]  # fmt: skip


async def test_a_step_is_worked_out_once_and_the_newest_are_told(repo: RulesRepo) -> None:
    repo.commit()
    for tokens in range(COMMITS + 5):
        last = repo.commit({"models/sonnet.yaml": MODEL.replace("200000", f"{200001 + tokens}")})
    source = Counting(repo.path, ref="main")
    history = History(source)
    steps = await history.steps("support", bundle_of(last))
    assert len(steps) == COMMITS
    assert [str(change) for change in steps[0].changes] == [
        f"model sonnet changed: context_window: {200000 + COMMITS + 4} → {200000 + COMMITS + 5}"
    ]
    read = source.read_back
    assert await history.steps("support", bundle_of(last)) == steps
    assert source.read_back == read


@pytest.mark.parametrize("broken", [
    {"models/sonnet.yaml": "model: [\n"},
    {"pointsman.yaml": "schema: 9\n"},
])  # fmt: skip
async def test_rules_that_could_not_run_are_told_as_such(repo: RulesRepo, broken: Mapping[str, str]) -> None:
    repo.commit()
    repo.commit(broken)
    last = repo.commit()
    steps = await History(LocalRepository(repo.path, ref="main")).steps("support", bundle_of(last))
    assert [bool(step.trouble) for step in steps] == [True, True, False]


async def test_rules_with_mistakes_are_compared_all_the_same(repo: RulesRepo) -> None:
    """A revision that was refused is a part of the history too."""
    repo.commit()
    last = repo.commit({
        "use-cases/support/use-case.yaml": USE_CASE.replace("primary: sonnet", "primary: gone"),
        "pointsman.yaml": f"{PLATFORM}callers: [{{name: c, key: 'sha256:{'0' * 64}', use_cases: [none]}}]\n",
    })  # fmt: skip
    steps = await History(LocalRepository(repo.path, ref="main")).steps("support", bundle_of(last))
    assert [str(change) for change in steps[0].changes] == ["use case support changed: primary: sonnet → gone"]


async def test_a_merge_is_told_once_by_what_it_brought_and_a_title_is_only_text(repo: RulesRepo) -> None:
    first = repo.commit()
    repo.git("switch", "--quiet", "-c", "topic")
    repo.commit({"models/sonnet.yaml": MODEL.replace("200000", "300000")})
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", f"{first}\x01\n\n{first}", "topic")
    source = LocalRepository(repo.path, ref="main")
    commits = await source.history(await source.fetch(), ["models", "use-cases/support"], 9)
    assert [(commit.title, commit.before, commit.files) for commit in commits] == [
        (f"{first}\x01", first, ("models/sonnet.yaml",)),
        ("change", "", ("models/sonnet.yaml", "use-cases/support/use-case.yaml")),
    ]


async def test_paths_are_those_inside_the_rules_folder(repo: RulesRepo) -> None:
    commit = repo.commit({f"teams/rules/{name}": text for name, text in RULES.items()})
    source = LocalRepository(repo.path, ref="main", folder="teams/rules")
    (only,) = await source.history(commit, ["use-cases/support"], 9)
    assert only.files == ("use-cases/support/use-case.yaml",)
    assert set((await source.look_back(commit)).files) == set(RULES)


async def test_a_revision_that_is_gone_is_an_error_that_the_page_can_tell(repo: RulesRepo) -> None:
    repo.commit()
    history = History(LocalRepository(repo.path, ref="main"))
    with pytest.raises(SourceUnavailable):
        await history.written("0" * 40, TODAY)
    with pytest.raises(SourceUnavailable):
        await history.steps("support", bundle_of("0" * 40))
