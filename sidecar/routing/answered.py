"""The last answers of this sidecar, by their calls: what feedback that comes minutes later is about. No I/O."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from schemas.record import CallRecord, Feedback

KEPT = 20_000
"""Calls: about 5 MB."""
MAX_WORDS = 16
"""Of one call's feedback: one from each source and kind."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    use_case: str
    model: str
    caller: str


class Answered:
    """Kept in memory: what a sidecar did not answer itself, or before its last start, it does not know."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._said: dict[str, dict[tuple[str, str], Feedback]] = {}
        """Call → source and kind → the latest word; of calls that are known."""

    def note(self, record: CallRecord) -> None:
        if record.usage is not None:
            self._answers[record.id] = Answer(record.use_case, record.model, record.caller)
            if len(self._answers) > KEPT:
                forgotten, _ = self._answers.popitem(last=False)
                self._said.pop(forgotten, None)

    def get(self, call_id: str) -> Answer | None:
        return self._answers.get(call_id)

    def first_word(self, feedback: Feedback) -> Answer | None:
        """The answer that it is about, where nothing of its source and kind was said of it before."""
        answer = self._answers.get(feedback.call)
        if answer is None:
            return None
        words, key = self._said.setdefault(feedback.call, {}), (feedback.source, feedback.kind)
        is_first = key not in words
        if is_first and len(words) == MAX_WORDS:
            return None
        words[key] = feedback
        return answer if is_first else None

    def said_of(self, call_id: str) -> Sequence[Feedback]:
        return list(self._said.get(call_id, {}).values())
