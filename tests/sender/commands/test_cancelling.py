"""``cancel`` takes bundles; of an item it says what to do."""

from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.errors import UsageError
from sender.commands.control import cancel


def test_an_item_is_no_bundle_yet(tmp_path: Path) -> None:
    """It is taken out of the outbox, also while it is being hashed."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    item = tmp_path / "sender" / "outbox" / "default" / "big"
    item.parent.mkdir(parents=True, exist_ok=True)
    item.touch()
    with pytest.raises(UsageError, match="is an item, and no bundle yet: move it out of the outbox"):
        cancel(tmp_path / "sender" / "sender.toml", str(item), "")
