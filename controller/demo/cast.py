"""Who plays in the demo: two vendors, each simulated unless its key is in the environment, and one small model."""

from collections.abc import Mapping
from dataclasses import dataclass

DEAD_END = "http://127.0.0.1:9"
"""The discard port (RFC 863): no server of today listens there, so connections are refused at once."""


@dataclass(frozen=True, slots=True)
class Vendor:
    title: str
    variable: str
    """The environment variable of its key."""
    provider: str
    model: str
    base_url: str
    port: int | None
    """Of the simulated one on this machine; none: the real vendor."""

    @property
    def is_simulated(self) -> bool:
        return self.port is not None


@dataclass(frozen=True, slots=True)
class Cast:
    openai: Vendor
    anthropic: Vendor
    small_model_port: int
    small_model_missing: str = ""
    """Why the real small model cannot play; empty when it can."""

    @property
    def vendors(self) -> tuple[Vendor, Vendor]:
        return self.openai, self.anthropic

    @property
    def costs_money(self) -> bool:
        return not all(vendor.is_simulated for vendor in self.vendors)

    @property
    def small_model_url(self) -> str:
        return f"http://127.0.0.1:{self.small_model_port}/v1"


def cast_from(environ: Mapping[str, str], ports: tuple[int, int, int], small_model_missing: str = "") -> Cast:
    """A vendor whose key is there plays itself. `ports`: simulated OpenAI, simulated Anthropic, small model."""
    openai_port, anthropic_port, small_model_port = ports
    if environ.get("OPENAI_API_KEY"):
        openai = Vendor("OpenAI", "OPENAI_API_KEY", "openai", "gpt-5-mini", "https://api.openai.com/v1", None)
    else:
        openai = Vendor(
            "simulated OpenAI", "OPENAI_API_KEY", "simulated-openai", "simulated-gpt",
            f"http://127.0.0.1:{openai_port}/v1", openai_port,
        )  # fmt: skip
    if environ.get("ANTHROPIC_API_KEY"):
        anthropic = Vendor(
            "Anthropic", "ANTHROPIC_API_KEY", "anthropic", "claude-haiku-4.5", "https://api.anthropic.com", None
        )
    else:
        anthropic = Vendor(
            "simulated Anthropic", "ANTHROPIC_API_KEY", "simulated-anthropic", "simulated-claude",
            f"http://127.0.0.1:{anthropic_port}", anthropic_port,
        )  # fmt: skip
    return Cast(openai, anthropic, small_model_port, small_model_missing)
