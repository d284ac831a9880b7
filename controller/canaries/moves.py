"""Transitions of the channel that concern canaries. Each is a pure function of the channel as it then is, so that what
was decided beside it (by another controller, by a person, by a new revision) is never undone and nothing is done twice.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from controller.canaries.state import Canary, begun, begun_again, ended
from controller.channel import Channel, NotPossible

KEPT_PAST: Final = 32
Step = Callable[[Canary], Canary]


def follow_rules(channel: Channel, *, now: float) -> Channel:
    """Those that the stable rules have: begun where they are new or said otherwise, gone where they are gone."""
    known = {canary.terms: canary for canary in channel.canaries}
    terms = () if channel.stable is None else channel.stable.canaries
    canaries = tuple(known.get(one) or begun(one, now=now) for one in terms)
    past = (*(canary for canary in channel.canaries if canary.terms not in terms), *channel.past_canaries)
    return msgspec.structs.replace(channel, canaries=canaries, past_canaries=past[:KEPT_PAST])


def move(channel: Channel, judged: Canary, step: Step) -> Channel:
    """Nothing, where the canary is no longer as it was when it was judged."""
    return _with(channel, step(judged)) if judged in channel.canaries else channel


def stop(channel: Channel, use_case: str, reason: str, *, now: float) -> Channel:
    """A person's word: the primary has all traffic again. Raises `NotPossible`."""
    canary = find(channel, use_case)
    if canary.state in ("rolled_back", "inconclusive", "stopped"):
        raise NotPossible(f"the canary of {use_case} has no traffic: {canary.reason}")
    return _with(channel, ended(canary, "stopped", reason, now=now))


def resume(channel: Channel, use_case: str, reason: str, *, now: float) -> Channel:
    """A person's word: it begins again where its rules begin. Raises `NotPossible`."""
    canary = find(channel, use_case)
    if canary.state in ("running", "promoted"):
        raise NotPossible(f"the canary of {use_case} was not stopped: {canary.reason}")
    return _with(channel, begun_again(canary, reason, now=now))


def find(channel: Channel, use_case: str) -> Canary:
    """Raises `NotPossible`."""
    for canary in channel.canaries:
        if canary.use_case == use_case:
            return canary
    known = ", ".join(canary.use_case for canary in channel.canaries) or "none"
    raise NotPossible(f'use case "{use_case}" has no canary in the rules that run; those that have: {known}')


def _with(channel: Channel, canary: Canary) -> Channel:
    """The pointer's reason is for those who look at the fleet."""
    canaries = tuple(canary if one.use_case == canary.use_case else one for one in channel.canaries)
    return msgspec.structs.replace(channel, canaries=canaries, reason=f"{canary.use_case}: {canary.reason}")
