"""The work of ``diode keys``: makes and shows keys, and changes a link key."""

import sys
from pathlib import Path

from diode.audit.chain import Side
from diode.config.link_key_rotation import retire_link, rotate_link
from diode.config.load import load_either
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.console.terminal import say
from diode.errors import UsageError
from diode.formats.dsse import load_public_key
from diode.trust.keys import new_link_key, new_signing_key, read_link_key, write_private

_AFTER_ROTATION: dict[Side, str] = {
    "receiver": """\
{key} is the new link key ({id}); {previous}, the one before, is taken as well
a daemon that runs has not read them yet; next, here (keys that are credentials: docs/operations.md, before that):
  systemctl restart diode-receiver                    # without systemd: end it, then diode-receiver -c {config} run
then on the sender, with the same key:
  diode keys rotate-link sender.toml --new new.key
and when bundles arrive under it, here:
  diode keys retire-link {config}""",
    "sender": """\
{key} is the new link key ({id}); the one before is set aside in {previous}
a daemon that runs has not read it yet; next, when the receiver takes the new key:
  systemctl restart diode-sender                      # without systemd: end it, then diode-sender -c {config} run
and when bundles arrive, on the receiver and here:
  diode keys retire-link receiver.toml
  diode keys retire-link {config}""",
}
_AFTER_RETIRING: dict[Side, str] = {
    "receiver": """\
{previous} is gone; a daemon that runs takes it until:
  systemctl restart diode-receiver                    # without systemd: end it, then diode-receiver -c {config} run""",
    "sender": "{previous} is gone; the sender had not used it any more",
}


def link(path: Path) -> None:
    """Write a new link key."""
    _write_new(path, new_link_key())
    say(f"wrote {path}; both sides of a link hold the same file")


def rotate(config: Path, new: Path | None) -> None:
    """Change the link key of one side. ``new`` None: the receiver makes a new one."""
    loaded = load_either(config)
    if not rotate_link(loaded, new):
        say(f"{new} is the link key already; nothing was changed", file=sys.stderr)
        return
    say(*_next(_AFTER_ROTATION, config, loaded), file=sys.stderr)
    if new is None:
        say(f"the new key was made here: carry {loaded.link.key} to the sender as new.key", file=sys.stderr)


def retire(config: Path) -> None:
    """Delete the link key from before the last change."""
    loaded = load_either(config)
    if retire_link(loaded):
        say(*_next(_AFTER_RETIRING, config, loaded), file=sys.stderr)
    else:
        say("there is no key from before; nothing was changed", file=sys.stderr)


def pair(path: Path) -> None:
    """Write a new signing key to ``path``, and its public half beside it."""
    private, public = new_signing_key()
    _write_new(path, private)
    path.with_suffix(".pub").write_bytes(public)
    say(f"wrote {path} and {path.with_suffix('.pub')} (key id {load_public_key(public).keyid})")


def show(path: Path) -> None:
    """Print the id by which headers or signatures name a key."""
    if path.suffix == ".pub":
        say(load_public_key(read_public_pem(path)).keyid)
    else:
        say(f"{read_link_key(path).key_id:04x}")


def read_link_key_text(path: Path) -> bytes:
    """The text of a link key file, written anew from the key that was read. Raises UsageError."""
    return read_link_key(path).secret.hex().encode() + b"\n"


def read_public_pem(path: Path) -> bytes:
    """The text of a public key file in PEM. Raises UsageError when it holds no key that is supported."""
    try:
        pem = path.read_bytes()
        load_public_key(pem)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not an Ed25519 public key in PEM: {error}") from error
    return pem


def _next(texts: dict[Side, str], config: Path, loaded: SenderConfig | ReceiverConfig) -> list[str]:
    """What a person types after this, line by line."""
    link = loaded.link
    key_id = f"{read_link_key(link.key).key_id:04x}"
    lines = texts[loaded.side].split("\n")
    return [line.format(key=link.key, previous=link.previous, config=config, id=key_id) for line in lines]


def _write_new(path: Path, data: bytes) -> None:
    try:
        write_private(path, data)
    except FileExistsError:
        raise UsageError(f"{path} exists already; nothing was changed") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
