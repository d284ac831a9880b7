"""What a simulated provider can be told when it starts. Values only."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    name: str = "simulator"
    """Stands in answers, in the `READY` line and in the journal."""
    models: tuple[str, ...] = ()
    """The models it serves; any other answers 404. Empty: every model name is served."""
    key: str | None = None
    """The API key that callers must send; none: no key is asked for."""
    chunks: int = 8
    """Into how many pieces a streamed text, thought or tool argument is cut, at most."""
    chunk_delay_seconds: float = 0.0
    """Waited before each content chunk of a stream."""
    answer_tokens: int | None = None
    """Text answers are filled up to this many tokens; none: as long as the sentence is."""
    journal_path: Path | None = None
    """A file that gets a JSON line at the start and at the end of each request."""
    journal_entries: int = 20_000
    """How many requests the journal in memory keeps; older ones are dropped."""
