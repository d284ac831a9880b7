"""What the demo can be told. Values only."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoSettings:
    once: bool = False
    """Ends when the story is told, instead of staying up."""
    folder: Path | None = None
    """Where the rules repository is made, to be kept; none: a temporary folder."""
    agents_port: int = 4100
    admin_port: int = 4101
    controller_port: int = 4200
    providers_port: int = 4110
    """Providers take the first free ports from here on."""

    @property
    def agents_url(self) -> str:
        return f"http://127.0.0.1:{self.agents_port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def controller_url(self) -> str:
        return f"http://127.0.0.1:{self.controller_port}"

    @property
    def named_ports(self) -> dict[str, int]:
        """Each flag that names a port, with its port."""
        return {
            "--port": self.agents_port,
            "--admin-port": self.admin_port,
            "--controller-port": self.controller_port,
        }
