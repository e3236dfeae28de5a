"""Doctor names what computes each step, and how fast it is here."""

import re
from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.doctor import check_engines
from diode.doctor.findings import Finding, Site
from diode.doctor.host import Host
from diode.process.compiled import READABLE, Compiled
from tests.needs import need

SPEED = re.compile(r" at [\d.e+]+ GB/s")


@pytest.fixture
def sites(tmp_path: Path) -> list[Site]:
    """Both sides of a link."""
    init_pair(tmp_path, to="127.0.0.1:9000", listen="127.0.0.1:9001", mtu=1500, rate=0, profile="standard", auth="gmac")
    sender, receiver = tmp_path / "sender" / "sender.toml", tmp_path / "receiver" / "receiver.toml"
    low, high = load(SenderConfig, sender), load(ReceiverConfig, receiver)
    return [Site(Host(), low, sender, None), Site(Host(), high, receiver, None)]


def found(site: Site) -> dict[str, Finding]:
    """The findings, by their names."""
    return {finding.check: finding for finding in check_engines.check_engines(site)}


def test_each_step_has_an_engine_and_a_speed(sites: list[Site]) -> None:
    """On both sides."""
    need("core")
    for site in sites:
        findings = found(site)
        assert "ok" == findings["compiled core"].level
        assert "gmac by the compiled core" in findings["tags"].says
        assert SPEED.search(findings["tags"].says)
        assert SPEED.search(findings["FEC"].says)


def test_off_is_said(sites: list[Site]) -> None:
    """Nothing is wrong with it, and nothing of it is used."""
    for site in sites:
        config = site.config.model_copy(update={"core": "off"})
        findings = found(Site(site.host, config, site.file, None))
        assert ("ok", True) == (findings["compiled core"].level, "switched off" in findings["compiled core"].says)
        assert "gmac by cryptography" in findings["tags"].says


@pytest.mark.parametrize(
    ("chosen", "level"), [(READABLE, "advice"), (Compiled(refused="core.so: not all of one"), "problem")]
)
def test_what_lacks_has_something_to_do(
    sites: list[Site], monkeypatch: pytest.MonkeyPatch, chosen: Compiled, level: str
) -> None:
    """A missing core is advice, one that cannot be used a problem."""
    monkeypatch.setattr(check_engines, "choose_core", lambda *_, **__: chosen)
    finding = found(sites[0])["compiled core"]
    assert (level, True) == (finding.level, bool(finding.do))
