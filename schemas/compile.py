"""Rule set to bundle: names stay, defaults are filled in, prices come newest first. Equal rules, equal bytes."""

from collections.abc import Sequence
from typing import TypeVar, get_args

from schemas import bundle as compiled
from schemas.compile_prices import compile_prices
from schemas.rules import model, platform, provider, use_case
from schemas.rules.base import Limits, Retry, Timeouts
from schemas.rules.rule_set import RuleSet

Value = TypeVar("Value")

_EFFORTS = get_args(compiled.Effort)

AZURE_KEY_HEADER = "api-key"
"""Azure OpenAI shows keys in a header of its own (learn.microsoft.com, "Azure OpenAI REST API reference")."""


def compile_bundle(rules: RuleSet) -> compiled.Bundle:
    """What a sidecar runs. The rule set must be free of errors: every name resolves."""
    defaults = rules.platform.content.defaults
    return compiled.Bundle(
        schema=compiled.BUNDLE_SCHEMA,
        revision=rules.revision,
        providers={name: _provider(rules.providers[name].content) for name in sorted(rules.providers)},
        models={name: _model(rules.models[name].content) for name in sorted(rules.models)},
        use_cases={name: _use_case(rules.use_cases[name].content, defaults) for name in sorted(rules.use_cases)},
        callers=tuple(_caller(caller) for caller in rules.platform.content.callers),
    )


def _provider(content: provider.Provider) -> compiled.Provider:
    auth = content.auth or provider.Auth.model_construct()
    secrets = tuple(_secret(reference) for reference in auth.secrets)
    return compiled.Provider(
        dialect=content.dialect,
        base_url=content.base_url.rstrip("/"),
        api_key=secrets[0] if len(secrets) == 1 else None,
        api_keys=secrets if len(secrets) > 1 else (),
        key_header=AZURE_KEY_HEADER if auth.azure is not None and secrets else None,
        identity=_identity(auth),
        caller_key=auth.caller_key is not None,
        layout=content.layout,
        api_version=content.api_version,
        headers=dict(content.headers),
        fields={**content.fields.rename, **dict.fromkeys(content.fields.drop)},
        regions=content.data.regions,
        zero_retention=content.data.zero_retention,
        trace_context=content.trace_context,
        limits=_limits(content.limits),
    )


def _identity(auth: provider.Auth) -> compiled.Identity | None:
    if auth.azure is not None and auth.azure.entra is not None:
        return compiled.EntraIdentity()
    if auth.google is not None:
        return compiled.GoogleIdentity(file=auth.google.file)
    if auth.aws is not None:
        return compiled.AwsIdentity(region=auth.aws.region, profile=auth.aws.profile)
    return None


def _secret(reference: provider.SecretReference) -> compiled.Secret:
    return compiled.Secret(env=reference.env, file=reference.file)


def _model(content: model.Model) -> compiled.Model:
    return compiled.Model(
        vendor=content.vendor,
        context_window=content.context_window,
        max_output_tokens=content.max_output_tokens,
        capabilities=content.capabilities,
        refuses=content.refuses,
        efforts=None if content.efforts is None else tuple(sorted(content.efforts, key=_EFFORTS.index)),
        server_tools=content.server_tools,
        served_by=tuple(
            compiled.Served(provider=door.provider, name=door.name, prices=compile_prices(content, door))
            for door in content.served_by
        ),
        limits=_limits(content.limits),
    )


def _use_case(content: use_case.UseCase, defaults: platform.Defaults) -> compiled.UseCase:
    return compiled.UseCase(
        owner=content.owner,
        kind=content.kind,
        aliases=content.aliases,
        chain=(content.primary, *content.fallbacks),
        split=_shares(content.split),
        canary=None if content.canary is None else _share(content.canary),
        shadow=None if content.shadow is None else _shadow(content.shadow),
        sticky=content.sticky is not None,
        rules=tuple(_rule(rule) for rule in content.rules),
        ceiling=None if content.cost_ceiling is None else _ceiling(content.cost_ceiling),
        bar=None if content.quality_bar is None else _bar(content.quality_bar),
        on_refusal=content.on_refusal,
        requires=compiled.Requirements(
            capabilities=content.requires.capabilities,
            regions=content.requires.regions,
            zero_retention=content.requires.zero_retention,
        ),
        timeouts=merged_timeouts(content.timeouts, defaults.timeouts),
        retry=merged_retry(content.retry, defaults.retry),
        hedge=_hedge(content.hedge),
        slow_stream=_slow_stream(content.slow_stream),
        resume=content.resume,
        limits=_limits(content.limits),
    )


def _hedge(hedge: use_case.Hedge | None) -> compiled.Hedge | None:
    return None if hedge is None else compiled.Hedge(after=hedge.after, percent=float(hedge.percent))


def _slow_stream(slow: use_case.SlowStream | None) -> compiled.SlowStream | None:
    if slow is None:
        return None
    return compiled.SlowStream(characters_per_second=float(slow.characters_per_second), within=slow.within)


def _rule(rule: use_case.Rule) -> compiled.Rule:
    return compiled.Rule(
        when=compile_when_document(rule.when), chain=(rule.primary, *rule.fallbacks), split=_shares(rule.split)
    )


def _shares(split: Sequence[use_case.TrafficShare]) -> tuple[compiled.Share, ...]:
    return tuple(_share(share) for share in split)


def _share(share: use_case.TrafficShare) -> compiled.Share:
    return compiled.Share(model=share.model, percent=share.percent)


def _shadow(shadow: use_case.Shadow) -> compiled.Shadow:
    opt_out = shadow.opt_out
    return compiled.Shadow(
        model=shadow.model,
        percent=shadow.percent,
        per_day=shadow.per_day,
        concurrency=shadow.concurrency,
        no_agents=() if opt_out is None else opt_out.agent or (),
        no_callers=() if opt_out is None else opt_out.caller or (),
    )


def compile_when_document(when: use_case.When) -> compiled.When:
    """A rule's condition as it travels."""
    tokens, hours = when.input_tokens, when.hours
    return compiled.When(
        input_tokens=None if tokens is None else compiled.TokenRange(over=tokens.over, under=tokens.under),
        needs=when.needs,
        stream=when.stream,
        agent=when.agent or (),
        caller=when.caller or (),
        header=dict(when.header),
        metadata=dict(when.metadata),
        hours=None
        if hours is None
        else compiled.Hours(start=hours.start, end=hours.end, zone=hours.zone, days=hours.days),
    )


def _ceiling(ceiling: use_case.CostCeiling) -> compiled.Ceiling:
    return compiled.Ceiling(
        per_request=ceiling.per_request,
        per_day=ceiling.per_day,
        per_month=ceiling.per_month,
        then=() if ceiling.then == "reject" else ceiling.then,
        hard=compiled.HardCeiling()
        if ceiling.hard is None
        else compiled.HardCeiling(per_day=ceiling.hard.per_day, per_month=ceiling.hard.per_month),
        on_store_error=ceiling.on_store_error,
    )


def _bar(bar: use_case.QualityBar) -> compiled.QualityBar | None:
    """None where nothing is asked of an answer."""
    if not bar.checks and bar.min_score is None:
        return None
    reject = bar.then == "reject"
    then = () if bar.then is None or bar.then == "reject" else bar.then
    return compiled.QualityBar(checks=bar.checks, then=then, reject=reject, min_score=bar.min_score)


def _limits(limits: Limits | None) -> compiled.Limits | None:
    if limits is None:
        return None
    return compiled.Limits(
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        concurrency=limits.concurrency,
        enforce=limits.enforce,
        on_store_error=limits.on_store_error,
    )


def merged_timeouts(own: Timeouts, defaults: Timeouts) -> compiled.Timeouts:
    """The use case's word, else the platform's, else ours."""
    ours = compiled.Timeouts()
    return compiled.Timeouts(
        deadline=_first(own.deadline, defaults.deadline, ours.deadline),
        connect=_first(own.connect, defaults.connect, ours.connect),
        first_token=_first(own.first_token, defaults.first_token, ours.first_token),
        stream_idle=_first(own.stream_idle, defaults.stream_idle, ours.stream_idle),
    )


def merged_retry(own: Retry, defaults: Retry) -> compiled.Retry:
    """The use case's word, else the platform's, else ours."""
    ours = compiled.Retry()
    return compiled.Retry(
        max_attempts=_first(own.max_attempts, defaults.max_attempts, ours.max_attempts),
        same_target=_first(own.same_target, defaults.same_target, ours.same_target),
    )


def _first(own: Value | None, default: Value | None, ours: Value) -> Value:
    if own is not None:
        return own
    return ours if default is None else default


def _caller(caller: platform.Caller) -> compiled.Caller:
    return compiled.Caller(
        name=caller.name,
        key_sha256=caller.key.removeprefix("sha256:"),
        use_cases=caller.use_cases,
        default_use_case=caller.default_use_case,
        pin=caller.pin,
        limits=_limits(caller.limits),
        per_month=caller.per_month,
        on_store_error=caller.on_store_error,
    )
