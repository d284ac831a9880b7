"""The YAML language server that editors run, as an editor speaks to it: over its standard streams.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/
"""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.fakes.node_packages import installed

PROGRAM = Path("node_modules/yaml-language-server/bin/yaml-language-server")
ANSWER_SECONDS = 60.0


class YamlLanguageServer:
    """Started by `with`, for one folder; `settings` is what the editor has under `yaml`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = {"schemaStore": {"enable": False}, **settings}
        self._numbers = count(1)
        self._opened: set[Path] = set()
        self._heard: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        self._child = subprocess.Popen(
            ["node", str(installed() / PROGRAM), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._read, daemon=True).start()
        # No dynamic registration: what the server can do it says at once.
        self._ask("initialize", {"processId": None, "rootUri": self._folder.as_uri(), "capabilities": {}})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": {"yaml": self._settings}})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def diagnostics(self, path: Path, text: str) -> list[str]:
        """What is underlined when a file is opened with this text: `line: message`."""
        self._open(path, text)
        found = self._wait(
            lambda said: (
                said.get("method") == "textDocument/publishDiagnostics" and said["params"]["uri"] == path.as_uri()
            )
        )
        return [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in found["params"]["diagnostics"]]

    def completions(self, path: Path, text: str) -> set[str]:
        """What is offered at `|` in the text of a file."""
        before, _, after = text.partition("|")
        self._open(path, before + after)
        line, character = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        answer = self._ask(
            "textDocument/completion",
            {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}},
        )
        return {item["label"] for item in answer["items"]}

    def _open(self, path: Path, text: str) -> None:
        known = {"textDocument": {"uri": path.as_uri()}}
        if path in self._opened:
            self._tell("textDocument/didClose", known)
            # What closing it published is not about this text: the answer to a question comes after it.
            self._ask("textDocument/documentSymbol", known)
        self._opened.add(path)
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": next(self._numbers), "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})

    def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": params})
        answer = self._wait(lambda said: said.get("id") == number and "method" not in said)
        assert "error" not in answer, answer
        return answer["result"]

    def _tell(self, method: str, params: Mapping[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _wait(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        while True:
            said = self._heard.get(timeout=ANSWER_SECONDS)
            assert said is not None, f"the language server ended with {self._child.wait()}"
            if wanted(said):
                return said
            if "id" in said and "method" in said:
                self._send({"id": said["id"], "result": self._answer(said)})

    def _answer(self, said: Mapping[str, Any]) -> Any:
        if said["method"] != "workspace/configuration":
            return None
        sections = {"yaml": self._settings}
        return [sections.get(item.get("section")) for item in said["params"]["items"]]

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._child.stdin is not None
        self._child.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._child.stdin.flush()

    def _read(self) -> None:
        assert self._child.stdout is not None
        while (message := _message(self._child.stdout)) is not None:
            self._heard.put(message)
        self._heard.put(None)


def _message(stream: IO[bytes]) -> Mapping[str, Any] | None:
    size = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return json.loads(stream.read(size)) if size else None
