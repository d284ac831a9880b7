"""The table of values in the chart's README, from the comments in values.yaml. `python -m tests.charts` writes it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

BEGIN: Final = "<!-- values: made from values.yaml by `python -m tests.charts` -->"
END: Final = "<!-- end of values -->"


def rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning, in the order of the file. Raises ValueError: a key without its line."""
    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    meaning = ""
    hidden = -1
    """The indent of a documented mapping, whose own keys are part of its default."""
    for line in text.splitlines():
        if said := re.fullmatch(r"\s*# -- (.*)", line):
            meaning = said[1]
            continue
        found = re.match(r"(\s*)([A-Za-z]\w*):", line)
        if found is None:
            continue
        indent, key = len(found[1]), found[2]
        if hidden >= 0 and indent > hidden:
            continue
        hidden = -1
        path = [*(part for part in path if part[0] < indent), (indent, key)]
        name = ".".join(part for _, part in path)
        value = _at(values, name)
        if meaning:
            yield name, _default(value), meaning
            hidden = indent if isinstance(value, dict) else -1
            meaning = ""
        elif not isinstance(value, dict) or not value:
            raise ValueError(f"{name}: say what it is by a line `# -- …` above it")


def table(text: str) -> str:
    lines = ["| value | default | means |", "| --- | --- | --- |"]
    cells = ([f"`{name}`", f"`{default}`", meaning.replace("|", "\\|")] for name, default, meaning in rows(text))
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])


def with_table(readme: str, values: str) -> str:
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{table(values)}\n{END}{tail}"


def write(chart: Path) -> None:
    readme = chart / "README.md"
    readme.write_text(with_table(readme.read_text(), (chart / "values.yaml").read_text()))


def _at(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _default(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
