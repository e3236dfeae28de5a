"""Lines for apt, dnf, freshclam and curl."""

from receiver.catalogue.tree_facts import AptSuite, ClamDatabase, DnfRepository, TreeFacts
from receiver.gateway.clients.lines import Lines, Place
from receiver.gateway.clients.trees import lines, moving_back

SUITE = AptSuite(folder="dists/stable", root="", components="main extra", by_hash=True, signed="InRelease")
NAME = ("tools", "demo")


def place(facts: TreeFacts, token: str = "", certificate: str = "") -> Place:
    """A place with one tree."""
    base = "http://gw:8080/trees"
    return Place(base, certificate, token, names=(NAME,), versions={NAME: "2"}, trees={NAME: facts})


def text_of(found: list[Lines], client: str, file: str = "") -> str:
    """The text of one client's lines."""
    return next(line.text for line in found if line.client == client and line.file.endswith(file))


def test_the_source_line_has_the_options_that_the_tree_needs() -> None:
    """And no more."""
    url = "http://gw:8080/trees/tools/demo"
    assert text_of(lines(place(TreeFacts(apt=[SUITE]))), "apt", ".list") == (
        f"deb [signed-by=/etc/apt/keyrings/tools-demo.gpg] {url} stable main extra"
    )
    bare = SUITE.model_copy(update={"by_hash": False, "signed": "", "valid_until": "2026-11-08T00:00:00Z"})
    assert text_of(lines(place(TreeFacts(apt=[bare]))), "apt", ".list") == (
        f"deb [trusted=yes by-hash=force check-valid-until=no] {url} stable main extra"
    )
    flat = AptSuite(folder="a", root="a/", is_flat=True, by_hash=True, signed="InRelease")
    assert text_of(lines(place(TreeFacts(apt=[flat]))), "apt", ".list").endswith(f"{url}/a/ ./")


def test_what_a_stranger_wrote_cannot_add_a_line() -> None:
    """Words that are no words are replaced."""
    hostile = SUITE.model_copy(update={"components": "main\x1b[2J; rm -rf /"})
    assert text_of(lines(place(TreeFacts(apt=[hostile]))), "apt", ".list").endswith(" stable COMPONENT")


def test_a_token_and_a_certificate_go_where_each_client_wants_them() -> None:
    """Never into the source line of apt."""
    facts = TreeFacts(apt=[SUITE], dnf=[DnfRepository(root="el9/")], clamav=[ClamDatabase(path="daily.cvd", version=1)])
    found = lines(place(facts, token="T0KEN", certificate="/etc/ca.pem"))
    assert text_of(found, "apt", "auth.conf.d/diode.conf") == (
        "machine http://gw:8080/trees login diode password T0KEN"
    )
    assert text_of(found, "apt", "80diode") == 'Acquire::https::gw::CAInfo "/etc/ca.pem";'
    assert "T0KEN" not in text_of(found, "apt", ".list")
    repo = text_of(found, "dnf", ".repo")
    assert "baseurl=http://gw:8080/trees/tools/demo/el9/\n" in repo
    assert "metadata_expire=60" in repo
    assert "password=T0KEN" in repo
    assert text_of(found, "freshclam").endswith("/trees/tools/demo\nScriptedUpdates no")
    assert "tools/demo@2/FILE" in text_of(found, "curl")


def test_without_names_words_in_capitals_stand_for_them() -> None:
    """Whoever has no bundle yet sees every form."""
    found = lines(Place("http://gw:8080/trees"))
    assert {"apt", "dnf", "freshclam", "curl", "grype"} == {line.client for line in found}
    assert "/CHANNEL/NAME SUITE COMPONENT" in text_of(found, "apt", ".list")


def test_what_moves_machines_back_names_the_version() -> None:
    """By a source line of its own, and with what apt wants to be told."""
    facts = TreeFacts(apt=[SUITE], dnf=[DnfRepository(root="")], clamav=[ClamDatabase(path="daily.cvd", version=1)])
    found = moving_back(place(facts), "tools", "demo", "1")
    assert "/trees/tools/demo@1 stable" in text_of(found, "apt")
    assert "--allow-downgrades" in text_of(found, "apt")
    assert "distro-sync" in text_of(found, "dnf")
    assert "rm -f" in text_of(found, "freshclam")
    assert moving_back(place(TreeFacts()), "tools", "demo", "1") == []
