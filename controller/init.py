"""A rules repository to start from, as path to text: two vendors, three models, one use case with its tests. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta

from controller.init_workflow import workflow_files
from schemas.json_schema import WRITTEN_FILES, schema_files

SCHEMAS = ".pointsman/schemas"
"""Copies of the JSON Schemas, so that editors complete and check without a network."""
REVIEW_AFTER = timedelta(days=91)
"""A quarter."""


def starting_files(today: date) -> Mapping[str, str]:
    """Everything that `init` writes; the review is due a quarter from today."""
    rules = {
        path: f"# yaml-language-server: $schema={'../' * path.count('/')}{SCHEMAS}/{kind}.json\n{text}"
        for path, (kind, text) in _RULES.items()
    }
    review = f"review: {{last: {today}, by: {today + REVIEW_AFTER}}}\n"
    rules["use-cases/assistant/use-case.yaml"] += review
    schemas = {f"{SCHEMAS}/{name}": text for name, text in schema_files().items() if name[:-5] in WRITTEN_FILES}
    return {**rules, **schemas, **workflow_files(SCHEMAS), "README.md": _README}


_RULES: Mapping[str, tuple[str, str]] = {
    "pointsman.yaml": (
        "pointsman",
        """\
# The platform team's file. Everything else has defaults; your editor shows them.
schema: 1
# Who owns which files, and so reviews their changes. CODEOWNERS follows: pointsman codeowners --org your-org
# owners:
#   platform: ["**"]
#   your-team: ["use-cases/assistant/**"]
""",
    ),
    "providers/anthropic.yaml": (
        "provider",
        """\
provider: anthropic
dialect: anthropic
base_url: https://api.anthropic.com
auth: {api_key: {env: ANTHROPIC_API_KEY}}
""",
    ),
    "providers/openai.yaml": (
        "provider",
        """\
provider: openai
dialect: openai
base_url: https://api.openai.com/v1
auth: {api_key: {env: OPENAI_API_KEY}}
""",
    ),
    "models/claude-sonnet-4.6.yaml": (
        "model",
        """\
model: claude-sonnet-4.6
vendor: anthropic
context_window: 1000000
max_output_tokens: 64000
capabilities: [tools, vision, files, json_schema, reasoning, prompt_cache]
efforts: [low, medium, high, max]
server_tools: [web_search, code_execution]
served_by:
  - {provider: anthropic, name: claude-sonnet-4-6}
# US dollars per million tokens, as genai-prices 0.2.3 had them on 2026-11-23. Compare them with your contract.
prices_checked: 2026-11-23
prices:
  - from: 2026-03-13
    input: 3
    output: 15
    cache_read: 0.3
    cache_write: 3.75
    cache_write_1h: 6
    per_1000_searches: 10
    service:
      batch: {times: 0.5}
""",
    ),
    "models/claude-haiku-4.5.yaml": (
        "model",
        """\
model: claude-haiku-4.5
vendor: anthropic
context_window: 200000
max_output_tokens: 64000
capabilities: [tools, vision, files, json_schema, reasoning, prompt_cache]
efforts: []
server_tools: [web_search, code_execution]
served_by:
  - {provider: anthropic, name: claude-haiku-4-5}
# US dollars per million tokens, as genai-prices 0.2.3 had them on 2026-11-23. Compare them with your contract.
prices:
  - from: 2026-10-01
    input: 1
    output: 5
    cache_read: 0.1
    cache_write: 1.25
    cache_write_1h: 2
    per_1000_searches: 10
    service:
      batch: {times: 0.5}
""",
    ),
    "models/gpt-5.yaml": (
        "model",
        """\
model: gpt-5
vendor: openai
context_window: 400000
max_output_tokens: 128000
capabilities: [tools, vision, files, json_schema, reasoning, prompt_cache]
refuses: [temperature, top_p, stop, presence_penalty, frequency_penalty, logprobs]
efforts: [minimal, low, medium, high]
served_by:
  - {provider: openai, name: gpt-5}
# US dollars per million tokens, as genai-prices 0.2.3 had them on 2026-11-23. Compare them with your contract.
prices:
  - from: 2026-10-01
    input: 1.25
    output: 10
    cache_read: 0.125
    per_1000_searches: 10
    service:
      batch: {times: 0.5}
      flex: {times: 0.5}
      priority: {times: 2}
""",
    ),
    "use-cases/assistant/use-case.yaml": (
        "use-case",
        """\
use_case: assistant
owner: your-team
description: Answers questions of our own people.
class: internal
aliases: ["assistant-*"]
primary: claude-sonnet-4.6
fallbacks: [gpt-5]
cost_ceiling:
  per_day: 20
  then: [claude-haiku-4.5]
""",
    ),
    "use-cases/assistant/tests.yaml": (
        "rule-tests",
        """\
- name: an ordinary question goes to the primary
  request: {input_tokens: 1200, tools: true}
  expect: {first: claude-sonnet-4.6, reason: primary}
- name: an Anthropic outage goes to GPT-5
  given: {down: [anthropic]}
  request: {input_tokens: 1200, tools: true}
  expect: {route: [gpt-5]}
- name: over the day's ceiling it takes the cheaper model
  given: {spent: {per_day: 21}}
  expect: {first: claude-haiku-4.5, reason: cost_ceiling.per_day}
""",
    ),
}

_README = """\
# Model routing rules

What every agent's model calls go through, by use case. A change is a pull request: `.github` and `.gitlab-ci.yml` check
it and keep one comment on it that says what it would do, and `CODEOWNERS` asks those who own the files. Before that:

    pre-commit install   # `pointsman check` before each commit
    pointsman check      # every problem, with file and line; runs the rule tests too
    pointsman explain --use-case assistant --facts '{"input_tokens": 1200}'
    pointsman models import   # new prices, as changes to review

- `providers/` - accounts and servers. Keys are named here, never written.
- `models/` - what each model can do, what it costs, and who serves it.
- `use-cases/<name>/use-case.yaml` - what its team decides; `tests.yaml` beside it says what must hold.
- `pointsman.yaml` - defaults, and who may call.
"""
