"""``diode-receiver lag`` 40 days on, with content of each kind: a table, a picture, stable JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.formats.timestamps import moment, now_utc, seconds_of
from receiver.catalogue.lag import DAY_S
from receiver.cli.main import app
from receiver.commands import lag
from tests.enclave import Enclave
from tests.link import make_bundle

SIGNER: Final = CryptoSigner.generate_ed25519()
CONFIG: Final = "[channels.dnf]\nlag_warn_days = 60\nlag_breach_days = 90\n[channels.none]\nhold = 1\n"
NOW: Final = seconds_of(now_utc())


def stamp(days: float) -> str:
    """So many days before the bundles arrive."""
    return moment(NOW - days * DAY_S)


def source(days: float, name: str) -> dict[str, bytes]:
    """A source.json that says so old."""
    said = {"format": "diode-source-1", "kind": "pypi", "name": name, "uploaded": stamp(days)}
    return {"source.json": json.dumps(said).encode(), "x-1.tar.gz": b"x"}


CONTENT: Final[dict[str, tuple[dict[str, bytes], int, str]]] = {  # channel: files, the age of the content, by what
    "built": ({"a.bin": b"a"}, 0, "built"),
    "dnf": ({"repodata/repomd.xml": f"<revision>{NOW - 2 * DAY_S}</revision>".encode()}, 2, "dnf"),
    "clam": ({"daily.cvd": b"ClamAV-VDB:x:1:2:3:m:d:b:%d" % (NOW - 3 * DAY_S)}, 3, "clamav"),
    "pypi": (source(5, "x"), 5, "source.json"),
}


@pytest.fixture
def enclave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enclave]:
    """One bundle on each channel. The clock is 40 days on."""
    made = Enclave(tmp_path / "receiver", {"alice.pub": SIGNER}, CONFIG)
    for channel, (files, _, _) in CONTENT.items():
        place: dict[str, Any] = {"channel": channel, "name": "x", "version": "v1", "created": stamp(0)}
        made.take(make_bundle(files, signer=SIGNER, **place))
    monkeypatch.setattr(lag, "now_utc", lambda: stamp(-40))
    yield made
    made.stop()


def run(enclave: Enclave, *arguments: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), "lag", *arguments])
    assert 0 == done.exit_code, done.output
    return done.output


def test_each_kind_is_right_by_the_day(enclave: Enclave) -> None:
    """By its own date, and by the build where it has none; and each channel by its own budget."""
    said = {one["channel"]: one for one in json.loads(run(enclave, "--json"))["channels"]}
    found = {name: (one["lag_days"], one["dated_by"]) for name, one in said.items() if name in CONTENT}
    assert {name: (40 + days, by) for name, (_, days, by) in CONTENT.items()} == found
    assert ["breach", "breach", "within", "empty", "breach"] == [one["state"] for _, one in sorted(said.items())]
    assert {39, 40} >= {one["days_since_last_bundle"] for name, one in said.items() if name in CONTENT}


def test_json_has_these_fields(enclave: Enclave) -> None:
    """Programs read them, so they stay."""
    said = json.loads(run(enclave, "--json"))
    assert ["at", "channels"] == [*said]
    fields = ["channel", "state", "lag_days", "dated", "dated_by", "in_use_lag_days", "last_bundle"]
    fields += ["days_since_last_bundle", "warn_days", "breach_days", "trend", "arrivals_lag_days"]
    assert [fields] * 5 == [[*one] for one in said["channels"]]


def test_people_see_a_table_and_a_picture(enclave: Enclave, tmp_path: Path) -> None:
    """A breach is a word; what is dated by the build is said to be."""
    shown = run(enclave, "--svg", str(tmp_path / "lag.svg"))
    assert {"BREACH", "within", "nothing", "built:"} <= set(shown.split())
    assert (tmp_path / "lag.svg").read_text().startswith("<svg")


def test_a_clock_that_is_behind_is_told(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """No age is shown as good then."""
    monkeypatch.setattr(lag, "now_utc", lambda: stamp(40))
    assert "comes from the future" in run(enclave)
