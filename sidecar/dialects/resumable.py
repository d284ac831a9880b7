"""A tap whose stream may go on from another provider: it knows what text the caller has, and its encoder stays.

Always translates, also between two of one dialect, since what follows must be written as the same answer.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.canonical.events import (
    CONTENT_EVENTS,
    AnyEvent,
    Ended,
    Failed,
    PartEnded,
    Started,
    TextDelta,
    UsageReported,
)
from sidecar.dialects.base import PriceOf, StreamDecoder, StreamEncoder
from sidecar.dialects.translator import Translator


class Resumable(Translator):
    def __init__(
        self,
        decoder: StreamDecoder,
        new_encoder: Callable[[PriceOf], StreamEncoder],
        unsaid: Started,
        price_of: PriceOf,
    ) -> None:
        super().__init__(decoder, new_encoder(self._price), unsaid)
        self._price_of = price_of
        self._text: list[str] = []
        self._is_plain_text = True
        self._goes_on = False
        self._gap = ""
        """White space at the end of what the caller has: not shown to the next model, which may say it again."""

    @property
    def text(self) -> str | None:
        """What the caller has; None where it is more than one run of plain text, which nobody can go on from."""
        text = "".join(self._text)
        return text if self._is_plain_text and text.strip() and not self.finished else None

    def continue_with(self, decoder: StreamDecoder, price_of: PriceOf) -> None:
        """What is fed from now on comes from another target, which was shown the text up to its last word."""
        text = "".join(self._text)
        self._gap = text[len(text.rstrip()) :]
        self._decoder, self._price_of = decoder, price_of
        self._goes_on = True
        self.content_seen = False
        self.usage = self.failed = None

    def _price(self, usage: Usage) -> Decimal | None:
        return self._price_of(usage)

    def _pass_on(self, events: list[AnyEvent]) -> bytes:
        if self._goes_on:
            events = [kept for event in events if (kept := self._continued(event)) is not None]
        for event in events:
            if isinstance(event, TextDelta) and event.choice == 0:
                self._text.append(event.text)
            elif not isinstance(event, Started | UsageReported | Ended | Failed | PartEnded):
                self._is_plain_text = self._is_plain_text and not isinstance(event, CONTENT_EVENTS)
        return super()._pass_on(events)

    def _continued(self, event: AnyEvent) -> AnyEvent | None:
        if isinstance(event, Started):
            return None
        if isinstance(event, TextDelta) and self._gap:
            repeated = len(event.text) - len(event.text.removeprefix(self._gap))
            self._gap = ""
            return msgspec.structs.replace(event, text=event.text[repeated:]) if repeated < len(event.text) else None
        return event
