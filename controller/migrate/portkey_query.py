"""A condition of Portkey's conditional routing as what must hold of a call. Pure.

Operators: https://github.com/Portkey-AI/gateway/blob/main/src/services/conditionalRouter.ts
"""

from collections.abc import Mapping, Sequence
from glob import escape
from itertools import product
from typing import Any, Final

from schemas.yaml_source import Path

MOST: Final = 32
"""Rules that one condition may become."""

When = Mapping[str, Any]


class CannotSay(Exception):
    """A rule file has no such condition; `path` is where."""

    def __init__(self, path: Path, says: str) -> None:
        super().__init__(says)
        self.path = path


def whens_of(path: Path, query: object) -> Sequence[When]:
    """Any one of them holds where the query does. Raises CannotSay."""
    if not isinstance(query, dict) or not query:
        raise CannotSay(path, 'expected a mapping such as {"metadata.plan": "paid"}')
    if len(query) > 1 and query.keys() & {"$or", "$and"}:
        raise CannotSay(path, "the rule is not carried over: Portkey ignores what stands beside $or and $and")
    found: list[When] = [{}]
    for key, value in query.items():
        found = [_both(path, one, other) for one, other in product(found, _alternatives((*path, key), key, value))]
        if len(found) > MOST:
            raise CannotSay(path, f"the rule is not carried over: it would be more than {MOST} rules")
    return found


def _alternatives(path: Path, key: str, value: object) -> Sequence[When]:
    if key in ("$or", "$and"):
        if not isinstance(value, list) or not value:
            raise CannotSay(path, "expected a list of conditions")
        each = [whens_of((*path, index), one) for index, one in enumerate(value)]
        if key == "$or":
            return [when for whens in each for when in whens]
        found: Sequence[When] = [{}]
        for whens in each:
            found = [_both(path, one, other) for one, other in product(found, whens)]
        return found
    scope, _, name = key.partition(".")
    values = _values(path, value)
    if scope == "metadata" and name:
        return [{"metadata": {name: escape(_text(one))}} for one in values]
    if key == "params.stream" and len(values) == 1 and isinstance(values[0], bool):
        return [{"stream": values[0]}]
    says = (
        "the rule is not carried over: rules ask for metadata, stream, tokens, needs, header, agent, caller and hours"
    )
    raise CannotSay(path, says)


def _values(path: Path, value: object) -> Sequence[object]:
    """What it may be equal to."""
    if not isinstance(value, dict):
        return [value]
    if len(value) == 1:
        if "$eq" in value:
            return [value["$eq"]]
        if "$in" in value and isinstance(value["$in"], list) and value["$in"]:
            return value["$in"]
    raise CannotSay(path, "the rule is not carried over: a rule file compares by globs ($eq and $in alone are such)")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _both(path: Path, one: When, other: When) -> When:
    metadata = {**one.get("metadata", {}), **other.get("metadata", {})}
    known = len(one.get("metadata", {})) + len(other.get("metadata", {}))
    if len(metadata) != known or ("stream" in one and "stream" in other):
        raise CannotSay(path, "the rule is not carried over: it asks for one thing twice")
    return {**one, **other, **({"metadata": metadata} if metadata else {})}
