"""The settings: what they may be, and the one line that a wrong one gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lading.server.process.serve import FAILED, USAGE, serve
from lading.server.settings import Settings, WrongSettings, is_loopback, load, unknown
from tests.support.servers import IMPATIENT, PROGRAM


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LADING_")]:
        monkeypatch.delenv(name)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load()
    assert settings.host == "127.0.0.1"
    assert settings.auth == "token"
    assert settings.chunk_size == 2**20
    assert settings.largest_chunk == 4 * 2**20
    assert load(chunk_size=2**20).largest_chunk == 2**20
    assert settings.small_file_limit == 32_000_000
    assert settings.upload_ttl == 24 * 3600


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOST": "::1",
        "PORT": "0",
        "DATA": "/var/lib/lading",
        "DATABASE_URL": "mongodb://a,b/media?replicaSet=rs",
        "AUTH": "none",
        "PUBLIC_URL": "https://files.example.org/media/",
        "ALLOWED_ORIGINS": "https://a.example, https://b.example,",
        "CHUNK_SIZE": "1MiB",
        "BYTE_BUDGET": "64MiB",
        "SMALL_FILE_LIMIT": "2GB",
        "UPLOAD_TTL": "2h",
        "TOMBSTONE_TTL": "30m",
        "DRAIN_SECONDS": "1500ms",
        "NOT_A_SETTING": "x",
    }.items():
        monkeypatch.setenv(f"LADING_{name}", value)
    settings = load()
    assert settings.host == "::1"
    assert settings.port == 0
    assert settings.data == Path("/var/lib/lading")
    assert settings.database_url == "mongodb://a,b/media?replicaSet=rs"
    assert settings.auth == "none"
    assert settings.public_url == "https://files.example.org/media"
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.chunk_size == 2**20
    assert settings.byte_budget == 2**26
    assert settings.small_file_limit == 2 * 10**9
    assert settings.upload_ttl == 7200
    assert settings.tombstone_ttl == 1800
    assert settings.drain_seconds == pytest.approx(1.5)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and units set variables to nothing. An empty host would be all interfaces."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"LADING_{name.upper()}", "")
    settings = load()
    assert settings == Settings.model_construct()
    assert settings.model_fields_set == set()


WRONG = [
    ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("LOG_FORMAT", "xml", "'json' or 'text'"),
    ("PORT", "http", "integer"),
    ("PORT", "65536", "65535"),
    ("CHUNK_SIZE", "4 apples", "32MB or 4MiB"),
    ("CHUNK_SIZE", "16MiB", "15728640"),
    ("CHUNK_SIZE", "100", "1024"),
    ("BYTE_BUDGET", "1kB", "1048576"),
    ("SMALL_FILE_LIMIT", "3GB", "2000000000"),
    ("UPLOAD_TTL", "soon", "90s or 24h"),
    ("UPLOAD_TTL", "0", "greater than 0"),
    ("DRAIN_SECONDS", "2h", "3600"),
    ("AUTH", "maybe", "'token'"),
    ("PUBLIC_URL", "files.example.org", "https://files.example.org"),
    ("PUBLIC_URL", "https://files.example.org:https", "https://files.example.org"),
    ("PUBLIC_URL", "https://:443", "https://files.example.org"),
    ("ALLOWED_ORIGINS", "example.org", "https://example.org"),
    ("ALLOWED_ORIGINS", "https://example.org/", "https://example.org"),
    ("ALLOWED_ORIGINS", "https://a.example,https://B.example", "https://B.example is not"),
    ("ALLOWED_ORIGINS", "https://example.org:443", "https://example.org"),
    ("ALLOWED_ORIGINS", "https://example.org:x", "https://example.org"),
    ("ALLOWED_ORIGINS", "*", "https://example.org"),
    ("ALLOWED_ORIGINS", "null", "https://example.org"),
    ("ALLOWED_HOSTS", "http://x", "files.example.org"),
    ("ALLOWED_HOSTS", "files.example.org:8080", "without a port"),
    ("ALLOWED_HOSTS", "*.example.org", "files.example.org"),
    ("TRUSTED_PROXIES", "foo", "10.0.0.0/8"),
    ("TRUSTED_PROXIES", "*", "10.0.0.0/8"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8"),
    ("BLOBS", "ftp://srv/files", "file:///srv/lading"),
    ("SENDFILE", "internal", "/internal/"),
    ("SENDFILE", "/", "/internal/"),
    ("SENDFILE", "/in ternal/", "/internal/"),
    ("SENDFILE", "/%2e/", "/internal/"),
    ("SENDFILE", "x-sendfile", "x-sendfile:/srv/lading"),
    ("LOCAL_FILE_SERVER", "perhaps", "true or false"),
    ("S3_REDIRECT", "perhaps", "true or false"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_setting_gives_one_line_with_its_name_its_value_and_what_is_allowed(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LADING_{name}", value)
    with pytest.raises(WrongSettings) as told:
        load()
    line = str(told.value)
    assert line.startswith(f"LADING_{name}={value}: ")
    assert allowed in line
    assert "\n" not in line
    for librarys in ("Input should", "Value error", "valid integer", "unable to parse"):
        assert librarys not in line


@pytest.mark.parametrize("blobs", ["mongo", "s3://bucket"])
def test_only_files_of_a_directory_can_be_handed_off(blobs: str) -> None:
    load(blobs="file:///srv/lading", sendfile="/internal")
    load(blobs="file:///srv/lading", sendfile="x-sendfile:/srv/lading")
    with pytest.raises(WrongSettings) as told:
        load(blobs=blobs, sendfile="/internal/")
    line = str(told.value)
    assert line.startswith("LADING_SENDFILE=/internal/ needs a directory in LADING_BLOBS")
    assert "\n" not in line


def test_only_accounts_can_be_signed_up_for() -> None:
    load(auth="accounts", signup="open")
    with pytest.raises(WrongSettings) as told:
        load(signup="invite")
    assert str(told.value) == "LADING_SIGNUP=invite needs LADING_AUTH=accounts"


def test_the_metrics_have_a_port_of_their_own() -> None:
    load(port=8080, metrics_port=9108)
    with pytest.raises(WrongSettings) as told:
        load(port=8080, metrics_port=8080)
    assert str(told.value) == "LADING_METRICS_PORT=8080 must not be LADING_PORT"


def test_the_line_of_a_number_states_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LADING_PORT", "http")
    with pytest.raises(WrongSettings) as told:
        load()
    assert str(told.value) == "LADING_PORT=http: must be an integer (from 0 to 65535)"


def test_a_value_cannot_break_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LADING_PORT", "1\n\x1b[2J\u202e" + "x" * 1000)
    with pytest.raises(WrongSettings) as told:
        load()
    line = str(told.value)
    assert line.startswith("LADING_PORT=1\\n\\x1b[2J\\u202exx")
    assert line.isprintable()
    assert len(line) < 300


def test_each_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LADING_PORT", "x")
    monkeypatch.setenv("LADING_CHUNK_SIZE", "y")
    with pytest.raises(WrongSettings) as told:
        load()
    lines = str(told.value).splitlines()
    assert [line.partition("=")[0] for line in lines] == ["LADING_PORT", "LADING_CHUNK_SIZE"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "http://[::1]:8080"),
        ("public_url", "https://example.org/files"),
        ("allowed_origins", "http://localhost:3000,https://a-b.example.org,http://[::1]"),
        ("allowed_origins", "http://127.0.0.1:443,capacitor://localhost"),
        ("allowed_hosts", "files.example.org,my_host,::1,192.168.1.7,Files.Example.Org"),
        ("trusted_proxies", "10.0.0.0/8,127.0.0.1,fd00::/8,::1"),
        ("blobs", "mongo"),
        ("database_url", "mongodb://host"),
    ],
)
def test_what_is_allowed_is_taken(name: str, value: str) -> None:
    load(**{name: value})


@pytest.mark.parametrize(
    "url", ["hunter2", "postgres://ann:hunter2@host", "mongodb://ann:hunter2@host:x"]
)
def test_the_password_of_a_wrong_database_address_is_not_shown(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LADING_DATABASE_URL", url)
    with pytest.raises(WrongSettings) as told:
        load()
    assert str(told.value).startswith("LADING_DATABASE_URL=")
    assert "mongodb://" in str(told.value)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.7", False),
        ("example.org", False),
    ],
)
def test_without_a_credential_only_this_machine_may_come(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    if loopback:
        assert load(auth="none", host=host).auth == "none"
    else:
        with pytest.raises(WrongSettings, match=f"LADING_AUTH=none .*LADING_HOST={host}"):
            load(auth="none", host=host)


def test_variables_that_are_no_settings_are_told_of() -> None:
    environment = {
        "LADING_UPLOAD_TLT": "1h",
        "lading_prot": "1",
        "LADING_UPLOAD_TTL": "1h",
        "lading_port": "1",
        "LADING_URL": "http://here",
        "LADING_TOKEN": "lg_x",
        "PATH": "/bin",
    }
    assert unknown(environment) == ["LADING_UPLOAD_TLT", "lading_prot"]


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


# -- how the server ends on them


@pytest.mark.parametrize(("name", "value", "_allowed"), WRONG[:1])
def test_the_server_stops_at_once_with_that_line(
    name: str,
    value: str,
    _allowed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(f"LADING_{name}", value)
    assert serve() == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"LADING_{name}={value}: " in err


def test_a_port_that_is_taken_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LADING_DATA", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("LADING_PORT", str(port))
        assert serve() == USAGE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"LADING_PORT={port}" in err


@pytest.mark.parametrize("setting", ["data", "mongod", "database_url"])
def test_what_cannot_be_used_is_told_without_a_trace(setting: str, tmp_path: Path) -> None:
    """The values are well-formed; that they are of no use shows when the server starts."""
    file = tmp_path / "file"
    file.touch()
    value = {
        "data": str(file),
        "mongod": "/nowhere/mongod",
        "database_url": "mongodb://127.0.0.1:1",
    }[setting]
    environment = {"LADING_DATA": str(tmp_path / "data"), "LADING_PORT": "0", **os.environ}
    environment[f"LADING_{setting.upper()}"] = value
    ended = subprocess.run(
        [sys.executable, "-c", f"{IMPATIENT}; {PROGRAM}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == FAILED
    assert "Traceback" not in ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    assert f"LADING_{setting.upper()}" in line
