"""Flags, then variables, then defaults; wrong usage ends with one sentence."""

import base64
import sys
from pathlib import Path

import pytest

from sidecar.settings import Address, is_loopback, read_settings


def test_defaults() -> None:
    settings = read_settings(["--rules", "rules"], {"XDG_STATE_HOME": "/s"})
    assert settings.rules == ("rules",)
    assert (settings.listen, settings.admin) == (Address("127.0.0.1", 4100), Address("127.0.0.1", 4101))
    assert settings.state == Path("/s/pointsman/sidecar")
    assert (settings.use_case, settings.agent, settings.controller_token) == (None, "", None)
    assert (settings.max_body_bytes, settings.drain_seconds) == (32 << 20, 25.0)
    assert settings.token_counts == "estimate"
    assert (settings.otel, settings.log_format) == (None, "text")


def test_a_flag_goes_before_its_variable() -> None:
    environ = {"POINTSMAN_RULES": "a b", "POINTSMAN_LISTEN": "127.0.0.1:1", "POINTSMAN_USE_CASE": "chat"}
    assert read_settings([], environ).rules == ("a", "b")
    settings = read_settings(["--rules", "c", "--listen", "[::1]:2"], environ)
    assert (settings.rules, settings.listen, settings.use_case) == (("c",), Address("::1", 2), "chat")


def test_what_it_serves_is_said_once_for_each_use_case() -> None:
    environ = {"POINTSMAN_RULES": "a", "POINTSMAN_SERVES": "support coding"}
    assert read_settings([], environ).serves == ("support", "coding")
    assert read_settings(["--serves", "x", "--serves", "y"], environ).serves == ("x", "y")
    assert read_settings(["--rules", "a"], {}).serves == ()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--rules is required"),
        (["--rules", "r", "--listen", "4100"], "is not an address"),
        (["--rules", "r", "--listen", "127.0.0.1:70000"], "is not an address"),
        (["--rules", "r", "--max-body", "big"], "big"),
        (["--rules", "r", "--token-counts", "exact"], '--token-counts is estimate or vocabulary, not "exact"'),
        (["--rules", "r", "--otel", "yes"], '--otel is off or on, not "yes"'),
        (["--rules", "r", "--log-format", "xml"], '--log-format is text or json, not "xml"'),
        (["--rules", "r", "--controller-token", "/does/not/exist"], "cannot be read"),
        (["--rules", "https://controller.example"], "needs --public-key"),
        (["--rules", "r", "--controller-key", __file__], "--controller-key needs --controller-cert"),
        (["--rules", "r", "--controller-ca", "/does/not/exist"], "cannot be read"),
        (["--rules", "http://127.0.0.1.evil.example"], "needs --public-key"),
        (["--rules", "r", "--redis-url", "http://:secret@host"], "http://… is not the URL of a Redis"),
        (["--rules", "r", "--redis-url", "redis:///0"], "is not the URL of a Redis"),
        (["--rules", "r", "--redis-url", "host:6379"], "is not the URL of a Redis"),
        (["--rules", "r", "--no-such-flag"], "unrecognized"),
    ],
)
def test_wrong_usage(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(argv, {})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert "secret" not in said


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://u:p@h", "unix:///run/redis.sock"])
def test_the_shared_store_is_named_by_its_url(url: str) -> None:
    assert read_settings(["--rules", "r", "--redis-url", url], {}).redis_url == url
    assert read_settings(["--rules", "r"], {"POINTSMAN_REDIS_URL": url}).redis_url == url
    assert read_settings(["--rules", "r"], {"POINTSMAN_REDIS_URL": ""}).redis_url is None


def test_the_vocabulary_is_asked_for_by_flag_or_variable() -> None:
    assert read_settings(["--rules", "r", "--token-counts", "vocabulary"], {}).token_counts == "vocabulary"
    assert read_settings(["--rules", "r"], {"POINTSMAN_TOKEN_COUNTS": "vocabulary"}).token_counts == "vocabulary"


def test_a_vocabulary_that_is_not_installed_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "toktok", None)
    with pytest.raises(SystemExit) as ended:
        read_settings(["--rules", "r", "--token-counts", "vocabulary"], {})
    assert ended.value.code == 2
    assert "pip install 'pointsman[tokens]'" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "short", "!!!", base64.b64encode(bytes(31)).decode(), "ключ"])
def test_a_file_that_is_no_public_key(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pub").write_text(content)
    with pytest.raises(SystemExit):
        read_settings(["--rules", "r", "--public-key", str(tmp_path / "pub")], {})
    assert "public key" in capsys.readouterr().err


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "pub").write_text(base64.b64encode(bytes(32)).decode() + "\n")
    (tmp_path / "token").write_text("t\n")
    argv = ["--rules", "https://c.example", "--public-key", str(tmp_path / "pub")]
    settings = read_settings([*argv, "--controller-token", str(tmp_path / "token")], {})
    assert (settings.public_keys, settings.controller_token) == ((bytes(32),), tmp_path / "token")


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://localhost:1", True), ("http://127.9.9.9", True), ("http://[::1]:1", True), ("http://10.0.0.1", False)],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("http://127.0.0.1:4200", Path("/s/pointsman/controller/sidecar.token")),
        ("rules", None),
    ],
)
def test_the_token_of_a_controller_on_this_machine_is_found(rules: str, expected: Path | None) -> None:
    assert read_settings(["--rules", rules], {"XDG_STATE_HOME": "/s"}).controller_token == expected


def test_a_token_file_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(["--rules", "r", "--controller-token", "/nowhere/token"], {})
    assert "/nowhere/token cannot be read" in capsys.readouterr().err


def test_a_standard_variable_that_cannot_be_meant_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert read_settings(["--rules", "r"], environ).otel is None
    with pytest.raises(SystemExit) as ended:
        read_settings(["--rules", "r", "--otel", "on"], environ)
    assert ended.value.code == 2
    assert 'http/protobuf here, not "grpc"' in capsys.readouterr().err
