"""Calls through a sidecar: pinned to one target, with what each cost by the gateway's own ledger."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from controller.evals.graders.answer import parse_answer
from controller.evals.run.answers import Answered, Ending, cost_of
from schemas.record import CallRecord, Usage

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 1800.0
"""The sidecar's own deadline ends a call long before; this ends one whose sidecar hangs."""
MAX_ERROR_CHARACTERS: Final = 500
COME_AGAIN: Final = frozenset({"throttled", "overloaded", "not_ready", "limit_reached"})
"""Nobody's fault but the hour's: the same call passes later."""
OURS: Final = frozenset(
    {"malformed_request", "unauthenticated", "not_allowed", "foreign_host", "unknown_use_case", "unknown_target",
     "unknown_path", "wrong_method", "ceiling_spent", "provider_auth", "provider_model"}
)  # fmt: skip
"""What no other sample would change: no result of a model, but the end of the run until somebody mends it."""


class Stop(Exception):
    """The run cannot go on; `str(error)` says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class ComeAgain:
    """Not now."""

    why: str
    seconds: float | None
    """When the sidecar says the call may pass; None where it does not say."""


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """The connection failed: whether the call was made is not known."""

    why: str


class Sidecar:
    """One use case's calls, under one agent's name."""

    def __init__(self, url: str, use_case: str, agent: str, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._agent = agent
        self._headers = {"x-pointsman-use-case": use_case, "x-pointsman-agent": agent}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key}"

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(headers=self._headers, timeout=timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def ask(self, target: str, body: bytes) -> Answered | ComeAgain | BrokenOff:
        """One call, once. Without a target (empty), the rules decide who answers.

        Raises:
            Stop: it was refused for a reason that holds for every sample.
        """
        headers = {"content-type": "application/json"} | ({"x-pointsman-target": target} if target else {})
        try:
            async with self._http.post(f"{self._url}/v1/chat/completions", data=body, headers=headers) as response:
                given = _json(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            return BrokenOff(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        call_id = response.headers.get("x-pointsman-request-id")
        if call_id is None:
            raise Stop(f"what answers at {self._url} is not a Pointsman sidecar: its answers carry no request id")
        ending, error_text = _ending(response.status, given), ""
        if ending != "ok":
            code, error_text = _error(given)
            if response.status == 429 or code in COME_AGAIN:
                return ComeAgain(error_text, _seconds(response.headers.get("retry-after")))
            if code in OURS:
                raise Stop(f"{target}: {error_text}" if target else error_text)
        return await self._booked(call_id, ending, given, error_text, response.headers)

    async def calls(self) -> tuple[CallRecord, ...]:
        """This agent's calls, as far as the sidecar still has them in mind.

        Raises:
            Stop: it does not answer, or not to us.
        """
        try:
            async with self._http.get(f"{self._url}/pointsman/calls", params={"agent": self._agent}) as response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Stop(f"no sidecar answers at {self._url} ({error}); name it by --sidecar") from error
        if response.status != 200:
            raise Stop(f"the sidecar at {self._url} says: {_error(_json(data))[1]}")
        try:
            return msgspec.json.decode(data, type=_Calls).calls
        except msgspec.DecodeError as error:
            raise Stop(f"what answers at {self._url} is not a Pointsman sidecar") from error

    async def _booked(
        self, call_id: str, ending: Ending, given: Any, error: str, headers: Mapping[str, str]
    ) -> Answered:
        answer = None
        if ending == "ok":
            try:
                answer = parse_answer(given)
            except ValueError as unclear:
                ending, error = "model_error", str(unclear)
        record = await self._record(call_id)
        usage, cost = (None, _usd(headers)) if record is None else (record.usage, cost_of(record))
        return Answered(
            call_id=call_id,
            ending=ending,
            at=_now(),
            answer=answer,
            error=error,
            provider=headers.get("x-pointsman-provider"),
            bundle=headers.get("x-pointsman-bundle"),
            cost_usd=cost,
            ttft_ms=_milliseconds(None if record is None else record.first_token_seconds),
            latency_ms=_milliseconds(None if record is None else record.seconds),
            **_tokens(usage),
        )

    async def _record(self, call_id: str) -> CallRecord | None:
        """None where the sidecar has forgotten it."""
        try:
            async with self._http.get(f"{self._url}/pointsman/calls/{call_id}") as response:
                return msgspec.json.decode(await response.read(), type=CallRecord) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return None


class _Calls(msgspec.Struct, frozen=True):
    calls: tuple[CallRecord, ...]


def _ending(status: int, given: Any) -> Ending:
    if status == 200:
        return "ok"
    if _error(given)[0] == "content_refused":
        return "refusal"
    return "timeout" if status == 504 else "model_error"


def _error(given: Any) -> tuple[str, str]:
    """Its code and its words."""
    error = given.get("error") if isinstance(given, dict) else None
    if not isinstance(error, dict):
        return "", "an error without words"
    return str(error.get("code") or ""), str(error.get("message") or error.get("code"))[:MAX_ERROR_CHARACTERS]


def _tokens(usage: Usage | None) -> dict[str, int | None]:
    if usage is None:
        return {"in_tok": None, "out_tok": None, "cached_tok": None}
    return {"in_tok": usage.input_tokens, "out_tok": usage.output_tokens, "cached_tok": usage.cache_read_tokens}


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def _usd(headers: Mapping[str, str]) -> Decimal | None:
    try:
        return Decimal(headers["x-pointsman-cost-usd"])
    except (KeyError, InvalidOperation):
        return None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
