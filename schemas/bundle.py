"""The compiled rules, as they travel: canonical JSON named by its sha256, and the small pointer that names it.

Plain msgspec structs: a sidecar decodes and checks a bundle in milliseconds, without the models that people's files are
read with. Every name in a bundle resolves within it, every default is filled in; `problems_of` refuses one where not.
"""

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from schemas.record import Usd

BUNDLE_SCHEMA = "1.0"
"""major.minor. A sidecar refuses a higher major; a higher minor may only add what an older one can ignore."""

MAX_BUNDLE_BYTES = 16 << 20
"""Compiler and sidecar share this bound: a bundle beyond it is a mistake, not a rule set."""

DialectName = Literal["openai", "openai-responses", "anthropic", "gemini", "bedrock"]
SERVED_DIALECTS: frozenset[DialectName] = frozenset({"openai", "openai-responses", "anthropic", "gemini", "bedrock"})
"""What this version's sidecar can call. A target of another dialect is skipped, and `check` says so."""
Capability = Literal[
    "tools", "vision", "files", "audio", "json_schema", "reasoning", "prompt_cache", "embeddings", "prefill"
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How hard to think, least first."""
Knob = Literal[
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "parallel_tool_calls",
    "reasoning_budget",
    "reasoning_off",
]
"""What tunes an answer. Without it there is still one, so a request that crosses dialects may lose it, by name."""
ServerToolName = Literal["web_search", "code_execution"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
OnRefusal = Literal["stop", "fallback"]
QualityCheck = Literal["complete", "not_refused", "not_repeating", "json_valid", "tool_calls_valid"]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


KNOWS_STEERING = ("knows", "steering")
"""What a sidecar adds to its query when it asks for the pointer."""


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a bundle: an unknown key is refused, so that a newer feature is never silently ignored."""


class Secret(Node, frozen=True, kw_only=True):
    """Where a secret is found at run time; never the secret."""

    env: str | None = None
    file: str | None = None


class EntraIdentity(Node, frozen=True, kw_only=True, tag_field="kind", tag="entra"):
    """A bearer token of Microsoft Entra ID, for Azure's AI services."""


class GoogleIdentity(Node, frozen=True, kw_only=True, tag_field="kind", tag="google"):
    """A bearer token of Google Cloud."""

    file: str | None = None
    """A service account's key; None: application default credentials."""


class AwsIdentity(Node, frozen=True, kw_only=True, tag_field="kind", tag="aws"):
    """Requests are signed (SigV4) with what AWS's own chain of credentials finds."""

    region: str
    profile: str | None = None


Identity = EntraIdentity | GoogleIdentity | AwsIdentity
Layout = Literal["azure-deployments", "bedrock-invoke", "vertex"]


WhenAway = Literal["local_share", "allow", "deny"]
"""What holds while the shared store, or the controller that counts the fleet's money, cannot be reached: this sidecar's
share of the limit, no limit, or no call."""
PerMinute = Annotated[int, msgspec.Meta(gt=0, le=10**12)]


class Limits(Node, frozen=True, kw_only=True):
    """How much may pass over the whole fleet. None: not limited."""

    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    concurrency: PerMinute | None = None
    enforce: bool = True
    """False: counted and reported, never refused."""
    on_store_error: WhenAway = "local_share"


class Provider(Node, frozen=True, kw_only=True):
    dialect: DialectName
    base_url: str
    api_key: Secret | None = None
    api_keys: tuple[Secret, ...] = ()
    """Several keys of one account, used in turn; a single one stands in `api_key`."""
    key_header: str | None = None
    """The header that shows the key bare; None: as the dialect's own vendor wants it."""
    identity: Identity | None = None
    """Instead of a key: tokens or signatures by the cloud's own library."""
    caller_key: bool = False
    """The key that the caller sent is passed on."""
    layout: Layout | None = None
    """Where the URL names the model; None: as the dialect's own vendor does."""
    api_version: str | None = None
    """The `api-version` that every call asks for."""
    headers: dict[str, str] = {}
    fields: dict[str, str | None] = {}
    """Fields of a request's body to what this host calls them; None: it has no such field."""
    regions: tuple[str, ...] = ()
    zero_retention: bool = False
    limits: Limits | None = None
    trace_context: bool = False
    """It is sent W3C trace context and continues the trace."""

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Where its keys are found, one or several."""
        return self.api_keys if self.api_key is None else (self.api_key,)


class Rates(Node, frozen=True, kw_only=True):
    """US dollars per million tokens."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    """None: cache reads are billed as input."""
    cache_write: Usd | None = None
    """None: cache writes are billed as input."""
    cache_write_1h: Usd | None = None
    """None: writes for an hour are billed as the others."""
    reasoning: Usd | None = None
    """None: reasoning is billed as output."""


class Tier(Rates, frozen=True, kw_only=True):
    """Of the whole call, once its input is longer than this."""

    above_input_tokens: int


class TieredRates(Rates, frozen=True, kw_only=True):
    tiers: tuple[Tier, ...] = ()
    """The lowest bound first."""


class Price(TieredRates, frozen=True, kw_only=True):
    """What is in force from a day on (UTC)."""

    since: str
    """ISO date; the file's word is `from`."""
    service: dict[str, TieredRates] = {}
    """Service tier → its own rates. One that is not here has no known price."""
    per_request: Usd | None = None
    """US dollars per call."""
    per_1000_searches: Usd | None = None
    """US dollars. None: a call with searches has no known price."""


class Served(Node, frozen=True, kw_only=True):
    """One door to a model."""

    provider: Name
    name: str
    """What the provider calls the model."""
    prices: tuple[Price, ...] = ()
    """Newest first. Empty: unknown, which is loud and never zero."""


class Model(Node, frozen=True, kw_only=True):
    vendor: Name
    context_window: int
    max_output_tokens: int
    capabilities: tuple[Capability, ...] = ()
    refuses: tuple[Knob, ...] = ()
    """Knobs that the model answers with an error."""
    efforts: tuple[Effort, ...] | None = None
    """Least first; None: not known, so any may be asked. Empty: it takes none."""
    server_tools: tuple[ServerToolName, ...] = ()
    """Tools that its providers run by themselves."""
    served_by: tuple[Served, ...]
    limits: Limits | None = None


class TokenRange(Node, frozen=True, kw_only=True):
    over: int | None = None
    under: int | None = None


class Hours(Node, frozen=True, kw_only=True):
    """A daily window in a time zone; `start` after `end` spans midnight."""

    start: str
    end: str
    zone: str
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()


class When(Node, frozen=True, kw_only=True):
    """What must hold of a call's facts. All that are named must hold; within one list, any."""

    input_tokens: TokenRange | None = None
    needs: tuple[Capability, ...] = ()
    """All of these."""
    stream: bool | None = None
    agent: tuple[str, ...] = ()
    """Globs."""
    caller: tuple[str, ...] = ()
    header: dict[str, str] = {}
    """Lower-case header name to glob."""
    metadata: dict[str, str] = {}
    hours: Hours | None = None


class Share(Node, frozen=True, kw_only=True):
    """A model that is asked first for a part of a chain's conversations."""

    model: Name
    percent: Decimal
    """More than 0, at most 100."""


class Shadow(Share, frozen=True, kw_only=True):
    """A model that is asked too, once a call is answered; nobody gets its answer."""

    per_day: Usd
    """US dollars, over the fleet."""
    concurrency: int
    """Calls of it in flight at once, in each sidecar."""
    no_agents: tuple[str, ...] = ()
    """Globs: whose calls stay out."""
    no_callers: tuple[str, ...] = ()


class Rule(Node, frozen=True, kw_only=True):
    when: When
    chain: tuple[Name, ...]
    """Models in order: the rule's primary, then its fallbacks."""
    split: tuple[Share, ...] = ()
    """As in a use case."""


class HardCeiling(Node, frozen=True, kw_only=True):
    """Beyond these a call is refused."""

    per_day: Usd | None = None
    per_month: Usd | None = None


class Ceiling(Node, frozen=True, kw_only=True):
    """When to fail over to cheaper. `then` empty means: refuse."""

    per_request: Usd | None = None
    per_day: Usd | None = None
    per_month: Usd | None = None
    then: tuple[Name, ...] = ()
    hard: HardCeiling = HardCeiling()
    on_store_error: WhenAway = "local_share"


class QualityBar(Node, frozen=True, kw_only=True):
    """What is looked at in every answer, and what follows where it fails."""

    checks: tuple[QualityCheck, ...] = ()
    then: tuple[Name, ...] = ()
    """Better models, in order: the first that can take the call is asked once."""
    reject: bool = False
    """Refuse instead."""
    min_score: Decimal | None = None
    """The lowest share of answers that may pass their checks, and the lowest mean score of each kind of feedback: a
    model below it gives way to `then`, but for a few probes."""


class Requirements(Node, frozen=True, kw_only=True):
    capabilities: tuple[Capability, ...] = ()
    regions: tuple[str, ...] = ()
    """A provider must offer one of these."""
    zero_retention: bool = False


class Timeouts(Node, frozen=True, kw_only=True):
    """Seconds. `deadline` bounds the whole call, every attempt of it included."""

    deadline: Seconds = 120.0
    connect: Seconds = 3.0
    first_token: Seconds = 30.0
    stream_idle: Seconds = 30.0


class Retry(Node, frozen=True, kw_only=True):
    max_attempts: int = 4
    same_target: int = 1
    """How often the same target may be tried again."""


class Hedge(Node, frozen=True, kw_only=True):
    """A second target is asked when the first has not begun to answer in time; the faster one answers."""

    after: Seconds
    percent: float = 2.0
    """Of the use case's calls, at most."""


class SlowStream(Node, frozen=True, kw_only=True):
    """A stream that comes more slowly than this goes to the next target before the caller has seen any of it."""

    characters_per_second: float
    within: Seconds = 5.0
    """How long its beginning is looked at, at most."""


class UseCase(Node, frozen=True, kw_only=True):
    owner: str
    kind: Literal["customer-facing", "regulated", "internal", "experimental"] = "internal"
    aliases: tuple[str, ...] = ()
    """Model names that agents already send; globs."""
    chain: tuple[Name, ...]
    split: tuple[Share, ...] = ()
    """Who shares the work of the chain's primary, which keeps the rest."""
    canary: Share | None = None
    """Of the calls that no rule takes; drawn before the split is."""
    shadow: Shadow | None = None
    sticky: bool = False
    """A conversation stays at the target that answered it last."""
    rules: tuple[Rule, ...] = ()
    ceiling: Ceiling | None = None
    bar: QualityBar | None = None
    on_refusal: OnRefusal = "stop"
    """What follows when a provider refuses the content."""
    requires: Requirements = Requirements()
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    hedge: Hedge | None = None
    slow_stream: SlowStream | None = None
    resume: bool = False
    """A plain-text stream that breaks goes on at a target whose model has the capability `prefill`."""
    limits: Limits | None = None


class Caller(Node, frozen=True, kw_only=True):
    name: Name
    key_sha256: str
    """Hex of the key's SHA-256."""
    use_cases: tuple[str, ...] = ()
    """Empty: all."""
    default_use_case: str | None = None
    pin: bool = False
    limits: Limits | None = None
    per_month: Usd | None = None
    """Beyond it the caller's calls are refused until the month turns (UTC)."""
    on_store_error: WhenAway = "local_share"
    """Of `per_month`."""


class Bundle(Node, frozen=True, kw_only=True):
    """What a sidecar runs. Equal commits give equal bytes: no timestamps, sorted keys."""

    schema: str
    revision: str
    """Git commit, or `folder:<digest>` of a plain folder."""
    providers: dict[str, Provider]
    models: dict[str, Model]
    use_cases: dict[str, UseCase]
    callers: tuple[Caller, ...] = ()
    whole: str = ""
    """Digest of the bundle that this one is the part of which a scope needs; empty: it is no part."""
    keys_required: bool = False
    """A call without a caller's key is refused though no caller is named here: those of the whole have other scopes."""


class Candidate(Node, frozen=True, kw_only=True):
    """A bundle on trial: a part of the sidecars runs it, the rest is what it is compared with."""

    digest: str
    size: int
    revision: str
    percent: float
    """Of all sidecars, by the lot that each draws from `salt` and its own id; two decimal places count."""
    salt: str


class Steered(Node, frozen=True, kw_only=True):
    """What a controller decided of a canary since the rules were written."""

    model: Name
    """The canary that is meant: rules with another one keep to what they say."""
    canary_percent: Decimal
    """In place of the rules' own; 0: it gets nothing."""
    reason: str
    """Stands in the record of every call that it decided."""


class Pointer(Node, frozen=True, kw_only=True):
    """Names the bundle to run. `seq` only grows; a rollback is a new `seq` with an old digest."""

    epoch: int
    seq: int
    digest: str
    size: int
    revision: str
    reason: str = ""
    rollout: Candidate | None = None
    """What some sidecars run instead: `schemas.cohort.pointer_for` says which."""
    steering: dict[str, Steered] = {}
    """By use case. Sent to sidecars that say that they know it (`KNOWS_STEERING`): older ones refuse what they do not
    know, and keep to the rules' own percentage."""


class SignedPointer(Node, frozen=True, kw_only=True):
    """A pointer's exact bytes with their Ed25519 signature (RFC 8032), both as sent.

    The bytes travel as text so that nobody has to canonicalise them again to verify them.
    """

    pointer: str
    """JSON of a `Pointer`."""
    signature: str = ""
    """Base64; empty from a controller without a signing key."""
    key_id: str = ""
    bundle: str | None = None
    """The bundle's own JSON, inline while it is small; else it is fetched by digest."""


class BundleRefused(ValueError):
    """These bytes are not a bundle that this version can run; the message says where and why."""


def encode_bundle(bundle: Bundle) -> bytes:
    """The canonical bytes: keys sorted, no white space, UTF-8; money as JSON strings."""
    return msgspec.json.encode(bundle, order="sorted")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def decode_bundle(data: bytes) -> Bundle:
    """Bytes to a bundle that is safe to run, whoever made it.

    Raises:
        BundleRefused: too large, not JSON, an unknown or missing field, a newer major schema, or a dangling name.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleRefused(f"bundle of {len(data)} bytes; at most {MAX_BUNDLE_BYTES} are accepted")
    try:
        major = msgspec.json.decode(data, type=_SchemaOnly).schema.partition(".")[0]
        if major != BUNDLE_SCHEMA.partition(".")[0]:
            raise BundleRefused(f"bundle schema {major}.x is not supported; this version runs {BUNDLE_SCHEMA}")
        bundle = msgspec.json.decode(data, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleRefused(f"not a bundle: {error}") from error
    if problem := next(problems_of(bundle), None):
        raise BundleRefused(problem)
    return bundle


def problems_of(bundle: Bundle) -> Iterator[str]:
    """What a bundle names but does not hold: never so from our compiler; a forged bundle is refused by this."""
    for name, model in bundle.models.items():
        if not model.served_by:
            yield f"models.{name}.served_by is empty"
        for door in model.served_by:
            if door.provider not in bundle.providers:
                yield f"models.{name} is served by unknown provider {door.provider!r}"
    for name, use_case in bundle.use_cases.items():
        if not use_case.chain:
            yield f"use_cases.{name}.chain is empty"
        for model_name in models_named(use_case):
            if model_name not in bundle.models:
                yield f"use_cases.{name} names unknown model {model_name!r}"
        yield from _problems_of_shares(f"use_cases.{name}.canary", [use_case.canary] if use_case.canary else [])
        yield from _problems_of_shares(f"use_cases.{name}.shadow", [use_case.shadow] if use_case.shadow else [])
        yield from _problems_of_shares(f"use_cases.{name}.split", use_case.split)
        for index, rule in enumerate(use_case.rules):
            yield from _problems_of_shares(f"use_cases.{name}.rules[{index}].split", rule.split)
    for name, provider in bundle.providers.items():
        if provider.caller_key and (bundle.callers or bundle.keys_required):
            yield f"providers.{name} would pass on the keys of our own callers"
    for caller in bundle.callers:
        if caller.default_use_case is not None and caller.default_use_case not in bundle.use_cases:
            yield f"caller {caller.name} names unknown use case {caller.default_use_case!r}"


def _problems_of_shares(where: str, shares: Sequence[Share]) -> Iterator[str]:
    if not all(share.percent.is_finite() and share.percent > 0 for share in shares):
        yield f"{where}: a share is more than 0 percent"
    elif sum(share.percent for share in shares) > 100:
        yield f"{where} is more than 100 percent"


def models_named(use_case: UseCase) -> Iterator[str]:
    """Every model that its calls may reach by the rules; one may come twice."""
    yield from use_case.chain
    if use_case.canary is not None:
        yield use_case.canary.model
    if use_case.shadow is not None:
        yield use_case.shadow.model
    yield from (share.model for share in use_case.split)
    for rule in use_case.rules:
        if not rule.chain:
            yield ""
        yield from rule.chain
        yield from (share.model for share in rule.split)
    if use_case.ceiling is not None:
        yield from use_case.ceiling.then
    if use_case.bar is not None:
        yield from use_case.bar.then


class _SchemaOnly(msgspec.Struct):
    schema: str
