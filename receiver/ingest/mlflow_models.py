"""The kind ``mlflow``: a version of a registered model, whose source is ``hf://ORG/NAME@COMMIT`` at the gateway.

MLflow keeps no bytes of it. What the gateway serves at that commit is read, and held against the signed table, before
the version is made; then an alias is moved to it. Versions carry what they are as tags, by which they are found again.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from diode.config.ingest import ModelRegistryTarget
from diode.errors import IntegrityError, StorageError, UsageError
from diode.formats.escape import escape
from receiver.ingest.hub_names import hub_names
from receiver.ingest.item import Item
from receiver.ingest.journal import Record
from receiver.ingest.secrets import read_secret
from receiver.ingest.served import Served
from receiver.ingest.target import Found

_OURS: Final = "diode:"  # before the version of a bundle, where a place is no number of MLflow's
_NAME: Final = re.compile(r"[\w. -]{1,200}")
_NO_ALIAS: Final = "INVALID_PARAMETER_VALUE"  # what MLflow answers of an alias that is not there
_PAGE: Final = 1000


class Models:
    """The registry of models of one tracking server."""

    def __init__(self, settings: ModelRegistryTarget) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        if settings.token is not None:
            os.environ["MLFLOW_TRACKING_TOKEN"] = read_secret(settings.token)
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError:
            raise UsageError(
                "mlflow is not installed; the kind mlflow is an extra: pip install 'diode[ingest]'"
            ) from None
        self._settings = settings
        self._error = MlflowException
        self._client: Any = MlflowClient(tracking_uri=settings.url, registry_uri=settings.url)

    def place(self, item: Item) -> str:
        """The bundle's version, told from a number of MLflow's."""
        return f"{_OURS}{item.line.version}"

    def look(self, item: Item) -> Found:
        """Compare the tags and the source of the model's version."""
        with self._saying():
            found = self._maybe_version(item.line.name, item.line.channel, item.line.version)
        if found is None:
            return Found("absent")
        is_same = (found.tags.get("diode.sha256sums"), found.source) == (item.sums, self._source(item))
        return Found("same") if is_same else Found("other", str(found.tags.get("diode.sha256sums", found.source))[:200])

    def names(self, item: Item) -> dict[str, str]:
        """The source of the model's version."""
        if not _NAME.fullmatch(item.line.name):
            raise UsageError(f"MLflow takes no model called {escape(item.line.name)}; nothing was pushed")
        return {"source": self._source(item)}

    def notes(self, item: Item) -> dict[str, str]:
        """Whether the model is registered."""
        with self._saying():
            return {"made": "" if self._is_registered(item.line.name) else item.line.name}

    def put(self, item: Item, record: Record) -> None:
        """Nothing: the gateway has the files."""

    def check(self, item: Item, record: Record) -> None:
        """Read the files of the commit from the gateway, as whoever loads the model will."""
        names = hub_names(item)
        served = Served(self._settings.gateway, names)
        wanted = {one.path: one for one in names.files(item)}
        if differing := sorted(served.paths() ^ wanted.keys()):
            where = "is not served" if differing[0] in wanted else "is served, and was not signed"
            raise IntegrityError(f"{escape(differing[0])} {where} at {served.address}; no version was made")
        for path, one in wanted.items():
            if (found := served.sha256(path, one.size)) != one.sha256:
                raise IntegrityError(
                    f"{served.address} serves {escape(path)} with {found}, signed was {one.sha256}; no version was made"
                )

    def publish(self, record: Record) -> None:
        """Make the version, unless an earlier run did."""
        tags = {
            "diode.bundle": record.bundle,
            "diode.channel": record.channel,
            "diode.version": record.version,
            "diode.sha256sums": record.sums,
        }
        with self._saying():
            if not self._is_registered(record.name):
                self._client.create_registered_model(record.name)
            found = self._maybe_version(record.name, record.channel, record.version)
            if found is None or found.tags.get("diode.bundle") != record.bundle:
                self._client.create_model_version(record.name, record.notes["source"], tags=tags, await_creation_for=0)

    def holds(self, record: Record) -> bool:
        """Whether the version is there."""
        with self._saying():
            return self._maybe_version(record.name, record.channel, record.version) is not None

    def current(self, record: Record) -> str:
        """What the alias leads to: a bundle's version, or a number of MLflow's."""
        with self._saying():
            found = self._maybe(
                lambda: self._client.get_model_version_by_alias(record.name, self._settings.alias), _NO_ALIAS
            )
        if found is None:
            return ""
        is_ours = found.tags.get("diode.channel") == record.channel
        return f"{_OURS}{found.tags['diode.version']}" if is_ours else str(found.version)

    def point(self, record: Record, place: str) -> None:
        """Move the alias."""
        alias = self._settings.alias
        with self._saying():
            if not place:
                self._maybe(lambda: self._client.delete_registered_model_alias(record.name, alias), _NO_ALIAS)
                return
            number = place
            if place.startswith(_OURS):
                found = self._maybe_version(record.name, record.channel, place.removeprefix(_OURS))
                if found is None:
                    raise StorageError(f"{record.name} has no version {place} any more at MLflow; the alias stays")
                number = str(found.version)
            self._client.set_registered_model_alias(record.name, alias, number)

    def take(self, record: Record) -> None:
        """Delete the version that was made for this bundle."""
        with self._saying():
            for one in self._versions(record.name):
                if one.tags.get("diode.bundle") == record.bundle:
                    self._client.delete_model_version(record.name, str(one.version))

    def clean(self, record: Record) -> None:
        """When it was undone: delete models that came with bundles, and have no version."""
        made = [name for name in record.notes.get("made", "").split("\n") if name]
        if record.phase != "undone" or not made:
            return
        with self._saying():
            for name in made:
                if self._is_registered(name) and not self._versions(name):
                    self._client.delete_registered_model(name)

    def _source(self, item: Item) -> str:
        names = hub_names(item)
        return f"hf://{'datasets/' if names.type == 'datasets' else ''}{names.repository}@{names.commit}"

    def _is_registered(self, name: str) -> bool:
        return self._maybe(lambda: self._client.get_registered_model(name)) is not None

    def _versions(self, name: str) -> list[Any]:
        """All versions of a model, of whoever made them."""
        page = self._client.search_model_versions(f"name='{name}'", max_results=_PAGE)
        found = list(page)
        while page.token:
            page = self._client.search_model_versions(f"name='{name}'", max_results=_PAGE, page_token=page.token)
            found += page
        return found

    def _maybe_version(self, name: str, channel: str, version: str) -> Any:
        """The newest version of MLflow's that stands for a bundle's."""
        wanted = (channel, version)
        found = [
            one
            for one in self._versions(name)
            if (one.tags.get("diode.channel"), one.tags.get("diode.version")) == wanted
        ]
        return max(found, key=lambda one: int(one.version), default=None)

    def _maybe(self, ask: Callable[[], Any], *absent: str) -> Any:
        """What MLflow answers; None when it has no such thing. ``absent``: further error codes that say so."""
        try:
            return ask()
        except self._error as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", *absent):
                return None
            raise

    @contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise StorageError(
                f"MLflow at {self._settings.url}: {escape(str(error))[:400]}; type the same again"
            ) from error
