import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from controller.app import Running, running
from controller.cli import COMMANDS, main
from controller.errors import CannotStart
from controller.settings import ServeSettings
from controller.tokens import load_tokens
from schemas.record import CallRecord
from schemas.status import SidecarStatus
from tests.fakes.rules_repo import RulesRepo


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo) -> AsyncIterator[Running]:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    async with running(settings) as controller:
        yield controller


async def pointsman(*words: str) -> int:
    return await asyncio.to_thread(main, words)


async def test_usage_for_people_and_for_programs(
    controller: Running, make_record: Callable[..., CallRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    await controller.parts.ledger.book([make_record(1), make_record(2)])
    where = ("--controller", controller.url)
    assert await pointsman("usage", "--by", "use_case,model", "--since", "2026-11-01", *where) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:3] == ["support", "m", "2"]
    assert await pointsman("usage", "--by", "vendor", "--format", "json", *where) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["vendor"], row["requests"], row["cost_usd"]) == ("v", 2, "0.0024")


async def test_fleet_for_people_and_for_programs(controller: Running, capsys: pytest.CaptureFixture[str]) -> None:
    controller.parts.roster.note_status(SidecarStatus(id="s1", version="1", state="STARTING", use_case="support"))
    where = ("--controller", controller.url)
    assert await pointsman("fleet", *where) == 0
    assert "BEHIND" in capsys.readouterr().out
    assert await pointsman("fleet", "--format", "json", *where) == 0
    (member,) = json.loads(capsys.readouterr().out)["sidecars"]
    assert set(member) == {"id", "use_case", "state", "bundle", "revision", "last_seen", "error"}


async def test_a_controller_that_asks_for_a_token_is_read_with_one(
    tmp_path: Path, repo: RulesRepo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_tokens(tmp_path, make=True)
    monkeypatch.setenv("POINTSMAN_STATE", str(tmp_path / "nowhere"))
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0, tokens=tmp_path)
    async with running(settings) as controller:
        where = ("--controller", controller.url)
        for words in (("fleet",), ("usage",), ("canary", "list")):
            assert await pointsman(*words, *where) == 1
            assert "reading takes the controller's admin.token" in capsys.readouterr().err
            assert await pointsman(*words, *where, "--token", str(tmp_path / "sidecar.token")) == 0
        assert await pointsman("fleet", *where, "--token", str(tmp_path / "none")) == 2
        assert "--token" in capsys.readouterr().err
        monkeypatch.setenv("POINTSMAN_TOKENS", str(tmp_path))
        assert await pointsman("fleet", *where) == 0


async def test_a_wrong_key_is_wrong_usage_and_names_the_right_ones(
    controller: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await pointsman("usage", "--by", "colour", "--controller", controller.url) == 2
    assert "use_case, model, vendor" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["usage", "fleet"])
def test_no_controller_is_said_plainly(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main([command, "--controller", f"http://127.0.0.1:{port}"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"no controller at http://127.0.0.1:{port}" in shown.err
    assert "Traceback" not in shown.err


def test_an_address_that_is_no_url_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--controller", "localhost:4200"]) == 2
    assert "http://127.0.0.1:4200" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["no-such-command"], ["usage", "--no-such-flag"], ["serve"]])
def test_wrong_usage_is_2(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POINTSMAN_REPO", raising=False)
    try:
        status = main(words)
    except SystemExit as leaving:  # argparse's own way out
        status = int(str(leaving.code))
    assert status == 2
    assert capsys.readouterr().err


def test_serve_says_what_is_wrong_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--repo", str(tmp_path / "nowhere"), "--state", str(tmp_path / "state")]) == 2
    assert "nowhere" in capsys.readouterr().err


async def test_two_controllers_never_share_a_state_folder(controller: Running, tmp_path: Path, repo: RulesRepo) -> None:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    with pytest.raises(CannotStart, match="another controller"):
        async with running(settings):
            pass


def test_showing_what_a_controller_knows_needs_none_of_its_parts() -> None:
    script = (
        "import sys; from controller.cli import main\n"
        "try: main(['usage', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'pydantic', 'cryptography', 'prometheus_client', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_of_commands_holds_real_modules(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s", shown, re.MULTILINE)


async def test_an_act_on_the_fleet_is_done_at_once_and_told_in_words(
    controller: Running, repo: RulesRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = repo.commit()
    publisher = controller.parts.publisher
    await publisher.newer_than("")
    assert publisher.current is not None
    second = await asyncio.to_thread(repo.commit_variant, 1)
    await publisher.newer_than(publisher.current.event_id)
    where = ("--controller", controller.url, "--admin-token", str(tmp_path / "state" / "admin.token"))
    assert await pointsman("rollback", "--reason", "calls fail", *where) == 0
    out = capsys.readouterr().out
    assert (f"Stable: {first}" in out, f"Rolled back: {second}" in out, "Why: calls fail" in out) == (True,) * 3
    assert publisher.pointer is not None
    assert (publisher.pointer.seq, publisher.pointer.revision) == (3, first)
    assert await pointsman("pin", "0123456789", "--reason", "why", "--ttl", "4h", "--format", "json", *where) == 1
    assert "no kept bundles are named" in capsys.readouterr().err
    assert await pointsman("pin", first[:10], "--reason", "why", "--ttl", "4h", "--format", "json", *where) == 0
    assert json.loads(capsys.readouterr().out)["pin"]["revision"] == first
