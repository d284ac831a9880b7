"""A target of a Portkey config as a deployment: who is asked at which URL, with which reference to a key.

Providers: https://github.com/Portkey-AI/gateway/blob/main/src/globals.ts
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.migrate.deployments import Deployment
from controller.migrate.doors import NOT_PLAIN, azure, bedrock_url, plain_url, vertex
from controller.migrate.hosts import COMPATIBLE, HOSTS, Host
from controller.migrate.notes import Notebook
from controller.migrate.portkey_keys import Node

NAMES: Final[Mapping[str, str]] = {
    "openai": "openai", "azure-openai": "azure", "anthropic": "anthropic", "bedrock": "bedrock", "google": "gemini",
    "vertex-ai": "vertex_ai", "mistral-ai": "mistral", "groq": "groq", "deepseek": "deepseek", "x-ai": "xai",
    "openrouter": "openrouter", "together-ai": "together_ai", "fireworks-ai": "fireworks_ai", "anyscale": "anyscale",
    "ollama": "ollama",
}  # fmt: skip
"""Portkey's name → the row of ours."""
NO_MODEL: Final = "skipped: no model is named (override_params.model); name with --model what agents ask for"


@dataclass(slots=True)
class Targets:
    """Collects the keys of a whole conversion, so that each has a variable of its own."""

    notebook: Notebook
    default_model: str | None
    """What agents ask for where no target says it."""
    _variables: dict[tuple[str, str], str] = field(default_factory=dict)
    """Host's variable and what tells one key from another → the sidecar's variable."""

    def deployment(self, group: str, node: Node, model: str | None) -> Deployment | None:
        """`model`: what the configs around it say. None where it cannot be converted; a note says why."""
        said, model = self._provider_name(node), model or self.default_model
        if said is None:
            return None
        if said == "azure-openai":
            model = model or _text(node, "azure_model_name") or _text(node, "deployment_id")
        if model is None:
            self.notebook.add(node.path, NO_MODEL)
            return None
        # With the catalogue's names: `@openai-prod/gpt-5`.
        model = re.sub(r"^@[^/]+/", "", model)
        prefix = NAMES[said]
        host = HOSTS[prefix]
        content = self._content(node, prefix, host, model)
        if content is None:
            return None
        if prefix == "openai" and content["base_url"] != host.base_url:
            host = COMPATIBLE
        content |= self._headers(node)
        content |= {"fields": dict(host.fields)} if host.fields else {}
        name = (_text(node, "deployment_id") or model) if prefix == "azure" else model
        return Deployment(node.path, group, name, host, content, {}, {"base_model": model})

    def _provider_name(self, node: Node) -> str | None:
        """As Portkey calls it; a key of its vault or catalogue is named after one."""
        provider = node.get("provider")
        if isinstance(provider, str) and provider in NAMES:
            return provider
        if isinstance(provider, str) and not provider.startswith("@"):
            says = f"skipped: no such provider is known here; write it by hand. Known: {', '.join(sorted(NAMES))}"
            self.notebook.add(node.at("provider"), says)
            return None
        key = "provider" if isinstance(provider, str) else "virtual_key"
        vaulted = str(node.get(key) or "").removeprefix("@")
        guessed = next((name for name in sorted(NAMES, key=len, reverse=True) if vaulted.startswith(name)), None)
        if guessed is None:
            says = "skipped: it does not say which provider is behind it; write provider beside it, and convert again"
            self.notebook.add(node.at(key) if vaulted else node.path, says)
            return None
        self.notebook.add(node.at(key), f"taken to be at {guessed} by its name", needs_you=False)
        return guessed

    def _content(self, node: Node, prefix: str, host: Host, model: str) -> dict[str, Any] | None:
        """The provider's file, but for its name, headers and fields."""
        custom = _text(node, "custom_host")
        content: dict[str, Any] = {"dialect": host.dialect, "base_url": custom or host.base_url}
        if prefix == "azure":
            resource = _text(node, "resource_name")
            if custom is None and resource is None:
                self._lacking(node, "resource_name")
                return None
            content |= azure(custom or f"https://{resource}.openai.azure.com", _text(node, "api_version"))
            by_identity = _text(node, "azure_auth_mode") in ("entra", "managed") or node.get("azure_ad_token")
            if node.get("azure_ad_token") is not None:
                says = "a secret, which is never copied: entra: true fetches tokens by itself"
                self.notebook.add(node.at("azure_ad_token"), says)
            key = None if by_identity else self._key(node, "AZURE_API_KEY")
            content["auth"] = {"azure": {"entra": True} if key is None else {"api_key": key}}
        elif prefix == "bedrock":
            region = _text(node, "aws_region")
            if region is None:
                self._lacking(node, "aws_region")
                return None
            content |= {"base_url": custom or bedrock_url(region), "auth": {"aws": {"region": region}}}
        elif prefix == "vertex_ai":
            project, place = _text(node, "vertex_project_id"), _text(node, "vertex_region")
            if project is None or place is None:
                self._lacking(node, "vertex_project_id and vertex_region")
                return None
            content |= vertex(project, place, model) | {"auth": {"google": {}}}
            if node.get("vertex_service_account_json") is not None:
                says = "never copied: give the sidecar an identity, or write auth: {google: {file: /absolute/path}}"
                self.notebook.add(node.at("vertex_service_account_json"), says)
        else:
            key = self._key(node, host.variable)
            content |= {"auth": {"api_key": key}} if key else {}
        if content["base_url"] is None:
            self._lacking(node, "custom_host")
            return None
        url = plain_url(content["base_url"], dialect=content["dialect"], is_ollama=prefix == "ollama")
        if url is None:
            self.notebook.add(node.at("custom_host"), NOT_PLAIN)
            return None
        return content | {"base_url": url}

    def _key(self, node: Node, variable: str | None) -> dict[str, str] | None:
        """A reference to the key, never the key."""
        where = next((key for key in ("api_key", "virtual_key", "provider") if node.get(key) is not None), "provider")
        if variable is None:
            return None
        mark = json.dumps(node.get(where), default=str)
        ours = [name for (of, _), name in self._variables.items() if of == variable]
        name = self._variables.setdefault((variable, mark), f"{variable}_{len(ours) + 1}" if ours else variable)
        if where == "api_key":
            says = f"a key stands here in clear, and is not copied: put it into {name} of the sidecar"
        else:
            says = f"the key is in Portkey's vault: put the provider's own into {name} of the sidecar"
        self.notebook.add(node.at(where), says)
        return {"env": name}

    def _headers(self, node: Node) -> dict[str, Any]:
        named = (("OpenAI-Organization", "openai_organization"), ("OpenAI-Project", "openai_project"))
        headers: dict[str, str] = {}
        for header, key in named:
            value = _text(node, key)
            if value is not None and re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
                headers[header] = value
            elif node.get(key) is not None:
                self.notebook.add(node.at(key), "not carried over: expected a line of printable ASCII characters")
        return {"headers": headers} if headers else {}

    def _lacking(self, node: Node, key: str) -> None:
        self.notebook.add(node.path, f"skipped: {node.get('provider') or 'it'} needs {key} here")


def _text(node: Node, key: str) -> str | None:
    value = node.get(key)
    return value if isinstance(value, str) and value else None
