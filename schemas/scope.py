"""A scope: which use cases a sidecar may see; and the part of a bundle that they need. Pure."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

import msgspec

from schemas.bundle import Bundle, Caller, models_named
from schemas.globs import is_plain

Scope = tuple[str, ...]
"""Globs over names of use cases, sorted, each once."""
WHOLE: Scope = ("*",)
"""Everything: bundles as they are compiled."""


class OutOfScope(ValueError):
    """A use case was asked for that the scope does not hold; the message names it and no other."""


def scope_of(globs: Iterable[str]) -> Scope:
    """The same for the same globs, in whatever order they come."""
    scope = tuple(sorted(set(globs)))
    return WHOLE if "*" in scope else scope


def holds(scope: Scope, use_case: str) -> bool:
    return any(fnmatchcase(use_case, glob) for glob in scope)


def narrowed(scope: Scope, asked: Collection[str]) -> Scope:
    """The scope of who asks for some use cases by name; of who asks for none, all that it may see.

    Raises:
        OutOfScope: one of them is not in the scope, or is a glob: `a*c` is matched by `a?c`, and matches more.
    """
    for name in sorted(asked):
        if not is_plain(name) or not holds(scope, name):
            raise OutOfScope(f'use case "{name}" is not in the scope of who asks')
    return scope_of(asked) if asked else scope


def part_of(bundle: Bundle, digest: str, scope: Scope) -> Bundle:
    """What a sidecar of this scope runs: its use cases, the models and providers that they can reach, and the callers
    that may ask for one of them. Equal bundles and scopes, equal bytes; of the whole scope, the bundle itself.

    Args:
        digest: of the bundle; records and status keep to it, so that parts of one revision are told as one.
    """
    if scope == WHOLE:
        return bundle
    use_cases = {name: use_case for name, use_case in bundle.use_cases.items() if holds(scope, name)}
    reached = {model for use_case in use_cases.values() for model in models_named(use_case)}
    models = {name: model for name, model in bundle.models.items() if name in reached}
    doors = {door.provider for model in models.values() for door in model.served_by}
    return msgspec.structs.replace(
        bundle,
        whole=digest,
        providers={name: provider for name, provider in bundle.providers.items() if name in doors},
        models=models,
        use_cases=use_cases,
        callers=tuple(_within(caller, use_cases) for caller in bundle.callers if _may_ask(caller, use_cases)),
        keys_required=bool(bundle.callers),
    )


def _may_ask(caller: Caller, use_cases: Collection[str]) -> bool:
    return not caller.use_cases or any(name in use_cases for name in caller.use_cases)


def _within(caller: Caller, use_cases: Collection[str]) -> Caller:
    default = caller.default_use_case
    return msgspec.structs.replace(
        caller,
        use_cases=tuple(name for name in caller.use_cases if name in use_cases),
        default_use_case=default if default in use_cases else None,
    )
