"""`models/<model>.yaml`: an entry of the catalogue."""

from typing import Annotated

from pydantic import Field

from schemas.rules.base import Capability, Count, Day, Effort, Knob, Limits, Name, Rules, ServerToolName, Text
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


class Deprecation(Rules):
    """The vendor's notice that the model goes away."""

    since: Day
    """The day from which no new use of it is meant."""
    retires: Day | None = None
    """The day on which the vendor ends it; from then on it is an error for customer-facing use cases to name it."""
    replaced_by: Name | None = None
    """The model to use instead."""


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
    refuses: tuple[Knob, ...] = ()
    """Parameters that the model answers with an error. A request in another dialect than the provider's loses them, and
    `x-pointsman-dropped` names them; in the provider's own dialect the caller's word stands."""
    efforts: tuple[Effort, ...] | None = None
    """How hard the model can be told to think. A request in another dialect that asks for anything else gets the
    nearest; where the list is empty, an effort becomes a budget of tokens. Left out: any may be asked."""
    server_tools: tuple[ServerToolName, ...] = ()
    """Tools that every provider of the model runs by itself. A request in another dialect that asks for one that is not
    listed is sent elsewhere."""
    served_by: Annotated[tuple[ServedBy, ...], Field(min_length=1)]
    """Providers in order of preference."""
    prices: tuple[Price, ...] = ()
    """Dated prices; the newest that is not in the future is in force."""
    prices_checked: Day | None = None
    """The day on which somebody last compared the prices with the provider's page."""
    deprecated: Deprecation | None = None
    """Set once the vendor says that the model goes away."""
    limits: Limits | None = None
    """What may be asked of this model, at all of its providers together."""
