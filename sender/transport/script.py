"""The order in which a bundle is sent: passes, what is repeated in each, and the pauses between."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from diode.protocol.geometry import COPY_GAP_S, LEAD_PER_FILE_S, needs_repeats, slab_count
from diode.protocol.sizes import Kind, ObjectType
from sender.transport.plan import PROOF, Job, Plan


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause in a script. It ends when this much time and this many datagrams have passed since the step before."""

    seconds: float
    datagrams: int = 0
    rest: bool = False  # nothing is sent meanwhile, not even padding
    holds: bool = False  # nothing of lower priority is sent meanwhile


def script(plan: Plan) -> Iterator[Job | Gap]:
    """The steps of a bundle, in order. Its last step is a job."""
    burst = plan.full.burst_datagrams
    objects = _objects(plan)
    small_objects = [job for job in objects if needs_repeats(plan.slab(job), burst)]
    data = _part(plan, Kind.DATA, 0)
    if plan.ranges is not None:
        data = [job for first, last in plan.ranges for job in data[first:last]]
    for number in range(plan.first_pass, plan.first_pass + plan.passes):
        if number > plan.first_pass:
            yield Gap(plan.pass_delay_s)
        yield from _in_pass(objects, number)
        yield Gap(min(COPY_GAP_S, plan.lead_s), burst)  # no longer than the lead itself
        yield from _in_pass(small_objects, number)
        yield Gap(max(0.0, plan.lead_s - COPY_GAP_S) + plan.files * LEAD_PER_FILE_S)
        in_pass = data[plan.first_slab :] if number == plan.first_pass else data
        yield from _in_pass(in_pass, number)
        if number == 0:
            yield from _proofs(plan, data)  # also of what an earlier run sent
        if not in_pass or plan.spread(in_pass[-1]) is None:
            yield Gap(COPY_GAP_S, burst)  # rows of a slab span as much
        yield from _in_pass(objects, number)


def _objects(plan: Plan) -> list[Job]:
    return [job for kind in ObjectType for job in _part(plan, Kind.OBJECT, kind)]


def _part(plan: Plan, kind: Kind, flags: int) -> list[Job]:
    count = slab_count(plan.part_geometry(kind), plan.part_bytes(kind, flags))
    return [Job(plan.bundle, kind, int(flags), slab) for slab in range(count)]


def _in_pass(jobs: list[Job], number: int) -> Iterator[Job]:
    for job in jobs:
        yield Job(job.bundle, job.kind, job.flags, job.slab, number)


def _proofs(plan: Plan, data: list[Job]) -> Iterator[Job]:
    """Of the slabs that may be sent before they are compared. What is sent row by row is always compared."""
    return (replace(job, row=PROOF) for job in data if plan.spread(job) is None)
