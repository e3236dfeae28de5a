"""``diode-receiver catalogue``: what is listed, shown, found and proven of what lies in the inbox."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.audit.segments import segments
from receiver.catalogue.card import Claim
from receiver.cli.main import app
from receiver.describe.makers import MAKERS
from receiver.describe.protocols import Described, Made
from tests.enclave import Enclave
from tests.link import make_bundle

SIGNER = CryptoSigner.generate_ed25519()
CONFIG = '[channels.base]\nserve = ["pypi"]\n[channels.late]\nserve = ["pypi"]\n[channels.hold]\nhold = 1\n'
SBOM = {
    "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "xz", "purl": "pkg:deb/xz@5.6.1"}],
    "vulnerabilities": [{"id": "CVE-2024-3094"}],
}  # fmt: skip
SOURCE = {"format": "diode-source-1", "kind": "model", "name": "org/m", "uploaded": "2025-05-05T00:00:00Z"}
EVIL = "\x1b[2J"


def project(one: Described) -> Made:
    """A maker that finds one project in each bundle."""
    return Made(claims=[Claim("pypi", "numpy", "NumPy")])


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Three versions of one name, another channel that claims the same, and a bundle that is held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MAKERS, "pypi", project)
        made = Enclave(tmp_path_factory.mktemp("enclave") / "receiver", {"alice.pub": SIGNER}, CONFIG)
        files = {"a.bin": b"a", "same": b"same"}
        more = {"bom.json": json.dumps(SBOM).encode(), "source.json": json.dumps(SOURCE).encode()}
        sent = [
            ("base", "org--m", "v1", files, 1),
            ("base", "org--m", "v2", {**more, "a.bin": b"other", "new/b.bin": b"b"}, 2),
            ("late", "evil", "v1", {f"x{EVIL}y".replace("\x1b", "\u202e"): b"x"}, 1),
            ("hold", "waits", "v1", files, 1),
        ]
        for channel, name, version, content, sequence in sent:
            place: dict[str, Any] = {"channel": channel, "name": name, "version": version}
            made.take(make_bundle(content, signer=SIGNER, sequence=sequence, **place))
        yield made
        made.stop()


def run(enclave: Enclave, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), "catalogue", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code == done.exit_code, done.output
    return done.stdout


def test_a_list_is_one_array(enclave: Enclave) -> None:
    """Other programs read it: these fields stay."""
    listed: list[dict[str, Any]] = json.loads(run(enclave, "ls", "--json"))
    shown = {(one["channel"], one["name"], one["version"]): (one["state"], one["current"]) for one in listed}
    assert shown == {
        ("base", "org--m", "v1"): ("published", False),
        ("base", "org--m", "v2"): ("published", True),
        ("late", "evil", "v1"): ("published", True),
        ("hold", "waits", "v1"): ("held", False),
    }
    assert all(len(one["id"]) == 16 for one in listed)
    assert 2 == len(json.loads(run(enclave, "ls", "--json", "base/org--m")))
    assert 1 == len(json.loads(run(enclave, "ls", "--json", "late")))
    assert [] == json.loads(run(enclave, "ls", "--json", "nobody"))
    assert "* base/org--m@v2" in run(enclave, "ls")


def test_everything_that_is_known_is_shown(enclave: Enclave) -> None:
    """With what says each date, and what is not known."""
    shown: dict[str, Any] = json.loads(run(enclave, "show", "base/org--m@v2", "--json"))
    dates = shown["dates"]
    assert {"at": "2025-05-05T00:00:00Z", "by": "source.json"} == dates["its own"]
    assert ("2026-01-01T00:00:00Z", "", "") == tuple(dates[name]["at"] for name in ("built", "signed", "sent"))
    assert ["alice"] == [one["person"] for one in shown["signers"]]
    assert [("CycloneDX", 1)] == [(one["format"], one["components"]) for one in shown["sboms"]["documents"]]
    assert ["CVE-2024-3094"] == shown["sboms"]["vulnerabilities"]
    assert [{"kind": "pypi", "name": "NumPy", "holder": "base", "served": True}] == shown["names"]
    assert shown["id"] == json.loads(run(enclave, "show", shown["id"], "--json"))["id"]
    assert shown["id"] == json.loads(run(enclave, "show", "base/org--m", "--json"))["id"]
    first = json.loads(run(enclave, "show", "base/org--m@v1", "--json"))["dates"]["its own"]
    assert ("2026-01-01T00:00:00Z", True) == (first["at"], "when it was built" in first["by"])


def test_a_name_of_another_channel_is_shown_as_that(enclave: Enclave) -> None:
    """Whoever looks sees whose it is."""
    assert "name: pypi NumPy, which belongs to channel base: not served" in run(enclave, "show", "late/evil")


@pytest.mark.parametrize(
    ("text", "bundles"),
    [
        ("a.bin", {"base/org--m@v1", "base/org--m@v2"}),
        ("new/b.bin", {"base/org--m@v2"}),
        ("CVE-2024-3094", {"base/org--m@v2"}),
        ("pkg:deb/xz", {"base/org--m@v2"}),
        ("numpy", {"base/org--m@v1", "base/org--m@v2", "late/evil@v1"}),
        ("org/m", {"base/org--m@v2"}),
        ("org--m", {"base/org--m@v1", "base/org--m@v2"}),
        ("nothing like it", set()),
    ],
)
def test_bundles_are_found_by_what_they_hold(enclave: Enclave, text: str, bundles: set[str]) -> None:
    """A file, an id of a vulnerability, a package, a model, a bundle's own name."""
    found = json.loads(run(enclave, "search", text, "--json"))
    assert bundles == {f"{one['channel']}/{one['name']}@{one['version']}" for one in found}


def test_what_differs_is_listed(enclave: Enclave) -> None:
    """Files that are the same are not."""
    lines = run(enclave, "diff", "base/org--m", "v1", "v2").splitlines()
    assert lines[0] == "~ a.bin (1 -> 5 bytes)"
    assert ["~ a.bin", "+ bom.json", "+ new/b.bin", "- same", "+ source.json"] == [
        " ".join(line.split()[:2]) for line in lines
    ]
    assert 5 == len(json.loads(run(enclave, "diff", "base/org--m", "v1", "v2", "--json")))


def test_what_was_in_use_is_proven_by_the_audit_log(enclave: Enclave) -> None:
    """On a day, and all along, with the numbers of entries."""
    history = json.loads(run(enclave, "history", "base/org--m", "--json"))
    assert ["published", "current", "published", "current"] == [one["what"] for one in history["entries"]]
    assert "agrees" == history["ledger"]
    day = history["entries"][0]["at"][:10]
    on_day = json.loads(run(enclave, "history", "base/org--m", "--on", day, "--json"))
    assert (None, ["v1", "v2"]) == (on_day["at_its_begin"], [one["version"] for one in on_day["changes"]])
    later = json.loads(run(enclave, "history", "base/org--m", "--on", "2999-01-01", "--json"))
    assert ("v2", []) == (later["at_its_begin"]["version"], later["changes"])
    assert "nothing of base/org--m was in use" in run(enclave, "history", "base/org--m", "--on", "2000-01-01")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nobody"),
        ("show", "base/org--m@v9"),
        ("show", "a/b/c"),
        ("show", "base/org--m@"),
        ("history", "base"),
        ("history", "base/org--m", "--on", "yesterday"),
        ("diff", "base/org--m", "v1", "v9"),
        ("diff", "hold/waits", "v1", "v1"),
        ("search", ""),
    ],
)
def test_what_is_not_there_is_an_error_that_says_so(enclave: Enclave, arguments: tuple[str, ...]) -> None:
    """One line, and the code for a wrong command."""
    with pytest.raises(Exception) as caught:
        run(enclave, *arguments)
    assert "UsageError" == type(caught.value).__name__


def test_names_of_strangers_do_not_reach_the_terminal(enclave: Enclave) -> None:
    """They are written out."""
    printed = run(enclave, "search", "2J") + run(enclave, "ls")
    assert "\u202e" not in printed
    assert "\\u202e" in printed


def test_a_log_that_was_changed_proves_nothing(enclave: Enclave) -> None:
    """The command names the line; the ledger is not asked in its place."""
    path = segments(enclave.config.audit_folder)[0]
    whole = path.read_bytes()
    try:
        path.write_bytes(whole.replace(b'"version":"v1"', b'"version":"v3"', 1))
        with pytest.raises(Exception, match="does not follow entry") as caught:
            run(enclave, "history", "base/org--m")
        assert "IntegrityError" == type(caught.value).__name__
    finally:
        path.write_bytes(whole)
