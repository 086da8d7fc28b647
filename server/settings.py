"""The settings, from `LADING_*` environment variables, with their defaults and limits.

A wrong value stops the server with one line that names the variable, its value and what is allowed.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lading.protocol.kinds import Kind
from lading.protocol.manifest import MAX_CHUNK_SIZE, MIN_CHUNK_SIZE
from lading.protocol.units import parse_duration, parse_size
from lading.server.kinds import read_kinds
from lading.server.validation import reason
from lading.storage.database import is_address

MAX_SHOWN = 200


def _comma_list(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


Size = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]


LARGEST_ASKED = 4 * 2**20
"""The largest cell, in bytes, that clients may ask for unless `LADING_CHUNK_SIZE` is set. Larger
cells are faster over connections with a long delay."""


CLIENTS_OWN = ("LADING_URL", "LADING_TOKEN")
"""The variables that the command line reads."""


MAY_BE_SECRET = (
    "LADING_DATABASE_URL",
    "LADING_JWT_SECRET",
    "LADING_APPROVE_URL",
    "LADING_OIDC_CLIENT_SECRET",
)
"""Variables that are a secret, or may contain one: no message shows their values."""


class WrongSettings(Exception):
    """Some settings have values that are not allowed; the message has one line for each."""


class Settings(BaseSettings):
    """All settings. Sizes are in bytes, durations in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="LADING_",
        env_ignore_empty=True,
        extra="ignore",
        validate_default=True,
        frozen=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    data: Path = Path("lading-data")
    database_url: str | None = None
    blobs: str = "mongo"
    kinds: Annotated[tuple[Kind, ...], NoDecode, PlainValidator(read_kinds)] = ()
    imaging: int = Field(default=1, ge=0, le=64)
    local_file_server: bool = False
    sendfile: str | None = None
    s3_redirect: bool = False
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_path_style: bool | None = None
    mongod: str | None = None
    auth: Literal["token", "accounts", "jwt", "none"] = "token"
    signup: Literal["closed", "invite", "open"] = "closed"
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_admin_group: str | None = None
    oidc_grant_group: str | None = None
    jwt_secret: SecretStr | None = None
    jwt_public_key: str | None = None
    jwt_jwks: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    jwt_leeway: Duration = Field(default=60.0, ge=0, le=3600)
    public_url: str | None = None
    allowed_origins: Names = ()
    allowed_hosts: Names = ()
    trusted_proxies: Names = ()
    chunk_size: Size = Field(default=2**20, ge=MIN_CHUNK_SIZE, le=MAX_CHUNK_SIZE)
    byte_budget: Size = Field(default=192 * 2**20, ge=2**20)
    small_file_limit: Size = Field(default=32 * 10**6, ge=1, le=2 * 10**9)
    upload_ttl: Duration = Field(default=24 * 3600.0, gt=0)
    tombstone_ttl: Duration = Field(default=24 * 3600.0, ge=0)
    trash_ttl: Duration = Field(default=30 * 24 * 3600.0, ge=0)
    watch_grace: Duration = Field(default=4 * 3600.0, ge=0, le=24 * 3600)
    janitor: bool = True
    janitor_interval: Duration | None = Field(default=None, gt=0)
    janitor_pace: Duration = Field(default=0.01, ge=0)
    default_quota: Size | None = Field(default=None, ge=0)
    free_space_floor: Size = Field(default=512 * 2**20, ge=0)
    drain_seconds: Duration = Field(default=20.0, ge=0, le=3600)
    workers: int = Field(default=1, ge=1, le=64)
    max_connections: int = Field(default=20_000, ge=1)
    max_user_connections: int = Field(default=1_000, ge=1)
    user_byte_budget: Size | None = Field(default=None, ge=2**20)
    otlp_endpoint: str | None = None
    audit_ttl: Duration = Field(default=30 * 24 * 3600.0, ge=0)
    approve_url: str | None = None
    approve_timeout: Duration = Field(default=24 * 3600.0, ge=0)
    approve_otherwise: Literal["reject", "publish"] = "reject"
    webhook_private: bool = False
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] | None = None

    @field_validator("database_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("must be an address such as mongodb://host:27017/lading")
        return value

    @field_validator("blobs")
    @classmethod
    def _is_home(cls, value: str) -> str:
        if not re.fullmatch(r"mongo|file:///.*[^/]|s3://[a-z0-9][a-z0-9.-]+(/.*[^/])?", value):
            raise ValueError(
                "must be mongo, a directory such as file:///srv/lading, or a bucket such as "
                "s3://bucket/prefix"
            )
        return value

    @field_validator("sendfile")
    @classmethod
    def _is_handing_off(cls, value: str | None) -> str | None:
        # No characters that would have to be encoded: proxies differ in what they decode.
        if value is not None and not re.fullmatch(r"(x-sendfile:)?(/[\w.-]+)+/?", value, re.ASCII):
            raise ValueError(
                "must be a location of the proxy such as /internal/, or the directory as the proxy "
                "sees it, such as x-sendfile:/srv/lading"
            )
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not _is_public(value):
            raise ValueError("must be an address such as https://s3.example.org")
        return value.rstrip("/") if value else value

    @field_validator("s3_region")
    @classmethod
    def _is_region(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]{1,63}", value):
            raise ValueError("must be the name of a region such as eu-central-1")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_collector(cls, value: str | None) -> str | None:
        if value is not None and not _is_public(value):
            raise ValueError("must be an address such as http://127.0.0.1:4318")
        if value is not None and find_spec("opentelemetry") is None:
            raise ValueError("needs a package: pip install 'lading[otel]'")
        return value

    @field_validator("approve_url")
    @classmethod
    def _is_asked(cls, value: str | None) -> str | None:
        if value is not None and not _is_asked(value):
            raise ValueError("must be an address such as http://scanner:8080/check")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not _is_public(value):
            raise ValueError("must be an address such as https://files.example.org")
        return value.rstrip("/") if value else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(
            value, _is_origin, "an origin such as https://example.org, as browsers send it"
        )

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(value, _is_name, "a name such as files.example.org, without a port")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each(value, _is_network, "an address or a network such as 10.0.0.0/8")

    @field_validator("oidc_issuer")
    @classmethod
    def _is_issuer(cls, value: str | None) -> str | None:
        if value is not None:
            home = value.startswith("http://") and is_loopback(urlsplit(value).hostname or "")
            if not _is_public(value) or not (home or value.startswith("https://")):
                raise ValueError("must be an address that begins with https://")
        return value

    @field_validator("jwt_jwks")
    @classmethod
    def _is_safe_address(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("http://"):
            host = urlsplit(value).hostname or ""
            if not is_loopback(host):
                raise ValueError("must be a file, or an address that begins with https://")
        return value

    @model_validator(mode="after")
    def _has_one_key(self) -> Settings:
        if self.auth != "jwt":
            return self
        keys = [self.jwt_secret, self.jwt_public_key, self.jwt_jwks]
        if sum(key is not None for key in keys) != 1:
            raise ValueError(
                "LADING_AUTH=jwt needs exactly one of LADING_JWT_SECRET, LADING_JWT_PUBLIC_KEY, "
                "LADING_JWT_JWKS"
            )
        if not self.jwt_audience:
            raise ValueError(
                "LADING_AUTH=jwt needs LADING_JWT_AUDIENCE, the claim `aud` of its tokens"
            )
        return self

    @model_validator(mode="after")
    def _has_accounts_to_make(self) -> Settings:
        if self.signup != "closed" and self.auth != "accounts":
            raise ValueError(f"LADING_SIGNUP={self.signup} needs LADING_AUTH=accounts")
        return self

    @model_validator(mode="after")
    def _has_a_provider(self) -> Settings:
        given = [self.oidc_client_id, self.oidc_client_secret]
        given += [self.oidc_admin_group, self.oidc_grant_group]
        if self.oidc_issuer is None and any(each is not None for each in given):
            raise ValueError("LADING_OIDC_… needs LADING_OIDC_ISSUER")
        if self.oidc_issuer is not None and self.oidc_client_id is None:
            raise ValueError("LADING_OIDC_ISSUER needs LADING_OIDC_CLIENT_ID")
        if self.oidc_issuer is not None and self.auth != "accounts":
            raise ValueError("LADING_OIDC_ISSUER needs LADING_AUTH=accounts")
        return self

    @model_validator(mode="after")
    def _open_only_at_home(self) -> Settings:
        if self.auth == "none" and not is_loopback(self.host):
            raise ValueError(
                f"LADING_AUTH=none is refused with LADING_HOST={self.host}: without credentials "
                "the server may listen only on a loopback address, such as 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _has_files_to_hand_off(self) -> Settings:
        if self.sendfile is not None and not self.blobs.startswith("file:"):
            raise ValueError(
                f"LADING_SENDFILE={self.sendfile} needs a directory in LADING_BLOBS, such as "
                f"file:///srv/lading, not {self.blobs}: a proxy can send only files of a directory"
            )
        return self

    @model_validator(mode="after")
    def _has_two_ports(self) -> Settings:
        if self.metrics_port is not None and self.metrics_port == self.port:
            raise ValueError(f"LADING_METRICS_PORT={self.metrics_port} must not be LADING_PORT")
        return self

    @property
    def has_admin_token(self) -> bool:
        """Whether the token in the data directory is a credential."""
        return self.auth in ("token", "accounts")

    @property
    def largest_chunk(self) -> int:
        """The largest cell, in bytes, that a client may ask for."""
        return self.chunk_size if "chunk_size" in self.model_fields_set else LARGEST_ASKED

    @property
    def part_of_user(self) -> int:
        """The bytes of the byte budget that one user's connections may use."""
        return self.user_byte_budget or max(2**20, self.byte_budget // 2)


def _each(values: tuple[str, ...], is_good: Callable[[str], bool], allowed: str) -> tuple[str, ...]:
    for value in values:
        if not is_good(value):
            raise ValueError(f"{value} is not {allowed}")
    return values


def _is_public(text: str) -> bool:
    return bool(re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", text)) and _has_a_host(text)


def _is_asked(text: str) -> bool:
    return bool(re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+([/?][!-~]*)?", text)) and _has_a_host(
        text
    )


def _is_origin(text: str) -> bool:
    """Whether a browser could send `text` as an Origin: lower case, no path, no default port."""
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+", text) or not _has_a_host(text):
        return False
    usual = {"http": 80, "https": 443}
    parts = urlsplit(text)
    return parts.port is None or parts.port != usual.get(parts.scheme)


def _has_a_host(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and not parts.netloc.endswith(":") and parts.port != 0
    except ValueError:
        return False


def _is_name(text: str) -> bool:
    return (_is_network(text) and "/" not in text) or bool(re.fullmatch(r"[\w.-]+", text, re.ASCII))


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(**overrides: Any) -> Settings:
    """The settings from the environment; raises WrongSettings for values that are not allowed."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise WrongSettings("\n".join(_line(item) for item in error.errors())) from None


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Variables that start with `LADING_` but are no settings: most likely misspelt."""
    known = {f"LADING_{name.upper()}" for name in Settings.model_fields} | {*CLIENTS_OWN}
    return sorted(
        name
        for name in environment
        if name.upper().startswith("LADING_") and name.upper() not in known
    )


def _line(item: Any) -> str:
    if not item["loc"]:
        return reason(item)
    name = str(item["loc"][0])
    variable = f"LADING_{name.upper()}"
    if variable in MAY_BE_SECRET:
        value = "(hidden)"
    else:
        value = _on_one_line(str(os.environ.get(variable, item["input"])))
    return f"{variable}={value}: {_on_one_line(reason(item))}{_limits(name)}"


def _limits(name: str) -> str:
    """The limits of a number, so that the line states all that is allowed."""
    field = Settings.model_fields.get(name)
    bounds = [] if field is None else field.metadata
    least = next((each.ge for each in bounds if hasattr(each, "ge")), None)
    most = next((each.le for each in bounds if hasattr(each, "le")), None)
    return "" if least is None or most is None else f" (from {least} to {most})"


def _on_one_line(text: str) -> str:
    """The text with everything escaped that could break a line or move a terminal's cursor."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return safe if len(safe) <= MAX_SHOWN else safe[:MAX_SHOWN] + "..."
