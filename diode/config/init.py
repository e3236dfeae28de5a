"""Writes what ``diode init`` sets up: ready-to-run folders with keys (mode 0600) and commented configuration."""

import os
from pathlib import Path
from typing import NamedTuple

from diode.errors import UsageError
from diode.trust.keys import new_link_key, new_signing_key, write_private

_SENDER = """\
# The sending side of a diode link. Relative paths are relative to this file.
# Every key has an environment twin: DIODE_LINK__RATE=200M, DIODE_SEND__PASSES=2, ...

state = "state"             # ledger and packed bundles
core = "auto"               # off: nothing is computed by the compiled core; require: no start without it
# anchor = "sent/.anchor.json"   # by which a ledger that went back in time is noticed; best on another disk than state
# audit = "state/audit"     # the audit log, one signed line for each decision
service_key = "keys/service.key"   # signs what this side says of itself: the audit log; never a bundle

[link]
to = "{to}"    # where the diode takes datagrams in
mtu = {mtu}                  # of every hop; too large: the kernel refuses to send
rate = {rate}            # bytes of UDP payload a second ("100M" works too); 0: as fast as the socket takes them.
                            # Too high: the receiver loses datagrams, and FEC repairs only so many
timetable = ""              # e.g. "08:00,20M 20:00,200M Sat-00:00,off": other rates by local time; off: none
auth = "{auth}"               # gmac | aead (encrypts too) | none (dedicated cable only); both sides alike
mac = "auto"                # library: tags by cryptography alone, never by the compiled core (a few times slower)
profile = "{profile}"        # clean 200+10 | standard 200+20 | lossy 192+64 | extreme 128+128 (rows of source + repair)
key = "keys/link.key"       # shared with the receiver; a person carries it over
path = "auto"               # batched (UDP_SEGMENT) | portable (asyncio-dgram)

[outbox]
path = "outbox"             # outbox/<channel>/<name>[@<version>] becomes a bundle
sent = "sent"               # where it moves when it was sent
failed = "failed"           # where it moves when it cannot be, with a reason beside it
settle_s = 2.0              # an item is taken when nothing below it changed for so long
keep = "forever"            # what was sent, to be sent again: forever | until-confirmed | 30 days (or confirmed)
links = "refuse"            # follow: take what a symbolic link points to, within the item only

[send]
passes = 1                  # transmissions of each bundle; a receiver stitches them together
pass_delay_s = 30.0         # between passes, so that they do not die in one outage
manifest_lead_ms = 20       # how long before its data a bundle's manifest leaves
key = "keys/signing.key"    # Ed25519; its public half is what the receiver trusts

# [channels.weights]        # what differs for one channel
# priority = 9              # 0 to 9, 5 by default: a higher one overtakes at the next slab
# weight = 3                # its share among channels of the same priority, 1 by default
# approvals = 2             # people who must sign its bundles (diode-sender approve); 0: the daemon signs
# classification = "OPEN"   # labels, and until when its bundles may be published
# releasable_to = ["NLD"]
# valid_days = 30
# links = "keep"                     # send symbolic links; the receiver's channel must take them
# times = true                       # send times of last change
# rate = "50M"              # bytes a second at most; 0: the line's
# [channels.weights.intake] # what its items must pass; docs/intake.md has all of it
# content = "weights"       # what it takes (docs/content.md): any | weights | packages | images | os
# also = ["sentencepiece"]  # of weights: take these besides, of npy, onnx, pdf, sentencepiece, svg
# code = true               # of weights: take source code (trust_remote_code), too
# types = ["safetensors", "json", "text", "empty"]   # of that, kinds that are taken; left out: all
# lint = true               # the default: refuse pickles, polyglots and unsound files, look into archives
# sha256sums = "SHA256SUMS"             # must name every file of an item
# minisign = "keys/vendors/acme.pub"    # who must have signed it, or every file
# clamd = {{ socket = "/run/clamav/clamd.ctl" }}
# hooks = [{{ run = ["/usr/local/bin/check"], timeout_s = 60 }}]

[fec]
engine = "auto"             # core | isal | zfec

[metrics]
listen = ""                 # e.g. "127.0.0.1:9101": Prometheus; empty: none

[log]
level = "info"
format = "auto"             # json | console
"""

_RECEIVER = """\
# The receiving side of a diode link. Relative paths are relative to this file.
# Every key has an environment twin: DIODE_LINK__LISTEN=0.0.0.0:9000, ...

state = "state"             # ledger
core = "auto"               # off: nothing is computed by the compiled core; require: no start without it
# anchor = "inbox/.diode/anchor.json"   # by which a ledger that went back in time is noticed; best on another disk
# audit = "state/audit"     # the audit log, one signed line for each decision
service_key = "keys/service.key"   # signs what this side says of itself: the audit log, receipts
signers = "keys/signers"    # *.pub: who may sign bundles
services = "keys/services"  # *.pub: service keys of senders, to check what they say of themselves

[link]
listen = "{listen}"   # where the diode lets datagrams out
auth = "{auth}"               # as on the sending side
mac = "auto"                # library: tags by cryptography alone, never by the compiled core (a few times slower)
key = "keys/link.key"
# previous_key = "keys/link.previous.key"   # a second key, taken while it is there (diode keys rotate-link)
# mtu = 1500                # the sender's: other sizes are dropped at once; without it, from its first heartbeat on
path = "auto"               # batched (UDP_GRO) | portable (asyncio-dgram)
socket_buffer = "32MiB"     # asked for; without rights the kernel grants no more than net.core.rmem_max

[inbox]
path = "inbox"              # inbox/<channel>/<name>/<version>/; spool and quarantine: inbox/.diode/
verify = "slabs"            # at-rest: also read every file back from disk and check its digests before publishing

[limits]
memory = "256MiB"           # for slabs being assembled; three of MTU 9000 fit
ring = "32MiB"              # between the socket and the assembler
reserve = "256MiB"          # left free on the inbox's file system: a bundle that does not fit beside it has to wait
resume = 0                  # once one has to wait, none is begun until so much would be left; 0: as reserve
keep_incomplete_days = 60   # then what is incomplete is taken out of the spool
bundle = "4TiB"
files = 1000000

[fec]
engine = "auto"             # core | isal | zfec

[metrics]
listen = ""                 # e.g. "127.0.0.1:9102": Prometheus; empty: none

[log]
level = "info"
format = "auto"             # json | console

# [channels.weights]         # what differs for one channel (docs/trust.md)
# verify = "at-rest"
# signatures = 2             # people who must have signed
# signers = ["alice", "bob"] # who may, by the names of their files in signers
# content = "weights"        # what it takes (docs/content.md): any | weights | packages | images | os
# also = ["sentencepiece"]   # of weights: take these besides, of npy, onnx, pdf, sentencepiece, svg
# code = true                # of weights: take source code (trust_remote_code), too
# types = ["safetensors", "json", "text", "empty"]   # of that, kinds that are taken; left out: all
# lint = true                # the default: refuse pickles, polyglots and unsound files, look into archives
# hold = 1                   # people who must release a bundle (diode-receiver accept)
# serve = ["hub"]            # by which protocols clients get it: hub | pypi | npm | oci | mcp | trees (docs/gateway.md)
# names = ["org/*"]          # names that belong to this channel; without it, to whoever published them first
# promote = "by-hand"        # nothing is in use before a person promotes it; else the newest is
# promote_people = 2         # who must order the same before the version in use changes
# tokens = "keys/weights.tokens"   # a token in a line: clients must show one
# health = ["/usr/local/bin/check-model"]   # must find a new version healthy, or the old one comes back
# drill_days = 90            # a rehearsed rollback is due so often
# lag_breach_days = 30       # content older than this is an alarm; lag_warn_days: from when people are warned
# keep = 5                   # versions that gc leaves; keep_days, keep_bytes and keep_taken_days, too

# [gateway]                  # diode-receiver gateway run: a process of its own
# listen = "192.0.2.10:8080" # an address of the enclave's network, never the diode's
# url = "https://gateway.example"   # as clients have it; certificate and key make it speak TLS
"""


class PublicKeys(NamedTuple):
    """The public keys that a receiver needs of a sender: the one that signs bundles, and its service key."""

    signing: bytes
    service: bytes


def init_sender(folder: Path, *, to: str, mtu: int, rate: int, profile: str, auth: str, link_key: bytes) -> PublicKeys:
    """Write a sending side; returns the public keys that the receiver must trust."""
    _refuse_existing(folder / "sender.toml")
    private, public = new_signing_key()
    write_private(folder / "keys" / "link.key", link_key)
    write_private(folder / "keys" / "signing.key", private)
    (folder / "keys" / "signing.pub").write_bytes(public)
    service = _make_service_key(folder)
    for name in ("outbox", "sent", "failed", "state"):
        (folder / name).mkdir(exist_ok=True)
    text = _SENDER.format(to=to, mtu=mtu, rate=rate, profile=profile, auth=auth)
    (folder / "sender.toml").write_text(text)
    return PublicKeys(public, service)


def init_receiver(
    folder: Path, *, listen: str, auth: str, link_key: bytes, public: bytes | None, service: bytes | None = None
) -> None:
    """Write a receiving side.

    It trusts ``public`` for bundles, and ``service`` as the sender's service key (None: no key yet).
    """
    _refuse_existing(folder / "receiver.toml")
    write_private(folder / "keys" / "link.key", link_key)
    signers = folder / "keys" / "signers"
    signers.mkdir(parents=True, exist_ok=True)
    if public is not None:
        (signers / "sender.pub").write_bytes(public)
    services = folder / "keys" / "services"
    services.mkdir(exist_ok=True)
    if service is not None:
        (services / "sender.pub").write_bytes(service)
    _make_service_key(folder)
    for name in ("inbox", "state"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "receiver.toml").write_text(_RECEIVER.format(listen=listen, auth=auth))


def init_pair(folder: Path, *, to: str, listen: str, mtu: int, rate: int, profile: str, auth: str) -> None:
    """Write both sides of a link below ``folder``.

    They share one link key, and the receiver trusts the sender's signing key.
    """
    link_key = new_link_key()
    sender, receiver = folder / "sender", folder / "receiver"
    _refuse_existing(receiver / "receiver.toml")
    public, service = init_sender(sender, to=to, mtu=mtu, rate=rate, profile=profile, auth=auth, link_key=link_key)
    init_receiver(receiver, listen=listen, auth=auth, link_key=link_key, public=public, service=service)


def _make_service_key(folder: Path) -> bytes:
    private, public = new_signing_key()
    write_private(folder / "keys" / "service.key", private)
    (folder / "keys" / "service.pub").write_bytes(public)
    return public


def _refuse_existing(path: Path) -> None:
    os.umask(os.umask(0o077) | 0o022)  # what a group may write confers no trust: no daemon would start from it
    if path.exists():
        raise UsageError(f"{path} exists already; nothing was changed")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be made: {error.strerror}") from error
