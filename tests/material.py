"""A kind of identity material in the place of JWKS, which has little of its own, and channels that take it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from diode.identity import check as checking
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.rules import IdentityRules

RULES = IdentityRules(kinds=("jwks",), jwks_algorithms=("EdDSA",))
CHANNEL = '[channels.test.identity]\nkinds = ["jwks"]\njwks_algorithms = ["EdDSA"]\n'
READERS = {"jwks": (__name__, "Keys")}


@dataclass(frozen=True, slots=True)
class Keys(Read):
    """``{"keys": [NUMBER, UNTIL, PLACE]}``: out of date from UNTIL on. PLACE is a file that it tries to read."""

    number: int = 0

    def read(self, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Parse and judge it."""
        del rules
        number, until, *places = json.loads(content)["keys"]
        if datetime.fromisoformat(until) <= at:
            raise IdentityError(Fault.EXPIRED, f"good until {until}")
        for place in places:
            try:
                found = Path(place).read_bytes()
            except PermissionError:
                found = b"nothing"
            raise IdentityError(Fault.FORBIDDEN, f"read {found.decode()}")
        return type(self)(None, (), number)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """What changes."""
        del rules
        if before is not None and before.number > self.number:
            raise IdentityError(Fault.OLDER, f"{self.number} after {before.number}")
        return ()


def stand_in() -> None:
    """Let this kind take the place of JWKS in this process."""
    checking._READERS = READERS  # type: ignore[misc]


def keys(number: int, *place: str, until: datetime | None = None) -> bytes:
    """A file of it."""
    last = until or datetime.now(UTC) + timedelta(days=1000)
    return json.dumps({"keys": [number, last.isoformat(), *place]}).encode()
