"""The providers and models of a conversion: each written once, under a name that nobody else has."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from controller.migrate.deployments import Deployment, as_number
from controller.migrate.notes import Notebook
from controller.migrate.written import as_yaml, with_comment, with_prices
from controller.prices.known import Known, PriceList
from schemas.rules.price import Price

MILLION: Final = Decimal(1_000_000)
ALL: Final = ("tools", "vision", "files", "json_schema", "reasoning", "prompt_cache")
CONTEXT_WINDOW: Final = 128_000
MAX_OUTPUT_TOKENS: Final = 16_384
ASSUMED: Final = "assumed: correct it from the vendor's page"
CAPABILITIES: Final = {
    "supports_function_calling": "tools", "supports_vision": "vision", "supports_pdf_input": "files",
    "supports_response_schema": "json_schema", "supports_reasoning": "reasoning",
    "supports_prompt_caching": "prompt_cache",
    "supports_audio_input": "audio",
}  # fmt: skip
"""LiteLLM's word in `model_info` → ours."""


@dataclass(slots=True)
class Catalogue:
    """Grows with every group."""

    notebook: Notebook
    prices: PriceList | None
    today: date
    _providers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _models: dict[str, tuple[tuple[tuple[str, str], ...], str]] = field(default_factory=dict)
    """Name → its doors, and the file's text."""
    _limited: dict[str, list[Deployment]] = field(default_factory=dict)
    """Provider → the deployments that it serves."""

    def files(self) -> dict[str, str]:
        providers = {
            f"providers/{name}.yaml": as_yaml({"provider": name, **content, **self._limits(name)})
            for name, content in self._providers.items()
        }
        return {**providers, **{f"models/{name}.yaml": text for name, (_, text) in self._models.items()}}

    def free_name(self, wanted: str, taken: set[str]) -> str:
        """In letters that a file's name may have; adds it to those that are taken."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:120] or "unnamed"
        free = next(one for one in (name, *(f"{name}-{number}" for number in range(2, 100_000))) if one not in taken)
        taken.add(free)
        return free

    def model(self, identity: str, deployments: Sequence[Deployment]) -> str:
        """The model's name. The same one at the same providers is written once; at others it is another model."""
        # A door that stands there twice is one; the first word on it counts.
        by_door: dict[tuple[str, str], Deployment] = {}
        for deployment in deployments:
            by_door.setdefault((self._provider(deployment), deployment.name), deployment)
        doors, deployments = tuple(by_door), [*by_door.values()]
        for name, (known, _) in self._models.items():
            if known == doors:
                return name
        name = self.free_name(identity, {*self._models})
        self._models[name] = (doors, self._model(name, doors, deployments))
        return name

    def _provider(self, deployment: Deployment) -> str:
        content = deployment.provider
        name = next((name for name, known in self._providers.items() if known == content), None)
        if name is None:
            place = urlsplit(str(content["base_url"])).hostname or ""
            first = deployment.host.provider
            more = f"{first}-{place.partition('.')[0]}"
            name = self.free_name(more if first in self._providers else first, {*self._providers})
            self._providers[name] = content
        self._limited.setdefault(name, []).append(deployment)
        return name

    def _limits(self, provider: str) -> dict[str, Any]:
        """A deployment's limits are its provider's, where that serves no other."""
        served = self._limited[provider]
        said = [one for one in served if one.params.keys() & {"rpm", "tpm"}]
        if len(served) == 1 and said:
            limits = _limits(served[0])
            return {"limits": limits} if limits else {}
        for one in said:
            at = (*one.path, "litellm_params", "rpm" if "rpm" in one.params else "tpm")
            says = f"not carried over: {provider} serves several deployments; write limits for it or for its models"
            self.notebook.add(at, says)
        return {}

    def _model(self, name: str, doors: Sequence[tuple[str, str]], deployments: Sequence[Deployment]) -> str:
        first = deployments[0]
        known = [self._known(one) for one in deployments]
        rows = [self._rows(one, found) for one, found in zip(deployments, known, strict=True)]
        common = next((row for row in rows if row), ())
        info = next((one.info for one in deployments if one.info), {})
        window = _count(info, "max_input_tokens") or next(
            (one.context_window for one in known if one and one.context_window), None
        )
        longest = _count(info, "max_output_tokens") or _count(info, "max_tokens")
        content: dict[str, Any] = {
            "model": name,
            "vendor": _vendor(first),
            "context_window": window or CONTEXT_WINDOW,
            "max_output_tokens": longest or min(MAX_OUTPUT_TOKENS, window or CONTEXT_WINDOW),
            "capabilities": _capabilities(info),
            "served_by": [_door(door, row, common) for door, row in zip(doors, rows, strict=True)],
        }
        text = with_prices(content, common, "as the configuration or genai-prices has them")
        assumed = [key for key, value in (("context_window", window), ("max_output_tokens", longest)) if value is None]
        if not info.keys() & {*CAPABILITIES, "mode"}:
            assumed.append("capabilities")
        for key in assumed:
            text = with_comment(text, key, ASSUMED)
        if assumed:
            self.notebook.add(first.path, f"assumed in models/{name}.yaml: {', '.join(assumed)}; correct them")
        for one, row in zip(deployments, rows, strict=True):
            if not row:
                self.notebook.add(
                    one.path, f"no price is known: write prices into models/{name}.yaml, which check asks for"
                )
            elif row[0].free:
                self.notebook.add(
                    one.path, f"free in models/{name}.yaml, since the server is taken to be your own", needs_you=False
                )
        return text

    def _known(self, deployment: Deployment) -> Known | None:
        if self.prices is None:
            return None
        source = self.prices.source_of(str(deployment.provider["base_url"]))
        if source is None:
            return None
        return self.prices.find(source, deployment.name) or self.prices.find(source, deployment.identity)

    def _rows(self, deployment: Deployment, known: Known | None) -> tuple[Price, ...]:
        """What the configuration says of its own price stands above the list's."""
        each = {key: _cost(deployment, key) for key in ("input_cost_per_token", "output_cost_per_token")}
        if None not in each.values():
            cost = {name.split("_")[0]: value * MILLION for name, value in each.items() if value is not None}
            more: dict[str, Any] = {"contract": True} if any(cost.values()) else {"free": True}
            return (Price.model_validate({"from": self.today, **cost, **more}),)
        if known is not None and known.rows:
            return tuple(reversed(known.rows))
        if deployment.is_own:
            return (Price.model_validate({"from": self.today, "input": 0, "output": 0, "free": True}),)
        return ()


def _cost(deployment: Deployment, key: str) -> Decimal | None:
    return deployment.number(key) if key in deployment.params else as_number(deployment.info.get(key))


def _door(door: tuple[str, str], rows: Sequence[Price], common: Sequence[Price]) -> dict[str, Any]:
    provider, name = door
    own = {} if not rows or list(rows) == list(common) else {"prices": list(rows)}
    return {"provider": provider, "name": name, **own}


def _limits(deployment: Deployment) -> dict[str, Any]:
    named = (("requests_per_minute", "rpm"), ("tokens_per_minute", "tpm"))
    return {ours: count for ours, key in named if (count := deployment.count(key)) is not None}


def _vendor(deployment: Deployment) -> str:
    host = deployment.host
    if host.vendor is not None:
        return (
            "anthropic" if host.provider == "vertex" and deployment.provider["dialect"] == "anthropic" else host.vendor
        )
    if host.vendor_in == "path" and "/" in deployment.name:
        return _word(deployment.name.partition("/")[0]) or host.provider
    if host.vendor_in == "dots":
        parts: Collection[str] = deployment.name.rpartition("/")[2].split(".")
        # A geography may stand before it: us, eu, apac, global.
        named = [part for part in parts if part not in ("us", "eu", "apac", "global", "us-gov", "jp", "au", "ca")]
        return (_word(named[0]) if len(named) > 1 else "") or host.provider
    return host.provider


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._").lower()


def _count(info: Mapping[str, Any], key: str) -> int | None:
    value = info.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _capabilities(info: Mapping[str, Any]) -> list[str]:
    """LiteLLM lets a model be asked anything; so do we, unless the configuration says what it can."""
    if info.get("mode") == "embedding":
        return ["embeddings"]
    said = {ours: info[theirs] for theirs, ours in CAPABILITIES.items() if isinstance(info.get(theirs), bool)}
    return [one for one in ALL if said.get(one, not said)] if said else list(ALL)
