import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.errors import CannotStart
from controller.settings import SERVE_OPTIONS, add_options, serve_settings


def settings(*flags: str, **environment: str) -> object:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return serve_settings(parser.parse_args(flags), environment)


def field(name: str, *flags: str, environment: Mapping[str, str] | None = None) -> object:
    return getattr(settings("--repo", "rules", *flags, **(environment or {})), name)


@pytest.mark.parametrize(
    ("flags", "environment", "name", "value"),
    [
        ([], {}, "ref", "main"),
        ([], {"POINTSMAN_REF": "live"}, "ref", "live"),
        (["--ref", "release/1"], {"POINTSMAN_REF": "live"}, "ref", "release/1"),
        ([], {}, "listen_port", 4200),
        (["--listen", "[::1]:0"], {}, "listen_host", "::1"),
        ([], {}, "poll_seconds", 15.0),
        (["--poll", "500ms"], {}, "poll_seconds", 0.5),
        (["--poll", "2m"], {}, "poll_seconds", 120.0),
        ([], {"POINTSMAN_ALLOW_HOST": "a.example,b.example"}, "allow_hosts", ("a.example", "b.example")),
        (["--allow-host", "a", "--allow-host", "b"], {}, "allow_hosts", ("a", "b")),
        ([], {"XDG_STATE_HOME": "/x"}, "state", Path("/x/pointsman/controller")),
        ([], {"POINTSMAN_STATE": "/s"}, "state", Path("/s")),
        (["--tokens", "/t"], {}, "tokens", Path("/t")),
        ([], {"POINTSMAN_ACCESS": "/a.yaml"}, "access", Path("/a.yaml")),
        ([], {}, "tls_cert", None),
        (["--tls-cert", "/c", "--client-ca", "/ca"], {}, "client_ca", Path("/ca")),
        ([], {}, "database_url", None),
        ([], {"POINTSMAN_DATABASE_URL": "postgresql://a/b"}, "database_url", "postgresql://a/b"),
        ([], {}, "keep_calls_days", 400),
        (["--keep-calls", "90d"], {}, "keep_calls_days", 90),
        ([], {"POINTSMAN_KEEP_CALLS": "forever"}, "keep_calls_days", None),
    ],
)
def test_a_flag_wins_over_its_variable_and_that_over_the_default(
    flags: list[str], environment: dict[str, str], name: str, value: object
) -> None:
    assert field(name, *flags, environment=environment) == value


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "--repo"),
        (["--repo", "r", "--listen", "4200"], "--listen"),
        (["--repo", "r", "--client-ca", "ca.pem"], "--tls-cert"),
        (["--repo", "r", "--listen", "127.0.0.1:99999"], "--listen"),
        (["--repo", "r", "--poll", "soon"], "--poll"),
        (["--repo", "r", "--poll", "0s"], "--poll"),
        (["--repo", "r", "--ref", "--upload-pack=x"], "--ref"),
        (["--repo", "r", "--ref", "main~1"], "--ref"),
        (["--repo", "r", "--path", "../secrets"], "--path"),
        (["--repo", "r", "--keep-calls", "90"], "--keep-calls"),
        (["--repo", "r", "--keep-calls", "0d"], "--keep-calls"),
    ],
)
def test_what_is_not_understood_is_named(flags: list[str], named: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    words = [f"{flags[i]}={flags[i + 1]}" for i in range(0, len(flags), 2)]
    with pytest.raises(CannotStart, match=named):
        serve_settings(parser.parse_args(words), {})


def test_help_names_every_option_with_its_variable_and_default() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    text = " ".join(parser.format_help().split())
    for option in SERVE_OPTIONS:
        assert option.flag in text
        assert option.variable in text
    assert "default: 127.0.0.1:4200" in text
