"""Settings of the checks that items of one channel must pass on the sending side before packing (docs/intake.md)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from diode.config.closure import Closure
from diode.config.identity import Identity
from diode.config.sections import Section
from diode.content.rules import Rules
from diode.formats.sizes import Size

FileName = Annotated[str, Field(min_length=1, max_length=1024)]
Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
SignerName = Annotated[str, Field(min_length=1, max_length=1024)]


class ContentSettings(Section):
    """Which kinds of content a channel takes, on either side (docs/content.md)."""

    content: Literal["any", "weights", "packages", "images", "os"] = "any"  # a preset of kinds
    types: tuple[str, ...] = ()  # kinds, of those; empty: all of them
    lint: bool = True  # refuse pickles, polyglots, and unsound safetensors and GGUF files; look into archives
    code: bool = False  # weights: take source code, and name in the verdict what a loader would run
    also: tuple[str, ...] = ()  # weights: kinds that are taken besides

    @property
    def rules(self) -> Rules:
        """The same settings as the rules that :mod:`diode.content` applies."""
        return Rules(self.content, self.types, self.lint, self.code, self.also)

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        _ = self.rules  # raises ValueError
        return self


class Sigstore(Section):
    """Whose Sigstore signature is required. Nothing is fetched: the trusted root is a file, which people renew."""

    trusted_root: Path
    identity: SignerName  # as the certificate names the signer: an address, or the URI of a workflow
    issuer: SignerName  # who vouched for the identity: the URI of an OpenID provider


class ModelSigning(Section):
    """OpenSSF Model Signing v1.0: one signature over the digests of all files, by a key or by Sigstore."""

    file: FileName = "model.sig"
    key: Path | None = None  # ECDSA on P-256, P-384 or P-521, in PEM
    sigstore: Sigstore | None = None
    unsigned: tuple[FileName, ...] = (".gitattributes", ".gitignore")  # may lie there unsigned, if the signer says so

    @model_validator(mode="after")
    def _names_one_signer(self) -> Self:
        if (self.key is None) == (self.sigstore is None):
            raise ValueError("give either key or sigstore")
        return self


class Clamd(Section):
    """A ClamAV daemon on this host.

    Its own limits must be at least ``max_bytes``: what it cuts short, it reports as clean.
    """

    socket: Path
    user: Annotated[str, Field(min_length=1, max_length=64)] = (
        "clamav"  # whose word is taken, beside root's and our own
    )
    max_bytes: Annotated[Size, Field(ge=1, le=2 << 30)] = 25 << 20  # of a file that is scanned
    too_large: Literal["reject", "record"] = "reject"  # record: larger files pass, and the verdict says unscanned
    timeout_s: Seconds = 120.0  # for one file
    max_db_age_days: Annotated[float, Field(gt=0.0, le=3650.0)] | None = None  # None: of any age
    canary: bool = True  # before each item, the scanner must find the EICAR test file
    # reject: encrypted files are refused, and so is everything while clamd does not alert on them (AlertEncrypted);
    # record: where it does not, they pass, and each verdict says that they would
    encrypted: Literal["reject", "record"] = "record"

    @model_validator(mode="after")
    def _asks_what_it_rests_on(self) -> Self:
        if self.encrypted == "reject" and not self.canary:
            raise ValueError('encrypted = "reject" needs the canary, which shows that clamd alerts on such files')
        return self


class Hook(Section):
    """A program that judges an item: it gets JSON on standard input, and prints a verdict in JSON."""

    run: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]  # program and arguments; no shell
    timeout_s: Seconds = 60.0
    # copy: it reads files that nobody else can write; origin: where they were dropped, which saves the room of a copy
    reads: Literal["copy", "origin"] = "copy"
    user: str = ""  # whom it runs as, which takes root or CAP_SETUID; empty: the daemon's user, without the keys

    @model_validator(mode="after")
    def _is_absolute(self) -> Self:
        if not self.run[0].startswith("/"):
            raise ValueError("the program of a hook is named by its absolute path")
        return self


class Intake(ContentSettings):
    """The checks of one channel. Each declared check must pass. An item that a check cannot examine is rejected."""

    max_bytes: Size = 0  # of an item; 0: no limit of its own
    max_file_bytes: Size = 0
    max_files: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    sha256sums: FileName | None = None  # a file of the item that must name every other one
    minisign: Path | None = None  # public key, as minisign writes it
    key: Path | None = None  # public key in PEM, Ed25519 or ECDSA, of detached signatures
    key_suffix: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9_.-]{1,32}$")] = ".sig"
    sigstore: Sigstore | None = None
    sigstore_suffix: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9_.-]{1,32}$")] = ".sigstore.json"
    oms: ModelSigning | None = None
    closure: Closure | None = None  # what is missing is named before anything is packed (docs/closure.md)
    identity: Identity | None = None  # its items are identity material, and nothing else (docs/identity.md)
    clamd: Clamd | None = None
    hooks: Annotated[tuple[Hook, ...], Field(max_length=16)] = ()
