"""Checks a signed bundle against the rules of its channel: not expired, labelled as the channel asks, sound content."""

from dataclasses import replace
from pathlib import Path

from diode.bundle.attestation import open_attestation
from diode.bundle.manifest import Manifest
from diode.bundle.ref import BundleRef
from diode.content.rules import Rules
from diode.errors import ExpiredError, NotInitialisedError, PolicyError
from diode.formats.timestamps import now_utc, seconds_of
from diode.trust.keys import read_trusted
from receiver.ledger.bundles import EXPIRED_BUNDLE
from receiver.messages.questions import Question
from receiver.policy.examine import Examine
from receiver.policy.governed import Examined, Governed
from receiver.settings import StoreSettings


class Policy:
    """The receiver's rules for each channel, from its configuration."""

    def __init__(self, settings: StoreSettings, look: Examine, governed: Governed) -> None:
        self._look = look
        self._governed = governed
        self._rules = {name: Rules.of(channel.rules) for name, channel in settings.channels.items()}
        self._attested = frozenset(name for name, channel in settings.channels.items() if channel.attested)
        try:
            self._services = [trusted.key for trusted in read_trusted(Path(settings.services)).keys.values()]
        except NotInitialisedError:
            self._services = []
        self._channels = settings.channels
        self._verify = settings.verify

    def check(self, manifest: Manifest, now: str) -> None:
        """Raise ExpiredError or PolicyError for a bundle that must not be taken at ``now``."""
        if manifest.expires is not None and manifest.expires <= now:
            raise ExpiredError(f"{EXPIRED_BUNDLE}{manifest.expires}; here it is {now}")
        self._check_labels(manifest)
        self._check_links(manifest)
        if manifest.channel in self._attested:
            open_attestation(manifest, self._services)

    def verify(self, channel: str) -> str:
        """How a complete bundle of a channel is verified: by its slabs as they came, or once more at rest."""
        named = self._channels.get(channel)
        return (named.verify if named else "") or self._verify

    def examine(self, ref: BundleRef, manifest: Manifest) -> Examined:
        """Have every file of a complete tree looked at. Raises PolicyError when its channel does not take one.

        It raises UnexaminedError when nobody could be asked.
        """
        rules = self._rules.get(manifest.channel, Rules())
        is_governed = self._governed.governs(manifest.channel)
        examined = Examined(self._governed.newest(manifest), seconds_of(now_utc()))
        if is_governed or not rules.are_none:
            size = manifest.files.entries, manifest.stream_bytes
            asked = Question(ref.hex_id, ref.channel, *rules.said, *size)
            if is_governed:
                asked = replace(asked, name=manifest.name, before=examined.before, at_s=examined.at_s)
            self._look(asked)
        return examined

    def _check_links(self, manifest: Manifest) -> None:
        channel = self._channels.get(manifest.channel)
        if manifest.links and not (channel and channel.links):
            raise PolicyError(
                f"it holds {manifest.links} symbolic links, and channel {manifest.channel} takes none; if it shall,"
                f' write links = "keep" in [channels.{manifest.channel}], and have it sent again under a new version'
            )

    def _check_labels(self, manifest: Manifest) -> None:
        channel = self._channels.get(manifest.channel)
        classification, releasable_to = (channel.classification, channel.releasable_to) if channel else ((), "")
        labels = manifest.labels
        if classification and (labels is None or labels.classification not in classification):
            what = f"classified {labels.classification}" if labels else "not classified"
            raise PolicyError(f"it is {what}; channel {manifest.channel} takes {', '.join(classification)}")
        if releasable_to and (labels is None or releasable_to not in labels.releasable_to):
            to = ", ".join(labels.releasable_to) if labels else ""
            raise PolicyError(f"it is releasable to {to or 'nobody'}, and not to {releasable_to}")
