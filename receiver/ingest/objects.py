"""The objects of one bucket, by boto3. Each is sent from memory with its SHA-256, which the server checks itself."""

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from diode.bundle.files import FileEntry
from diode.config.ingest import BucketTarget
from diode.errors import StorageError, UsageError
from diode.formats.escape import escape
from receiver.ingest.item import Item
from receiver.ingest.secrets import check_secret

_MOST_PARTS: Final = 9_000  # S3 takes 10,000
_MOST_COPIED_BYTES: Final = 5 << 30  # by one call
_MOST_READ_BYTES: Final = 64 << 10


class Objects:
    """A bucket that is there. Memory: two parts. All but the first call happens within :meth:`saying`."""

    def __init__(self, settings: BucketTarget) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise UsageError("boto3 is not installed; the kind s3 is an extra: pip install 'diode[ingest]'") from None
        self._errors = (BotoCoreError, ClientError)
        if settings.credentials is not None:
            os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(check_secret(settings.credentials))
        config = Config(retries={"mode": "standard"}, connect_timeout=10, response_checksum_validation="when_supported")
        self._s3: Any = boto3.client(
            "s3", endpoint_url=settings.endpoint or None, region_name=settings.region, config=config
        )
        self._bucket = settings.bucket
        self._part = settings.part

    def send(self, item: Item, entry: FileEntry, key: str) -> None:
        """Send one file of the bundle, checked."""
        part = max(self._part, -(-entry.size // _MOST_PARTS))
        if entry.size > part:
            self._send_parts(item, entry, key, part)
            return
        data = b"".join(item.chunks(entry, part))
        self.write(key, data)

    def _send_parts(self, item: Item, entry: FileEntry, key: str, part_bytes: int) -> None:
        """A large file, part by part. It appears when all of it was checked; otherwise nothing of it does."""
        named = {"Bucket": self._bucket, "Key": key}
        upload = {
            **named,
            "UploadId": self._s3.create_multipart_upload(**named, ChecksumAlgorithm="SHA256")["UploadId"],
        }
        try:
            parts = []
            for number, data in enumerate(item.chunks(entry, part_bytes), 1):
                sent = self._s3.upload_part(**upload, PartNumber=number, Body=data, ChecksumSHA256=_checksum(data))
                parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": _checksum(data)})
            self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except Exception:
            self._s3.abort_multipart_upload(**upload)
            raise

    def write(self, key: str, data: bytes) -> None:
        """Write a small object."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=data, ChecksumSHA256=_checksum(data))

    def sha256(self, key: str) -> str:
        """An object's SHA-256: the server's own, or of its content where that has none of the whole."""
        head = self._s3.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        said = head.get("ChecksumSHA256", "")
        if said and "-" not in said + head["ETag"] and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return base64.b64decode(said).hex()
        hasher = hashlib.sha256()
        for chunk in self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(1 << 20):
            hasher.update(chunk)
        return hasher.hexdigest()

    def maybe_read(self, key: str) -> bytes | None:
        """The beginning of an object; None: there is none."""
        try:
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read(_MOST_READ_BYTES)
        except self._errors as error:
            if _is_missing(error):
                return None
            raise
        return body

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except self._errors as error:
            if _is_missing(error):
                return False
            raise
        return True

    def remove(self, key: str) -> None:
        """Remove an object, if there is one."""
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def move(self, source: str, target: str) -> None:
        """Copy within the bucket, then remove."""
        copied = {"Bucket": self._bucket, "Key": source}
        if self._s3.head_object(**copied)["ContentLength"] > _MOST_COPIED_BYTES:
            self._s3.copy(copied, self._bucket, target, ExtraArgs={"ChecksumAlgorithm": "SHA256"})
        else:
            self._s3.copy_object(Bucket=self._bucket, Key=target, CopySource=copied, ChecksumAlgorithm="SHA256")
        self.remove(source)

    def below(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, without it."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (one["Key"].removeprefix(prefix) for one in page.get("Contents", ()))

    def abort_left(self, prefix: str) -> None:
        """Abort uploads of a run that was killed."""
        for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix):
            for one in page.get("Uploads", ()):
                self._s3.abort_multipart_upload(Bucket=self._bucket, Key=one["Key"], UploadId=one["UploadId"])

    @contextmanager
    def saying(self) -> Iterator[None]:
        """Let an error of the server, or on the way to it, be one of ours."""
        try:
            yield
        except self._errors as error:
            raise StorageError(f"bucket {self._bucket}: {escape(str(error))[:500]}; type the same again") from error


def _is_missing(error: Exception) -> bool:
    return getattr(error, "response", {}).get("Error", {}).get("Code") in ("NoSuchKey", "404", "NotFound")


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
