"""What the scheduler is told of a bundle, and the steps that it hands out. All of it is plain values."""

from dataclasses import dataclass
from typing import Final

from diode.protocol.fitting import Spread, fitting_offset, lacking, spread_of
from diode.protocol.geometry import Geometry, Slab, object_geometry, repair_offset, slab_at
from diode.protocol.resend_codes import Range
from diode.protocol.sizes import Kind, ObjectType

WHOLE: Final = -1  # in place of a row: all rows of a slab in one go
PROOF: Final = -2  # in place of a row: nothing is sent, but the slab is compared with its digest


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scheduler must know of a bundle."""

    bundle: int
    full: Geometry
    stream_bytes: int
    manifest_bytes: int
    files_bytes: int
    slabs_bytes: int
    files: int
    passes: int = 1
    pass_delay_s: float = 30.0
    lead_s: float = 0.02
    first_pass: int = 0  # passes count from here, so that each pass sends other repair symbols
    first_slab: int = 0  # of the first pass; an earlier run has sent the slabs before it
    ranges: tuple[Range, ...] | None = None  # a resend: these slabs alone; None: all
    channel: str = ""
    priority: int = 0  # a bundle of a higher one goes first, slab by slab
    rate: float = 0.0  # bytes a second of its channel at most; 0: the line's
    weight: int = 1  # its channel's share among channels of the same priority

    def part_bytes(self, kind: Kind, flags: int) -> int:
        """Length of the stream, or of an object."""
        if kind == Kind.DATA:
            return self.stream_bytes
        sizes = {ObjectType.MANIFEST: self.manifest_bytes, ObjectType.FILES: self.files_bytes}
        return sizes.get(ObjectType(flags), self.slabs_bytes)

    def part_geometry(self, kind: Kind) -> Geometry:
        """Shape of the full slabs of the stream or of an object."""
        return self.full if kind == Kind.DATA else object_geometry(self.full.symbol_bytes)

    def slab(self, job: "Job") -> Slab:
        """The slab that ``job`` sends."""
        is_object = job.kind == Kind.OBJECT
        return slab_at(
            self.part_geometry(job.kind), self.part_bytes(job.kind, job.flags), job.slab, is_object=is_object
        )

    def spread(self, job: "Job") -> Spread | None:
        """How the slab of ``job`` is sent row by row; None where it is sent in one go, as all of objects is."""
        return spread_of(self.full, self.slab(job)) if job.kind == Kind.DATA else None

    def datagrams(self, job: "Job") -> int:
        """How many datagrams ``job`` sends, with those that make up for what the last source row lacks."""
        if job.row == PROOF:
            return 0
        slab = self.slab(job)
        if job.row == WHOLE:
            return slab.datagrams + (lacking(slab) if job.kind == Kind.DATA else 0)
        return slab.shape.columns - (lacking(slab) if job.row == slab.shape.k - 1 else 0)

    def is_last_of_slab(self, job: "Job") -> bool:
        """Whether all of the slab has been sent when ``job`` has, in its pass."""
        if job.row == PROOF:
            return False
        spread = None if job.row == WHOLE else self.spread(job)
        return spread is None or job.row == spread.rows - 1


@dataclass(frozen=True, slots=True)
class Job:
    """Send one slab of one part of a bundle, or one ``row`` of it, counted over source and repair; or prove it."""

    bundle: int
    kind: Kind
    flags: int
    slab: int
    sending_pass: int = 0
    row: int = WHOLE

    @property
    def is_data(self) -> bool:
        """Whether it sends bytes of the stream."""
        return self.kind == Kind.DATA and self.row != PROOF

    def repair_offset(self, slab: Slab, spread: Spread | None = None) -> int:
        """The first repair row to be sent. Later passes send other rows; control objects always send all their rows."""
        if spread is not None:
            return fitting_offset(slab.shape, spread.repair, self.sending_pass)
        return repair_offset(slab.shape, self.sending_pass) if self.kind == Kind.DATA else 0


@dataclass(frozen=True, slots=True)
class Padding:
    """Send this many datagrams of padding."""

    datagrams: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for this many seconds, unless a bundle is added or a job is reported as sent."""

    seconds: float
