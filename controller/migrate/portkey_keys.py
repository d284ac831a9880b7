"""What Portkey's keys come to here, where no rule file says the same.

The keys are those of the gateway's own schema:
https://github.com/Portkey-AI/gateway/blob/main/src/middlewares/requestValidator/schema/config.ts
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.migrate.notes import is_done
from schemas.yaml_source import Path

AGENTS_SAY: Final = "not carried over: what an agent's request says stands; let the agent send it"
_GUARDRAILS: Final = "not carried over: Pointsman looks at answers by quality_bar.checks and filters no content"
_AWS: Final = "a secret, which is never copied: the sidecar takes AWS's own chain (role, profile, AWS_* variables)"
_ENTRA: Final = "not carried over: entra: true reads AZURE_* variables where the sidecar runs"
_ERRORS: Final = "nothing to do: what is tried again or elsewhere, after which error, is one table for everybody"

READ: Final = frozenset({
    "name", "strategy", "targets", "weight", "provider", "api_key", "virtual_key", "custom_host", "override_params",
    "retry", "request_timeout", "aws_region", "vertex_project_id", "vertex_region", "openai_organization",
    "openai_project", "resource_name", "deployment_id", "api_version", "azure_model_name", "azure_auth_mode",
    "azure_ad_token", "vertex_service_account_json",
})  # fmt: skip
"""Of a config or a target."""
READ_INSIDE: Final = {
    "strategy": frozenset({"mode", "conditions", "default", "sticky"}),
    "retry": frozenset({"attempts"}),
}
LEFT: Final[Mapping[str, str]] = {
    "cache": "not carried over: answers are not cached; a provider's prompt cache is kept warm by sticky",
    "on_status_codes": _ERRORS,
    "forward_headers": "not carried over: providers get the headers that their rule files name, and no others",
    "input_guardrails": _GUARDRAILS,
    "output_guardrails": _GUARDRAILS,
    "before_request_hooks": _GUARDRAILS,
    "after_request_hooks": _GUARDRAILS,
    "default_input_guardrails": _GUARDRAILS,
    "default_output_guardrails": _GUARDRAILS,
    "aws_access_key_id": _AWS,
    "aws_secret_access_key": _AWS,
    "aws_session_token": _AWS,
    "aws_role_arn": "not carried over: give the sidecar the role, or a profile that assumes it (auth.aws.profile)",
    "aws_external_id": "not carried over: a profile says it (auth.aws.profile)",
    "azure_entra_client_id": _ENTRA,
    "azure_entra_client_secret": f"a secret, which is never copied; {_ENTRA}",
    "azure_entra_tenant_id": _ENTRA,
    "azure_managed_client_id": _ENTRA,
    "strict_open_ai_compliance": "nothing to do: an answer is in the dialect that was asked, whoever gave it",
    "metadata": "not carried over: agents say metadata with each request",
}
STRATEGY: Final[Mapping[str, str]] = {"on_status_codes": _ERRORS}
RETRY: Final[Mapping[str, str]] = {
    "on_status_codes": _ERRORS,
    "use_retry_after_header": "nothing to do: a provider's Retry-After is kept to",
}
OTHER: Final = "not carried over: it has no counterpart here"
RETRIES: Final = (
    "said otherwise: a target is tried again once at most, then the next one is (retry.max_attempts in all)"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A mapping of a config by its keys in snake_case: Portkey takes them in camelCase as well."""

    path: Path
    values: Mapping[str, Any]
    written: Mapping[str, str]
    """Key in snake_case → as it stands in the file."""

    def at(self, key: str) -> Path:
        return (*self.path, self.written.get(key, key))

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def inner(self, key: str) -> "Node":
        """Of a mapping; without keys where it is none."""
        return node_of(self.at(key), self.get(key))


def node_of(path: Path, value: object) -> Node:
    mapping = value if isinstance(value, dict) else {}
    written = {_snake(key): key for key in mapping if isinstance(key, str)}
    return Node(path, {snake: mapping[key] for snake, key in written.items()}, written)


def left_of(node: Node) -> Mapping[Path, tuple[str, bool]]:
    """What of a config or a target no rule file says: path → the note, and whether it asks for somebody."""
    found = {key: LEFT.get(key, OTHER) for key in node.values if key not in READ}
    said = {node.at(key): says for key, says in found.items()}
    for key, known, read in (
        ("strategy", STRATEGY, {"mode", "conditions", "default", "sticky"}),
        ("retry", RETRY, {"attempts"}),
    ):
        inner = node.inner(key)
        said |= {inner.at(name): known.get(name, OTHER) for name in inner.values if name not in read}
    overrides = node.inner("override_params")
    said |= {overrides.at(key): AGENTS_SAY for key in overrides.values if key != "model"}
    return {path: (says, not is_done(says)) for path, says in said.items()}


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
