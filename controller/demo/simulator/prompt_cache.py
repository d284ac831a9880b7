"""A provider's prompt cache: which beginnings of prompts it has seen, and what a request reads and writes. No clock.

A prompt is a row of segments (tools, system, messages). Entries never expire: a simulator is restarted instead.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    content: bytes
    tokens: int
    marked: bool = False
    """A cache mark stands here: the prompt up to and with this segment is to be kept."""
    for_an_hour: bool = False


@dataclass(frozen=True, slots=True)
class CacheUse:
    read_tokens: int = 0
    write_tokens: int = 0
    write_1h_tokens: int = 0
    """A part of `write_tokens`: what goes to the longer-lived cache."""


class PromptCache:
    """Seen prefixes, per model."""

    IMPLICIT_MINIMUM_TOKENS = 1024  # OpenAI, "Prompt caching": prompts of 1024 tokens or longer,
    IMPLICIT_STEP_TOKENS = 128  # and hits in steps of 128 tokens

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def use_marked(self, model: str, segments: Sequence[Segment]) -> CacheUse:
        """Explicit marks, as Anthropic has them: the longest known prefix is read, the rest to the last mark written.

        There is no least length here (the real one asks for 512 to 4096 tokens), so that small tests can use it.
        """
        marks = [at for at, segment in enumerate(segments) if segment.marked]
        if not marks:
            return CacheUse()
        last = marks[-1]
        prefixes, totals = _prefixes(model, segments), _totals(segments)
        read = next((totals[at] for at in range(last, -1, -1) if prefixes[at] in self._seen), 0)
        self._seen.update(prefixes[at] for at in marks)
        hour = max((totals[at] for at in marks if segments[at].for_an_hour), default=0)
        return CacheUse(read, totals[last] - read, max(0, hour - read))

    def use_implicit(self, model: str, segments: Sequence[Segment]) -> CacheUse:
        """Automatic caching, as OpenAI has it: long prompts only, and nothing is reported as written."""
        prefixes, totals = _prefixes(model, segments), _totals(segments)
        read = max((total for prefix, total in zip(prefixes, totals, strict=True) if prefix in self._seen), default=0)
        self._seen.update(prefixes)
        if read < self.IMPLICIT_MINIMUM_TOKENS:
            return CacheUse()
        return CacheUse(read_tokens=read - read % self.IMPLICIT_STEP_TOKENS)


def _prefixes(model: str, segments: Sequence[Segment]) -> list[bytes]:
    running = hashlib.sha256(model.encode())
    prefixes = []
    for segment in segments:
        running.update(hashlib.sha256(segment.content).digest())
        prefixes.append(running.digest())
    return prefixes


def _totals(segments: Sequence[Segment]) -> list[int]:
    total = 0
    return [total := total + segment.tokens for segment in segments]
