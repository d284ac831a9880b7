"""What people rely on from `pointsman migrate`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

LITELLM = ("migrate", "litellm")
CASE = Path(__file__).parents[1] / "migrate/litellm/mixed.yaml"
TODAY = ("--today", "2026-11-26")


def test_a_folder_that_check_takes_and_every_line_that_is_left(pointsman: Callable, tmp_path: Path) -> None:
    out = tmp_path / "rules"
    answer = pointsman(*LITELLM, CASE, "--out", out, "--owner", "ml-platform", *TODAY)
    assert (answer.status, answer.err) == (0, "")
    assert f"{CASE}:32  general_settings.master_key  a secret, which is never copied" in answer.out
    assert f"Wrote to {out}: 6 providers, 5 models, 4 use cases" in answer.out
    assert "owner: ml-platform" in (out / "use-cases/gpt-4o/use-case.yaml").read_text()
    assert pointsman("check", out, *TODAY).status == 0


def test_a_portkey_config_is_a_use_case_of_its_files_name(pointsman: Callable, tmp_path: Path) -> None:
    case, out = CASE.parents[1] / "portkey/conditions.json", tmp_path / "rules"
    answer = pointsman("migrate", "portkey", case, "--out", out, "--model", "gpt-5", *TODAY)
    assert (answer.status, answer.err) == (0, "")
    assert f"{case}:9  strategy.conditions[4].then  no target of this config has this name" in answer.out
    assert "aliases: [gpt-5]" in (out / "use-cases/conditions/use-case.yaml").read_text()
    assert pointsman("check", out, *TODAY).status == 0


def test_without_a_folder_nothing_is_written(
    pointsman: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = pointsman(*LITELLM, CASE, "--format", "json", *TODAY)
    said = json.loads(answer.out)
    assert answer.status == 0
    assert "providers/azure.yaml" in said["files"]
    assert said["written"] == []
    assert {"line", "key", "says", "needs_you"} == said["notes"][0].keys()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: [", "yaml-syntax"),
        (b"a: 1", "no LiteLLM configuration"),
        (None, "No such file"),
    ],
)
def test_what_is_no_configuration_is_wrong_usage(
    pointsman: Callable, tmp_path: Path, content: bytes | None, says: str
) -> None:
    file, out = tmp_path / "config.yaml", tmp_path / "rules"
    if content is not None:
        file.write_bytes(content)
    answer = pointsman(*LITELLM, file, "--out", out)
    assert answer.status == 2
    assert says in answer.err
    assert not out.exists()


def test_a_folder_that_holds_something_is_left_as_it_is(pointsman: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    answer = pointsman(*LITELLM, CASE, "--out", tmp_path)
    assert answer.status == 2
    assert "is not an empty folder; nothing was written" in answer.err


def test_what_check_still_finds_is_said(pointsman: Callable, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model_list: [{model_name: a, litellm_params: {model: openrouter/nobody/knows-this}}]")
    answer = pointsman(*LITELLM, file, "--out", tmp_path / "rules")
    assert answer.status == 1
    assert "no price is known" in answer.out
    assert 'no price for "knows-this" at openrouter' in answer.err
