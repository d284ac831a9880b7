"""Events of the controller, as text and as JSON."""

import io
import json
import sys
from pathlib import Path

import pytest

from controller import logs


def test_each_line_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("handlers", "propagate", "level"):
        monkeypatch.setattr(logs._logger, name, getattr(logs._logger, name))
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    logs.configure(as_json=True)
    logs.event("revision.accepted", revision="3f2a", seq=4, state=Path("/s"))
    logs.warn("source.unavailable", error='no "host"\nfound')
    logs.plain("usecases/a.yaml:3:1  a problem")
    try:
        raise KeyError("x")
    except KeyError as error:
        logs.bug("reconcile.crashed", error, revision="3f2a")
    (accepted,) = (json.loads(line) for line in out.getvalue().splitlines())
    assert accepted.items() >= {"level": "info", "event": "revision.accepted", "seq": 4, "state": "/s"}.items()
    unavailable, problem, crashed = (json.loads(line) for line in err.getvalue().splitlines())
    assert unavailable["error"] == 'no "host"\nfound'
    assert problem["message"] == "usecases/a.yaml:3:1  a problem"
    assert (crashed["level"], crashed["error"]) == ("error", "KeyError")
    assert "Traceback" in crashed["traceback"]
