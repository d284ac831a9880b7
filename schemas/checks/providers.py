"""Addresses and headers of providers."""

from collections.abc import Iterator, Mapping
from datetime import date
from urllib.parse import urlsplit

from schemas.bundle import DialectName, Layout
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet
from schemas.validate import looks_secret
from schemas.yaml_source import Path

_HEADERS_OF_SECRETS = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"}
)
_PATHS_ADDED_BY_US = ("/chat/completions", "/responses", "/messages", "/embeddings")


def base_urls_are_plain(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        url = provider.content.base_url
        if (wrong := _wrong_with(url)) is not None:
            yield provider.problem(("base_url",), "bad-base-url", *wrong)
        elif provider.content.dialect == "anthropic" and urlsplit(url).path.rstrip("/").endswith("/v1"):
            message, suggestion = "an Anthropic base URL has no version", f"write {url.rstrip('/').removesuffix('/v1')}"
            yield provider.problem(("base_url",), "bad-base-url", message, suggestion)


_LAYOUT_DIALECTS: Mapping[Layout, frozenset[DialectName]] = {
    "azure-deployments": frozenset({"openai"}),
    "bedrock-invoke": frozenset({"anthropic"}),
    "vertex": frozenset({"gemini", "anthropic"}),
}
_AUTH_DIALECTS: Mapping[str, frozenset[DialectName]] = {
    "azure": frozenset({"openai", "openai-responses"}),
    "aws": frozenset({"anthropic", "bedrock", "openai"}),
}


def layouts_fit(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        content = provider.content
        if content.layout is not None and content.dialect not in (spoken := _LAYOUT_DIALECTS[content.layout]):
            message = f'"{content.layout}" is no layout of the dialect "{content.dialect}"'
            yield provider.problem(
                ("layout",), "layout-mismatch", message, f"it goes with: {', '.join(sorted(spoken))}"
            )
        if content.layout == "azure-deployments" and content.api_version is None:
            message, suggestion = "Azure's deployment URLs need an api_version", "for example api_version: 2024-10-21"
            yield provider.problem(("layout",), "layout-mismatch", message, suggestion)
        if content.layout != "azure-deployments" and content.api_version is not None:
            message, suggestion = "api_version goes with Azure's deployment URLs", "add layout: azure-deployments"
            yield provider.problem(("api_version",), "layout-mismatch", message, suggestion)


_CONTENT = frozenset({"model", "messages", "input", "instructions", "contents", "system", "tools", "stream"})


def fields_are_knobs(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        fields = provider.content.fields
        renamed = {("rename", name): {name, new} for name, new in fields.rename.items()}
        dropped: dict[Path, set[str]] = {("drop", place): {name} for place, name in enumerate(fields.drop)}
        for path, names in (renamed | dropped).items():
            if content := names & _CONTENT:
                message = f'"{content.pop()}" is what the call is about, and no knob'
                yield provider.problem(("fields", *path), "field-of-content", message, "name knobs only")
        for place, name in enumerate(fields.drop):
            if name in fields.rename:
                message, suggestion = f'"{name}" cannot be renamed and dropped', "keep one of the two"
                yield provider.problem(("fields", "drop", place), "field-twice", message, suggestion)


def auth_fits(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        auth, dialect = provider.content.auth, provider.content.dialect
        if auth is None:
            continue
        for kind, spoken in _AUTH_DIALECTS.items():
            if kind in auth.model_fields_set and dialect not in spoken:
                message = f'the auth "{kind}" does not go with the dialect "{dialect}"'
                suggestion = f"it goes with: {', '.join(sorted(spoken))}"
                yield provider.problem(("auth", kind), "auth-mismatch", message, suggestion, at_key=True)
        if auth.aws is not None and dialect == "anthropic" and provider.content.layout != "bedrock-invoke":
            message, suggestion = "AWS serves Anthropic's dialect at paths of its own", "add layout: bedrock-invoke"
            yield provider.problem(("auth", "aws"), "auth-mismatch", message, suggestion, at_key=True)
        if auth.caller_key is not None and rules.platform.content.callers:
            message = "the callers in pointsman.yaml send keys of ours, which no provider may see"
            suggestion = "name an api_key, or remove the callers"
            yield provider.problem(("auth", "caller_key"), "auth-mismatch", message, suggestion, at_key=True)
        if len(set(auth.secrets)) < len(auth.secrets):
            message, suggestion = "the same key is named twice", "name each key once"
            yield provider.problem(("auth",), "key-twice", message, suggestion, severity="warning")


def _wrong_with(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL", "write it as https://api.example.com/v1"
    if not parts.hostname or port == 0 or any(letter.isspace() for letter in url):
        return "the URL names no host", "write it as https://api.example.com/v1"
    if parts.username is not None or parts.password is not None:
        return "credentials stand in the URL", "use auth: {api_key: {env: …}}"
    if parts.query or parts.fragment:
        return "a base URL has no query and no fragment", "end it after the path"
    for path in _PATHS_ADDED_BY_US:
        if parts.path.rstrip("/").endswith(path):
            return f"{path} is added to the base URL by the sidecar", f"write {url.rstrip('/').removesuffix(path)}"
    return None


def headers_hold_no_secrets(rules: RuleSet, today: date) -> Iterator[Problem]:
    for provider in rules.providers.values():
        for name, value in provider.content.headers.items():
            if name.lower() in _HEADERS_OF_SECRETS:
                message = f'the header "{name}" carries a secret'
                yield provider.problem(("headers", name), "secret-in-file", message, "use auth: {api_key: {env: …}}")
            elif looks_secret(value):
                message = "this value looks like a secret"
                yield provider.problem(("headers", name), "secret-in-file", message, "use auth: {api_key: {env: …}}")
