"""Key files and credentials."""

from pathlib import Path

import pytest

from diode.errors import UsageError
from diode.trust.keys import read_private


def make(folder: Path, mode: int) -> Path:
    """A key file of this mode."""
    folder.mkdir(exist_ok=True)
    path = folder / "link.key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    """With what to type about it."""
    path = make(tmp_path / "keys", mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        read_private(path)


@pytest.mark.parametrize(("mode", "is_taken"), [(0o400, True), (0o440, True), (0o444, False), (0o460, False)])
def test_a_credential_may_show_the_mask_of_its_access_list(
    mode: int, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0440 is what systemd leaves where the service reads by an access list; the world never reads."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    path = make(tmp_path / "credentials", mode)
    if is_taken:
        assert b"secret" == read_private(path)
    else:
        with pytest.raises(UsageError):
            read_private(path)
    with pytest.raises(UsageError):
        read_private(make(tmp_path / "elsewhere", 0o440))
