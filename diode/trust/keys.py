"""Makes and reads key files. They are made with mode 0600, and refused when other users could read them.

Credentials of systemd (LoadCredential=) are key files as well. systemd may give the service its access by an access
list, whose mask looks like a readable group (mode 0440). Their folder is closed to everybody else.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from diode.errors import NotInitialisedError, PathError, UsageError
from diode.formats.names import check_new_name
from diode.protocol.link_key import LINK_KEY_BYTES, LinkKey

if TYPE_CHECKING:  # who reads a link key alone waits for no library that signs
    from diode.formats.signers import CryptoSigner, Key, Signer
    from diode.trust.roles import Trust


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError rather than replace a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def read_private(path: Path) -> bytes:
    """Read a key file. Raises NotInitialisedError when it is missing, UsageError when others may read it."""
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & (0o037 if _is_credential(path) else 0o077):
            raise UsageError(f"{path} can be read by others; type: chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotInitialisedError(f"key file {path} is missing; 'diode init' or 'diode keys' writes one") from None
    except OSError as error:
        raise UsageError(f"key file {path} cannot be read: {error.strerror}") from error


def _is_credential(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return folder != "" and path.parent == Path(folder)


def new_link_key() -> bytes:
    """Text of a new link key: 64 hexadecimal digits."""
    return os.urandom(LINK_KEY_BYTES).hex().encode() + b"\n"


def new_signing_key() -> tuple[bytes, bytes]:
    """(private key, public key) of a new Ed25519 pair in PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_link_key(path: Path) -> LinkKey:
    """Read the link key in ``path``."""
    text = read_private(path)
    try:
        return LinkKey.of(bytes.fromhex(text.decode("ascii").strip()))
    except ValueError as error:
        raise UsageError(f"{path} is not a link key: {2 * LINK_KEY_BYTES} hexadecimal digits are expected") from error


def read_signer(path: Path) -> "CryptoSigner":
    """Read the Ed25519 signing key in ``path``."""
    from diode.formats.dsse import load_signer

    try:
        return load_signer(read_private(path))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is not an Ed25519 private key in PEM") from error


def read_any_signer(key: str, public: Path | None) -> "Signer":
    """Read a person's key: a file, or ``hsm:ID?label=TOKEN`` with its public half in the file ``public``.

    The PIN of a hardware token is asked for. Raises UsageError.
    """
    if not key.startswith("hsm:"):
        return read_signer(Path(key))
    import getpass

    from diode.trust.hardware import HardwareSigner

    if public is None:
        raise UsageError("a key in hardware needs --public FILE, its public half in PEM")
    return HardwareSigner.from_priv_key_uri(key, read_public_key(public), lambda what: getpass.getpass(f"{what}: "))


def maybe_read_service_key(path: Path) -> "CryptoSigner | None":
    """The key by which a daemon signs its own statements; None when there is none. Raises as :func:`read_signer`."""
    return read_signer(path) if path.exists() else None


def read_public_key(path: Path) -> "Key":
    """Read the public key in ``path``."""
    from diode.formats.dsse import load_public_key

    try:
        return load_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not an Ed25519 or ECDSA public key in PEM") from error


def _person_of(path: Path) -> str:
    """The person to whom a key file belongs, by the file's name. Raises UsageError."""
    person = path.name.partition(".")[0]
    try:
        check_new_name(person)
    except PathError as error:
        raise UsageError(f"{path.parent} holds a key whose person cannot be told: {error}") from None
    return person


def read_trusted(folder: Path) -> "Trust":
    """Read the trusted public keys (``*.pub``) of a folder. ``alice.pub`` and ``alice.2.pub`` are keys of one person.

    Raises NotInitialisedError when there is none, UsageError when one key has two names.
    """
    from diode.trust.roles import Trust, TrustedKey

    keys: dict[str, TrustedKey] = {}
    for path in sorted(folder.glob("*.pub")):
        key, person = read_public_key(path), _person_of(path)
        if key.keyid in keys:
            raise UsageError(f"{path} holds the same key as another file there; a key is one person's, and counts once")
        keys[key.keyid] = TrustedKey(key, person)
    if not keys:
        raise NotInitialisedError(f"no trusted signing key: {folder} holds no *.pub; copy the sender's there")
    return Trust(keys.values())
