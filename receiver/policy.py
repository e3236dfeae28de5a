"""What this side allows of what is signed: in time, and labelled as its channel takes it. Deny by default."""

from typing import Any

from diode.errors import ExpiredError, PolicyError
from diode.manifest import Manifest


class Policy:
    """The receiver's rules for each channel, from its configuration."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._labels: dict[str, tuple[list[str], str]] = {k: (v[0], v[1]) for k, v in settings["labels"].items()}

    def check(self, manifest: Manifest, now: str) -> None:
        """Raise ExpiredError or PolicyError for a bundle that must not be taken at ``now``."""
        if manifest.expires is not None and manifest.expires <= now:
            raise ExpiredError(f"it was to be published before {manifest.expires}; here it is {now}")
        self._check_labels(manifest)

    def _check_labels(self, manifest: Manifest) -> None:
        classification, releasable_to = self._labels.get(manifest.channel, ([], ""))
        labels = manifest.labels
        if classification and (labels is None or labels.classification not in classification):
            what = f"classified {labels.classification}" if labels else "not classified"
            raise PolicyError(f"it is {what}; channel {manifest.channel} takes {', '.join(classification)}")
        if releasable_to and (labels is None or releasable_to not in labels.releasable_to):
            to = ", ".join(labels.releasable_to) if labels else ""
            raise PolicyError(f"it is releasable to {to or 'nobody'}, and not to {releasable_to}")
