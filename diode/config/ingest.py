"""``[ingest.NAME]`` of ``receiver.toml``: stores of the enclave into which published bundles are pushed.

No secret stands here: it lies in a file that is named, or in what the store's own library reads.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from diode.config.sections import Section
from diode.formats.names import ChannelName

Timeout = Annotated[float, Field(gt=0.0, le=86400.0)]
_Url = Annotated[str, Field(pattern=r"^https?://[^/\s?#]+(/[^\s?#]*)?$")]


class _Target(Section):
    channels: tuple[ChannelName, ...]  # whose bundles may go there


class FolderTarget(_Target):
    """A folder: CHANNEL/NAME/VERSION below it, and a link ``current``."""

    kind: Literal["dir"]
    path: Path


class HubCacheTarget(_Target):
    """The cache of ``huggingface_hub``, as ``HF_HUB_CACHE`` names it."""

    kind: Literal["hf-cache"]
    path: Path


class RegistryTarget(_Target):
    """A registry of container images, filled by skopeo from the gateway."""

    kind: Literal["oci"]
    registry: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\[\]:-]{1,255}$")]  # HOST or HOST:PORT
    prefix: Annotated[str, Field(pattern=r"^([a-z0-9]+([._/-][a-z0-9]+)*)?$", max_length=128)] = ""
    gateway: _Url  # where the images are read; the gateway must serve the channel by oci
    tls: bool = True  # False: the registry is spoken to by plain HTTP
    authfile: Path | None = None  # as `skopeo login --authfile` writes it; nobody else may read it
    timeout_s: Timeout = 3600.0  # of one call of skopeo


class BucketTarget(_Target):
    """A bucket of S3, or of a server that speaks as S3 does. Credentials: as boto3 finds them."""

    kind: Literal["s3"]
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{3,255}$")]
    prefix: Annotated[str, Field(pattern=r"^([\w.-]+(/[\w.-]+)*)?$", max_length=256)] = ""
    endpoint: _Url | Literal[""] = ""  # empty: Amazon's
    region: Annotated[str, Field(max_length=64)] = "us-east-1"
    credentials: Path | None = None  # a file of profiles as boto3 reads it; nobody else may read it
    part: Annotated[int, Field(ge=5 << 20, le=1 << 30)] = 64 << 20  # bytes in memory, and of one part of a large file


class ModelRegistryTarget(_Target):
    """MLflow's registry of models: a version names the files at the gateway."""

    kind: Literal["mlflow"]
    url: _Url  # of the tracking server
    gateway: _Url  # that serves the channel by hub: what `hf://` is asked for
    alias: Annotated[str, Field(pattern=r"^[A-Za-z][\w-]{0,99}$")] = "current"
    token: Path | None = None  # a file with a bearer token; nobody else may read it


class ProgramTarget(_Target):
    """A program of the site's own."""

    kind: Literal["exec"]
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    user: str = ""  # whom it runs as, as scan_user of a channel
    timeout_s: Timeout = 3600.0  # of one call


IngestTarget = Annotated[
    FolderTarget | HubCacheTarget | RegistryTarget | BucketTarget | ModelRegistryTarget | ProgramTarget,
    Field(discriminator="kind"),
]
TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
