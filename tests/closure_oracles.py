"""Indexes of Debian packages made from a seed, and what apt's own solver says of them: the judge of our verdicts.

Each set has versions, alternatives, virtual packages with and without versions, Multi-Arch, ``:any`` and Pre-Depends.
A set agrees when the check misses nothing and apt installs each package by its name, or neither.
"""

import hashlib
import random
import re
from pathlib import Path
from typing import Final

from tests.apt import Apt
from tests.closure_sets import judge

VERSIONS: Final = ("0.9", "1.0~rc1", "1.0", "1.0-1", "1:0.5")
OPERATORS: Final = ("<<", "<=", "=", ">=", ">=", ">=", ">>")
INDEX: Final = "dists/stable/main/binary-amd64/Packages"
_FILE: Final = f"Filename: pool/x.deb\nSize: 1\nSHA256: {hashlib.sha256(b'x').hexdigest()}\nDescription: x\n"


def index(rng: random.Random) -> str:
    """A few packages, some in two versions."""
    paragraphs = []
    names = [f"d{number}" for number in range(rng.randint(3, 6))]
    for name in names:
        for version in rng.sample(VERSIONS, rng.choice([1, 1, 1, 2])):
            fields = {"Package": name, "Version": version, "Architecture": rng.choice(["amd64", "amd64", "all"])}
            fields["Multi-Arch"] = rng.choice(["no", "no", "foreign", "allowed"])
            others = [other for other in names if other != name]
            for field in ("Depends", "Pre-Depends"):
                if rng.random() < 0.3:
                    fields[field] = ", ".join(_group(rng, others) for _ in range(rng.randint(1, 2)))
            if rng.random() < 0.4:
                fields["Provides"] = "v" + rng.choice(["", f" (= {rng.choice(VERSIONS)})"])
            paragraphs.append("".join(f"{key}: {value}\n" for key, value in fields.items()) + _FILE)
    return "\n".join(paragraphs)


def _group(rng: random.Random, names: list[str]) -> str:
    return " | ".join(_one(rng, [*names, *names, "v", "gone"]) for _ in range(rng.choice([1, 1, 2])))


def _one(rng: random.Random, names: list[str]) -> str:
    asked = rng.choice(names)
    if rng.random() < 0.1:
        asked += ":any"
    return f"{asked} ({rng.choice(OPERATORS)} {rng.choice(VERSIONS)})" if rng.random() < 0.4 else asked


def paragraph(name: str, version: str = "1", **fields: str) -> str:
    """A package by hand; ``Pre_Depends`` stands for Pre-Depends."""
    said = {"Package": name, "Version": version, "Architecture": "all"} | fields
    return "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in said.items()) + _FILE


def is_whole(text: str) -> bool:
    """Whether the check misses nothing."""
    settings = {"apt": [{"suite": "stable", "architecture": "amd64"}]}
    return not judge(settings, {INDEX: text.encode(), "pool/x.deb": b"x"}).missing


def refused_by_apt(folder: Path, text: str) -> list[str]:
    """Each package that apt cannot install when it is asked for by its name, with its reasons."""
    root = folder / "repository"
    (root / INDEX).parent.mkdir(parents=True)
    (root / INDEX).write_text(text)
    apt = Apt.make(folder / "apt", f"deb [trusted=yes] copy:{root} stable main")
    with (apt.folder / "apt.conf").open("a") as settings:
        settings.write('APT::Architectures { "amd64"; };\n')
    done = apt.update()
    assert 0 == done.returncode, done.stderr
    refused = []
    for name in dict.fromkeys(re.findall(r"^Package: (.*)$", text, re.MULTILINE)):
        done = apt.get("install", "--simulate", name)
        if done.returncode and not is_cycle(done.stderr):
            why = [line.strip() for line in done.stdout.splitlines() if "Depends" in line or "Conflicts" in line]
            refused.append(f"{name}: {'; '.join(why) or done.stderr.strip()}")
    return refused


def is_cycle(said: str) -> bool:
    """Whether apt has all of it and finds no order in which to configure it: a circle through a Pre-Depends."""
    return "dependency cycle" in said or "Could not configure" in said or "MaxLoopCount" in said
