"""The one comment that we keep on a pull request at GitHub or a merge request at GitLab, found again by its marker.

https://docs.github.com/rest/issues/comments
https://docs.gitlab.com/api/notes/#merge-requests
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

MARKER: Final = "<!-- pointsman -->"
"""First in our comment, and seen by nobody."""
TIMEOUT_SECONDS: Final = 30.0
PER_PAGE: Final = 100
MAY_NOT: Final = (401, 403)


class NoPullRequest(Exception):
    """This is no CI job of a pull request; the text says what is missing."""


class HostSaysNo(Exception):
    """The host refused, or cannot be reached; the text says what would help."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class PullRequest:
    name: str
    comments: str
    """URL of the list of its comments, to which a new one is posted."""
    comment: str
    """What the URL of one comment begins with; its id follows."""
    headers: Mapping[str, str]
    update_method: str
    if_refused: str
    """What to do when the host says that we may not."""


def pull_request_of(environment: Mapping[str, str]) -> PullRequest:
    """The request that this CI job is about, by the variables that GitHub Actions and GitLab CI set.

    Raises:
        NoPullRequest: it is about none.
    """
    if environment.get("GITHUB_ACTIONS"):
        return _at_github(environment)
    if environment.get("GITLAB_CI"):
        return _at_gitlab(environment)
    raise NoPullRequest("this is no job of GitHub Actions (GITHUB_ACTIONS) or GitLab CI (GITLAB_CI)")


def keep_comment(request: PullRequest, body: str) -> str:
    """Writes our comment, or over the one that is there; says which.

    Raises:
        HostSaysNo: it cannot be read or written.
    """
    ours = next((note for note in _comments(request) if str(note.get("body", "")).startswith(MARKER)), None)
    if ours is None:
        _send(request, "POST", request.comments, {"body": body})
        return "wrote the comment on"
    _send(request, request.update_method, f"{request.comment}/{ours['id']}", {"body": body})
    return "updated the comment on"


def _at_github(environment: Mapping[str, str]) -> PullRequest:
    found = re.fullmatch(r"refs/pull/([0-9]+)/merge", environment.get("GITHUB_REF", ""))
    if found is None:
        raise NoPullRequest('GITHUB_REF names no pull request; run it "on: pull_request"')
    repository = f"{_set('GITHUB_API_URL', environment)}/repos/{_set('GITHUB_REPOSITORY', environment)}"
    return PullRequest(
        name=f"pull request {found[1]}",
        comments=f"{repository}/issues/{found[1]}/comments",
        comment=f"{repository}/issues/comments",
        headers={
            "Authorization": f"Bearer {_set('GITHUB_TOKEN', environment)}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        update_method="PATCH",
        if_refused='give the job "permissions: {pull-requests: write}"; a change from a fork has none',
    )


def _at_gitlab(environment: Mapping[str, str]) -> PullRequest:
    number = environment.get("CI_MERGE_REQUEST_IID")
    if not number:
        raise NoPullRequest("CI_MERGE_REQUEST_IID is not set; run it in merge request pipelines")
    project = f"{_set('CI_API_V4_URL', environment)}/projects/{_set('CI_MERGE_REQUEST_PROJECT_ID', environment)}"
    notes = f"{project}/merge_requests/{number}/notes"
    own = environment.get("POINTSMAN_GITLAB_TOKEN")
    return PullRequest(
        name=f"merge request {number}",
        comments=notes,
        comment=notes,
        headers={"PRIVATE-TOKEN": own} if own else {"JOB-TOKEN": _set("CI_JOB_TOKEN", environment)},
        update_method="PUT",
        if_refused="set POINTSMAN_GITLAB_TOKEN to a project access token with the scope api (role Reporter)",
    )


def _set(name: str, environment: Mapping[str, str]) -> str:
    if value := environment.get(name):
        return value
    raise NoPullRequest(f"{name} is not set")


def _comments(request: PullRequest) -> Iterator[Mapping[str, Any]]:
    page = 1
    while found := _send(request, "GET", f"{request.comments}?per_page={PER_PAGE}&page={page}"):
        yield from found
        if len(found) < PER_PAGE:
            return
        page += 1


def _send(request: PullRequest, method: str, url: str, content: Mapping[str, str] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    headers = {**request.headers, "Content-Type": "application/json", "User-Agent": "pointsman"}
    try:
        with urlopen(Request(url, data, headers, method=method), timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
    except HTTPError as error:
        with error:
            help_ = f"; {request.if_refused}" if error.code in MAY_NOT else ""
            raise HostSaysNo(f"{method} on {request.name} was answered {error.code}{help_}", error.code) from error
    except (URLError, OSError, HTTPException) as error:
        raise HostSaysNo(f"cannot reach the host of {request.name}: {getattr(error, 'reason', error)}") from error
    except ValueError as error:
        raise HostSaysNo(f"the host's answer about {request.name} is not JSON") from error
