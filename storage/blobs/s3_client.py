"""A bucket of any S3: AWS, SeaweedFS, Garage, Ceph, R2. Requests, and what their failures mean.

It knows S3 and nothing of files. Credentials come from the SDK's usual chain: the variables
`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a profile, or the role of the machine. The SDK
repeats nothing here; that is the business of whoever calls (`retry.py`).

Bodies of parts are sent by presigned addresses: the SDK takes bytes only and reads them twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from lading.protocol.errors import Unavailable

PRESIGNED_SECONDS = 900
"""How long an address is valid that is used at once; clocks may differ by some minutes."""

MAX_CONNECTIONS = 64

KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source that the AWS SDK knows"


@dataclass(frozen=True, slots=True)
class S3Options:
    """How the S3 is reached.

    Without an `endpoint` it is that of AWS. `path_style` is for an S3 where the bucket is part of
    the path; by default that is each with an endpoint of its own. `keys` are the id and the
    secret of an access key, for tests; without them the SDK looks for credentials.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    keys: tuple[str, str] | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 30.0

    @property
    def by_path(self) -> bool:
        return self.endpoint is not None if self.path_style is None else self.path_style


AWS = S3Options()


class S3Error(Unavailable):
    """A request to S3 failed.

    `s3_code` is the code of S3's answer, such as `NoSuchKey`, or empty when none came; `status` is
    its HTTP status, or 0. As text it is for the operator and names the setting. `detail`, which
    clients are sent, does not say how the installation is made.
    """

    def __init__(self, advice: str, s3_code: str = "", status: int = 0) -> None:
        super().__init__("The store of the files does not answer as it should; try again later.")
        self.advice = advice
        self.s3_code = s3_code
        self.status = status

    def __str__(self) -> str:
        return self.advice

    @property
    def absent(self) -> bool:
        """The bucket is there, and has no object of that key."""
        return self.s3_code in ("NoSuchKey", "404")


class S3Client:
    """The requests to one bucket. It connects with the first of them; `close` ends all."""

    def __init__(self, bucket: str, options: S3Options) -> None:
        self.bucket = bucket
        self.options = options
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._http: Any = None

    async def close(self) -> None:
        """Close all connections."""
        await self._stack.aclose()
        self._client = self._http = None

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Carry out an operation of the API, such as `head_object`, on the bucket; its answer.

        Raises S3Error.
        """
        client = await self._opened()
        try:
            answer: dict[str, Any] = await getattr(client, operation)(
                Bucket=self.bucket, **parameters
            )
        except Exception as error:
            raise self._translated(error, operation) from error
        return answer

    async def read(self, key: str, start: int, end: int, **conditions: str | None) -> bytes:
        """The bytes `[start, end)` of an object, fewer where it ends before. Raises S3Error."""
        wanted = f"bytes={start}-{end - 1}"
        answer = await self.call("get_object", Key=key, Range=wanted, **conditions)
        if "ContentRange" not in answer:
            raise self._foreign()
        try:
            async with answer["Body"] as body:
                data: bytes = await body.read()
        except Exception as error:
            raise self._translated(error, "get_object") from error
        return data

    async def presign(self, operation: str, seconds: int, **parameters: Any) -> str:
        """An address at which anyone can carry out an operation for so many seconds.

        Headers among the parameters are signed: whoever uses the address must send the same.
        """
        client = await self._opened()
        try:
            address: str = await client.generate_presigned_url(
                operation, Params={"Bucket": self.bucket, **parameters}, ExpiresIn=seconds
            )
        except Exception as error:
            raise self._translated(error, operation) from error
        return address

    async def send(
        self,
        operation: str,
        body: AsyncIterator[bytes],
        size: int,
        headers: Mapping[str, str],
        **parameters: Any,
    ) -> Mapping[str, str]:
        """Send a body of `size` bytes by `put_object` or `upload_part`; the answer's headers.

        `headers` are those that `parameters` stand for, as they are signed. Raises S3Error, and
        what `body` raises.
        """
        from yarl import URL

        address = await self.presign(operation, PRESIGNED_SECONDS, **parameters)
        sent = _Body(body)
        try:
            async with self._http.put(
                URL(address, encoded=True),
                data=sent,
                headers={**headers, "Content-Length": str(size)},
            ) as answer:
                if answer.status < 300 and "ETag" in answer.headers:
                    told: Mapping[str, str] = answer.headers.copy()
                    return told
                text = await answer.text(errors="replace")
        except Exception as error:
            raise sent.failure or self._translated(error, operation) from error
        found = re.search(r"<Code>(\w+)</Code>", text)
        if found is None and answer.status < 500:
            raise self._foreign()
        code = found[1] if found else ""
        if code == "AccessDenied" and re.search("expired|valid yet|yet valid", text):
            code = "RequestExpired"  # the address is a moment old
        raise self._answered(code, answer.status, operation)

    # -- connections

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                await self._open()
        return self._client

    async def _open(self) -> None:
        import aiohttp
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        options = self.options
        authorities = _authorities()
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path" if options.by_path else "virtual"},
            connect_timeout=options.connect_seconds,
            read_timeout=options.read_seconds,
            max_pool_connections=MAX_CONNECTIONS,
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = get_session()
        if options.keys is not None:
            session.set_credentials(*options.keys)
        region = options.region or session.get_config_variable("region") or "us-east-1"
        try:
            self._client = await self._stack.enter_async_context(
                session.create_client(
                    "s3",
                    region_name=region,
                    endpoint_url=options.endpoint,
                    verify=authorities,
                    config=config,
                )
            )
        except Exception as error:
            raise self._translated(error, "connect") from error
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=MAX_CONNECTIONS, ssl=ssl.create_default_context(cafile=authorities)
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=options.connect_seconds,
                    sock_read=options.read_seconds,
                ),
                trust_env=True,
                skip_auto_headers=("Content-Type",),
            )
        )

    # -- what a failure means

    @property
    def _where(self) -> str:
        return self.options.endpoint or "S3 of AWS"

    def _translated(self, error: Exception, operation: str) -> S3Error:
        import aiohttp
        from botocore import exceptions as sdk
        from botocore.parsers import ResponseParserError

        if isinstance(error, sdk.ClientError):
            told = error.response.get("ResponseMetadata", {})
            code, status = error.response["Error"]["Code"], told.get("HTTPStatusCode", 0)
            if _is_page(told.get("HTTPHeaders", {})):
                return self._foreign()
            return self._answered(str(code), status, operation)
        if isinstance(error, sdk.NoCredentialsError | sdk.PartialCredentialsError):
            return S3Error(f"There are no credentials for {self._where}: set {KEYS}.")
        if isinstance(error, sdk.ParamValidationError | sdk.InvalidRegionError | ValueError):
            settings = "LADING_BLOBS, LADING_S3_ENDPOINT and LADING_S3_REGION"
            return S3Error(f"{_words(error)} Correct {settings}.")
        if not isinstance(error, sdk.BotoCoreError | aiohttp.ClientError | OSError):
            raise error
        if isinstance(error, ResponseParserError):
            return self._foreign()
        return S3Error(
            f"{self._where} cannot be reached ({_words(error)}): look whether it runs, and "
            "whether LADING_S3_ENDPOINT is its address."
        )

    def _foreign(self) -> S3Error:
        return S3Error(
            f"What answers at {self._where} is not S3: correct LADING_S3_ENDPOINT, or the proxy "
            "before it."
        )

    def _answered(self, code: str, status: int, operation: str) -> S3Error:
        """The error for an answer of S3; `code` is empty where the answer has no body."""
        bucket, where = self.bucket, self._where
        match code:
            case "NoSuchBucket":
                advice = (
                    f"There is no bucket {bucket} at {where}: create it, or correct LADING_BLOBS, "
                    "LADING_S3_ENDPOINT or LADING_S3_REGION."
                )
            case (
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "InvalidToken"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
            ):
                advice = f"{where} does not accept the credentials ({code}): correct {KEYS}."
            case "RequestTimeTooSkewed" | "RequestExpired":
                advice = (
                    f"The clocks of this machine and of {where} differ by more than S3 allows "
                    "(15 minutes): set the clock of this machine."
                )
            case "AccessDenied" | "AllAccessDisabled" | "403":
                advice = (
                    f"The credentials do not allow {operation} in the bucket {bucket} at {where}: "
                    f"allow it there, or set others ({KEYS})."
                )
            case (
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
                | "301"
            ):
                advice = f"The bucket {bucket} is in another region: correct LADING_S3_REGION."
            case _:
                told = f"{status} {code}".rstrip() if code != str(status) else code
                advice = f"{where} answered {operation} with {told} (bucket {bucket})."
        return S3Error(advice, code, status)


class _Body:
    """A body on its way. `failure` is what its source raised: that is no failure of S3."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self.failure: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._source:
                yield data
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failure = error
            raise


def _authorities() -> str | None:
    """The file of the trusted certificates; None for the usual places."""
    return os.environ.get("AWS_CA_BUNDLE") or ssl.get_default_verify_paths().cafile


def _words(error: Exception) -> str:
    """What it says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a web page: S3 answers XML, or nothing at all."""
    return headers.get("content-type", "").startswith("text/html")
