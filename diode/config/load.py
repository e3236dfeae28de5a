"""Reads the configuration of either side from TOML and the environment, and checks it once.

A value from the environment overrides that of the file. Relative paths are relative to the folder of the file.
"""

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

from diode.config.intake import ContentSettings
from diode.config.receiver import ReceiverConfig
from diode.config.sections import Config
from diode.config.sender import SenderConfig
from diode.errors import NotInitialisedError, UsageError

C = TypeVar("C", bound=Config)
V = TypeVar("V")


def load(kind: type[C], path: Path) -> C:
    """Read ``path`` as class ``kind``, and make its paths absolute. Raises NotInitialisedError or UsageError."""
    try:
        found = path.is_file() and os.access(path, os.R_OK)
    except OSError as error:
        raise UsageError(f"configuration {path} cannot be read: {error.strerror}") from error
    if not found:
        raise NotInitialisedError(f"configuration {path} is missing or cannot be read; 'diode init' writes one")
    try:
        sources = EnvSettingsSource(kind), TomlConfigSettingsSource(kind, toml_file=path)
        config = kind(_build_sources=(sources, {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {_said(first, kind)}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None
    return _absolute(config, path.resolve().parent).read_from(path)


def _said(error: ErrorDetails, kind: type[BaseSettings]) -> str:
    """What is wrong with a configuration, and what to write instead where that is known."""
    if error["type"] == "tuple_type":
        return 'a list is wanted: ["..."]'
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    match error["loc"]:
        case ("channels", name, key) if kind is SenderConfig and key in ContentSettings.model_fields:
            return f"unknown key; on the sender it belongs to [channels.{name}.intake]"
        case ("channels", name, "intake"):
            return f"unknown key; on the receiver its keys belong to [channels.{name}] itself"
    return "unknown key"


def load_either(path: Path) -> SenderConfig | ReceiverConfig:
    """Read ``path``, and tell by its link which side it configures: a sender's has ``to``, a receiver's ``listen``."""
    try:
        link = tomllib.loads(path.read_text()).get("link", {}) if path.is_file() else {}
    except (OSError, ValueError):
        link = {}  # load says it better
    return load(ReceiverConfig, path) if "listen" in link else load(SenderConfig, path)


def _absolute(value: V, base: Path) -> V:
    """A copy in which every relative path is made absolute below ``base``."""
    changed: Any = value
    if isinstance(value, Path):
        changed = base / value
    elif isinstance(value, BaseModel):
        update = {name: _absolute(getattr(value, name), base) for name in type(value).model_fields}
        changed = value.model_copy(update=update)
    elif isinstance(value, dict):
        changed = {key: _absolute(inner, base) for key, inner in value.items()}
    elif isinstance(value, tuple):
        changed = tuple(_absolute(inner, base) for inner in value)
    return cast(V, changed)
