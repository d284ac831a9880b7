"""`POST /v1/feedback`: what somebody says of an answer later, into the spool and, where the call is known, into the
rolling bar. Never a text: the ledger holds none.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil

import msgspec

from schemas.bundle import Caller
from schemas.record import Feedback, FeedbackKind
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.errors import LimitReached, MalformedRequest, NotAllowed
from sidecar.limits.gcra import Gcra
from sidecar.ports import Clock
from sidecar.routing.snapshot import Snapshot

CALL_ID = re.compile(r"pm-[0-9a-f]{27}")
"""As the agents' port makes them."""
PER_MINUTE = 60_000
"""More is nobody's feedback: ids that match nothing would fill disks."""
MAX_SOURCE_CHARACTERS = 256


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    score: bool | float
    kind: FeedbackKind = "user"


class FeedbackDesk:
    def __init__(self, *, sidecar: str, clock: Clock, books: Bookkeeper, default_agent: str) -> None:
        self._sidecar = sidecar
        self._clock = clock
        self._books = books
        self._default_agent = default_agent
        self._rate = Gcra(PER_MINUTE)

    def take(self, body: bytes, headers: Mapping[str, str], caller: Caller | None, snapshot: Snapshot) -> Feedback:
        """Booked when this returns. An id that this sidecar does not know is booked too: the ledger may know its call.

        Raises:
            MalformedRequest: says what would be right.
            NotAllowed: the call is another caller's; a caller that is granted `pin` may grade everybody's.
            LimitReached: too many for now.
        """
        said = _read(body)
        self._hold_the_rate()
        answer = self._books.answered.get(said.request_id)
        if answer is not None and caller is not None and answer.caller != caller.name and not caller.pin:
            raise NotAllowed("this call is another caller's; a key that is granted pin in pointsman.yaml may grade it")
        at = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        agent = headers.get("x-pointsman-agent") or self._default_agent
        feedback = Feedback(
            call=said.request_id,
            at=at,
            sidecar=self._sidecar,
            score=float(said.score),
            kind=said.kind,
            source=(agent if caller is None else caller.name)[:MAX_SOURCE_CHARACTERS],
        )
        bars = {name: use_case.bar.min_score for name, use_case in snapshot.use_cases.items() if use_case.bar}
        self._books.note_feedback(feedback, bars.get)
        return feedback

    def _hold_the_rate(self) -> None:
        now = self._clock.monotonic()
        if wait := self._rate.wait(1, now):
            seconds = ceil(wait)
            raise LimitReached(
                f"feedback comes faster than {PER_MINUTE} a minute; try again in {seconds} s",
                rule="feedback",
                retry_after_seconds=wait,
                headers={"retry-after": str(seconds)},
            )
        self._rate.take(1, now)


def _read(body: bytes) -> _Said:
    wanted = '{"request_id": "pm-…", "score": 0 to 1 or true or false, "kind": "user", "judge" or "business"}'
    try:
        said = msgspec.json.decode(body, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)
        if "comment" in why:
            why = "a comment is not taken, as no text is kept here; keep it where the call's id is its key"
        raise MalformedRequest(f"feedback is {wanted}: {why}") from error
    if not CALL_ID.fullmatch(said.request_id):
        raise MalformedRequest(
            "`request_id` is what x-pointsman-request-id says on every answer: pm- and 27 hexadecimal digits"
        )
    if not 0 <= said.score <= 1:
        raise MalformedRequest("`score` is true, false, or a number from 0 to 1")
    return said
