"""A certificate authority by ``openssl ca``: it revokes, and writes complete and delta lists as its user wants them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONF: Final = """[ca]
default_ca = one
[one]
database = index.txt
serial = serial
crlnumber = number
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign{crl_sign}
[plain]
authorityKeyIdentifier = keyid
[delta]
2.5.29.27 = critical,DER:0201{base:02x}
[scoped]
issuingDistributionPoint = critical,@scope
[scope]
onlyuser = TRUE
[indirect]
issuingDistributionPoint = critical,@far
[far]
indirectCRL = TRUE
[strange]
1.2.3.4 = critical,DER:0500
"""


def openssl(*arguments: str, cwd: Path) -> bytes:
    """What the command writes. Raises CalledProcessError."""
    return subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, check=True).stdout


@dataclass
class Authority:
    """One, in a folder of its own."""

    folder: Path
    subject: str = "/CN=one"
    crl_sign: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "index.txt").touch()
        self._configure(base=1)
        self._request("ca", self.subject)
        self._issue("ca", "-selfsign", "-keyfile", "ca.key", "-extensions", "root")

    @property
    def der(self) -> bytes:
        """Its certificate."""
        return openssl("x509", "-in", "ca.pem", "-outform", "der", cwd=self.folder)

    def certificate(self, name: str) -> Path:
        """A certificate of its own, of that name."""
        if not (self.folder / f"{name}.pem").exists():
            self._request(name, f"/CN={name}")
            self._issue(name, *self._signing)
        return self.folder / f"{name}.pem"

    def revoke(self, path: Path) -> None:
        """Have the next list revoke it."""
        openssl("ca", "-config", "ca.conf", *self._signing, "-revoke", path.name, cwd=self.folder)

    def crl(
        self,
        number: int,
        day: str = "20261101",
        until: str = "20270101",
        *,
        form: str = "pem",
        kind: str = "plain",
        base: int = 1,
        digest: str = "sha256",
    ) -> bytes:
        """A list of that number and those days, or moments. ``kind``: a section of the configuration."""
        self._configure(base)
        (self.folder / "number").write_text(f"{number:04x}\n")
        times = ("-crl_lastupdate", f"{day:0<14}Z", "-crl_nextupdate", f"{until:0<14}Z")
        written = ("-crlexts", kind, "-md", digest, "-out", "ca.crl")
        openssl("ca", "-gencrl", "-config", "ca.conf", *self._signing, *times, *written, cwd=self.folder)
        return openssl("crl", "-in", "ca.crl", "-outform", form, cwd=self.folder)

    @property
    def _signing(self) -> tuple[str, ...]:
        return ("-keyfile", "ca.key", "-cert", "ca.pem")

    def _request(self, name: str, subject: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
        openssl("req", "-config", "ca.conf", *key, "-subj", subject, "-out", f"{name}.csr", cwd=self.folder)

    def _issue(self, name: str, *by: str) -> None:
        days = ("-startdate", "20200101000000Z", "-enddate", "20991231000000Z")
        files = ("-batch", "-rand_serial", "-notext", "-in", f"{name}.csr", "-out", f"{name}.pem")
        openssl("ca", "-config", "ca.conf", *days, *files, *by, cwd=self.folder)

    def _configure(self, base: int) -> None:
        crl_sign = ",cRLSign" if self.crl_sign else ""
        section = f"{CONF}[req]\ndistinguished_name = named\n[named]\n"
        (self.folder / "ca.conf").write_text(section.format(crl_sign=crl_sign, base=base))
