"""LiteLLM's `model_list` as deployments: who is asked at which URL, with which reference to a key, under which name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from controller.migrate.doors import NOT_PLAIN, azure, bedrock_url, plain_url, vertex
from controller.migrate.hosts import COMPATIBLE, HOSTS, Host, host_of
from controller.migrate.litellm_keys import AGENTS_SAY, DEPLOYMENT, OTHER
from controller.migrate.notes import Notebook, is_done
from schemas.validate import looks_secret
from schemas.yaml_source import Path

VARIABLE: Final = "os.environ/"
NO_KEY: Final = frozenset({"", "none", "null"})
READ: Final = frozenset(
    {
        "model", "custom_llm_provider", "api_key", "api_base", "base_url", "api_version", "litellm_credential_name",
        "aws_region_name", "region_name", "aws_profile_name", "aws_bedrock_runtime_endpoint", "vertex_project",
        "vertex_location", "vertex_credentials", "organization", "extra_headers", "rpm", "tpm", "weight", "order",
        "timeout", "stream_timeout", "input_cost_per_token", "output_cost_per_token",
    }
)  # fmt: skip
SECRET_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})


@dataclass(frozen=True, slots=True)
class Deployment:
    """One row of `model_list`."""

    path: Path
    group: str
    name: str
    """What the provider calls the model."""
    host: Host
    provider: Mapping[str, Any]
    """The provider's file, but for its name."""
    params: Mapping[str, Any]
    info: Mapping[str, Any]

    def number(self, key: str) -> Decimal | None:
        return as_number(self.params.get(key))

    def count(self, key: str) -> int | None:
        number = self.number(key)
        return int(number) if number is not None and number >= 1 else None

    @property
    def identity(self) -> str:
        """Which model it is. A deployment at Azure has a name of its own: the group says what is behind it."""
        base = self.info.get("base_model")
        if isinstance(base, str) and base:
            return base.rpartition("/")[2]
        return self.group if self.host is HOSTS["azure"] else self.name.rpartition("/")[2]

    @property
    def is_own(self) -> bool:
        """A server of somebody's own, which bills no tokens."""
        host = urlsplit(str(self.provider["base_url"])).hostname or ""
        private = re.match(r"(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|0\.0\.0\.0$)", host)
        return self.host.is_own or bool(private) or "." not in host or host.endswith((".local", ".internal", ".svc"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row is read with."""

    notebook: Notebook
    environment: Mapping[str, str]
    """Variables that may name URLs, regions and projects; never read for keys."""
    credentials: Mapping[str, tuple[Path, Mapping[str, Any]]]
    """`credential_list` by name."""

    def deployment(self, path: Path, row: object) -> Deployment | None:
        """None where it cannot be converted; a note says why."""
        params, group = (row.get("litellm_params"), row.get("model_name")) if isinstance(row, dict) else (None, None)
        if not isinstance(row, dict) or not isinstance(params, dict) or not isinstance(group, str) or not group:
            return self.skipped(path, "not a deployment: it needs model_name and litellm_params")
        said = row.get("model_info")
        info: Mapping[str, Any] = said if isinstance(said, dict) else {}
        mode = info.get("mode")
        if mode not in (None, "chat", "completion", "responses", "embedding"):
            says = "skipped: not a call that is routed by model; images, audio and the like are handed on as they are"
            return self.skipped((*path, "model_info", "mode"), says)
        at: Path = (*path, "litellm_params")
        params = self._with_credentials(at, params)
        model = params.get("model")
        custom = params.get("custom_llm_provider")
        if isinstance(custom, str) and isinstance(model, str) and not model.startswith(f"{custom}/"):
            model = f"{custom}/{model}"
        if "*" in group or (isinstance(model, str) and "*" in model):
            return self.skipped(path, "skipped: a wildcard; name each model, so that its price and limits are known")
        found = host_of(model) if isinstance(model, str) else None
        if found is None and isinstance(model, str) and "/" not in model:
            found = self._bare(at, model)
        if found is None:
            known = ", ".join(sorted(HOSTS))
            says = f"skipped: no such provider is known here; write it by hand. Known: {known}"
            return self.skipped((*at, "model"), says)
        prefix, name = found
        provider = self._provider(at, prefix, name, params)
        if provider is None:
            return None
        self._say_what_is_left(at, params)
        host = HOSTS[prefix]
        if prefix == "openai" and provider["base_url"] != host.base_url:
            host = COMPATIBLE
        return Deployment(path, group, _own_name(prefix, name), host, provider, params, info)

    def _bare(self, at: Path, model: str) -> tuple[str, str]:
        """LiteLLM looks a name without a prefix up in its list of models; of those, two vendors' may stand so here."""
        prefix = "anthropic" if model.startswith("claude") else "openai"
        self.notebook.add((*at, "model"), f"taken to be at {prefix}: it has no prefix", needs_you=False)
        return prefix, model

    def _with_credentials(self, at: Path, params: Mapping[str, Any]) -> Mapping[str, Any]:
        name = params.get("litellm_credential_name")
        if name is None:
            return params
        found = self.credentials.get(str(name))
        if found is None:
            self.notebook.add((*at, "litellm_credential_name"), "credential_list has no such name")
            return params
        return {**found[1], **params}

    def _provider(self, at: Path, prefix: str, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        host = HOSTS[prefix]
        said = self._text(at, params, "api_base") or self._text(at, params, "base_url")
        if said is None and ("api_base" in params or "base_url" in params):
            return None
        content: dict[str, Any] = {"dialect": host.dialect, "base_url": said or host.base_url}
        if prefix == "azure":
            ready = self._azure(at, params, content)
        elif prefix == "bedrock":
            ready = self._bedrock(at, params, content)
        elif prefix == "vertex_ai":
            ready = self._vertex(at, name, params, content)
        else:
            ready = content["base_url"] is not None
            if not ready:
                self.notebook.add(at, f"skipped: {prefix} needs api_base")
            key = self._key(at, params, host.variable)
            content |= {"auth": {"api_key": key}} if key else {}
        if not ready:
            return None
        url = plain_url(content["base_url"], dialect=content["dialect"], is_ollama=prefix.startswith("ollama"))
        if url is None:
            self.notebook.add((*at, "api_base"), NOT_PLAIN)
            return None
        content["base_url"] = url
        content |= self._headers(at, params)
        content |= {"fields": dict(host.fields)} if host.fields else {}
        return content

    def _azure(self, at: Path, params: Mapping[str, Any], content: dict[str, Any]) -> bool:
        url = content["base_url"] or self.environment.get("AZURE_API_BASE")
        if url is None:
            self.notebook.add(at, "skipped: no api_base, and AZURE_API_BASE is not set here")
            return False
        version = self._text(at, params, "api_version")
        content |= azure(url, version)
        by_identity = params.keys() & {"azure_ad_token", "client_secret", "client_id", "tenant_id"}
        key = None if by_identity else self._key(at, params, "AZURE_API_KEY")
        content["auth"] = {"azure": {"api_key": key} if key else {"entra": True}}
        return True

    def _bedrock(self, at: Path, params: Mapping[str, Any], content: dict[str, Any]) -> bool:
        region = self._text(at, params, "aws_region_name") or self._text(at, params, "region_name")
        region = region or self.environment.get("AWS_REGION_NAME") or self.environment.get("AWS_REGION")
        if region is None:
            self.notebook.add(at, "skipped: no aws_region_name, and AWS_REGION is not set here")
            return False
        endpoint = self._text(at, params, "aws_bedrock_runtime_endpoint") or content["base_url"]
        content["base_url"] = endpoint or bedrock_url(region)
        profile = self._text(at, params, "aws_profile_name")
        content["auth"] = {"aws": {"region": region, **({"profile": profile} if profile else {})}}
        if "api_key" in params:
            content["auth"] = {"api_key": self._key(at, params, "AWS_BEARER_TOKEN_BEDROCK")}
        return True

    def _vertex(self, at: Path, name: str, params: Mapping[str, Any], content: dict[str, Any]) -> bool:
        project = self._text(at, params, "vertex_project") or self.environment.get("VERTEXAI_PROJECT")
        place = self._text(at, params, "vertex_location") or self.environment.get("VERTEXAI_LOCATION")
        if project is None or place is None:
            self.notebook.add(at, "skipped: needs vertex_project and vertex_location (or VERTEXAI_… set here)")
            return False
        # LiteLLM tells Claude by this prefix as well.
        content |= vertex(project, place, name)
        file = params.get("vertex_credentials")
        if isinstance(file, str) and file.startswith("/"):
            content["auth"] = {"google": {"file": file}}
            return True
        content["auth"] = {"google": {}}
        if file is not None:
            says = "never copied: give the sidecar an identity, or write auth: {google: {file: /absolute/path}}"
            self.notebook.add((*at, "vertex_credentials"), says)
        return True

    def _key(self, at: Path, params: Mapping[str, Any], variable: str | None) -> dict[str, str] | None:
        """A reference to the key, never the key."""
        key = params.get("api_key")
        if key is None:
            return {"env": variable} if variable else None
        if isinstance(key, str) and re.fullmatch(rf"{VARIABLE}[A-Za-z_][A-Za-z0-9_]*", key):
            return {"env": key.removeprefix(VARIABLE)}
        if str(key).lower() in NO_KEY:
            return None
        name = variable or "UPSTREAM_API_KEY"
        # Several keys may stand in one file: the row's number keeps their variables apart.
        row = next((step for step in at if isinstance(step, int)), 0)
        name = f"{name}_{row + 1}"
        self.notebook.add(
            (*at, "api_key"), f"a key stands here in clear, and is not copied: put it into {name} of the sidecar"
        )
        return {"env": name}

    def _headers(self, at: Path, params: Mapping[str, Any]) -> dict[str, Any]:
        headers: dict[str, str] = {}
        organization = params.get("organization")
        if isinstance(organization, str) and not organization.startswith(VARIABLE):
            headers["OpenAI-Organization"] = organization
        elif organization is not None:
            self.notebook.add(
                (*at, "organization"), "not carried over: write a provider per organization, with its header"
            )
        extra = params.get("extra_headers")
        for name, value in (extra if isinstance(extra, dict) else {}).items():
            plain = isinstance(value, str) and re.fullmatch(r"[ -~]+", value) and re.fullmatch(r"[A-Za-z0-9._-]+", name)
            if not plain or name.lower() in SECRET_HEADERS or looks_secret(value) or value.startswith(VARIABLE):
                says = "not carried over: a header of a rule file is plain text and never a secret"
                self.notebook.add((*at, "extra_headers", name), says)
            else:
                headers[name] = value
        return {"headers": headers} if headers else {}

    def _text(self, at: Path, params: Mapping[str, Any], key: str) -> str | None:
        value = params.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.notebook.add((*at, key), "expected text")
            return None
        if not value.startswith(VARIABLE):
            return value
        name = value.removeprefix(VARIABLE)
        if name not in self.environment:
            self.notebook.add(
                (*at, key), f"{name} is not set here, and rule files say it in full; set it and convert again"
            )
        return self.environment.get(name)

    def _say_what_is_left(self, at: Path, params: Mapping[str, Any]) -> None:
        for key in params:
            if key in READ:
                continue
            says = DEPLOYMENT.get(key, OTHER if key.startswith(("aws_", "azure_", "vertex_")) else AGENTS_SAY)
            self.notebook.add((*at, key), says, needs_you=not is_done(says))

    def skipped(self, path: Path, says: str) -> Deployment | None:
        self.notebook.add(path, says)
        return None


def _own_name(prefix: str, name: str) -> str:
    """LiteLLM names a route inside the model: `bedrock/converse/…`, `azure/responses/…`."""
    routes = {"bedrock": ("converse/", "invoke/"), "azure": ("responses/",), "openai": ("responses/",)}
    for route in routes.get(prefix, ()):
        name = name.removeprefix(route)
    return name


def as_number(value: object) -> Decimal | None:
    """A number, also one that was written as text."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and number >= 0 else None
