"""How a rules repository is changed: by pull request at GitHub or GitLab, with a hook before each commit, in an editor.

Pure. What jobs run is two commands of ours, so that it can be run anywhere.
"""

import json
from collections.abc import Mapping

from controller.codeowners import FILE, codeowners
from schemas.version import VERSION

REQUIREMENT = f"pointsman[controller]=={VERSION}"
FILES_OF = {
    "pointsman": "pointsman.yaml",
    "provider": "providers/*.yaml",
    "model": "models/*.yaml",
    "use-case": "use-cases/*/use-case.yaml",
    "rule-tests": "use-cases/*/tests.yaml",
}
"""Schema to the files that it describes, as editors write globs."""


def workflow_files(schemas: str) -> Mapping[str, str]:
    """Path to text; `schemas` is the folder of the JSON Schemas."""
    editor = {
        "yaml.schemas": {f"./{schemas}/{kind}.json": files for kind, files in FILES_OF.items()},
        "yaml.schemaStore.enable": False,
    }
    return {
        ".github/workflows/rules.yml": _GITHUB_WORKFLOW,
        ".github/actions/pointsman/action.yml": _GITHUB_ACTION,
        ".gitlab-ci.yml": _GITLAB,
        ".pre-commit-config.yaml": _PRE_COMMIT,
        ".vscode/settings.json": json.dumps(editor, indent=2) + "\n",
        ".vscode/extensions.json": json.dumps({"recommendations": ["redhat.vscode-yaml"]}, indent=2) + "\n",
        FILE: codeowners({}, "your-org"),
    }


_GITHUB_WORKFLOW = """\
name: Rules
on: pull_request
permissions:
  contents: read
  pull-requests: write # for the one comment
concurrency:
  group: rules-${{ github.ref }}
  cancel-in-progress: true
jobs:
  pointsman:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - uses: ./.github/actions/pointsman
"""

_GITHUB_ACTION = f"""\
name: Pointsman
description: Checks the rule files of a pull request, and says in one comment what the change would do.
inputs:
  requirement:
    description: What pip installs.
    default: "{REQUIREMENT}"
  folder:
    description: The rules folder.
    default: "."
  base:
    description: The revision to compare with. What is checked out is a merge, whose first parent is the target branch.
    default: "HEAD^1"
  token:
    description: A token that may comment on pull requests.
    default: "${{{{ github.token }}}}"
runs:
  using: composite
  steps:
    - name: Install
      shell: bash
      env:
        REQUIREMENT: "${{{{ inputs.requirement }}}}"
      run: python -m pip install --quiet --disable-pip-version-check "$REQUIREMENT"
    - name: Check and plan
      shell: bash
      env:
        FOLDER: "${{{{ inputs.folder }}}}"
        BASE: "${{{{ inputs.base }}}}"
        GITHUB_TOKEN: "${{{{ inputs.token }}}}"
      run: |
        status=0
        pointsman check "$FOLDER" --base "$BASE" --format github || status=$?
        pointsman comment "$FOLDER" --base "$BASE"
        exit "$status"
"""

_GITLAB = f"""\
# The comment needs a project access token (scope api, role Reporter) in the masked variable POINTSMAN_GITLAB_TOKEN:
# where a job's own token may not write notes, the job's log has the same text.
pointsman:
  image: python:3.11
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
    REQUIREMENT: "{REQUIREMENT}"
  script:
    - python -m pip install --quiet --disable-pip-version-check "$REQUIREMENT"
    - |
      status=0
      pointsman check . --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA" || status=$?
      pointsman comment . --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA"
      exit "$status"
"""

_PRE_COMMIT = """\
# Once per clone: pip install pre-commit && pre-commit install
repos:
  - repo: local
    hooks:
      - id: pointsman-check
        name: pointsman check
        entry: pointsman check
        language: system
        pass_filenames: false
        files: ^(pointsman\\.yaml|CODEOWNERS|(providers|models|use-cases)/.*)$
"""
