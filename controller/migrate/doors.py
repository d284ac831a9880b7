"""Providers as rule files say them: the URL and what goes with it, whichever gateway's words it came from. Pure."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

NOT_PLAIN: Final = "skipped: not a plain URL; write it as https://host/v1, without a name, a key or a query"


def plain_url(url: object, *, dialect: str, is_ollama: bool = False) -> str | None:
    """The base URL of a provider; None: it is none, or it holds more than a place."""
    text = str(url).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", text):
        return None
    if is_ollama and not urlsplit(text).path:
        text += "/v1"
    return text.removesuffix("/v1") if dialect == "anthropic" else text


def azure(url: object, version: str | None) -> dict[str, Any]:
    """Azure OpenAI: by deployment where a dated version of the API is said, else its v1."""
    root = re.sub(r"/openai(/.*)?$", "", str(url).rstrip("/"))
    if version and re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", version):
        return {"base_url": f"{root}/openai", "layout": "azure-deployments", "api_version": version}
    return {"base_url": f"{root}/openai/v1"}


def bedrock_url(region: str) -> str:
    return f"https://bedrock-runtime.{region}.amazonaws.com"


def vertex(project: str, place: str, name: str) -> dict[str, Any]:
    """Vertex AI serves Claude in Anthropic's dialect; `name` is the model's."""
    host = "aiplatform.googleapis.com" if place == "global" else f"{place}-aiplatform.googleapis.com"
    return {
        "base_url": f"https://{host}/v1/projects/{project}/locations/{place}",
        "dialect": "anthropic" if name.startswith("claude") else "gemini",
        "layout": "vertex",
    }
