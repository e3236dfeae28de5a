"""Checks what computes each step of the link here, and measures how fast it is."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from diode.config.receiver import ReceiverLink
from diode.config.sender import SenderLink
from diode.console.engines import engine_word
from diode.doctor.findings import Finding, Site
from diode.process.compiled import Compiled, choose_core
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import PROFILES
from diode.protocol.link_key import LinkKey
from diode.protocol.sizes import datagram_bytes
from diode.protocol.taking_proof import prove_taking

_ROUNDS: Final = 3
_ROW_BYTES: Final = 8192  # of what is coded, in the CPU's cache
_DATAGRAMS: Final = 500
_USUAL_SYMBOL_BYTES: Final = 1408  # where the MTU is not configured


def check_engines(site: Site) -> Iterator[Finding]:
    """What computes repair and tags, and takes datagrams, with the settings of this host."""
    more = [prove_taking] if site.role == "receiver" else []
    core = choose_core(site.config.core, int.from_bytes(os.urandom(8)), *more)
    yield _check_core(site, core)
    yield _check_fec(site, core)
    yield _check_tags(site, core)


def _check_core(site: Site, core: Compiled) -> Finding:
    check = "compiled core"
    if core.refused:
        return Finding(check, "problem", core.refused, "build it anew (docs/operations.md, 'Compiled core')")
    if core.kernel is not None:
        return Finding(check, "ok", "used: its results are those of the readable code")
    if site.config.core == "off":
        return Finding(check, "ok", "switched off: the readable code does the work, several times slower")
    do = "apt-get install rustc, and install anew"
    return Finding(check, "advice", "not built: the readable code does the work, several times slower", do)


def _check_fec(site: Site, core: Compiled) -> Finding:
    link = site.config.link
    shape = PROFILES[link.profile if isinstance(link, SenderLink) else "standard"]
    engine = choose_engine(site.config.fec.engine, core.library, (shape.k, shape.r))
    rows = np.zeros((shape.k + shape.r, _ROW_BYTES), dtype=np.uint8)
    speed = _speed(lambda: engine.encode(rows[: shape.k], rows[shape.k :]), shape.k * _ROW_BYTES)
    text = f"by {engine_word(engine.name)}, {shape.k}+{shape.r} at {speed}"
    if engine.name != "zfec":
        return Finding("FEC", "ok", text)
    return Finding("FEC", "advice", f"{text}; ISA-L is 20 to 60 times as fast", "pip install pyeclib")


def _check_tags(site: Site, core: Compiled) -> Finding:
    """Sealing, which costs what judging does."""
    link = site.config.link
    kernel = core.kernel_for(link.mac, link.auth)
    size = _datagram_bytes(link)
    buffer = bytearray(_DATAGRAMS * size)
    datagrams = np.frombuffer(buffer, dtype=np.uint8).reshape(_DATAGRAMS, size)
    session = Session(LinkKey.of(os.urandom(32)), 1, link.auth, kernel)
    views = DatagramViews(memoryview(buffer), size, _DATAGRAMS)
    speed = _speed(lambda: session.seal(datagrams, views, 0, _DATAGRAMS), len(buffer))
    by = engine_word("library" if kernel is None else "core")
    return Finding("tags", "ok", f"{link.auth} by {by}, datagrams of {size} bytes at {speed}")


def _datagram_bytes(link: SenderLink | ReceiverLink) -> int:
    if isinstance(link, SenderLink):
        return datagram_bytes(link.symbol_bytes)
    return link.datagram_bytes or datagram_bytes(_USUAL_SYMBOL_BYTES)


def _speed(work: Callable[[], None], size: int) -> str:
    """The best of some rounds, on one core, as people say it."""
    work()  # once for what is prepared when it is first used
    spent_s = []
    for _ in range(_ROUNDS):
        begun_s = time.process_time()
        work()
        spent_s.append(time.process_time() - begun_s)
    return f"{size / max(min(spent_s), 1e-9) / 1e9:.2g} GB/s"
