"""From what an attempt has in hand to the caller's answer: a plain one is booked at once, a stream when it ends."""

from schemas.record import Usage
from sidecar.accounting.books import OK, estimated_usage, usage_so_far, usd_text
from sidecar.core.attempt import Attempts, Won, WonPlain, WonStream
from sidecar.core.bookkeeping import Bookkeeper, headers_of
from sidecar.core.call import Attempt, Call, Outcome, PlainReply, StreamReply
from sidecar.core.escalation import note_verdicts
from sidecar.core.resuming import Resuming
from sidecar.core.streaming import Resume, Stream
from sidecar.core.watched import Watched
from sidecar.dialects.resumable import Resumable
from sidecar.errors import UpstreamError
from sidecar.limiter.limits import Limits
from sidecar.ports import Clock, UpstreamAnswer
from sidecar.routing.owners import Owners


class Delivery:
    """Hands over what was won."""

    def __init__(self, clock: Clock, books: Bookkeeper, owners: Owners, attempts: Attempts, limits: Limits) -> None:
        self._clock = clock
        self._books = books
        self._owners = owners
        self._attempts = attempts
        self._limits = limits

    def deliver(self, call: Call, attempt: Attempt, won: Won) -> PlainReply | StreamReply:
        self._books.commit(attempt)
        return self._plain(call, attempt, won) if isinstance(won, WonPlain) else self._stream(call, attempt, won)

    def _plain(self, call: Call, attempt: Attempt, won: WonPlain) -> PlainReply:
        target, read = attempt.target, won.read
        self._owners.note(read.state_id, target.key)
        usage = read.usage or estimated_usage(call, target)
        record = self._books.end(call, attempt, Outcome(OK, won.status, usage, read.usage is None), won.status)
        headers = headers_of(call, attempt.planned, len(call.attempts))
        if record.cost_usd is not None:
            headers["x-pointsman-cost-usd"] = usd_text(record.cost_usd)
        return PlainReply(won.status, headers, won.body)

    def _stream(self, call: Call, attempt: Attempt, won: WonStream) -> StreamReply:
        call.dropped = attempt.dropped
        tap = won.tap
        account = _Account(call, attempt, won, self._books, self._owners)
        return Stream(
            status=200,
            headers=headers_of(call, attempt.planned, len(call.attempts) + 1),
            content_type=call.inbound.dialect.stream_content_type,
            clock=self._clock,
            answer=won.answer,
            tap=tap,
            held=won.held,
            idle_seconds=call.plan.use_case.timeouts.stream_idle,
            deadline=call.deadline,
            settle=account.settle,
            encode_error=lambda error: tap.encode_failure(error, call.inbound.id),
            resume=self._resume(call, account, tap) if isinstance(tap, Resumable) else None,
        )

    def _resume(self, call: Call, account: "_Account", tap: Resumable) -> Resume:
        resuming = Resuming(call, tap, self._books, self._attempts, self._limits)

        async def resume(error: UpstreamError, events_seen: int) -> tuple[UpstreamAnswer, bytes] | None:
            usage = account.usage_so_far(events_seen)
            found = await resuming.go_on(account.attempt, error)
            if found is None:
                return None
            self._books.note_failure(call, account.attempt, error, usage)
            account.turn_to(*found, events_seen)
            return found[1].answer, found[1].held

        return resume


class _Account:
    """What a stream is booked at, whichever attempt it has come to."""

    def __init__(self, call: Call, attempt: Attempt, won: WonStream, books: Bookkeeper, owners: Owners) -> None:
        self.attempt = attempt
        self._call = call
        self._tap = won.tap
        self._status = won.answer.status
        self._first_token_seconds = won.first_token_seconds
        self._books = books
        self._owners = owners
        self._events_before = 0
        """Of earlier attempts."""

    def turn_to(self, attempt: Attempt, won: WonStream, events_seen: int) -> None:
        self._books.commit(attempt)
        self.attempt, self._status, self._events_before = attempt, won.answer.status, events_seen

    def usage_so_far(self, events_seen: int) -> Usage:
        return usage_so_far(self._call, self.attempt.target, self._tap.usage, events_seen - self._events_before)

    def settle(self, word: str, events_seen: int) -> None:
        tap = self._tap
        self._owners.note(tap.state_id, self.attempt.target.key)
        counted = tap.usage if tap.finished else None
        usage = self.usage_so_far(events_seen) if counted is None else counted
        if word == OK and isinstance(tap, Watched):
            note_verdicts(self._call, self.attempt, tap.answer(), self._books)
        outcome = Outcome(word, self._status, usage, counted is None, self._first_token_seconds)
        self._books.end(self._call, self.attempt, outcome, self._status)
