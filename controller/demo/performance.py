"""One performance of the demo: takes ports and folders, tells the story, stays, and leaves nothing running."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from controller.demo.calls import CallFailed
from controller.demo.cast import Cast, cast_from
from controller.demo.local_models import available
from controller.demo.narration import Terminal
from controller.demo.ports import NoPorts, is_free, reserved
from controller.demo.ready import ready_text
from controller.demo.repository import Repository, RepositoryFailed, make_repository
from controller.demo.settings import DemoSettings
from controller.demo.stage import SMALL_MODEL, Stage
from controller.demo.story import Story, StoryFailed
from controller.errors import CannotStart
from controller.processes import Children, ProcessFailed


@dataclass(frozen=True, slots=True)
class Performance:
    """A story that has been told, and what still runs."""

    ready: str
    """What a person needs to go on alone."""
    name_the_ended: Callable[[], None]
    """Says which parts have ended since it was last asked."""


@contextmanager
def performing(
    settings: DemoSettings, environ: Mapping[str, str], today: date, terminal: Terminal
) -> Iterator[Performance]:
    """Tells the story, and keeps everything up while the block runs.

    Raises:
        CannotStart: a port is taken, or the rules folder cannot be used.
        StoryFailed: something did not happen that should have; logs are kept, and the text says where.
    """
    with ExitStack() as stack:
        cast = _cast(settings, environ, stack)
        workshop = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
        removal = stack.enter_context(ExitStack())
        removal.callback(shutil.rmtree, workshop, ignore_errors=True)
        logs, rules = workshop / "logs", (settings.folder or workshop / "rules").absolute()
        logs.mkdir()
        children = stack.enter_context(Children(logs, workshop))
        stage = Stage(settings, cast, terminal, children)
        try:
            Story(settings, cast, terminal, stage).tell(lambda: _repository(rules, cast, today))
        except (StoryFailed, CallFailed, ProcessFailed, RepositoryFailed) as error:
            removal.pop_all()
            raise StoryFailed(f"{error}\nThe programs' logs are in {logs}") from error
        yield Performance(ready_text(settings, rules, logs), _watcher(terminal, children))


def _cast(settings: DemoSettings, environ: Mapping[str, str], stack: ExitStack) -> Cast:
    for flag, port in settings.named_ports.items():
        if not is_free(port):
            raise CannotStart(f"port {port} of 127.0.0.1 is in use; choose another with {flag}")
    try:
        openai, anthropic, small_model = stack.enter_context(reserved(3, settings.providers_port))
    except NoPorts as error:
        raise CannotStart(f"{error}; choose another start with --providers-port") from error
    return cast_from(environ, (openai, anthropic, small_model), available(SMALL_MODEL) or "")


def _repository(folder: Path, cast: Cast, today: date) -> Repository:
    try:
        return make_repository(folder, cast, today)
    except RepositoryFailed as error:
        raise CannotStart(str(error)) from error


def _watcher(terminal: Terminal, children: Children) -> Callable[[], None]:
    missed = {child.pid for child in children.started if not child.is_alive()}

    def look() -> None:
        for child in children.started:
            if child.pid not in missed and not child.is_alive():
                missed.add(child.pid)
                terminal.say(f"{child.name} has ended (status {child.process.returncode}).")

    return look
