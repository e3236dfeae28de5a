"""What the pages show is there: links lead somewhere, command lines can be typed, files exist, words are explained."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.command_lines import PROGRAMS, make_targets, problem_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:diode|sender|receiver|tests|docs)/[\w./-]+\.(?:py|md|txt|service|socket|nft|sh|sql|in)")
PLACEHOLDER = re.compile(r"NAME|NNNN")
TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
PARTS = ("**Context.**", "**Decision.**", "**Consequences.**")
TERM = re.compile(r"^\*\*([^*]+)\*\*", re.MULTILINE)


def named(page: Path) -> str:
    """As people name it."""
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link may name behind ``#``: the titles of a page, as GitHub and others spell them."""
    seen: Counter[str] = Counter()
    found = set()
    for title in TITLE.findall(prose(page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def broken(page: Path) -> Iterator[str]:
    """Links of a page that lead nowhere; those to other hosts are not followed."""
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield target


def shown(page: Path) -> list[str]:
    """Lines of the blocks of code, continued ones joined."""
    return [line for block in FENCE.findall(page.read_text()) for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or a folder that is there, and a title in it."""
    assert [] == list(broken(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_command_lines_can_be_typed(page: Path) -> None:
    """Commands, options, choices and targets of blocks of code exist, and no argument is missing."""
    assert [] == [(line, wrong) for line in shown(page) if (wrong := _problem(line, is_whole=True))]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_within_sentences_exist(page: Path) -> None:
    """In a sentence arguments may be left out."""
    lines = CODE.findall(prose(page))
    assert [] == [(line, wrong) for line in lines if (wrong := _problem(line, is_whole=False))]


def _problem(line: str, *, is_whole: bool) -> str | None:
    is_command = re.match(rf"(\$ )?(\.venv/bin/)?({'|'.join(PROGRAMS)}|make|python3?) +[^ ]", line)
    return problem_of(line, is_whole=is_whole) if is_command else None


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("diode plam --size 1TiB", "diode has no command plam"),
        ("diode init pair DIR --too HOST:PORT", "diode init pair has no option --too"),
        ("diode init pair DIR [--auth gmac|aes]", "diode init pair --auth: not one of its values: aes"),
        ("diode keys link|sing K", "diode keys has no command sing"),
        ("diode-sender -c x.toml approve", "diode-sender approve needs more arguments"),
        ("diode-receiver rebaseline DIR", "diode-receiver rebaseline takes fewer arguments: DIR"),
        ("$ make tset  # all", "make has no target tset"),
        ("make test ARG=1", "make knows no ARG"),
        ('make bench ARGS="--slow"', "diode bench has no option --slow"),
        ("python -m tests.fault", "there is no tests.fault"),
        ("python -m tests.faults --sed 1", "tests.faults has no option --sed"),
        ("diode link --to A:1 --listen B:2 --loss 1% & # beside it", None),
    ],
)
def test_mistakes_are_seen(line: str, wrong: str | None) -> None:
    """A line that cannot be typed is told from one that can."""
    assert wrong == problem_of(line)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    """A file of this repository that a page names by its place is there; NAME and NNNN stand for any."""
    found = {file for code in CODE.findall(prose(page)) for file in FILE.findall(code) if not PLACEHOLDER.search(file)}
    assert [] == sorted(file for file in found if not (ROOT / file).exists())


def test_make_help_names_every_target() -> None:
    """What can be made is listed by ``make help``, once, but for itself."""
    listed = re.findall(r"echo 'make ([a-z-]+) ", (ROOT / "Makefile").read_text())
    assert sorted(make_targets().keys() - {"help"}) == sorted(listed)


def test_index_lists_every_page_and_decision() -> None:
    """Whoever starts at docs/index.md finds all pages, and each decision under its own number."""
    index = (DOCS / "index.md").read_text()
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md", "adr/template.md"}
    assert set() == pages - set(LINK.findall(index))
    numbers = dict(re.findall(r"\[(\d{4})\]\(adr/(\d{4})-", index))
    assert all(shown == linked for shown, linked in numbers.items())


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("[0-9]*.md")), ids=named)
def test_decisions_have_the_parts_of_the_template(page: Path) -> None:
    """A decision has its number, and says why it was needed, what was decided, and what follows."""
    text = page.read_text()
    assert text.startswith(f"# {page.name[:4]}: ")
    assert [] == [part for part in PARTS if part not in text]


def test_each_word_is_explained_once() -> None:
    """The glossary is sorted, and defines no term twice."""
    terms = TERM.findall((DOCS / "glossary.md").read_text())
    assert sorted(set(terms), key=str.casefold) == terms
