"""`models/<model>.yaml`: an entry of the catalogue."""

from typing import Annotated

from pydantic import Field

from schemas.rules.base import Capability, Count, Limits, Name, Rules, Text
from schemas.rules.price import Price, Times


class ServedBy(Rules):
    """One provider that serves the model."""

    provider: Name
    """A provider of `providers/`."""
    name: Text
    """What that provider calls the model."""
    prices: Annotated[tuple[Price, ...], Field(min_length=1)] | None = None
    """Prices at this provider, where they differ from the model's."""
    price_times: Times | None = None
    """The model's token prices times this, instead of `prices`: 1.1 for a region that costs a tenth more."""


class Model(Rules):
    """A model: what it can do, what it costs, and who serves it."""

    model: Name
    """The model's name in these rules; the same as the file's name."""
    vendor: Name
    """The company behind the model; what concentration is counted by."""
    description: Text | None = None
    """What the model is good for; for people."""
    context_window: Count
    """Tokens that fit in all, input and output together."""
    max_output_tokens: Count
    """The longest answer, in tokens."""
    capabilities: tuple[Capability, ...] = ()
    """What the model can do. A request that needs more is sent elsewhere."""
    served_by: Annotated[tuple[ServedBy, ...], Field(min_length=1)]
    """Providers in order of preference."""
    prices: tuple[Price, ...] = ()
    """Dated prices; the newest that is not in the future is in force."""
    limits: Limits | None = None
    """What may be asked of this model, at all of its providers together."""
