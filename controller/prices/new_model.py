"""A file for a model that the rules do not have yet. What nobody has said stays open, and `check` asks for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.prices.known import Known
from controller.prices.rows import block_item
from schemas.bundle import Capability

VENDORS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic", "cohere": "cohere", "deepseek": "deepseek", "google": "google", "meta": "meta",
    "mistral": "mistral", "moonshotai": "moonshotai", "openai": "openai", "x-ai": "xai",
}  # fmt: skip
"""Price lists whose models are their own → the vendor's name in our rules."""


SCHEMA_LINE: Final = "# yaml-language-server: $schema="


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says about new models, since no price list does."""

    vendor: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: Sequence[Capability] | None = None


def name_of(known: Known) -> str:
    """The last part of what the provider calls it, in letters that a file's name may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", known.name.rpartition("/")[2]).strip("-._")


def new_model(known: Known, provider: str, source: str, price_list: str, said: Said, schema: str) -> str:
    """The text of `models/<name>.yaml`.

    Args:
        schema: the first line that names the JSON Schema for editors, or empty.
    """
    capabilities = None if said.capabilities is None else f"[{', '.join(said.capabilities)}]"
    lines = [
        *([schema] if schema else []),
        f"model: {_quoted(name_of(known))}",
        _line("vendor", said.vendor or VENDORS.get(source), "the company behind the model"),
        _line("context_window", said.context_window or known.context_window, "tokens, input and output together"),
        _line("max_output_tokens", said.max_output_tokens, "the longest answer, in tokens"),
        _line("capabilities", capabilities, "a list, such as [tools, vision]; [] where there is none"),
        "served_by:",
        f'  - {{provider: {provider}, name: "{known.name}"}}',
        f"# US dollars per million tokens, by {price_list}. Compare them with your contract.",
        "prices:",
    ]
    return "\n".join(lines) + "\n" + "".join(block_item(row, 2) for row in reversed(known.rows))


def still_open(text: str) -> list[str]:
    """Keys that wait for a value."""
    return re.findall(r"^(\w+):  # to be filled in", text, re.MULTILINE)


def _quoted(name: str) -> str:
    """What begins with a digit might be read as a number."""
    return name if name[0].isalpha() else f'"{name}"'


def _line(key: str, value: object, meaning: str) -> str:
    return f"{key}:  # to be filled in: {meaning}" if value is None else f"{key}: {value}"
