"""A real slapd on a socket of its own, and its tools. Everything lies in one short-lived folder."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from tests.needs import program
from tests.patience import PATIENCE_S, wait_until

BASE: Final = "dc=example,dc=org"
ADMIN: Final = ("-x", "-D", f"cn=admin,{BASE}", "-w", "only-for-this-test")
ATTRIBUTES: Final = (
    "objectClass",
    "dc",
    "o",
    "ou",
    "cn",
    "sn",
    "uid",
    "mail",
    "description",
    "member",
    "telephoneNumber",
)
CONFIG: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {where}/slapd.pid
database mdb
maxsize 16777216
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw only-for-this-test
directory {where}/data
"""


class Directory:
    """One directory, empty at first."""

    def __init__(self, where: Path) -> None:
        self.where = where
        (where / "data").mkdir()
        self.config = where / "slapd.conf"
        self.config.write_text(CONFIG.format(where=where, base=BASE))
        self.url = "ldapi://" + quote(str(where / "socket"), safe="")

    def tool(self, name: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run one of slapd's tools."""
        command = [program(name) or name, *arguments]
        return subprocess.run(command, input=content, capture_output=True, check=False, timeout=PATIENCE_S)

    def load(self, content: bytes) -> str:
        """Fill it with slapadd, while it does not run. What it said, where it refused."""
        done = self.tool("slapadd", "-f", str(self.config), "-b", BASE, content=content)
        return "" if done.returncode == 0 else done.stderr.decode()

    def dump(self) -> bytes:
        """What slapcat writes."""
        return self.tool("slapcat", "-f", str(self.config), "-b", BASE).stdout

    def search(self) -> bytes:
        """What ldapsearch -LLL writes, of a running one."""
        return self.tool("ldapsearch", "-LLL", "-H", self.url, *ADMIN, "-b", BASE).stdout

    def change(self, content: bytes) -> str:
        """Change a running one with ldapmodify. What it said, where it refused."""
        done = self.tool("ldapmodify", "-H", self.url, *ADMIN, content=content)
        return "" if done.returncode == 0 else done.stderr.decode()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run it, and end it by its own process."""
        command = [program("slapd") or "slapd", "-d", "0", "-f", str(self.config), "-h", self.url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: process.poll() is not None or self._answers(), "slapd answers")
                assert process.poll() is None
                yield self
            finally:
                process.terminate()
                process.wait(PATIENCE_S)

    def _answers(self) -> bool:
        return not self.tool("ldapsearch", "-H", self.url, *ADMIN, "-b", "", "-s", "base").returncode


@contextmanager
def directory() -> Iterator[Directory]:
    """One in a folder whose name is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="slapd") as where:
        yield Directory(Path(where))
