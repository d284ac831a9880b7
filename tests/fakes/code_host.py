"""A host of pull requests on loopback: the comments of one, by the API of GitHub or of GitLab, for one token."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

GITHUB_COMMENTS = "/repos/acme/rules/issues/7/comments"
GITHUB_COMMENT = "/repos/acme/rules/issues/comments/"
GITLAB_NOTES = "/projects/42/merge_requests/7/notes"


@dataclass
class CodeHost:
    """Started by `with`; `comments` is what people see, oldest first."""

    token: tuple[str, str]
    """The header that a request must carry, and its value."""
    listed: str
    """Path of the list."""
    one: str
    """What the path of one comment begins with."""
    update_method: str
    may_write: bool = True
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Method and answered status of every request."""

    @classmethod
    def github(cls) -> Self:
        # https://docs.github.com/rest/issues/comments
        return cls(("Authorization", "Bearer job-token"), GITHUB_COMMENTS, GITHUB_COMMENT, "PATCH")

    @classmethod
    def gitlab(cls) -> Self:
        # https://docs.gitlab.com/api/notes/#merge-requests
        return cls(("PRIVATE-TOKEN", "project-token"), GITLAB_NOTES, f"{GITLAB_NOTES}/", "PUT")

    def __enter__(self) -> Self:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, content = host.answer(self.command, self.path, self.headers.get(host.token[0], ""), data)
                host.asked.append((self.command, status))
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_PUT = _answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, token: str, data: bytes) -> tuple[int, Any]:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if token != self.token[1]:
            return 401, {"message": "Bad credentials"}
        if path == self.listed and method == "GET":
            size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
            return 200, self.comments[size * (page - 1) : size * page]
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}
        if path == self.listed and method == "POST":
            self.comments.append({"id": 1000 + len(self.comments), "body": json.loads(data)["body"]})
            return 201, self.comments[-1]
        if method == self.update_method and path.startswith(self.one):
            (found,) = [note for note in self.comments if str(note["id"]) == path.removeprefix(self.one)]
            found["body"] = json.loads(data)["body"]
            return 200, found
        return 404, {"message": "Not Found"}
