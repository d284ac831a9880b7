"""LiteLLM's provider prefixes as rows: which dialect and URL each means here, and where LiteLLM finds its key.

Variables: https://docs.litellm.ai/docs/set_keys and the pages under /docs/providers; URLs: those of
examples/rules, where each is named with its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from schemas.bundle import DialectName

VendorIn = Literal["prefix", "path", "dots"]


@dataclass(frozen=True, slots=True)
class Host:
    """What a prefix means."""

    provider: str
    """How a provider of it is named in the rules."""
    dialect: DialectName
    base_url: str | None
    """None: it has to be said by `api_base`, or is made of other settings."""
    variable: str | None
    """Where LiteLLM finds the key when the configuration names none."""
    vendor: str | None
    """None: its models are of many vendors."""
    vendor_in: VendorIn | None = None
    """How its own names of models say their vendor: `meta-llama/Llama-4` by path, `us.anthropic.claude…` by dots."""
    fields: Mapping[str, object] | None = None
    is_own: bool = False
    """A server that people run themselves: nothing is billed by the token."""


_MAX_TOKENS: Final = {"rename": {"max_completion_tokens": "max_tokens"}}

HOSTS: Final[Mapping[str, Host]] = {
    "openai": Host("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "openai"),
    "azure": Host("azure", "openai", None, "AZURE_API_KEY", "openai"),
    "anthropic": Host("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic"),
    "bedrock": Host("bedrock", "bedrock", None, None, None, "dots"),
    "gemini": Host("gemini", "gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY", "google"),
    "vertex_ai": Host("vertex", "gemini", None, None, "google"),
    "mistral": Host(
        "mistral", "openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral",
        fields={
            "rename": {"max_completion_tokens": "max_tokens", "seed": "random_seed"},
            "drop": ["stream_options", "user", "logprobs", "top_logprobs", "logit_bias", "store"],
        },
    ),
    "groq": Host(
        "groq", "openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY", None, "path",
        {"drop": ["logprobs", "top_logprobs", "logit_bias"]},
    ),
    "deepseek": Host(
        "deepseek", "openai", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "deepseek", None, _MAX_TOKENS
    ),
    "xai": Host("xai", "openai", "https://api.x.ai/v1", "XAI_API_KEY", "xai"),
    "openrouter": Host("openrouter", "openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", None, "path"),
    "together_ai": Host(
        "together", "openai", "https://api.together.ai/v1", "TOGETHERAI_API_KEY", None, "path", _MAX_TOKENS
    ),
    "fireworks_ai": Host(
        "fireworks", "openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY", None
    ),
    "anyscale": Host("anyscale", "openai", None, "ANYSCALE_API_KEY", None, "path"),
    "ollama": Host("ollama", "openai", "http://127.0.0.1:11434/v1", None, None, "path", _MAX_TOKENS, True),
    "ollama_chat": Host("ollama", "openai", "http://127.0.0.1:11434/v1", None, None, "path", _MAX_TOKENS, True),
    "hosted_vllm": Host("vllm", "openai", None, "HOSTED_VLLM_API_KEY", None, "path", None, True),
    "litellm_proxy": Host("litellm", "openai", None, "LITELLM_PROXY_API_KEY", None, "path"),
}  # fmt: skip

COMPATIBLE: Final = Host("compatible", "openai", None, "OPENAI_API_KEY", None, "path")
"""LiteLLM's `openai/` with another `api_base`: somebody else's server that speaks the dialect."""


def host_of(model: str) -> tuple[str, str] | None:
    """`azure/gpt-4o-eu` as prefix and the provider's own name; None where it has no prefix that is known here."""
    prefix, slash, name = model.partition("/")
    return (prefix, name) if slash and name and prefix in HOSTS else None
