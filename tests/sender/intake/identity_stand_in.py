"""The child ``identity_child`` with a stand-in for a kind of material, and with the ways in which a parser can fail."""

import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from diode.identity import check
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.rules import IdentityRules
from sender.intake import identity_child

BEGIN = b"-----BEGIN CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class CaBundle(Read):
    """A number. One that is lower than the one before is refused. A word is something bad that the parser does."""

    number: int = 0

    def read(self, content: bytes, rules: IdentityRules, at: object) -> Self:
        """Do what the file says."""
        del rules, at
        match content.removeprefix(BEGIN).decode().split():
            case ["dies"]:
                os._exit(1)
            case ["hangs"]:
                time.sleep(3600)
            case ["shouts"]:
                os.write(json.loads(sys.argv[1])["control_write"], b"anything\n")
            case ["opens", path]:
                raise IdentityError(Fault.FORBIDDEN, _tried(lambda: os.close(os.open(path, os.O_RDONLY))))
            case ["connects"]:
                raise IdentityError(Fault.FORBIDDEN, _tried(lambda: socket.socket().close()))
            case ["starts"]:
                raise IdentityError(Fault.FORBIDDEN, _tried(lambda: os._exit(0) if os.fork() == 0 else None))
        return type(self)(number=int(content.removeprefix(BEGIN)))

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """From which number to which."""
        del rules
        if before is not None and before.number > self.number:
            raise IdentityError(Fault.OLDER, f"{self.number} after {before.number}")
        return [f"from {before.number} to {self.number}"] if before is not None else []


def _tried(work: object) -> str:
    try:
        work()  # type: ignore[operator]
    except OSError as error:
        return f"not possible: {error.strerror}"
    return "possible"


def main() -> None:
    """Entry point of the child."""
    check._READERS["ca-bundle"] = (__name__, "CaBundle")
    identity_child.main()
