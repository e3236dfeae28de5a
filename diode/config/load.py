"""Reads the configuration of either side from TOML and the environment, and checks it once.

A value from the environment overrides that of the file. Relative paths are relative to the folder of the file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from diode.config.sections import ENV_DELIMITER, ENV_PREFIX, Config
from diode.errors import NotInitialisedError, UsageError

if TYPE_CHECKING:
    from diode.config.receiver import ReceiverConfig
    from diode.config.sender import SenderConfig

C = TypeVar("C", bound=Config)
V = TypeVar("V")


class ConfigError(UsageError):
    """A configuration cannot be used. ``problems``: a line for each thing that is wrong with it."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        more = f" (and {len(problems) - 1} more; 'config check' lists all)" if len(problems) > 1 else ""
        super().__init__(f"{path}: {problems[0]}{more}")
        self.problems = problems


def load(kind: type[C], path: Path) -> C:
    """Read ``path`` as class ``kind``, and make its paths absolute. Raises NotInitialisedError or UsageError."""
    try:
        found = path.is_file() and os.access(path, os.R_OK)
    except OSError as error:
        raise UsageError(f"configuration {path} cannot be read: {error.strerror}") from error
    if not found:
        raise NotInitialisedError(f"configuration {path} is missing or cannot be read; 'diode init' writes one")
    written: dict[str, Any] = {}
    said: dict[str, Any] = {}
    try:
        written = tomllib.loads(path.read_text())
        said = _environment(kind)
        config = kind.model_validate(_overridden(written, said))
    except ValidationError as error:
        from diode.config.explained import explained

        raise ConfigError(path, explained(kind, written, said, error.errors())) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, [str(error)]) from None
    return _absolute(config, path.resolve().parent).read_from(path)


def _environment(kind: type[Config]) -> dict[str, Any]:
    """What variables ``DIODE_*`` say of a configuration. What reads them is loaded only where there is one."""
    if not any(name.upper().startswith(tuple(_variable(field) for field in kind.model_fields)) for name in os.environ):
        return {}
    from pydantic_settings import BaseSettings, EnvSettingsSource

    settings = cast("type[BaseSettings]", kind)  # of which it reads the fields
    return EnvSettingsSource(settings, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER)()


def _variable(field: str) -> str:
    return f"{ENV_PREFIX}{field}".upper()


def _overridden(written: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """``written``, with what ``said`` has in place of it; tables are joined."""
    joined = dict(written)
    for key, value in said.items():
        below = joined.get(key)
        joined[key] = _overridden(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return joined


def load_either(path: Path) -> "SenderConfig | ReceiverConfig":
    """Read ``path``, and tell by its link which side it configures: a sender's has ``to``, a receiver's ``listen``."""
    from diode.config.receiver import ReceiverConfig  # a side's own commands do without the other's
    from diode.config.sender import SenderConfig

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
