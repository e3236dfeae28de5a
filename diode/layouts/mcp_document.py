"""``server.json``: how one version of an MCP server is installed and started, by its publisher.

The types follow the registry's document of 2025-12-01, so that what passes here is valid in every answer of the
gateway. Fields that the document does not name are kept.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from diode.formats.strict_json import read_json

MAX_SERVER_BYTES: Final = 1 << 20
PACKAGE_KINDS: Final = ("npm", "pypi", "oci", "mcpb")  # those that the gateway serves
_VERSION: Final = re.compile(r"[^\s\^~<>=*|]+")  # no range

Url = Annotated[str, Field(pattern=r"^(https?://[^\s]+|\{[a-zA-Z_][a-zA-Z0-9_]*\}[^\s]*)$")]
ShortText = Annotated[str, Field(min_length=1, max_length=100)]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow", alias_generator=to_camel)


class _Input(_Open):
    description: str = ""
    is_required: bool = False
    format: Literal["string", "number", "boolean", "filepath"] = "string"
    value: str = ""
    is_secret: bool = False
    default: str = ""
    placeholder: str = ""
    choices: list[str] = []


class _Variable(_Input):
    variables: dict[str, _Input] = {}


class _KeyValue(_Variable):
    name: str


class _Positional(_Variable):
    type: Literal["positional"]
    value_hint: str = ""
    is_repeated: bool = False

    @model_validator(mode="after")
    def _is_given(self) -> "_Positional":
        if not {"value_hint", "value"} & self.model_fields_set:
            raise ValueError("it has neither a value nor a valueHint")
        return self


class _Named(_Variable):
    type: Literal["named"]
    name: str
    is_repeated: bool = False


class _Stdio(_Open):
    type: Literal["stdio"]


class _Http(_Open):
    type: Literal["streamable-http", "sse"]
    url: Url
    headers: list[_KeyValue] = []


class _Remote(_Http):
    variables: dict[str, _Input] = {}


_Argument = Annotated[_Positional | _Named, Field(discriminator="type")]


class _Package(_Open):
    registry_type: str
    registry_base_url: str = ""
    identifier: Annotated[str, Field(min_length=1, max_length=2048)]
    version: Annotated[str, Field(min_length=1, max_length=255)] = ""
    file_sha256: Annotated[str, Field(pattern=r"^[a-f0-9]{64}$")] = ""
    runtime_hint: str = ""
    transport: Annotated[_Stdio | _Http, Field(discriminator="type")]
    runtime_arguments: list[_Argument] = []
    package_arguments: list[_Argument] = []
    environment_variables: list[_KeyValue] = []

    @model_validator(mode="after")
    def _is_one_version(self) -> "_Package":
        if self.version and (self.version == "latest" or not _VERSION.fullmatch(self.version)):
            raise ValueError(f"{self.version[:40]} is no single version")
        return self


class _Repository(_Open):
    url: str
    source: str
    id: str = ""
    subfolder: str = ""


class _Icon(_Open):
    src: Annotated[str, Field(max_length=255)]
    mime_type: Literal["image/png", "image/jpeg", "image/jpg", "image/svg+xml", "image/webp"] = "image/png"
    sizes: list[Annotated[str, Field(pattern=r"^(\d+x\d+|any)$")]] = []
    theme: Literal["light", "dark"] = "light"


class _Server(_Open):
    name: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$")]
    description: ShortText
    title: ShortText = "-"
    version: Annotated[str, Field(min_length=1, max_length=255)]
    repository: _Repository = _Repository(url="", source="")
    website_url: str = ""
    icons: list[_Icon] = []
    schema_: Annotated[str, Field(alias="$schema")] = ""
    packages: list[_Package] = []
    remotes: list[_Remote] = []
    meta: Annotated[dict[str, Any], Field(alias="_meta")] = {}

    @model_validator(mode="after")
    def _is_one_version(self) -> "_Server":
        if self.version == "latest" or not _VERSION.fullmatch(self.version):
            raise ValueError("version is no single version")
        if not isinstance(self.meta.get("io.modelcontextprotocol.registry/publisher-provided", {}), dict):
            raise ValueError("_meta: publisher-provided is no JSON object")
        return self


def read_server(data: bytes) -> dict[str, Any]:
    """A server as it is served: without remotes on the internet. Raises ValueError, in one line.

    Also for one whose packages the gateway could not serve, and for one of which nothing is left.
    """
    try:
        said = read_json(data)
        if not isinstance(said, dict):
            raise ValueError("it is no JSON object")
        _Server.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    remotes = [remote for remote in said.pop("remotes", []) if _is_inside(remote["url"])]
    if remotes:
        said["remotes"] = remotes
    if not remotes and not said.get("packages"):
        raise ValueError("it names no package, and remotes on the internet cannot be reached from the enclave")
    for package in said.get("packages", []):
        _check_package(package)
    return said


def _check_package(package: dict[str, Any]) -> None:
    kind = package["registryType"]
    if kind not in PACKAGE_KINDS:
        raise ValueError(f"a package is of {kind[:40]}, which is not served; those are: {', '.join(PACKAGE_KINDS)}")
    if kind == "mcpb" and "fileSha256" not in package:
        raise ValueError(f"the mcpb package {package['identifier'][:200]} has no fileSha256")


def _is_inside(url: str) -> bool:
    """Whether an address is surely no address on the internet: a private or local one, in numbers."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_private
    except ValueError:
        return False
