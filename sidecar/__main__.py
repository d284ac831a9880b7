"""`pointsman-sidecar`, also `python -m sidecar`."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence

from sidecar.settings import JSON, read_settings

ALLOCATIONS_BETWEEN_COLLECTIONS = 10_000
"""What a call makes is gone when its answer is, by counting references; the collector is for the rare cycle. Python's
own 700 has it look every other call."""


def main(argv: Sequence[str] | None = None) -> int:
    settings = read_settings(argv, os.environ)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    if settings.log_format == JSON:
        from sidecar.telemetry.json_lines import JsonLines

        logging.getLogger().handlers[0].setFormatter(JsonLines())
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    # Imported after the arguments are known to be right: `--help` and a wrong flag answer at once. What is imported
    # stays, so the collector neither looks at it on the way nor ever after.
    gc.disable()
    import uvloop

    from sidecar.app import serve

    gc.freeze()
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS, 10, 10)
    gc.enable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except OSError as error:
        print(f"pointsman-sidecar: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
