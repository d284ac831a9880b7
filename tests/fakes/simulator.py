"""A simulated provider as a process of its own: its faults, its journal, its sudden death."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.fakes import wire
from tests.fakes.processes import Child


class SimulatorProcess:
    """Speaks both dialects on one free port. Give `port` to come back where an earlier one was."""

    def __init__(self, folder: Path, name: str = "simulator", *, port: int = 0, options: Sequence[str] = ()) -> None:
        """`options` are the command's own flags, such as `--chunk-delay 0.01`."""
        command = ["-m", "controller.demo.simulator", "--port", str(port), "--name", name, *options]
        self.name = name
        self.child = Child.start(command, log=folder / f"{name}.log")
        self.url = self.child.wait_for(r"^READY \S+ (\S+)$")[1]
        """Its root: Anthropic's `base_url`; OpenAI's is this with `/v1`."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def fault(self, fault: Mapping[str, Any], **rule: Any) -> None:
        """From now on calls have this fault; `model`, `times` and `after` say which."""
        answer = wire.post(f"{self.url}/_sim/faults", {"fault": fault, **rule})
        assert answer.status == 201, answer.body

    def clear(self) -> None:
        """No faults, and an empty journal."""
        for part in ("faults", "journal"):
            assert wire.send("DELETE", f"{self.url}/_sim/{part}").status == 204

    def entries(self) -> list[dict[str, Any]]:
        """What it received and what it reported as used, oldest first."""
        return list(wire.get(f"{self.url}/_sim/journal").json["entries"])

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> None:
        self.child.stop()


class StartSimulator(Protocol):
    def __call__(self, name: str = "simulator", *, port: int = 0, options: Sequence[str] = ()) -> SimulatorProcess: ...
