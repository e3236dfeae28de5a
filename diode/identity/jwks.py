"""JSON Web Key Sets (RFC 7517): public keys only, each under a name of its own that it keeps."""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from diode.formats.strict_json import read_json
from diode.identity.algorithms import fits, is_known
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.rules import IdentityRules
from diode.identity.showing import bounded, shown

MAX_JWKS_BYTES: Final = 1 << 20
MAX_KEYS: Final = 256
MAX_KID: Final = 256  # characters
MAX_CHAIN: Final = 10  # certificates of a key
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_KINDS: Final[Mapping[str, Any]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_OF_KIND: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_TEXTS: Final = ("kty", "kid", "alg", "use", "crv", "x", "y", "n", "e", "x5u", "x5t", "x5t#S256")
_KNOWN: Final = {name.casefold(): name for name in ("keys", "key_ops", "x5c", *_TEXTS)}
_OPERATIONS: Final = {"sig": {"verify"}, "enc": {"encrypt", "wrapKey", "deriveKey", "deriveBits"}}  # of public keys


class WebKey(NamedTuple):
    """A key. ``thumbprint``: RFC 7638's, of the key alone. ``alg``: empty where it is not said."""

    thumbprint: str
    kty: str
    alg: str
    use: str


@dataclass(frozen=True, slots=True)
class Jwks(Read):
    """The keys of one file, by their ``kid``."""

    keys: Mapping[str, WebKey] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes, rules: IdentityRules, at: datetime) -> Self:  # noqa: ARG003 - as Kind has it
        """Parse and judge a set. Raises IdentityError. ``at`` is of no matter: keys have no dates."""
        keys: dict[str, WebKey] = {}
        for member in _members_of(content):
            kid = _kid_of(member)
            if kid in keys:
                raise _malformed(kid, "is there twice: verifiers would take either of the two")
            keys[kid] = _judge(kid, member, rules.jwks_algorithms)
        return cls(keys=keys)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """A line for each key that changes. Raises IdentityError for another key of the same ``kid``."""
        old = before.keys if before else {}
        for kid, key in self.keys.items():
            if kid in old and old[kid].thumbprint != key.thumbprint:
                detail = (
                    "names another key than before. Verifiers keep the old one by its name: give the new one a new kid"
                )
                raise IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} {detail}")
        gone = [f"- {_shown(kid, key)}" for kid, key in old.items() if kid not in self.keys]
        new = [f"+ {_shown(kid, key)}" for kid, key in self.keys.items() if kid not in old]
        both = [(kid, old[kid], key) for kid, key in self.keys.items() if kid in old]
        other = [f"{_shown(kid, key)}, before {_said(one)}" for kid, one, key in both if one != key]
        return bounded(gone + new + other)


def _shown(kid: str, key: WebKey) -> str:
    return f"kid {shown(kid)} ({_said(key)}, thumbprint {key.thumbprint})"


def _said(key: WebKey) -> str:
    return f"{key.kty}, {shown(key.alg) or 'no alg'}, {key.use or 'no use'}"


def _malformed(kid: str, detail: str) -> IdentityError:
    return IdentityError(Fault.MALFORMED, f"kid {shown(kid)} {detail}")


def _weak(kid: str) -> IdentityError:
    return IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} is RSA of less than {MIN_RSA_BITS} bits")


def _members_of(content: bytes) -> list[dict[str, Any]]:
    """The keys as JSON has them, without any private member."""
    if len(content) > MAX_JWKS_BYTES:
        raise IdentityError(Fault.MALFORMED, f"it is larger than {MAX_JWKS_BYTES >> 10} KiB")
    try:
        value = read_json(content)
    except ValueError as error:
        raise IdentityError(Fault.MALFORMED, f"it is not read as JSON: {shown(str(error))}") from error
    _check_names(value)
    members = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(members, list) or not members or not all(isinstance(each, dict) for each in members):
        raise IdentityError(Fault.MALFORMED, "it is no object with the member keys, a list of keys that is not empty")
    if len(members) > MAX_KEYS:
        raise IdentityError(Fault.MALFORMED, f"it holds more than {MAX_KEYS} keys")
    return members


def _check_names(value: Any) -> None:
    """Refuse private members anywhere, and other spellings of known names: some readers ignore case."""
    for name in _names_in(value):
        folded = name.casefold()
        if folded in _PRIVATE:
            raise IdentityError(Fault.FORBIDDEN, f"it holds the member {shown(name)} of a private or secret key")
        if _KNOWN.get(folded, name) != name:
            raise IdentityError(
                Fault.MALFORMED, f"it holds the member {shown(name)}, which is written {_KNOWN[folded]}"
            )


def _names_in(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _kid_of(member: Mapping[str, Any]) -> str:
    kid = member.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        raise IdentityError(Fault.MALFORMED, f"a key has no kid of 1 to {MAX_KID} characters")
    return kid


def _judge(kid: str, member: Mapping[str, Any], allowed: Sequence[str]) -> WebKey:
    for name in _TEXTS:
        if not isinstance(member.get(name, ""), str):
            raise _malformed(kid, f"has a member {name} that is no text")
    kty = member.get("kty", "")
    if kty == "oct":
        raise IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} is a secret key (oct)")
    if kty not in _KINDS:
        raise IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} is of the kind {shown(kty)}; RSA, EC and OKP are taken")
    key = _imported(kid, kty, member)
    _check_algorithm(kid, member, allowed)
    _check_use(kid, member)
    if "x5c" in member:
        _check_chain(kid, member, key)
    return WebKey(key.thumbprint(), kty, member.get("alg", ""), member.get("use", ""))


def _imported(kid: str, kty: str, member: Mapping[str, Any]) -> Any:
    """The key by joserfc. What it writes of it must be what stands there: a key has one spelling."""
    own = {name: member.get(name, "") for name in _OF_KIND[kty]}
    if len(own.get("n", "")) > MAX_RSA_BITS // 6 + 2 or len(own.get("e", "")) > 12:
        raise _malformed(kid, f"is RSA of more than {MAX_RSA_BITS} bits, or of an exponent of more than 64")
    if kty == "RSA" and len(own["n"]) < MIN_RSA_BITS // 6:
        raise _weak(kid)  # before joserfc warns of it on standard error
    try:
        key = _KINDS[kty].import_key({"kty": kty, **own})
        written = _KINDS[kty].import_key(key.public_key).as_dict()
    except (ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm, JoseError) as error:
        raise _malformed(kid, f"is not read: {shown(str(error))}") from error
    if {name: written.get(name) for name in own} != own:
        raise _malformed(kid, "is not written as RFC 7518 wants it, so its thumbprint is not its own")
    if kty == "RSA" and key.public_key.key_size < MIN_RSA_BITS:
        raise _weak(kid)
    return key


def _check_algorithm(kid: str, member: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """A key that names none must fit one of those that are allowed."""
    alg, kty, curve = member.get("alg", ""), member["kty"], member.get("crv", "")
    if "alg" in member and (alg not in allowed or not is_known(alg)):
        raise IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} is for {shown(alg)}, which the channel does not take")
    named = [alg] if "alg" in member else allowed
    use = member.get("use", "")
    if not any(fits(each, kty, curve, use) for each in named):
        what = " ".join(filter(None, (kty, shown(curve), shown(use))))
        raise IdentityError(Fault.FORBIDDEN, f"kid {shown(kid)} ({what}) is for none of {shown(', '.join(named))}")


def _check_use(kid: str, member: Mapping[str, Any]) -> None:
    if "use" in member and member["use"] not in _OPERATIONS:
        raise _malformed(kid, f"has the use {shown(member['use'])}; sig and enc are known")
    operations = member.get("key_ops", ["verify"] if member.get("use") != "enc" else ["encrypt"])
    if not isinstance(operations, list) or not all(isinstance(each, str) for each in operations):
        raise _malformed(kid, "has key_ops that are no list of texts")
    possible = _OPERATIONS.get(member.get("use", ""), set().union(*_OPERATIONS.values()))
    if not operations or len(set(operations)) < len(operations) or not set(operations) <= possible:
        raise _malformed(
            kid, f"has key_ops that a public key does not do, or not for its use: {shown(str(operations))}"
        )


def _check_chain(kid: str, member: Mapping[str, Any], key: Any) -> None:
    """The first certificate is the key's (RFC 7517, section 4.7)."""
    chain = member["x5c"]
    if not isinstance(chain, list) or not 0 < len(chain) <= MAX_CHAIN or not all(isinstance(one, str) for one in chain):
        raise _malformed(kid, f"has an x5c that is no list of 1 to {MAX_CHAIN} certificates")
    try:
        ders = [binascii.a2b_base64(one, strict_mode=True) for one in chain]
        certificates = [x509.load_der_x509_certificate(der) for der in ders]
        first = certificates[0].public_key()
        same = _spki(first) == _spki(key.public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _malformed(kid, f"has an x5c that is not read: {shown(str(error))}") from error
    if not same:
        raise _malformed(kid, "has an x5c whose first certificate is of another key")


def _spki(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
