"""What happens in a world: line, passes, bundles, and which faults at which step."""

import random
from dataclasses import dataclass, field

from diode.net.impairments import Impairments


@dataclass(frozen=True)
class Faults:
    """What happens in a world. Steps count what staging sends."""

    line: Impairments = field(default_factory=Impairments)
    passes: int = 1
    bundles: int = 2
    outages: tuple[tuple[int, int], ...] = ()  # (from step, to step): nothing passes
    kills: tuple[tuple[int, str], ...] = ()  # (step, what): receiver, power, stop, sender, clock
    disk_fails: tuple[tuple[int, int], ...] = ()  # (step, for so many operations)
    lies: tuple[int, ...] = ()  # steps: the disk loses what is dirty, and says so once
    auth: str = "gmac"
    killed_by: str = "receiver"  # what happens at a kill point of the receiver: the same, or power
    kill_at: int | None = None  # operation of the disk, counted from the first bundle on

    @classmethod
    def of(cls, seed: int) -> "Faults":
        """What the seed says."""
        rng = random.Random(seed)
        line = Impairments(
            loss=rng.choice((0.0, 0.0, 0.01, 0.1, 0.3)),
            burst=rng.choice((0, 0, 50, 200)),
            burst_gap=1500,
            reorder=rng.choice((0.0, 0.05)),
            duplicate=rng.choice((0.0, 0.05)),
            corrupt=rng.choice((0.0, 0.001)),
        )
        steps = 60
        return cls(
            line=line,
            passes=rng.choice((1, 2, 3)),
            bundles=rng.choice((1, 2, 3)),
            outages=tuple((a, a + rng.randrange(1, 20)) for a in rng.sample(range(steps), rng.choice((0, 0, 1, 2)))),
            kills=tuple(
                (rng.randrange(steps), rng.choice(("receiver", "power", "stop", "sender", "clock")))
                for _ in range(rng.choice((0, 1, 1, 2, 3)))
            ),
            disk_fails=tuple((rng.randrange(steps), rng.randrange(1, 30)) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
            auth=rng.choice(("gmac", "gmac", "none")),
            lies=tuple(rng.randrange(steps) for _ in range(rng.choice((0, 0, 0, 1, 3)))),
        )
