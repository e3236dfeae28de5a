"""Opens the target that the configuration names. The library of a store is loaded when a target of its kind is."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from diode.config.ingest import (
    BucketTarget,
    FolderTarget,
    HubCacheTarget,
    IngestTarget,
    ModelRegistryTarget,
    ProgramTarget,
    RegistryTarget,
)
from diode.config.receiver import ReceiverConfig
from diode.errors import StorageError
from receiver.ingest.target import Target

# whose names a kind uses: a bundle may use those that belong to its own channel
NAMES_OF: Final[Mapping[str, str]] = {"hf-cache": "hub", "mlflow": "hub", "oci": "oci"}


def open_target(config: ReceiverConfig, name: str, settings: IngestTarget) -> Target:
    """Raises StorageError when a folder cannot be used, UsageError when something is missing that must be installed."""
    match settings:
        case FolderTarget(path=path) | HubCacheTarget(path=path):
            return _open_folder(settings, name, path)
        case BucketTarget():
            from receiver.ingest.bucket import Bucket

            return Bucket(settings)
        case RegistryTarget():
            from receiver.ingest.registry import Registry

            return Registry(settings)
        case ModelRegistryTarget():
            from receiver.ingest.mlflow_models import Models

            return Models(settings)
        case ProgramTarget():
            from receiver.ingest.program import Program
            from receiver.release.scanning import surroundings

            return Program(settings, replace(surroundings(config), is_persons=True))


def _open_folder(settings: FolderTarget | HubCacheTarget, name: str, path: Path) -> Target:
    from receiver.ingest.directory import Directory
    from receiver.ingest.hub_cache import HubCache

    try:
        return Directory(settings) if isinstance(settings, FolderTarget) else HubCache(settings)
    except OSError as error:
        raise StorageError(
            f"target {name} cannot be reached: {path}: {error.strerror}; nothing was changed; ingest makes no such "
            "folder, since a mount may be missing"
        ) from error
