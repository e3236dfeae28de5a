"""Which attributes of a directory may cross: those that a channel lists, and never a password."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from diode.identity.material import Fault, IdentityError
from diode.identity.names import Name, canonical_type
from diode.identity.showing import shown

# Passwords, their hashes, and keys that stand for them, by name and by OID.
_SECRETS: Final = """
    userpassword 2.5.4.35 authpassword 1.3.6.1.4.1.4203.1.3.4 unicodepwd 1.2.840.113556.1.4.90
    dbcspwd 1.2.840.113556.1.4.55 ntpwdhistory 1.2.840.113556.1.4.94 lmpwdhistory 1.2.840.113556.1.4.160
    supplementalcredentials 1.2.840.113556.1.4.125 sambantpassword 1.3.6.1.4.1.7165.2.1.25
    sambalmpassword 1.3.6.1.4.1.7165.2.1.24 sambapasswordhistory 1.3.6.1.4.1.7165.2.1.54
    sambacleartextpassword 1.3.6.1.4.1.7165.2.1.68 sambapreviouscleartextpassword 1.3.6.1.4.1.7165.2.1.69
    krbprincipalkey 2.16.840.1.113719.1.301.4.39.1 krbmkey 2.16.840.1.113719.1.301.4.40.1
    krb5key 1.3.6.1.4.1.5322.10.1.10 krbpwdhistory userpkcs12 2.16.840.1.113730.3.1.216
    pwdhistory 1.3.6.1.4.1.42.2.27.8.1.20 ipanthash 2.16.840.1.113730.3.8.11.5 ipatokenotpkey
    olcrootpw oathsecret radiuspassword nspassword goduserpassword currentpassword initialauthincoming
    initialauthoutgoing trustauthincoming trustauthoutgoing mssfu30password unixuserpassword
    clearpassword passwordhistory
"""
_NEVER: Final = frozenset(_SECRETS.split())
_ENDS: Final = re.compile(r"(?:passw(?:or)?d|passphrase|pwd|secret|privatekey|pkcs12|hash)\Z")  # of names like these
# Words of change records: as an attribute, each would be read as one by some programs.
_WORDS: Final = frozenset(
    ("dn", "version", "changetype", "control", "add", "delete", "replace", "increment", "newrdn", "deleteoldrdn")
) | {"newsuperior", "include", "url"}


def listed_types(allowed: Sequence[str]) -> frozenset[str]:
    """What a channel lists, in the spelling of ``check_attributes``."""
    return frozenset(map(canonical_type, allowed))


def check_attributes(names: Iterable[str], listed: frozenset[str]) -> None:
    """Refuse a name that is not among ``listed``, whatever its options. Raises IdentityError."""
    for name in names:
        kind = canonical_type(name.partition(";")[0])
        if kind in _NEVER or _ENDS.search(kind):
            raise IdentityError(Fault.FORBIDDEN, f"it holds a password or a key, in {shown(name)}")
        if kind in _WORDS or kind not in listed:
            raise IdentityError(Fault.FORBIDDEN, f"it holds {shown(name)}, which this channel does not take")


def types_of(name: Name, base: Name) -> list[str]:
    """The attribute types that a DN names entries by, below its base."""
    parts = [part for rdn in name[: len(name) - len(base)] for part in rdn.split("+")]
    return [part.partition("=")[0] for part in parts]
