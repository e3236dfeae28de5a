"""What is missing of small sets: what each kind of package needs, by rules that its own client follows."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from diode.config.closure import Closure
from diode.config.intake import Intake
from sender.intake.candidate import Progress, make_candidate
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, Verdict
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from tests.closure_oracles import INDEX, paragraph
from tests.closure_sets import NODES, PYTHONS, judge, sdist
from tests.images import ImageLayout
from tests.packages import tar_gz, tgz, wheel
from tests.sender.staging.test_stage import put

ONE = {"pypi": PYTHONS[:1]}


def lines(settings: dict[str, Any], *sets: dict[str, bytes], **more: Any) -> list[str]:
    """What is said of these files."""
    files = {path: data for each in sets for path, data in each.items()}
    return list(judge(settings, files, **more).lines)


def content_of(layout: ImageLayout) -> dict[str, bytes]:
    """The files of a layout."""
    return {path: data if isinstance(data, bytes) else data.encode() for path, data in layout.files().items()}


def skopeo(folder: Path, layout: ImageLayout, *words: str) -> dict[str, bytes]:
    """What skopeo copies of a layout with these words."""
    made, got = put(folder / "made", layout.files()), folder / "-".join(words)
    places = (f"oci:{made}:ghcr.io/org/box:17", f"oci:{got}:ghcr.io/org/box:17")
    subprocess.run(["skopeo", "--insecure-policy", *words, *places], check=True, capture_output=True)
    return {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*") if path.is_file()}


def verdict(folder: Path, files: dict[str, bytes], **closure: object) -> Verdict:
    """The verdict of the whole pipeline on these files."""
    item = folder / "item"
    item.mkdir()
    for path, content in files.items():
        (item / path).write_bytes(content)
    sources = collect([item], "refuse")
    candidate = make_candidate("packages", "set", "1", sources, hash_content(sources, 1 << 20), Progress())
    settings = Intake.model_validate({"lint": False, "closure": closure})
    return Pipeline(settings, folder / "copies").run(candidate)


def test_the_step_refuses_and_lists(tmp_path: Path) -> None:
    """The item is refused as incomplete, and each thing that is missing is a line of the verdict."""
    failed = verdict(tmp_path, wheel("app", "1.0", ("gone>=2",)), pypi=PYTHONS[:2]).failed
    assert failed is not None
    why = "gone>=2 is needed by app 1.0, and no version of it is there"
    expected = tuple(
        f"Python {place}: gone: {why}" for place in ("3.11 on x86_64-manylinux_2_28", "3.12 on aarch64-manylinux_2_28")
    )
    assert ("closure", Reason.INCOMPLETE, expected) == (failed.name, failed.reason, failed.missing)


def test_what_is_waived_is_said(tmp_path: Path) -> None:
    """A name that may be missing is no reason to refuse, and the verdict says that it was waived."""
    found = verdict(tmp_path, wheel("app", "1.0", ("nvidia-cuda",)), pypi=PYTHONS[:1], waive=["nvidia-*"])
    closure = next(check for check in found.checks if check.name == "closure")
    assert (True, "whole; waived: nvidia-cuda") == (found.accepted, closure.detail)


def test_what_crossed_before_counts(tmp_path: Path) -> None:
    """A folder beside has what the item needs."""
    (name, content), *_ = wheel("lib", "1.0").items()
    (tmp_path / name).write_bytes(content)
    assert [] == lines(ONE | {"beside": [tmp_path]}, wheel("app", "1.0", ("lib",)))


def test_versions_that_contradict_one_another() -> None:
    """Where each need is met by something and all together by nothing, the conflict is named."""
    said = lines(
        ONE,
        wheel("app", "1", ("a", "b")),
        wheel("a", "1", ("c<2",)),
        wheel("b", "1", ("c>=2",)),
        wheel("c", "1"),
        wheel("c", "2"),
    )
    assert len(said) == 1
    assert "app: no set of versions meets" in said[0]


def test_circles_end() -> None:
    """Packages that need one another are whole together."""
    assert [] == lines(ONE, wheel("a", "1", ("b",)), wheel("b", "1", ("a",)))


def test_a_source_archive_that_promises_nothing() -> None:
    """What it needs cannot be told without running its code, and it is not run."""
    text = b"Metadata-Version: 2.1\nName: old\nVersion: 1\n\n"
    said = lines(ONE, {"old-1.tar.gz": tar_gz({"old-1/PKG-INFO": text})}, wheel("setuptools", "80"))
    assert len(said) == 1
    assert "old: its metadata are of version 2.1" in said[0]


def test_a_wheel_spares_the_build() -> None:
    """Where a wheel fits, nobody builds the source archive beside it."""
    assert [] == lines(ONE, sdist("app", "1.0", build=("gone",)), wheel("app", "1.0"))


def test_a_pre_release_is_not_taken_by_itself() -> None:
    """Pip takes a pre-release only where nothing else is there; then it does."""
    app = wheel("app", "1", ("lib>=1",))
    assert [] == lines(ONE, app, wheel("lib", "2.0rc1"))
    assert 1 == len(lines(ONE, app, wheel("lib", "0.9"), wheel("lib", "0.8rc1")))


def test_an_address_cannot_be_reached() -> None:
    """A requirement from the internet is named even where the project is there."""
    said = lines(ONE, wheel("app", "1", ("lib @ https://example.org/lib-1.zip",)), wheel("lib", "1"))
    assert len(said) == 1
    assert "from an address that cannot be reached" in said[0]


def test_npm_bundles_aliases_and_addresses() -> None:
    """What is bundled is there; an alias asks for another name; a repository on the internet is not there."""
    needs = {"in": "1", "called": "npm:real@^1.0.0", "far": "github:someone/far"}
    said = lines(
        {"npm": NODES[:1]}, tgz("app", "1.0.0", dependencies=needs, bundleDependencies=["in"]), tgz("real", "1.2.0")
    )
    why = "from an address that cannot be reached behind the wall"
    assert [f"linux-x64-glibc: far: github:someone/far is needed by app 1.0.0, {why}"] == said


def test_npm_lock() -> None:
    """An entry of a lock whose file is not there, with that digest, is named."""
    entry = {"version": "1.0.0", "integrity": "sha512-AAAA"}
    lock = {
        "lockfileVersion": 3,
        "packages": {"": {}, "node_modules/x": entry, "node_modules/y": entry | {"dev": True}},
    }
    said = lines({"npm": NODES[:1]}, {"package-lock.json": json.dumps(lock).encode()})
    assert ["linux-x64-glibc: x: 1.0.0 of package-lock.json is not there with its digest"] == said


@pytest.mark.needs("image tools")
def test_an_image_of_one_platform(tmp_path: Path) -> None:
    """What skopeo copies without --all is named for the other platforms; a copy with --all is whole."""
    layout = ImageLayout()
    images = [layout.image({"a": architecture}, architecture=architecture) for architecture in ("amd64", "arm64")]
    layout.name(layout.index(*images), "ghcr.io/org/box:17")
    platforms = {"oci": ["linux/amd64", "linux/arm64"]}
    one = skopeo(tmp_path, layout, "--override-arch", "amd64", "copy")
    whole = skopeo(tmp_path, layout, "copy", "--all")
    why = "an image of linux/amd64 alone; copy all platforms (skopeo copy --all)"
    assert [f"linux/arm64: ghcr.io/org/box:17: {why}"] == lines(platforms, one)
    assert [] == lines({"oci": ["linux/amd64"]}, one)
    assert [] == lines(platforms, whole)
    assert [] == lines(platforms | {"waive": ["ghcr.io/org/box:*"]}, one)


def test_images_of_one_platform_each() -> None:
    """One layout with an image of each platform under a tag of its own is whole; a signature has no platform."""
    layout = ImageLayout()
    for architecture in ("amd64", "arm64"):
        image = layout.image({"a": architecture}, architecture=architecture)
        layout.name(image, f"box:17-{architecture}")
    layout.name(layout.image({"s": "1"}, architecture="", subject=image | {"platform": None}), "box:signed")
    assert [] == lines({"oci": ["linux/amd64", "linux/arm64"]}, content_of(layout))
    said = lines({"oci": ["linux/amd64", "linux/s390x"]}, content_of(layout))
    assert ["linux/s390x: box:17-amd64", "linux/s390x: box:17-arm64"] == [line.rpartition(": ")[0] for line in said]


def test_apt_takes_the_newest_of_an_index(tmp_path: Path) -> None:
    """An older version that an index lists beside meets nothing and needs nothing; one that is installed counts."""
    settings: dict[str, Any] = {"apt": [{"suite": "stable", "architecture": "amd64"}]}

    def said(*paragraphs: str) -> list[str]:
        return lines(settings, {INDEX: "\n".join(paragraphs).encode(), "pool/x.deb": b"x"})

    old, new = paragraph("lib", "1", Depends="gone"), paragraph("lib", "2")
    app = paragraph("app", Depends="lib (= 1)")
    assert [] == said(old, new)
    assert ["stable amd64: lib: lib (= 1) is needed by app 1; there are lib 1, lib 2"] == said(app, old, new)
    (tmp_path / "status").write_text(old)
    settings["apt"][0]["installed"] = tmp_path / "status"
    assert [] == said(app, new)


def test_a_platform_is_waived_by_its_name() -> None:
    """An index without a platform, one whose image of it is not here, an image alone; but not a part of an image."""
    settings = {"oci": ["linux/amd64", "linux/arm64"]}
    alone, without, torn = ImageLayout(), ImageLayout(), ImageLayout()
    alone.name(alone.image({"a": "1"}), "box:1")
    without.name(without.index(without.image({"a": "1"})), "box:1")
    other = torn.image({"a": "2"}, architecture="arm64")
    torn.name(torn.index(torn.image({"a": "1"}), other), "box:1")
    layer = json.loads(torn.blobs[other["digest"]])["layers"][0]["digest"]
    whole = dict(torn.blobs)
    del torn.blobs[other["digest"]]
    for layout in (alone, without, torn):
        assert 1 == len(lines(settings, content_of(layout)))
        found = judge(settings | {"waive": ["linux/arm64"]}, content_of(layout))
        assert (0, {"linux/arm64"}) == (found.missing, found.waived)
    torn.blobs = {digest: data for digest, data in whole.items() if digest != layer}
    assert 1 == len(lines(settings | {"waive": ["linux/arm64"]}, content_of(torn)))


def test_mcp_names_packages_and_registries() -> None:
    """A package that was not sent is named, and a variable that sets a registry."""
    package: dict[str, Any] = {
        "registryType": "npm",
        "identifier": "@o/s",
        "version": "1.0.0",
        "transport": {"type": "stdio"},
    }
    package |= {"environmentVariables": [{"name": "NPM_CONFIG_REGISTRY"}]}
    server = {"name": "org.example/s", "description": "d", "version": "1.0.0", "packages": [package]}
    files = {"server.json": json.dumps(server).encode()}
    said = lines({"mcp": True}, files)
    assert ["every target: @o/s: the npm package 1.0.0", "every target: @o/s: environmentVariables"] == [
        " ".join(line.split()[:n]) for line, n in zip(said, (7, 4), strict=True)
    ]
    sent = frozenset({("o--s", "1.0.0")})
    assert 1 == len(lines({"mcp": True}, files, sent=lambda: sent))


def test_a_base_model_that_was_sent() -> None:
    """The ledger knows what crossed."""
    files = {"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'}
    assert 1 == len(lines({"hf": True}, files))
    assert [] == lines({"hf": True}, files, sent=lambda: frozenset({("org--base", "1")}))


def test_lines_are_bounded() -> None:
    """A thousand lines are kept, the others are counted, and no line is long or breaks the terminal."""
    report = judge(ONE, wheel("app", "1", tuple(f"n{number}" for number in range(1500))))
    assert (1000, 1500) == (len(report.lines), report.missing)
    report.add("t", "x\x1b[2J" + "y" * 1000, "z")
    assert all(line.isprintable() and len(line) <= 300 for line in report.lines)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "name the targets"),
        ({"pypi": [{"python": "3.11", "platform": "windows"}]}, "pypi.0.platform"),
        ({"pypi": [{"python": "2", "platform": "x86_64-manylinux_2_28"}]}, "pypi.0.python"),
        ({"npm": [{"cpu": "x64", "libc": "other"}]}, "npm.0.libc"),
        ({"oci": ["amd64"]}, "oci.0"),
        ({"hf": True, "timeout_s": 0}, "timeout_s"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], key: str) -> None:
    """The error names the key."""
    with pytest.raises(ValidationError) as refused:
        Closure.model_validate(settings)
    first = refused.value.errors()[0]
    assert key in f"{'.'.join(map(str, first['loc']))} {first['msg']}"
