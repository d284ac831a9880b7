import pytest

from controller.cli import main
from controller.cli.acts import lines_of

BUNDLE = {"digest": "sha256:0", "revision": "r1"}
QUIET = {"stable": BUNDLE, "head": BUNDLE, "trial": None, "pin": None, "suspended": None, "rolled_back": []}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["Stable: r1"]),
        ({"stable": None}, ["Stable: nothing yet"]),
        (
            {"trial": {"revision": "r2", "stages": [1, 10, 100], "stage": 1, "percent": 12.34, "waits_for": "calls"}},
            ["Stable: r1", "On trial: r2, stage 10 % (12.34 % of the sidecars)", "It waits for calls"],
        ),
        (
            {"canaries": [{"use_case": "chat", "reason": "canary new at 5 %: why", "waits_for": "more calls"}]},
            ["Stable: r1", "chat: canary new at 5 %: why", "It waits for more calls"],
        ),
        (
            {
                "pin": {"digest": "sha256:1", "revision": "r0", "since": "S", "until": "U", "is_overdue": True,
                        "reason": "why"},
                "suspended": "an outage",
                "rolled_back": [{"revision": "r9", "at": "T", "reason": "errors"}],
            },
            [
                "Stable: r1", "Pinned: r0 since S, until U; it is overdue. Why: why", "Waits behind the pin: r1",
                "Suspended: an outage", "Rolled back: r9 at T. Why: errors",
            ],
        ),
    ],
)  # fmt: skip
def test_what_runs_and_what_is_under_way_in_words(changes: dict[str, object], lines: list[str]) -> None:
    assert lines_of(QUIET | changes) == lines


@pytest.mark.parametrize("ttl", ["0h", "soon", "-1m", "4 h"])
def test_a_ttl_that_is_no_time_is_named(ttl: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pin", "abc", "--reason", "why", f"--ttl={ttl}"]) == 2
    assert "--ttl must be a time such as 30m, 4h or 2d" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["unpin", "rollback", "promote", "suspend", "resume"])
def test_every_act_needs_its_reason(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    assert "--reason" in capsys.readouterr().err
