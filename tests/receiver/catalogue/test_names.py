"""One normal form for each spelling, and whose a name is: never by who came later, and never in another spelling."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.errors import UsageError
from diode.layouts.kinds import KINDS, Kind
from diode.layouts.names import normal_form
from receiver.catalogue.names import is_listed, lawful_holder, of_kinds, refuse_twins

TEXT = st.text(st.characters(categories=("L", "N", "P"), max_codepoint=0x24F), min_size=1, max_size=40)
WORDS = st.lists(st.text("abcxyz019", min_size=1, max_size=6), min_size=1, max_size=4)


@given(kind=st.sampled_from(KINDS), name=TEXT)
def test_a_normal_form_is_its_own(kind: Kind, name: str) -> None:
    """So that gate, ledger and look-up may each apply it."""
    normal = normal_form(kind, name)
    assert normal == normal_form(kind, normal)


@given(words=WORDS, seed=st.integers(0, 1 << 30))
def test_every_spelling_of_a_python_project_is_one_name(words: list[str], seed: int) -> None:
    """As PyPI has it: any run of dots, dashes and underscores, in any case."""
    choice = random.Random(seed)
    spelt = words[0] + "".join("".join(choice.choices("-_.", k=choice.randint(1, 3))) + word for word in words[1:])
    spelt = "".join(choice.choice((c.upper(), c.lower())) for c in spelt)
    assert "-".join(words) == normal_form("pypi", spelt)


@given(words=WORDS, seed=st.integers(0, 1 << 30))
def test_every_spelling_of_an_image_is_one_name(words: list[str], seed: int) -> None:
    """With Docker Hub's host and library, or without."""
    hosts = ("", "docker.io/", "index.docker.io/", "registry-1.docker.io/", "docker.io/library/", "library/")
    name = "/".join(words)
    assert name == normal_form("oci", random.Random(seed).choice(hosts) + name)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("hub", "models/Org/Name", "models/org/name"),
        ("npm", "@Scope/Name", "@scope/name"),
        ("mcp", "io.github.Org/server", "io.github.org/server"),
    ],
)
def test_case_does_not_make_another_name(kind: Kind, one: str, other: str) -> None:
    """Where clients or file systems do not tell them apart."""
    assert normal_form(kind, one) == normal_form(kind, other)
    assert normal_form("trees", "c/Name") != normal_form("trees", "c/name")


def test_who_lists_a_name_holds_it() -> None:
    """Whoever published it first; without a list, that one does."""
    listed = {"base": ["pypi:num*"], "other": ["torch"]}
    assert "base" == lawful_holder("pypi", "numpy", listed, "late")
    assert "other" == lawful_holder("pypi", "torch", listed, "late")
    assert "other" == lawful_holder("npm", "torch", listed, None)
    assert "late" == lawful_holder("npm", "numpy", listed, "late")
    assert lawful_holder("npm", "numpy", listed, None) is None


def test_the_pattern_that_says_more_counts() -> None:
    """So one channel may have all, and another a part of it; the alphabet decides between equals."""
    listed = {"all": ["*"], "inside": ["pypi:acme-*"], "more": ["pypi:acme-x*"]}
    assert "all" == lawful_holder("pypi", "numpy", listed, None)
    assert "inside" == lawful_holder("pypi", "acme-a", listed, None)
    assert "more" == lawful_holder("pypi", "acme-xy", listed, None)
    assert "a" == lawful_holder("pypi", "xy", {"b": ["?y"], "a": ["x?"]}, None)


def test_a_tree_belongs_to_the_channel_that_it_is_called_by() -> None:
    """No list gives it away."""
    assert "apt" == lawful_holder("trees", "apt/debian", {"thief": ["*", "trees:apt/debian"]}, "thief")


def test_patterns_have_normal_forms_too() -> None:
    """A list may be spelt in any way."""
    assert is_listed(["NumPy.Core"], "pypi", "numpy-core")
    assert is_listed(["oci:docker.io/library/Postgres"], "oci", "postgres")
    assert is_listed(["Org/*"], "hub", "models/org/name")
    assert is_listed(["models/org/*"], "hub", "models/org/name")
    assert not is_listed(["pypi:numpy"], "npm", "numpy")


@pytest.mark.parametrize("twin", ["numpy", "NumPy", "pypi:Num_Py", "pypi:num.py"])
def test_two_channels_cannot_list_the_same(twin: str) -> None:
    """Nobody could say whose it is."""
    with pytest.raises(UsageError, match="channels a and b both list"):
        refuse_twins({"b": [twin], "a": ["numpy" if "_" not in twin and "." not in twin else "num-py"]})
    refuse_twins({"a": ["pypi:numpy"], "b": ["npm:numpy", "num*"]})


def test_a_pattern_without_a_kind_is_meant_for_what_its_channel_serves() -> None:
    """A channel of models that lists ``acme/*`` takes no image of that name from a channel of images."""
    listed = {"models": of_kinds(["acme/*", "npm:acme"], ["hub"])}
    assert lawful_holder("hub", "models/acme/tiny", listed, "other") == "models"
    assert lawful_holder("npm", "acme", listed, "other") == "models"
    assert lawful_holder("oci", "acme/box", listed, "images") == "images"
