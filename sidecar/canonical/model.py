"""What a request depends on of the model that it is written for: a part of its entry in the catalogue."""

import msgspec

from schemas.bundle import Effort, Knob, ServerToolName


class ModelTraits(msgspec.Struct, frozen=True):
    name: str
    """What the target calls it."""
    max_output_tokens: int
    """Its largest output, for a dialect that must name one."""
    refuses: frozenset[Knob] = frozenset()
    """Knobs that it answers with an error."""
    efforts: tuple[Effort, ...] | None = None
    """How hard it can be told to think, least first; None: not known, so any may be asked. Empty: it takes none."""
    server_tools: frozenset[ServerToolName] = frozenset()
    """Tools that its provider runs by itself."""
