"""Which use case a call belongs to, and who may ask for it."""

from schemas.bundle import Caller
from schemas.problems import did_you_mean
from sidecar.errors import NotAllowed, UnknownUseCase
from sidecar.routing.snapshot import Snapshot, UseCase


def select_use_case(
    snapshot: Snapshot, *, named: str | None, model: str, caller: Caller | None, default: str | None
) -> UseCase:
    """The header's name; else `model` as a use case or alias; else the caller's default; else the sidecar's.

    Raises:
        UnknownUseCase: nothing names one; the message lists close names.
        NotAllowed: the caller's key does not cover it.
    """
    found = _find(snapshot, named, model, caller, default)
    if caller is not None and not may_ask(caller, found.name):
        raise NotAllowed(
            f'caller "{caller.name}" may not use "{found.name}"; its key covers {", ".join(sorted(caller.use_cases))}'
        )
    return found


def _find(snapshot: Snapshot, named: str | None, model: str, caller: Caller | None, default: str | None) -> UseCase:
    if named:
        if named in snapshot.use_cases:
            return snapshot.use_cases[named]
        raise UnknownUseCase(
            say_unknown(snapshot, caller, f'x-pointsman-use-case names "{named}", which is no use case', named)
        )
    name = use_case_of_model(snapshot, model)
    if name is None and caller is not None:
        name = caller.default_use_case
    name = name or default
    if name is None and not model:
        raise UnknownUseCase(
            say_unknown(snapshot, caller, "no model is named: name a use case in x-pointsman-use-case", "")
        )
    if name is None:
        raise UnknownUseCase(
            say_unknown(snapshot, caller, f'model "{model}" is no use case and no alias of one', model)
        )
    if name not in snapshot.use_cases:
        raise UnknownUseCase(say_unknown(snapshot, caller, f'the default use case "{name}" is not in the rules', name))
    return snapshot.use_cases[name]


def use_case_of_model(snapshot: Snapshot, model: str) -> str | None:
    """Exact names and aliases come before patterns; among patterns the first by use case name."""
    if model in snapshot.use_cases:
        return model
    if model in snapshot.aliases:
        return snapshot.aliases[model]
    return next((name for pattern, name in snapshot.alias_globs if pattern.match(model)), None)


def may_ask(caller: Caller | None, use_case: str) -> bool:
    """Whether the caller's key covers it."""
    return caller is None or not caller.use_cases or use_case in caller.use_cases


def say_unknown(snapshot: Snapshot, caller: Caller | None, what: str, word: str) -> str:
    """What is wrong, then the close name, then some of those that there are: only names that the caller may ask for."""
    known = sorted(name for name in snapshot.use_cases if may_ask(caller, name))
    hint = did_you_mean(word, known)
    listed = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    return f"{what}; {hint + ' ' if hint else ''}known use cases: {listed}"
