"""What a record means in the books: its day, whose money it was, whether its price is known. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from controller.ledger.money import EXACT, is_bookable
from schemas.record import AttemptRecord, CallRecord, Feedback, Mirrored, Usage

MAX_TOKENS: Final = 1 << 40
"""Per call. Sums of these stay within the databases' 64 bits for eight million calls that each claim the most."""
MAX_TEXT: Final = 1024
"""Bytes of an id and characters of the rest: PostgreSQL's indexes take keys of 2,700 bytes."""
MAX_TIME: Final = 64
NOTHING: Final = Decimal(0)

NOT_ERRORS: Final = frozenset({"ok", "client_closed", "unknown_outcome"})
"""A caller that left saw no error; of an unknown outcome nobody can say."""


class Key(NamedTuple):
    """What the sums of a day are kept by."""

    day: str
    use_case: str
    team: str
    agent: str
    caller: str
    model: str
    provider: str
    vendor: str
    reason: str
    outcome: str
    revision: str

    def digest(self) -> str:
        """One short text for it: eleven texts together are longer than an index takes."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class Entry(msgspec.Struct, frozen=True):
    """What is added to the sums of a day."""

    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal
    wasted_usd: Decimal
    unpriced_requests: int
    requests: int = 1
    shadow_usd: Decimal = NOTHING

    def __add__(self, other: "Entry") -> "Entry":
        return Entry(
            errors=self.errors + other.errors,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_usd=EXACT.add(self.cost_usd, other.cost_usd),
            wasted_usd=EXACT.add(self.wasted_usd, other.wasted_usd),
            unpriced_requests=self.unpriced_requests + other.unpriced_requests,
            requests=self.requests + other.requests,
            shadow_usd=EXACT.add(self.shadow_usd, other.shadow_usd),
        )


NO_CALL: Final = Entry(
    errors=0, input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=0,
    cost_usd=NOTHING, wasted_usd=NOTHING, unpriced_requests=0, requests=0,
)  # fmt: skip


def postings_of(record: CallRecord, *, team: str, vendors: Mapping[str, str]) -> Iterator[tuple[Key, Entry]]:
    """What a shadow cost; or the call itself, and apart from it each attempt that cost money for nothing, under its own
    model and ending.

    Together they hold exactly the record's money. `vendors` gives the vendor of a model.
    """
    key = Key(
        day=day_of(record.at), use_case=plain(record.use_case), team=team, agent=plain(record.agent),
        caller=plain(record.caller), model=plain(record.model), provider=plain(record.provider),
        vendor=plain(record.vendor), reason=plain(record.reason), outcome=plain(record.outcome),
        revision=plain(record.revision),
    )  # fmt: skip
    if record.shadow is not None:
        usd = EXACT.add(record.cost_usd or NOTHING, record.wasted_usd)
        yield key, msgspec.structs.replace(NO_CALL, shadow_usd=usd)
        return
    entry = entry_of(record)
    wasted = tuple(wasted_attempts(record))
    rest = record.wasted_usd
    for attempt in wasted:
        rest = EXACT.subtract(rest, attempt.cost_usd or NOTHING)
    if rest < 0:  # its attempts say more than the record: the record's word counts, under the call
        yield key, entry
        return
    yield key, msgspec.structs.replace(entry, wasted_usd=rest)
    for attempt in wasted:
        own = key._replace(
            model=plain(attempt.model),
            provider=plain(attempt.provider),
            vendor=key.vendor if attempt.model == record.model else vendors.get(attempt.model, ""),
            reason=plain(attempt.reason),
            outcome=plain(attempt.outcome),
        )
        yield own, msgspec.structs.replace(NO_CALL, wasted_usd=attempt.cost_usd or NOTHING)


def wasted_attempts(record: CallRecord) -> Sequence[AttemptRecord]:
    """Those that cost something without giving the caller its answer: where there is one, the last gave it."""
    failed = record.attempts if record.usage is None else record.attempts[:-1]
    return [attempt for attempt in failed if attempt.cost_usd]


PASSED: Final = "pass"


def quality_of(record: CallRecord) -> str:
    """What the checks said of the answer: `pass`, or those that failed, sorted; empty where they said nothing."""
    failed = sorted(check for check, verdict in record.quality.items() if verdict == "fail")
    return ",".join(failed)[:MAX_TEXT] or (PASSED if record.quality else "")


def plain(text: str) -> str:
    """PostgreSQL's text holds every character but NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def entry_of(record: CallRecord) -> Entry:
    """What the call itself adds, all of its waste included."""
    usage = record.usage or Usage()
    return Entry(
        errors=int(record.outcome not in NOT_ERRORS),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=record.cost_usd if record.cost_usd is not None else Decimal(0),
        wasted_usd=record.wasted_usd,
        unpriced_requests=int(is_unpriced(record)),
    )


def is_unpriced(record: CallRecord) -> bool:
    """Some money of this call is unknown: what stands in the sums for it is too little.

    A call that failed before any model worked cost nothing, and is not meant.
    """
    answered = record.usage is not None or record.outcome == "ok" or (record.outcome in NOT_ERRORS and record.attempts)
    if answered and record.cost_usd is None:
        return True
    return any(attempt.usage is not None and attempt.cost_usd is None for attempt in record.attempts)


def day_of(at: str) -> str:
    """The UTC day of an RFC 3339 time.

    Raises:
        ValueError: not such a time.
    """
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC).date().isoformat()


def faults_of_feedback(feedback: Feedback) -> Iterator[str]:
    """Why feedback cannot be booked: never so from our own sidecar."""
    if not 0 < len(feedback.call.encode()) <= MAX_TEXT:
        yield f"call must be 1 to {MAX_TEXT} bytes"
    try:
        day_of(feedback.at[:MAX_TIME])
    except (ValueError, OverflowError):
        yield "at must be an RFC 3339 time with its zone"
    for name in ("sidecar", "source"):
        if len(getattr(feedback, name)) > MAX_TEXT:
            yield f"{name} is longer than {MAX_TEXT} characters"
    if not 0 <= feedback.score <= 1:
        yield "score must be 0 to 1"


def _faults_of_shadow(shadow: Mirrored, quality: Mapping[str, str]) -> Iterator[str]:
    for name in ("call", "model", "provider"):
        if len(getattr(shadow, name)) > MAX_TEXT:
            yield f"shadow.{name} is longer than {MAX_TEXT} characters"
    for name, verdicts in (("quality", quality), ("shadow.quality", shadow.quality)):
        if len(msgspec.json.encode(verdicts)) > MAX_TEXT:
            yield f"{name} is longer than {MAX_TEXT} bytes"
    if shadow.cost_usd is not None and not is_bookable(shadow.cost_usd):
        yield f"shadow.cost_usd must be a plain amount of US dollars, not {str(shadow.cost_usd)[:40]}"


def faults_of(record: CallRecord) -> Iterator[str]:
    """Why a record cannot be booked: never so from our own sidecar."""
    if not 0 < len(record.id.encode()) <= MAX_TEXT:
        yield f"id must be 1 to {MAX_TEXT} bytes"
    try:
        day_of(record.at[:MAX_TIME])
    except (ValueError, OverflowError):
        yield "at must be an RFC 3339 time with its zone"
    for name in ("sidecar", "use_case", "dialect", "outcome", "bundle", "revision", "agent", "caller", "model",
                 "provider", "vendor", "reason", "conversation", "arm", "steering"):  # fmt: skip
        if len(getattr(record, name)) > MAX_TEXT:
            yield f"{name} is longer than {MAX_TEXT} characters"
    if record.usage is not None:
        for name in Usage.__struct_fields__:
            count = getattr(record.usage, name)
            if isinstance(count, int) and not 0 <= count <= MAX_TOKENS:
                yield f"usage.{name} must be 0 to {MAX_TOKENS}"
        if len(record.usage.service) > MAX_TEXT:
            yield f"usage.service is longer than {MAX_TEXT} characters"
    amounts = [("cost_usd", record.cost_usd), ("wasted_usd", record.wasted_usd)]
    amounts += [(f"attempts[{n}].cost_usd", attempt.cost_usd) for n, attempt in enumerate(record.attempts)]
    for name, amount in amounts:
        if amount is not None and not is_bookable(amount):
            yield f"{name} must be a plain amount of US dollars, not {str(amount)[:40]}"
    if record.shadow is not None:
        yield from _faults_of_shadow(record.shadow, record.quality)
    if not 0 <= record.status <= 999:
        yield "status must be an HTTP status or 0"
