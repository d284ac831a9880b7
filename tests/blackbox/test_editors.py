"""Rule files in an editor: the YAML language server underlines and completes them by the committed schemas."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from controller.init import starting_files
from schemas.json_schema import rule_schema
from tests.fakes.language_server import YamlLanguageServer
from tests.fakes.processes import REPOSITORY
from tests.fakes.rules_repo import write_files

EXAMPLES = REPOSITORY / "examples" / "rules"
FILES = sorted(EXAMPLES.rglob("*.yaml"))
ONE_OF_EACH = {
    "pointsman": "pointsman.yaml",
    "provider": "providers/anthropic.yaml",
    "model": "models/gpt-5.yaml",
    "use-case": "use-cases/customer-support/use-case.yaml",
}
NEW = date(2026, 11, 23)


@pytest.fixture(scope="module")
def editor() -> Iterator[YamlLanguageServer]:
    """The example rules, opened with no settings: each file's first line names its schema."""
    with YamlLanguageServer(EXAMPLES, {}) as server:
        yield server


def test_good_files_are_not_underlined(editor: YamlLanguageServer) -> None:
    found = {file: editor.diagnostics(file, file.read_text(encoding="utf-8")) for file in FILES}
    assert {file: said for file, said in found.items() if said} == {}


@pytest.mark.parametrize(("kind", "path"), ONE_OF_EACH.items())
def test_an_unknown_key_is_underlined_where_it_stands(editor: YamlLanguageServer, kind: str, path: str) -> None:
    text = (EXAMPLES / path).read_text(encoding="utf-8").rstrip("\n") + "\nprimry: gpt-5\n"
    (said,) = editor.diagnostics(EXAMPLES / path, text)
    assert said == f"{text.count(chr(10))}: Property primry is not allowed."


def test_a_rule_test_with_an_unknown_key_is_underlined(editor: YamlLanguageServer) -> None:
    file = EXAMPLES / "use-cases/customer-support/tests.yaml"
    text = f"{file.read_text(encoding='utf-8').splitlines()[0]}\n- name: one\n  expects: {{first: gpt-5}}\n"
    assert "3: Property expects is not allowed." in editor.diagnostics(file, text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("class: customer-facing", "class: bananas", 'Valid values: "customer-facing", "regulated"'),
        ("primary:", "primry:", 'Missing property "primary"'),
        ("fallbacks: [", "fallbacks: [7, ", "string"),
    ],
)
def test_a_wrong_value_is_underlined(editor: YamlLanguageServer, old: str, new: str, words: str) -> None:
    file = EXAMPLES / ONE_OF_EACH["use-case"]
    text = file.read_text(encoding="utf-8")
    assert old in text
    assert any(words in said for said in editor.diagnostics(file, text.replace(old, new, 1)))


@pytest.mark.parametrize(("kind", "path"), ONE_OF_EACH.items())
def test_every_key_of_a_new_file_is_offered(editor: YamlLanguageServer, kind: str, path: str) -> None:
    first, *_ = (EXAMPLES / path).read_text(encoding="utf-8").splitlines()
    assert editor.completions(EXAMPLES / path, f"{first}\n|") >= set(rule_schema(kind)["properties"])


@pytest.mark.parametrize(
    ("written", "offered"),
    [
        ("class: |", {"customer-facing", "regulated", "internal", "experimental"}),
        ("cost_ceiling:\n  |", {"per_request", "per_day", "per_month", "then"}),
        ("rules:\n  - when:\n      |", {"input_tokens", "needs", "stream", "agent", "caller", "header", "hours"}),
        ("requires:\n  capabilities:\n    - |", {"tools", "vision", "json_schema"}),
    ],
)
def test_what_may_stand_here_is_offered(editor: YamlLanguageServer, written: str, offered: set[str]) -> None:
    file = EXAMPLES / ONE_OF_EACH["use-case"]
    first, *_ = file.read_text(encoding="utf-8").splitlines()
    assert editor.completions(file, f"{first}\nuse_case: one\n{written}\n") >= offered


def test_a_new_repository_is_checked_also_where_a_file_names_no_schema(tmp_path: Path) -> None:
    files = {path: text for path, text in starting_files(NEW).items() if not path.startswith(".git")}
    write_files(tmp_path, files)
    settings = json.loads(files[".vscode/settings.json"])
    with YamlLanguageServer(tmp_path, {"schemas": settings["yaml.schemas"]}) as editor:
        for path, text in files.items():
            if not path.endswith(".yaml") or path.startswith("."):
                continue
            assert editor.diagnostics(tmp_path / path, text) == []
            nameless = text.partition("\n")[2]
            assert editor.diagnostics(tmp_path / path, nameless) == []
            assert editor.diagnostics(tmp_path / path, "- 7\n") != []
