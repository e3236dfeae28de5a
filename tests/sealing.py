"""The datagrams of one job of the scheduler, as `encode` seals them and `transmit` sends them."""

import numpy as np

from diode.protocol.encoder import Fill, Part, SlabEncoder, Slot
from diode.protocol.fitting import lacking
from diode.protocol.sizes import Kind
from sender.transport.plan import PROOF, WHOLE, Job, Plan


def datagrams_of(encoder: SlabEncoder, slot: Slot, padding: Slot, plan: Plan, job: Job, fill: Fill) -> np.ndarray:
    """In sending order, as a matrix. ``fill`` writes the whole slab; ``padding`` holds some datagrams of padding."""
    slab, part, spread = plan.slab(job), Part(job.bundle, job.kind, job.flags), plan.spread(job)
    offset = job.repair_offset(slab, spread)
    if job.row == PROOF:
        return np.empty((0, padding.datagrams.shape[1]), np.uint8)
    if job.row == WHOLE:
        runs = encoder.encode(slot, slab, part, fill, repair_offset=offset)
        filler = lacking(slab) if job.kind == Kind.DATA else 0
        between = [padding.datagrams[:filler]] if filler and len(runs) > 1 else []
    else:
        runs, between = [encoder.encode_row(slot, slab, part, job.row, fill, repair_offset=offset)], []
    first, *rest = (slot.datagrams[start : start + count] for start, count in runs)
    return np.concatenate([first, *between, *rest])
