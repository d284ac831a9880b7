"""What the table `signs.yaml` says of a name, an address or a package found in source code. Pure once it is read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import yaml

Language: TypeAlias = Literal["python", "javascript", "go", "java", "data"]
Kind: TypeAlias = Literal["sdk", "model", "embedding", "url", "key", "gateway", "sidecar", "routing", "use_case"]

_DOORS: Final = re.compile(
    r"^(?:(?:openrouter|litellm|together_ai|groq|fireworks_ai|azure|azure_ai|vertex_ai|gemini|bedrock|converse|models"
    r"|accounts/[\w\-]+/models|publishers/\w+/models)/)*"
)
"""What stands before a model's own name where others serve it: `openrouter/`, `bedrock/`, `models/`."""
_MAKER: Final = re.compile(
    r"^(?:(?:us|eu|apac|jp|au|global)\.)?(?:openai|anthropic|google|mistralai|mistral|meta-llama|meta|deepseek-ai|deepseek"
    r"|x-ai|xai|cohere|amazon|qwen|moonshotai|moonshot)[/.:]"
)
"""And its maker's, as Bedrock, OpenRouter and agent frameworks write it."""
_EDITION: Final = re.compile(
    r"(?:[@-](?:20\d{6}|20\d\d-\d\d-\d\d|latest)|-v\d+(?::\d+)?|:(?:free|latest)|-preview(?:-\d\d-\d\d(?:-\d{4})?)?)+$"
)
"""The same model by another date is the same model."""


@dataclass(frozen=True, slots=True)
class Sign:
    kind: Kind
    vendor: str
    """Whose; empty where nothing tells."""
    name: str
    """A model's own name, a package, a host."""


@dataclass(frozen=True, slots=True)
class Signs:
    packages: Mapping[Language, Mapping[str, Sign]]
    hosts: Mapping[str, Sign]
    keys: Mapping[str, Sign]
    models: Sequence[tuple[re.Pattern[str], Kind, str]]
    routing: Mapping[Language, re.Pattern[str]]
    routing_calls: frozenset[str]
    """Python's, which is read by its grammar."""
    routing_parameters: frozenset[str]
    sidecar_hosts: frozenset[str]
    sidecar_ports: frozenset[int]
    header: str

    def of_package(self, language: Language, path: str) -> Sign | None:
        """By the longest listed part of the path that is imported."""
        listed = self.packages.get(language, {})
        while path:
            if path in listed:
                return listed[path]
            cut = max(path.rfind("."), path.rfind("/"))
            path = path[:cut] if cut > 0 else ""
        return None

    def of_model(self, text: str) -> Sign | None:
        bare = _EDITION.sub("", _MAKER.sub("", _DOORS.sub("", text.lower())))
        for pattern, kind, vendor in self.models:
            if pattern.fullmatch(bare):
                return Sign(kind, vendor, bare.replace(".", "-"))
        return None

    def of_url(self, url: str) -> Sign | None:
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return None
        if (host in ("localhost", "127.0.0.1", "::1") and port in self.sidecar_ports) or any(
            word in host for word in self.sidecar_hosts
        ):
            return Sign("sidecar", "", host)
        for known, sign in self.hosts.items():
            if host == known or host.endswith(f".{known}") or host.startswith((f"{known}.", f"{known}-")):
                return sign
        return _regional(host)


def _regional(host: str) -> Sign | None:
    """Vertex AI has a host per region: `europe-west4-aiplatform.googleapis.com`."""
    return Sign("url", "google", host) if host.endswith("-aiplatform.googleapis.com") else None


@lru_cache(maxsize=1)
def known_signs() -> Signs:
    table: dict[str, Any] = yaml.safe_load((files("controller.audit") / "signs.yaml").read_text(encoding="utf-8"))
    packages: dict[Language, dict[str, Sign]] = {}
    hosts: dict[str, Sign] = {}
    keys: dict[str, Sign] = {}
    models: list[tuple[re.Pattern[str], Kind, str]] = []
    for vendor, said in table["vendors"].items():
        _add_packages(packages, said.get("packages", {}), "sdk", vendor)
        hosts |= {host: Sign("url", vendor, host) for host in said.get("hosts", ())}
        keys |= {key: Sign("key", vendor, key) for key in said.get("keys", ())}
        if "embeddings" in said:
            models.insert(0, (re.compile(said["embeddings"]), "embedding", vendor))
        models.append((re.compile(said["models"]), "model", vendor))
    hosts |= {host: Sign("url", "", host) for host in table["hosts_of_many"]}
    hosts |= {host: Sign("gateway", "", host) for host in table["gateways"]["hosts"]}
    _add_packages(packages, table["gateways"]["packages"], "gateway", "")
    sidecar = table["sidecar"]
    return Signs(
        packages, hosts, keys, models,
        {language: re.compile("|".join(lines), re.MULTILINE) for language, lines in table["routing"].items()},
        frozenset(table["python_routing"]["calls"]), frozenset(table["python_routing"]["parameters"]),
        frozenset(sidecar["hosts"]), frozenset(sidecar["ports"]), sidecar["header"],
    )  # fmt: skip


def _add_packages(
    packages: dict[Language, dict[str, Sign]], said: Mapping[Language, Sequence[str]], kind: Kind, vendor: str
) -> None:
    for language, names in said.items():
        packages.setdefault(language, {}).update({name: Sign(kind, vendor, name) for name in names})
