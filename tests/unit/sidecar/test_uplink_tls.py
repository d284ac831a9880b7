"""The certificates of the way to the controller. Real handshakes are in `tests/unit/controller/api/test_tls.py`."""

import ssl
from pathlib import Path

import pytest

from sidecar.uplink_tls import TlsFiles, UplinkTls
from tests.fakes.certificates import Authority


def test_where_nothing_is_named_the_systems_authorities_are_trusted() -> None:
    assert UplinkTls(TlsFiles()).context() is True


def test_a_renewed_file_is_taken_up_at_the_next_connection_and_an_unchanged_one_is_not_read_again(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, "ca")
    files = TlsFiles(authority.file, authority.client("client.pem", "bot"))
    tls = UplinkTls(files)
    first = tls.context()
    assert isinstance(first, ssl.SSLContext)
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname
    assert tls.context() is first
    renewed = authority.client("renewed.pem", "bot")
    renewed.replace(tmp_path / "client.pem")
    assert tls.context() is not first


def test_a_file_that_is_none_or_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "gone.pem"):
        with pytest.raises(OSError):  # noqa: PT011  # ssl.SSLError is one, and says what is wrong with the file
            UplinkTls(TlsFiles(path)).context()
