"""What the configuration asks of the gateway: checked by the parent, and handed to the serving process as settings."""

import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.layouts.kinds import Kind
from diode.net.address import Address
from diode.process.judges import Account
from receiver.gateway.server.access import plain_address, read_tokens
from receiver.gateway.server.listening import Listening
from receiver.gateway.server.messages import ServeSettings

_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - to be told from others


def settings_of(config: ReceiverConfig, listening: Sequence[Listening], address: Address) -> ServeSettings:
    """The settings of the serving process. Raises UsageError for a configuration that cannot be served."""
    gateway = config.gateway
    serve = served(config)
    if not serve:
        raise UsageError('no channel is served: write serve = ["hub"], or another protocol, below one of [channels]')
    check_pair(gateway.certificate, gateway.key)
    account = _account(gateway.user)
    _make_log_folder(gateway.log, account)
    proxies = tuple(map(plain_address, gateway.proxies))
    if "" in proxies:
        raise UsageError(f"proxies below [gateway] are addresses, as 192.0.2.7: {', '.join(gateway.proxies)}")
    return ServeSettings(
        sockets=tuple((one.sock.fileno(), one.port, one.kind) for one in listening),
        inbox=str(config.inbox.path),
        index=str(gateway.index),
        log=str(gateway.log),
        serve={name: tuple(kinds) for name, kinds in serve.items()},
        tokens={
            name: tuple(tuple(one) for one in read_tokens(path))  # type: ignore[misc]  # a NamedTuple of two texts
            for name in serve
            if (path := config.channels[name].tokens)
        },
        certificate=str(gateway.certificate or ""),
        key=str(gateway.key or ""),
        account=account,
        url=url_of(config, address, listening[0].port),
        hosts=dict(gateway.hosts),
        proxies=proxies,
    )


def served(config: ReceiverConfig) -> dict[str, tuple[Kind, ...]]:
    """The channels that are served, and by which protocols."""
    return {name: channel.serve for name, channel in config.channels.items() if channel.serve}


def url_of(config: ReceiverConfig, address: Address, port: int | None = None) -> str:
    """The gateway's address as clients have it, by the configuration; else where it listens."""
    if config.gateway.url:
        return config.gateway.url
    host = socket.gethostname() if address.host in _WILDCARDS else address.host
    scheme = "https" if config.gateway.certificate else "http"
    return f"{scheme}://{Address(host, address.port if port is None else port)}"


def check_pair(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS by a certificate and its key; None: plain http. Raises UsageError when they cannot be used together."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("certificate and key below [gateway] belong together: one of them is missing")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        said = error.strerror or error.args[-1] if isinstance(error, OSError) else error
        raise UsageError(f"the certificate {certificate} and the key {key} cannot be used: {said}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password; the gateway takes one without")


def fingerprint(config: ReceiverConfig) -> tuple[tuple[str, int, int, int], ...]:
    """Which files the serving process has read, or was given: when this changes, a new one is started.

    Channels' folders are among them: what was not there when it confined itself, it can never reach.
    """
    gateway = config.gateway
    files = [gateway.certificate, gateway.key, *(config.channels[name].tokens for name in served(config))]
    folders = [config.inbox.path / name for name in served(config)] + [gateway.index]
    found = []
    for path in filter(None, files):
        status = _status(path)
        found.append((str(path), status.st_ino, status.st_mtime_ns, status.st_size) if status else (str(path), 0, 0, 0))
    for path in folders:
        status = _status(path)
        found.append((str(path), status.st_ino if status else 0, 0, 0))
    return tuple(found)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _account(name: str) -> Account | None:
    if not name or os.geteuid() != 0:
        return None
    try:
        return Account.of(name)
    except UsageError:
        raise UsageError(f"there is no user {name!r} for the gateway to become; type: useradd -r {name}") from None


def _make_log_folder(path: Path, account: Account | None) -> None:
    try:
        path.mkdir(0o750, parents=True, exist_ok=True)
        if account:
            os.chown(path, account.user, account.group)
    except OSError as error:
        raise UsageError(f"the gateway's log folder {path} cannot be made: {error.strerror}") from error
