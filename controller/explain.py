"""Why would this request go there? The sidecar's own plan, for facts and circumstances that people write. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from controller.ruletests import circumstances, planned_for
from schemas.problems import did_you_mean
from schemas.rules.rule_tests import Given, Spent
from sidecar.errors import UnknownUseCase
from sidecar.routing.explain import Explanation, explained
from sidecar.routing.facts import Facts, parse_facts
from sidecar.routing.snapshot import Snapshot
from sidecar.routing.usecase import select_use_case

_KEYS: Mapping[str, type[BaseModel]] = {"": Given, "spent": Spent}


class NotUnderstood(ValueError):
    """What was asked cannot be answered; the message says what would be right."""


def explain(snapshot: Snapshot, use_case: str, facts: Facts, given: Given, *, now: datetime) -> Explanation:
    """The plan for these facts. `use_case` may also be an alias, as an agent's `model` may.

    Raises:
        NotUnderstood: no such use case, or something is down that the rules do not have.
    """
    try:
        chosen = select_use_case(snapshot, named=None, model=use_case, caller=None, default=None)
    except UnknownUseCase as error:
        hint = did_you_mean(use_case, snapshot.use_cases) or f"known: {', '.join(sorted(snapshot.use_cases))}"
        raise NotUnderstood(f'unknown use case "{use_case}"; {hint}') from error
    targets = [target for doors in snapshot.targets.values() for target in doors]
    known = {name for target in targets for name in (target.provider, target.model, target.key)}
    for name in given.down:
        if name not in known:
            hint = did_you_mean(name, known) or "name a provider, a model or model@provider of these rules"
            raise NotUnderstood(f'given.down: unknown "{name}"; {hint}')
    answered_by = given.answered_by
    targets_alone = known - {target.provider for target in targets}
    if answered_by is not None and answered_by not in targets_alone:
        hint = did_you_mean(answered_by, targets_alone) or "name a model or model@provider of these rules"
        raise NotUnderstood(f'given.answered_by: unknown "{answered_by}"; {hint}')
    return explained(planned_for(chosen, facts, circumstances(given, otherwise_at=now)))


def read_facts(text: str) -> Facts:
    """`{"input_tokens": 1200, "tools": true}`.

    Raises:
        NotUnderstood: not a JSON object, an unknown fact, or a value of the wrong type.
    """
    try:
        return parse_facts(_object("facts", text))
    except ValueError as error:
        raise NotUnderstood(str(error)) from error


def read_given(text: str) -> Given:
    """`{"down": ["anthropic"], "spent": {"per_day": 251}, "at": "2026-11-23T09:00:00Z"}`.

    Raises:
        NotUnderstood: not a JSON object, an unknown key, or a value of the wrong type.
    """
    try:
        return Given.model_validate(_object("given", text))
    except ValidationError as error:
        raise NotUnderstood("; ".join(_said(detail) for detail in error.errors(include_url=False))) from error


def _object(what: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"{what}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotUnderstood(f"{what}: a JSON object is expected, as {{}}")
    return value


def _said(detail: Any) -> str:
    *parents, key = detail["loc"] or ("",)
    place = ".".join(["given", *map(str, detail["loc"])])
    if detail["type"] != "extra_forbidden":
        return f"{place}: {detail['msg']}"
    known = _KEYS[".".join(map(str, parents))].model_fields
    return f'{place}: unknown key "{key}"; {did_you_mean(str(key), known) or "known: " + ", ".join(known)}'
