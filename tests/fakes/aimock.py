"""aimock, a simulator that others wrote, as a process: the clouds' own paths, fixed answers, and a journal."""

import json
from pathlib import Path
from typing import Any

from tests.fakes import node_packages, wire
from tests.fakes.processes import Child

CLI = "node_modules/@copilotkit/aimock/dist/cli.js"
CHUNK_MILLISECONDS = "2"
"""Between the events of a stream, so that one cut in it does not lose those before."""


class AimockProcess:
    def __init__(self, folder: Path, fixtures: list[dict[str, Any]], key: str) -> None:
        """A request gets the answer of the first fixture whose `match` it meets; one with any other key is refused."""
        file = folder / "fixtures.json"
        file.write_text(json.dumps({"fixtures": fixtures}))
        options = ["--port", "0", "--fixtures", str(file), "--latency", CHUNK_MILLISECONDS, "--strict"]
        self._key = {"x-api-key": key}
        self.child = Child.start(
            [CLI, *options],
            log=folder / "aimock.log",
            environment={"AIMOCK_API_KEYS": key},
            cwd=node_packages.installed(),
            program="node",
        )
        self.url = self.child.wait_for(r"listening on (http://\S+)$")[1]

    def requests(self) -> list[dict[str, Any]]:
        """What it was sent, oldest first: `path`, `headers` with hidden keys, a `body` in chat's words."""
        return list(wire.get(f"{self.url}/__aimock/journal", self._key).json)

    def clear(self) -> None:
        assert wire.post(f"{self.url}/__aimock/reset/journal", {}, self._key).status == 200

    def stop(self) -> None:
        self.child.stop()
