"""Puts a file into a bucket with aiobotocore alone: `{"url", "keys", "region", "bucket", "path"}`.

A multipart upload as a program of one's own would do it: parts of 8 MiB straight from the file,
four at a time, each with a CRC-32C, which S3 checks.
"""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.clients import Job, work
from lading.protocol.digests import crc32c

PART = 8 * 2**20
AT_ONCE = 4


async def put(job: Job, size: int) -> Job:
    """Store the file of `size` bytes; the seconds until the object is there."""
    session, (access, secret) = get_session(), job["keys"]
    config = AioConfig(s3={"addressing_style": "path"})
    async with session.create_client(
        "s3",
        endpoint_url=job["url"],
        region_name=job["region"],
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=config,
    ) as client:
        begin = time.perf_counter()
        where = {"Bucket": job["bucket"], "Key": "peer"}
        await _multipart(client, where, Path(job["path"]), size)
        return {"seconds": time.perf_counter() - begin}


async def _multipart(client: Any, where: dict[str, str], path: Path, size: int) -> None:
    begun = await client.create_multipart_upload(**where, ChecksumAlgorithm="CRC32C")
    upload = {**where, "UploadId": begun["UploadId"]}
    slots = asyncio.Semaphore(AT_ONCE)

    async def send(number: int) -> dict[str, Any]:
        async with slots:
            data = await asyncio.to_thread(_read, path, (number - 1) * PART)
            digest = base64.b64encode(crc32c(data).to_bytes(4)).decode()
            answer = await client.upload_part(
                **upload, PartNumber=number, Body=data, ChecksumCRC32C=digest
            )
            return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32C": digest}

    parts = await asyncio.gather(*(send(number) for number in range(1, -(-size // PART) + 1)))
    await client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def _read(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(PART)


def main(job: Job) -> Job:
    """Run it in a loop of its own."""
    return asyncio.run(put(job, Path(job["path"]).stat().st_size))


if __name__ == "__main__":
    work(main)
