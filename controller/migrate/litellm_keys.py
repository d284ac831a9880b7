"""What LiteLLM's keys come to here, where no rule file says the same. https://docs.litellm.ai/docs/proxy/config_settings"""

from collections.abc import Mapping
from typing import Final

AGENTS_SAY = "not carried over: what an agent's request says stands; let the agent send it"
_RECORDS: Final = "not carried over: every call is in the ledger (pointsman usage export), metrics on :4101/metrics"
KEY_ELSEWHERE = "a secret, which is never copied"

DEPLOYMENT: Final[Mapping[str, str]] = {
    "temperature": AGENTS_SAY,
    "max_tokens": AGENTS_SAY,
    "top_p": AGENTS_SAY,
    "seed": AGENTS_SAY,
    "stop": AGENTS_SAY,
    "aws_access_key_id": f"{KEY_ELSEWHERE}: the sidecar takes AWS's own chain (role, profile, AWS_* variables)",
    "aws_secret_access_key": f"{KEY_ELSEWHERE}: the sidecar takes AWS's own chain (role, profile, AWS_* variables)",
    "aws_session_token": f"{KEY_ELSEWHERE}: the sidecar takes AWS's own chain (role, profile, AWS_* variables)",
    "aws_role_name": "not carried over: give the sidecar the role, or a profile that assumes it (auth.aws.profile)",
    "azure_ad_token": f"{KEY_ELSEWHERE}: the provider is written with entra: true, which fetches tokens by itself",
    "tenant_id": "not carried over: entra: true reads AZURE_TENANT_ID where the sidecar runs",
    "client_id": "not carried over: entra: true reads AZURE_CLIENT_ID where the sidecar runs",
    "client_secret": f"{KEY_ELSEWHERE}: the provider is written with entra: true, which reads AZURE_* variables",
    "max_budget": "not carried over: a budget belongs to a use case (cost_ceiling.per_day, per_month, hard)",
    "budget_duration": "not carried over: ceilings are per day and per month (UTC)",
    "max_parallel_requests": "not carried over: write limits: {concurrency: N} at the provider or the model",
    "tags": "not carried over: write a use case per purpose, or rules: [{when: {metadata: …}}]",
    "drop_params": "nothing to do: what a target lacks is dropped and named in x-pointsman-dropped",
    "num_retries": "not carried over: retries are set in pointsman.yaml and by use case (retry)",
    "max_retries": "not carried over: retries are set in pointsman.yaml and by use case (retry)",
    "cooldown_time": "nothing to do: each target has a breaker that opens and closes by itself",
    "mock_response": "not carried over: pointsman demo runs simulated providers",
}
"""Of `litellm_params`."""
TOP: Final[Mapping[str, str]] = {
    "guardrails": "not carried over: Pointsman looks at answers by quality_bar.checks and filters no content",
    "mcp_servers": "not carried over: Pointsman routes model calls alone",
    "environment_variables": "not carried over: set them where the sidecar runs",
    "include": "not followed: convert each file that it names, or join them first",
    "callback_settings": "not carried over: records go to the controller's ledger; metrics stand on :4101/metrics",
    "assistant_settings": "not carried over: Pointsman routes model calls alone",
}
SETTINGS: Final[Mapping[str, str]] = {
    "master_key": f"{KEY_ELSEWHERE}: name callers in pointsman.yaml, each by the SHA-256 of a new key",
    "database_url": "not carried over: the ledger is the controller's (pointsman serve --database-url)",
    "max_budget": "not carried over: a budget belongs to a use case (cost_ceiling.per_day, per_month, hard)",
    "budget_duration": "not carried over: ceilings are per day and per month (UTC)",
    "cache": "not carried over: answers are not cached; a provider's prompt cache is kept warm by sticky",
    "cache_params": "not carried over: answers are not cached; a provider's prompt cache is kept warm by sticky",
    "drop_params": "nothing to do: what a target lacks is dropped and named in x-pointsman-dropped",
    "modify_params": "nothing to do: dialects are translated, and what is dropped is named in x-pointsman-dropped",
    "success_callback": _RECORDS,
    "failure_callback": _RECORDS,
    "callbacks": _RECORDS,
    "alerting": "not carried over: alert on the metrics of sidecars (:4101/metrics) and controller (/metrics)",
    "redis_host": "not carried over: start sidecars with --redis-url, so that limits hold over all of them",
    "redis_port": "not carried over: start sidecars with --redis-url, so that limits hold over all of them",
    "redis_url": "not carried over: start sidecars with --redis-url, so that limits hold over all of them",
    "redis_password": f"{KEY_ELSEWHERE}: it belongs into POINTSMAN_REDIS_URL of the sidecars",
    "allowed_fails": "nothing to do: each target has a breaker that opens and closes by itself",
    "allowed_fails_policy": "nothing to do: each target has a breaker that opens and closes by itself",
    "cooldown_time": "nothing to do: each target has a breaker that opens and closes by itself",
    "disable_cooldowns": "not carried over: a breaker cannot be switched off",
    "retry_policy": "nothing to do: what is tried again after which error is one table, the same for everybody",
    "retry_after": "nothing to do: a provider's Retry-After is kept to",
    "enable_pre_call_checks": "nothing to do: a target whose context window is too small is skipped",
    "model_group_retry_policy": "nothing to do: what is tried again after which error is one table",
    "enable_tag_filtering": "not carried over: write a use case per purpose, or rules: [{when: {metadata: …}}]",
}
"""Of `litellm_settings`, `router_settings` and `general_settings`."""
OTHER = "not carried over: it has no counterpart here"
