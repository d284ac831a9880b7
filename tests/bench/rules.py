"""The rules that the sidecar under measurement runs: two providers at the bench's upstream and three use cases with
rules, prices, ceilings and limits, all in force and none ever reached."""

from pathlib import Path
from string import Template

SAME_DIALECT_ALIAS = "bench-same"
CROSS_DIALECT_ALIAS = "bench-cross"
KEYS = {"BENCH_OPENAI_KEY": "sk-bench-openai", "BENCH_ANTHROPIC_KEY": "sk-bench-anthropic"}
"""Environment of the sidecar: the credentials that the providers refer to."""

FILES = {
    "pointsman.yaml": """\
schema: 1
defaults:
  timeouts: {deadline: 120s, connect: 3s, first_token: 30s, stream_idle: 30s}
  retry: {max_attempts: 3, same_target: 1}
""",
    "providers/bench-openai.yaml": """\
provider: bench-openai
dialect: openai
base_url: http://127.0.0.1:$upstream/v1
auth: {api_key: {env: BENCH_OPENAI_KEY}}
data: {regions: [eu], zero_retention: true}
limits: {requests_per_minute: 100000000, tokens_per_minute: 100000000000, concurrency: 10000}
""",
    "providers/bench-anthropic.yaml": """\
provider: bench-anthropic
dialect: anthropic
base_url: http://127.0.0.1:$upstream
auth: {api_key: {env: BENCH_ANTHROPIC_KEY}}
data: {regions: [eu], zero_retention: true}
limits: {requests_per_minute: 100000000, tokens_per_minute: 100000000000, concurrency: 10000}
""",
    "models/model-o.yaml": """\
model: model-o
vendor: openai
context_window: 400000
max_output_tokens: 64000
capabilities: [tools, vision, json_schema]
served_by:
  - {provider: bench-openai, name: bench-openai}
prices:
  - {from: 2026-01-01, input: 1.25, output: 10.00, cache_read: 0.125, cache_write: 1.25}
""",
    "models/model-a.yaml": """\
model: model-a
vendor: anthropic
context_window: 400000
max_output_tokens: 64000
capabilities: [tools, vision, json_schema]
served_by:
  - {provider: bench-anthropic, name: bench-anthropic}
prices:
  - {from: 2026-01-01, input: 3.00, output: 15.00, cache_read: 0.30, cache_write: 3.75, cache_write_1h: 6.00}
""",
}

USE_CASE = """\
use_case: $name
owner: bench
description: Measured by the bench.
class: internal
aliases: [$alias]
primary: $primary
fallbacks: [$fallback]
cost_ceiling: {per_request: 1000, per_day: 100000000, then: reject}
requires: {regions: [eu]}
rules:
  - {when: {input_tokens: {over: 200000}}, primary: $fallback, fallbacks: [$primary]}
  - {when: {needs: [vision]}, primary: $fallback, fallbacks: [$primary]}
  - {when: {header: {x-bench-lane: "express-*"}}, primary: $fallback, fallbacks: [$primary]}
limits: {requests_per_minute: 100000000, tokens_per_minute: 100000000000}
"""

USE_CASES = (
    {"name": "same-dialect", "alias": SAME_DIALECT_ALIAS, "primary": "model-o", "fallback": "model-a"},
    {"name": "cross-dialect", "alias": CROSS_DIALECT_ALIAS, "primary": "model-a", "fallback": "model-o"},
    {"name": "bystander", "alias": '"bystander-*"', "primary": "model-o", "fallback": "model-a"},
)


def write_rules(folder: Path, upstream_port: int) -> None:
    """Write the rule set into `folder`; both providers point at the bench's upstream."""
    texts = {name: Template(text).substitute(upstream=upstream_port) for name, text in FILES.items()}
    for use_case in USE_CASES:
        texts[f"use-cases/{use_case['name']}/use-case.yaml"] = Template(USE_CASE).substitute(use_case)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def add_shadow(folder: Path, line: str) -> None:
    """Two candidates, one at the bench's upstream and one where nobody listens; and what `line` says of the use case
    whose calls are not translated."""
    for name, provider in (("model-s", "bench-openai"), ("model-dead", "bench-dead")):
        text = FILES["models/model-o.yaml"].replace("model: model-o", f"model: {name}")
        (folder / f"models/{name}.yaml").write_text(text.replace("provider: bench-openai", f"provider: {provider}"))
    dead = Template(FILES["providers/bench-openai.yaml"]).substitute(upstream=1)
    (folder / "providers/bench-dead.yaml").write_text(dead.replace("provider: bench-openai", "provider: bench-dead"))
    path = folder / "use-cases/same-dialect/use-case.yaml"
    path.write_text(path.read_text() + line)
