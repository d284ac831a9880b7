"""From files to a bundle: what people write in every key arrives, with its meaning."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from schemas.bundle import (
    AwsIdentity,
    Bundle,
    BundleRefused,
    EntraIdentity,
    GoogleIdentity,
    HardCeiling,
    Hours,
    Identity,
    Limits,
    Provider,
    Secret,
    Share,
    TokenRange,
    When,
    decode_bundle,
    encode_bundle,
)
from schemas.load import Loaded, folder_revision, load
from schemas.problems import has_errors

TODAY = date(2026, 11, 23)

FILES = {
    "pointsman.yaml": """
schema: 1
defaults: {timeouts: {deadline: 120s, connect: 3s, first_token: 30s, stream_idle: 30s},
           retry: {max_attempts: 3, same_target: 1}}
rollout: {stages: [1, 10, 50, 100], bake: 2m, urgent: {stages: [5, 100], bake: 1m}}   # stages: [100] = all at once
owners: {support-platform: ["use-cases/customer-support/**"], platform: ["**"]}
grants: {support-platform: {models: ["claude-*", "gpt-5*", "gemini-*"], per_month: 8000, regions: [eu]}}
callers:
  - {name: support-bot, key: "sha256:KEY1", use_cases: [customer-support],
     default_use_case: customer-support, limits: {requests_per_minute: 300}, per_month: 500, on_store_error: deny}
  - {name: eval-runner, key: "sha256:KEY2", pin: true}
""".replace("KEY1", "a" * 64).replace("KEY2", "b" * 64),
    "providers/anthropic.yaml": """
provider: anthropic
dialect: anthropic
base_url: https://api.anthropic.com/
auth: {api_key: {env: ANTHROPIC_API_KEY}}
data: {regions: [us, eu], zero_retention: true}
limits: {requests_per_minute: 4000, tokens_per_minute: 2000000, concurrency: 200}
""",
    "providers/bedrock-us.yaml": """
provider: bedrock-us
dialect: bedrock
base_url: https://bedrock-runtime.us-east-1.amazonaws.com
auth: {api_key: {file: /var/run/secrets/bedrock}}
data: {regions: [us, eu], zero_retention: true}
headers: {x-team: platform}
""",
    "providers/other.yaml": """
provider: other
dialect: openai
base_url: http://127.0.0.1:8000/v1
data: {regions: [eu], zero_retention: true}
trace_context: true
""",
    "providers/several.yaml": """
provider: several
dialect: openai
base_url: https://several.example/v1
auth: {api_keys: [{env: ONE_KEY}, {file: /run/two}]}
""",
    "providers/azure-key.yaml": """
provider: azure-key
dialect: openai
base_url: https://r.openai.azure.com/openai
auth: {azure: {api_keys: [{env: ONE_KEY}, {env: TWO_KEY}]}}
layout: azure-deployments
api_version: 2024-10-21
""",
    "providers/azure-entra.yaml": """
provider: azure-entra
dialect: openai
base_url: https://r.openai.azure.com/openai/v1
auth: {azure: {entra: true}}
""",
    "providers/vertex-default.yaml": """
provider: vertex-default
dialect: anthropic
base_url: https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5
auth: {google: {}}
layout: vertex
""",
    "providers/vertex-file.yaml": """
provider: vertex-file
dialect: openai
base_url: https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/endpoints/openapi
auth: {google: {file: /run/account.json}}
""",
    "providers/signed.yaml": """
provider: signed
dialect: openai
base_url: https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1
auth: {aws: {region: us-west-2, profile: models}}
""",
    "models/claude-sonnet-4.6.yaml": """
model: claude-sonnet-4.6
vendor: anthropic
context_window: 1000000
max_output_tokens: 64000
capabilities: [tools, vision, files, json_schema, reasoning, prompt_cache]
served_by:
  - {provider: anthropic, name: claude-sonnet-4-6}
  - {provider: bedrock-us, name: us.anthropic.claude-sonnet-4-6-v1:0,
     prices: [{from: 2026-02-17, input: 3.30, output: 16.50}]}
prices:
  - {from: 2026-02-17, input: 3.00, output: 15.00, cache_read: 0.30, cache_write: 3.75, cache_write_1h: 6.00}
  - {from: 2027-01-01, input: 0.1, output: 12345678901.000000001}
limits: {concurrency: 7}
""".replace("12345678901.000000001", "1234.000000001"),
    "use-cases/customer-support/use-case.yaml": """
use_case: customer-support
owner: support-platform
description: Answers customers in chat.
class: customer-facing
aliases: ["gpt-4o", "support-*"]
primary: claude-sonnet-4.6
fallbacks: [gpt-5, gemini-3]
sticky: {by: conversation}
cost_ceiling:
  per_request: 0.08
  per_day: 250
  per_month: 5000
  then: [claude-haiku-4.5]
  hard: {per_day: 300, per_month: 6000}
  on_store_error: allow
quality_bar:
  checks: [complete, not_refused, json_valid, tool_calls_valid]
  then: [claude-opus-4.7]
  min_score: 0.90
requires: {capabilities: [tools], regions: [eu], zero_retention: true}
rules:
  - {when: {input_tokens: {over: 200000}}, primary: gemini-3, fallbacks: [claude-sonnet-4.6]}
  - when:
      needs: [vision, tools]
      stream: false
      agent: bot-*
      caller: [a, b]
      header: {X-Tier: gold}
      metadata: {team: "x*"}
      hours: {start: 22:00, end: "06:00", zone: Europe/Berlin, days: [sat, sun]}
    primary: gpt-5
    fallbacks: [gemini-3]
limits: {requests_per_minute: 600, tokens_per_minute: 400000, enforce: false, on_store_error: deny}
canary: {model: gpt-5, percent: 5}
shadow: {model: gpt-5, percent: 1}
timeouts: {deadline: 60s, first_token: 500ms, stream_idle: 1.5m}
review: {last: 2026-10-01, by: 2027-01-01}
lock: {vendor: anthropic, reason: "computer use"}
""",
    "use-cases/customer-support/tests.yaml": """
- name: an Anthropic outage goes to GPT-5
  given: {down: [anthropic, bedrock-us]}
  request: {input_tokens: 1200, tools: true}
  expect: {route: [gpt-5, gemini-3]}
- name: over the day's ceiling it takes the cheaper model
  given: {spent: {per_day: 251}}
  expect: {first: claude-haiku-4.5, reason: cost_ceiling.per_day}
""",
    "use-cases/second/use-case.yaml": """
use_case: second
owner: platform
primary: claude-sonnet-4.6
fallbacks: [gpt-5]
cost_ceiling: {per_month: 10, then: reject}
split: [{model: gpt-5, percent: 12.5}, {model: gemini-3, percent: 10}]
on_refusal: fallback
rules:
  - {when: {stream: true}, primary: gpt-5, fallbacks: [gemini-3], split: [{model: gemini-3, percent: 1}]}
""",
    "README.md": "not a rule file",
    ".github/workflows/ci.yaml": "on: push",
    "use-cases/customer-support/eval/graders.yaml": "graders: []",
}
FILES |= {
    f"models/{name}.yaml": f"""
model: {name}
vendor: {vendor}
context_window: 500000
max_output_tokens: 8000
capabilities: [tools, vision]
served_by: [{{provider: other, name: {name}}}]
prices: [{{from: 2026-01-01, input: 1, output: 2}}]
"""
    for name, vendor in [
        ("gpt-5", "openai"),
        ("gemini-3", "google"),
        ("claude-haiku-4.5", "anthropic"),
        ("claude-opus-4.7", "anthropic"),
    ]
}


@pytest.fixture
def loaded() -> Loaded:
    return load(FILES, today=TODAY, revision="c0ffee")


@pytest.fixture
def bundle(loaded: Loaded) -> Bundle:
    assert loaded.bundle is not None, loaded.problems
    return loaded.bundle


def test_everything_that_the_rules_may_say_is_accepted(loaded: Loaded) -> None:
    assert not has_errors(loaded.problems), [str(problem) for problem in loaded.problems]


def test_a_shadow_needs_a_model_and_a_share_alone(bundle: Bundle) -> None:
    shadow = bundle.use_cases["customer-support"].shadow
    assert shadow is not None
    assert (shadow.model, shadow.percent, shadow.per_day, shadow.concurrency) == ("gpt-5", 1, 10, 4)


def test_money_keeps_the_digits_that_were_written(bundle: Bundle) -> None:
    ceiling = bundle.use_cases["customer-support"].ceiling
    assert ceiling is not None
    assert (ceiling.per_request, ceiling.per_day) == (Decimal("0.08"), Decimal(250))
    newest, in_force = bundle.models["claude-sonnet-4.6"].served_by[0].prices
    assert newest.output == Decimal("1234.000000001")
    assert newest.input == Decimal("0.1")
    assert in_force.cache_write == Decimal("3.75")


def test_prices_come_newest_first_and_a_door_may_have_its_own(bundle: Bundle) -> None:
    first, second = bundle.models["claude-sonnet-4.6"].served_by
    assert [price.since for price in first.prices] == ["2027-01-01", "2026-02-17"]
    assert [(price.input, price.cache_read) for price in second.prices] == [(Decimal("3.30"), None)]


def test_durations_and_defaults_are_merged(bundle: Bundle) -> None:
    own = bundle.use_cases["customer-support"]
    assert (own.timeouts.deadline, own.timeouts.connect) == (60.0, 3.0)
    assert (own.timeouts.first_token, own.timeouts.stream_idle) == (0.5, 90.0)
    assert own.retry.max_attempts == 3
    assert bundle.use_cases["second"].timeouts.deadline == 120.0


def test_who_shares_the_work_and_what_stays_arrives(bundle: Bundle) -> None:
    first, second = bundle.use_cases["customer-support"], bundle.use_cases["second"]
    assert (first.canary, first.split) == (Share(model="gpt-5", percent=Decimal(5)), ())
    assert (second.canary, [(share.model, share.percent) for share in second.split]) == (
        None,
        [("gpt-5", Decimal("12.5")), ("gemini-3", Decimal(10))],
    )
    assert second.rules[0].split == (Share(model="gemini-3", percent=Decimal(1)),)
    assert (first.sticky, second.sticky) == (True, False)
    assert (first.on_refusal, second.on_refusal) == ("stop", "fallback")


@pytest.mark.parametrize("percents", [["0"], ["-1"], ["100.5"], ["NaN"], ["Infinity"], ["60", "60"]])
def test_a_forged_bundle_with_shares_that_cannot_be_is_refused(bundle: Bundle, percents: list[str]) -> None:
    split = tuple(Share(model="gpt-5", percent=Decimal(percent)) for percent in percents)
    use_case = msgspec.structs.replace(bundle.use_cases["second"], split=split)
    forged = msgspec.structs.replace(bundle, use_cases={"second": use_case}, callers=())
    with pytest.raises(BundleRefused, match=r"use_cases\.second\.split.* percent"):
        decode_bundle(encode_bundle(forged))


def test_a_ceiling_leads_to_cheaper_models_or_refuses(bundle: Bundle) -> None:
    cheaper, refuse = bundle.use_cases["customer-support"].ceiling, bundle.use_cases["second"].ceiling
    assert cheaper is not None
    assert refuse is not None
    assert (cheaper.then, refuse.then) == (("claude-haiku-4.5",), ())


def test_limits_arrive_where_they_were_written(bundle: Bundle) -> None:
    bot = bundle.callers[0]
    assert bundle.providers["anthropic"].limits == Limits(
        requests_per_minute=4000, tokens_per_minute=2_000_000, concurrency=200
    )
    assert bundle.models["claude-sonnet-4.6"].limits == Limits(concurrency=7)
    assert bundle.use_cases["customer-support"].limits == Limits(
        requests_per_minute=600, tokens_per_minute=400_000, enforce=False, on_store_error="deny"
    )
    assert (bot.limits, bot.per_month) == (Limits(requests_per_minute=300), Decimal(500))
    assert bot.on_store_error == "deny"
    assert bundle.use_cases["second"].limits is None
    assert decode_bundle(encode_bundle(bundle)) == bundle


def test_hard_amounts_stand_above_those_that_lead_to_cheaper(bundle: Bundle) -> None:
    ceiling = bundle.use_cases["customer-support"].ceiling
    assert ceiling is not None
    assert ceiling.hard == HardCeiling(per_day=Decimal(300), per_month=Decimal(6000))
    assert ceiling.on_store_error == "allow"


def test_conditions_arrive_as_they_were_written(bundle: Bundle) -> None:
    long, odd = bundle.use_cases["customer-support"].rules
    assert long.when == When(input_tokens=TokenRange(over=200000))
    assert long.chain == ("gemini-3", "claude-sonnet-4.6")
    assert odd.when == When(
        needs=("vision", "tools"),
        stream=False,
        agent=("bot-*",),
        caller=("a", "b"),
        header={"x-tier": "gold"},
        metadata={"team": "x*"},
        hours=Hours(start="22:00", end="06:00", zone="Europe/Berlin", days=("sat", "sun")),
    )


def test_providers_keep_references_to_secrets_only(bundle: Bundle) -> None:
    anthropic, bedrock, other = (bundle.providers[name] for name in ("anthropic", "bedrock-us", "other"))
    assert anthropic.api_key is not None
    assert (anthropic.api_key.env, anthropic.base_url) == ("ANTHROPIC_API_KEY", "https://api.anthropic.com")
    assert bedrock.api_key is not None
    assert (bedrock.api_key.file, bedrock.headers) == ("/var/run/secrets/bedrock", {"x-team": "platform"})
    assert (other.api_key, other.regions, other.zero_retention) == (None, ("eu",), True)
    assert (other.trace_context, anthropic.trace_context) == (True, False)
    azure = bundle.providers["azure-key"]
    assert (azure.api_keys, azure.key_header) == ((Secret(env="ONE_KEY"), Secret(env="TWO_KEY")), "api-key")
    assert (azure.layout, azure.api_version) == ("azure-deployments", "2024-10-21")
    assert (bundle.providers["vertex-default"].layout, bundle.providers["vertex-file"].layout) == ("vertex", None)
    several = bundle.providers["several"]
    assert (several.api_key, several.api_keys) == (None, (Secret(env="ONE_KEY"), Secret(file="/run/two")))


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("anthropic", None),
        ("azure-key", None),
        ("azure-entra", EntraIdentity()),
        ("vertex-default", GoogleIdentity()),
        ("vertex-file", GoogleIdentity(file="/run/account.json")),
        ("signed", AwsIdentity(region="us-west-2", profile="models")),
    ],
)
def test_cloud_identities_arrive_as_they_were_written(bundle: Bundle, name: str, identity: Identity | None) -> None:
    assert bundle.providers[name].identity == identity
    assert decode_bundle(encode_bundle(bundle)).providers[name].identity == identity


def test_a_bundle_that_would_pass_on_keys_of_our_own_callers_is_refused(bundle: Bundle) -> None:
    forged = msgspec.structs.replace(
        bundle,
        providers={
            **bundle.providers,
            "open": Provider(dialect="openai", base_url="https://o.example", caller_key=True),
        },
    )
    assert forged.callers
    with pytest.raises(BundleRefused, match="keys of our own callers"):
        decode_bundle(encode_bundle(forged))


def test_callers_are_known_by_the_hash_of_their_key(bundle: Bundle) -> None:
    bot, runner = bundle.callers
    assert (bot.key_sha256, bot.use_cases, bot.default_use_case) == (
        "a" * 64,
        ("customer-support",),
        "customer-support",
    )
    assert (runner.use_cases, runner.pin) == ((), True)


def test_equal_files_in_any_order_give_equal_bytes() -> None:
    one = load(FILES, today=TODAY, revision="x").bundle
    other = load(dict(reversed(FILES.items())), today=TODAY, revision="x").bundle
    assert one is not None
    assert other is not None
    assert encode_bundle(one) == encode_bundle(other)


def test_schema_1_alone_is_a_valid_platform_file() -> None:
    loaded = load({"pointsman.yaml": "schema: 1"}, today=TODAY, revision="x")
    assert loaded.problems == ()
    assert loaded.bundle is not None


def test_an_error_leaves_no_bundle_and_a_warning_does(loaded: Loaded) -> None:
    assert loaded.bundle is not None
    assert loaded.problems
    broken = load({**FILES, "models/gpt-5.yaml": "model: gpt-5"}, today=TODAY, revision="x")
    assert broken.bundle is None
    assert broken.rule_set is None


def test_a_broken_file_is_not_also_an_unknown_name() -> None:
    broken = load({**FILES, "models/gpt-5.yaml": "model: ["}, today=TODAY, revision="x")
    assert {problem.code for problem in broken.problems if problem.severity == "error"} == {"yaml-syntax"}


def test_the_revision_of_a_folder_changes_with_any_path_or_text() -> None:
    revision = folder_revision({"a": "bc"})
    assert revision.startswith("folder:")
    assert len(revision) == len("folder:") + 12
    assert len({revision, folder_revision({"ab": "c"}), folder_revision({"a": "bd"}), folder_revision({})}) == 4


def test_a_second_reading_of_a_changed_file_says_what_is_there_now() -> None:
    changed = {**FILES, "models/gpt-5.yaml": FILES["models/gpt-5.yaml"].replace("input: 1,", "input: 7,")}
    for files, price in ((FILES, 1), (changed, 7), (FILES, 1)):
        bundle = load(files, today=TODAY, revision="x").bundle
        assert bundle is not None
        assert bundle.models["gpt-5"].served_by[0].prices[0].input == price
