"""Rule files for whole systems: simulated providers of both dialects, and one use case that tests turn about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.bundle import DialectName

PLATFORM = "schema: 1\n"
USE_CASE_FILE = "use-cases/support/use-case.yaml"


@dataclass(frozen=True)
class Door:
    """A model, and the one provider that serves it."""

    model: str
    dialect: DialectName
    url: str
    """The provider's root."""

    @property
    def wire_name(self) -> str:
        """What the provider calls the model."""
        return f"{self.model}-at-{self.dialect}"


def files(doors: Sequence[Door], use_cases: Mapping[str, str]) -> dict[str, str]:
    """A whole rules repository; each door is a provider of its own."""
    parts = {"pointsman.yaml": PLATFORM}
    for door in doors:
        base_url = f"{door.url}/v1" if door.dialect == "openai" else door.url
        parts[f"providers/{door.model}-maker.yaml"] = (
            f"provider: {door.model}-maker\ndialect: {door.dialect}\nbase_url: {base_url}\n"
        )
        parts[f"models/{door.model}.yaml"] = (
            f"model: {door.model}\nvendor: {door.model}-vendor\ncontext_window: 200000\nmax_output_tokens: 8192\n"
            f"served_by:\n  - {{provider: {door.model}-maker, name: {door.wire_name}}}\n"
            "prices:\n  - {from: 2026-01-01, input: 3.00, output: 15.00}\n"
        )
    return parts | {f"use-cases/{name}/use-case.yaml": text for name, text in use_cases.items()}


def use_case(*chain: str, name: str = "support", more: str = "") -> str:
    """`chain` is the primary and its fallbacks; `more` are further lines."""
    return (
        f"use_case: {name}\nowner: support-platform\ndescription: Answers customers.\nclass: experimental\n"
        f"primary: {chain[0]}\nfallbacks: [{', '.join(chain[1:])}]\n{more}"
    )
