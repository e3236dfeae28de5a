"""curl, wget and freshclam against a gateway: ranges, conditional requests, and the ends that each comes to."""

from pathlib import Path

import pytest

from tests.clients import run
from tests.serving import Serving

pytestmark = pytest.mark.clients

HEADER = "ClamAV-VDB:07 Jan 2026 04-25 -0500:{version}:20:90:{digest}:x:builder:1767776700"


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Two versions of a file, of equal length, the second one in use."""
    made = Serving(tmp_path / "serving", {"tools": ("trees",)})
    for version in ("1", "2"):
        made.publish("tools", "demo", version, {"big.bin": version * 5000, "dir/é b+c&d.txt": version})
    return made


@pytest.mark.needs("curl and wget")
def test_what_was_rolled_back_is_fetched_again(tmp_path: Path, serving: Serving) -> None:
    """By clients that ask for newer files only, and by entity tag."""
    with serving.running() as base:
        url = f"{base}/trees/tools/demo/big.bin"
        fetch = ("curl", "--fail", "--silent", "--remote-time", "-o", "big.bin", url)
        tagged = ("curl", "--fail", "--silent", "--etag-save", "tag", "--etag-compare", "tag", "-o", "tagged", url)
        for version in ("2", "1"):
            assert run(*fetch, "-z", "big.bin", cwd=tmp_path).returncode == 0
            assert run(*tagged, cwd=tmp_path).returncode == 0
            assert run("wget", "-N", "-q", "-P", "wget", url, cwd=tmp_path).returncode == 0
            for name in ("big.bin", "tagged", "wget/big.bin"):
                assert (tmp_path / name).read_text() == version * 5000, name
            if version == "2":
                serving.roll_back("tools", "demo")


@pytest.mark.needs("curl and wget")
@pytest.mark.parametrize("client", [("curl", "--fail", "-C", "-", "-o"), ("wget", "-c", "-O")], ids=["curl", "wget"])
def test_a_download_by_version_is_resumed_whole(tmp_path: Path, serving: Serving, client: tuple[str, ...]) -> None:
    """Whatever is in use meanwhile."""
    (tmp_path / "part").write_text("2" * 2000)
    serving.roll_back("tools", "demo")
    with serving.running() as base:
        done = run(*client, "part", f"{base}/trees/tools/demo@2/big.bin", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "part").read_text() == "2" * 5000


@pytest.mark.needs("curl and wget")
def test_a_tree_is_fetched_whole_by_its_lists(tmp_path: Path, serving: Serving) -> None:
    """Odd names among them, and nothing of another version."""
    (tmp_path / "got").mkdir()
    with serving.running() as base:
        fetch = ("wget", "-q", "-r", "-np", "-nH", "--cut-dirs=3")
        run(*fetch, f"{base}/trees/tools/demo@1/", cwd=tmp_path / "got")
    got = {path.name: path.read_text() for path in (tmp_path / "got").rglob("*.*")}
    assert got["big.bin"] == "1" * 5000
    assert got["é b+c&d.txt"] == "1"


@pytest.mark.needs("curl and wget")
def test_nothing_is_fetched_of_what_is_recalled(tmp_path: Path, serving: Serving) -> None:
    """Curl with --fail ends with 22, wget with 8; without --fail the reason is what is fetched."""
    serving.recall(list(serving.listed)[-1], "a back door")
    with serving.running() as base:
        for at in ("", "@2"):
            url = f"{base}/trees/tools/demo{at}/big.bin"
            assert run("curl", "--fail", "--silent", url).returncode == 22
            assert "Recalled 2026-11-28: a back door" in run("curl", "--silent", url).stdout
            assert run("wget", "-q", url, cwd=tmp_path).returncode == 8


def database(version: int) -> bytes:
    """What begins as a database of ClamAV does. Nobody here can sign one."""
    return HEADER.format(version=version, digest="0" * 32).encode().ljust(512) + b"x" * 1000


@pytest.mark.needs("freshclam")
def test_freshclam_reads_the_header_and_then_the_database(tmp_path: Path) -> None:
    """As far as a signature of its own makers goes; a recall ends it with 11."""
    serving = Serving(tmp_path / "serving", {"tools": ("trees",)})
    (tmp_path / "db").mkdir()
    bundle = serving.publish("tools", "clamav", "1", {"daily.cvd": database(27500)})
    assert ["daily-27500.cvd.sign"] == [line.split()[0] for line in serving.problems]
    with serving.running() as base:
        config = tmp_path / "freshclam.conf"
        lines = [f"PrivateMirror {base}/trees/tools/clamav", "ScriptedUpdates no", f"DatabaseDirectory {tmp_path}/db"]
        config.write_text("\n".join([*lines, "DatabaseOwner root", "MaxAttempts 1", ""]))
        freshclam = ("freshclam", f"--config-file={config}", "--update-db=daily", "--stdout", "--verbose")
        said = run(*freshclam)
        assert "27500" in said.stdout
        assert "daily.cvd" in said.stdout
        serving.recall(bundle, "bad signatures")
        assert run(*freshclam).returncode == 11


@pytest.mark.needs("freshclam")
def test_freshclam_follows_a_rollback_of_what_has_no_version(tmp_path: Path) -> None:
    """A site's own signatures, which nobody signs: no date keeps it on the newer ones."""
    serving = Serving(tmp_path / "serving", {"tools": ("trees",)})
    (tmp_path / "db").mkdir()
    for version, digit in (("1", "a"), ("2", "b")):
        serving.publish("tools", "clamav", version, {"site.hdb": f"{digit * 32}:68:Test.{version}\n"})
    with serving.running() as base:
        config = tmp_path / "freshclam.conf"
        lines = [f"PrivateMirror {base}/trees/tools/clamav", f"DatabaseCustomURL {base}/trees/tools/clamav/site.hdb"]
        config.write_text("\n".join([*lines, f"DatabaseDirectory {tmp_path}/db", "DatabaseOwner root", ""]))
        freshclam = ("freshclam", f"--config-file={config}", "--update-db=custom", "--stdout")
        for version in "21":
            assert run(*freshclam).returncode == 0
            assert f"Test.{version}" in (tmp_path / "db/site.hdb").read_text()
            if version == "2":
                serving.roll_back("tools", "clamav")
        serving.recall(next(iter(serving.listed)), "why")
        assert run(*freshclam).returncode == 11
