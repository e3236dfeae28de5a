"""The work of ``diode init``: writes folders, keys and configuration, and prints what to type next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diode.commands.keys import read_link_key_text, read_public_pem
from diode.config import init
from diode.console.terminal import say
from diode.net.address import Address
from diode.trust.keys import new_link_key, read_link_key

Auth = Literal["gmac", "aead", "none"]


@dataclass(frozen=True, slots=True)
class Line:
    """The sender's end of a link: where it sends, and how."""

    to: str  # HOST:PORT
    mtu: int
    rate: int  # bytes a second; 0: unlimited
    profile: Literal["clean", "standard", "lossy", "extreme"]
    auth: Auth


@dataclass(frozen=True, slots=True)
class Carried:
    """Files that were carried over from the sender; each may be missing."""

    link_key: Path | None
    signer: Path | None
    service: Path | None


def pair(folder: Path, line: Line, listen: str) -> None:
    """Write both sides of a link below ``folder``."""
    for address in (line.to, listen):
        Address.parse(address).refuse_broadcast()
    init.init_pair(
        folder, to=line.to, listen=listen, mtu=line.mtu, rate=line.rate, profile=line.profile, auth=line.auth
    )
    say(f"wrote {folder}/sender and {folder}/receiver; next:")
    say(f"  diode-receiver -c {folder}/receiver/receiver.toml run")
    say(f"  diode-sender -c {folder}/sender/sender.toml run")
    say(f"  diode-sender -c {folder}/sender/sender.toml put FILE --channel CHANNEL")
    say("what a channel takes is for you to set, by content, on both sides: docs/content.md")


def sender(folder: Path, line: Line, link_key: Path | None) -> None:
    """Write a sending side. ``link_key`` is an existing key; None makes a new one."""
    Address.parse(line.to).refuse_broadcast()
    text = new_link_key() if link_key is None else read_link_key_text(link_key)
    init.init_sender(
        folder, to=line.to, mtu=line.mtu, rate=line.rate, profile=line.profile, auth=line.auth, link_key=text
    )
    keys = folder / "keys"
    say(f"wrote {folder}; the receiver needs {keys}/link.key, {keys}/signing.pub and {keys}/service.pub:")
    say(f"  diode init receiver DIR --listen {line.to} --link-key link.key --signer signing.pub --service service.pub")
    say(_about_key(keys / "link.key", link_key))
    if link_key is None:
        say("  a receiver that is there already has another one: carry its keys/link.key here as new.key, and type")
        say(f"  diode keys rotate-link {folder}/sender.toml --new new.key")


def receiver(folder: Path, listen: str, auth: Auth, carried: Carried) -> None:
    """Write a receiving side, with what was carried from the sender."""
    Address.parse(listen).refuse_broadcast()
    text = new_link_key() if carried.link_key is None else read_link_key_text(carried.link_key)
    public = None if carried.signer is None else read_public_pem(carried.signer)
    service = None if carried.service is None else read_public_pem(carried.service)
    init.init_receiver(folder, listen=listen, auth=auth, link_key=text, public=public, service=service)
    say(f"wrote {folder}")
    say(_about_key(folder / "keys" / "link.key", carried.link_key))
    if carried.link_key is None:
        say(
            "  the sender has another one: nothing that it sends is taken. Carry its keys/link.key here as new.key, and"
        )
        say(f"  diode keys rotate-link {folder}/receiver.toml --new new.key")
        say(f"  or carry {folder}/keys/link.key to the sender as new.key, and type there")
        say("  diode keys rotate-link sender.toml --new new.key")
    if public is None:
        say(f"no signing key is trusted yet: put the sender's signing.pub into {folder}/keys/signers")
    if service is None:
        say(f"no service key is known yet: put the sender's service.pub into {folder}/keys/services")
    say("next:", f"  diode-receiver -c {folder}/receiver.toml run")


def _about_key(path: Path, given: Path | None) -> str:
    """Which link key a side has: the id that the other side must have, too."""
    key_id = f"{read_link_key(path).key_id:04x}"
    if given is not None:
        return f"its link key is {given}, id {key_id}: both sides must hold the same one"
    return f"a NEW link key was made, {path}, id {key_id}: both sides must hold the same one"
