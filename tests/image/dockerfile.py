"""A Dockerfile as a list of stages and their steps: as much of the format as ours uses, and an error for the rest.

Format: https://docs.docker.com/reference/dockerfile/
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Stage:
    name: str
    base: str
    """An image, or an earlier stage."""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction → its words."""

    def last(self, instruction: str) -> str:
        return next((words for name, words in reversed(self.steps) if name == instruction), "")


def parse(path: Path) -> dict[str, Stage]:
    """By name, in the order of the file."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        instruction, _, words = line.strip().partition(" ")
        if not instruction:
            continue
        if instruction == "FROM":
            base, _, name = words.partition(" AS ")
            stages[name] = Stage(name, base)
        else:
            list(stages.values())[-1].steps.append((instruction, words))
    return stages


def exec_form(words: str) -> list[str]:
    """`["a", "b"]`, also behind options as HEALTHCHECK has them."""
    found = json.loads(words[words.index("[") :])
    return [str(word) for word in found]


def variables(words: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(words))
