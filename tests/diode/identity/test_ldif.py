"""LDIF: what slapd's tools wrote is read, and what is read does in a real directory what people were told."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldif import LDIFParser

from diode.identity.attributes import check_attributes, listed_types
from diode.identity.ldif import Ldif
from diode.identity.ldif_changes import MOST_UNKNOWN
from diode.identity.ldif_lines import line_of, records_of
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from tests.diode.identity.directory import ATTRIBUTES, BASE, directory
from tests.needs import need

AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
RULES: Final = IdentityRules(ldif_base=BASE, ldif_attributes=ATTRIBUTES)
OPERATIONAL: Final = ("structuralObjectClass", "entryUUID", "creatorsName", "createTimestamp", "entryCSN")
OF_SLAPCAT: Final = replace(
    RULES, ldif_attributes=(*ATTRIBUTES, *OPERATIONAL, "modifiersName", "modifyTimestamp", "contextCSN")
)
ROOT: Final = f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
PEOPLE: Final = f"dn: ou=People,{BASE}\nobjectClass: organizationalUnit\nou: People\n\n"


def person(name: str, more: str = "") -> str:
    """An entry below people."""
    return f"dn: cn={name},ou=People,{BASE}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\n{more}\n"


def tree(*names: str) -> str:
    """A whole directory of these people."""
    return ROOT + PEOPLE + "".join(map(person, names))


def modify(name: str, *lines: str) -> str:
    """A change of one person's entry."""
    return "\n".join((f"dn: cn={name},ou=People,{BASE}", "changetype: modify", *lines, "", ""))


def delete(name: str) -> str:
    """A person's entry goes."""
    return f"dn: cn={name},ou=People,{BASE}\nchangetype: delete\n\n"


def rename(name: str, to: str, above: str = "") -> str:
    """A person's entry gets another name."""
    superior = f"newsuperior: {above}\n" if above else ""
    return f"dn: cn={name},ou=People,{BASE}\nchangetype: modrdn\nnewrdn: {to}\ndeleteoldrdn: 1\n{superior}\n"


def read(content: str | bytes, rules: IdentityRules = RULES) -> Ldif:
    """One file, by itself."""
    return Ldif().read(content if isinstance(content, bytes) else content.encode(), rules, AT)


def fault_of(content: str | bytes, rules: IdentityRules = RULES) -> Fault:
    """Why a file is refused by itself."""
    with pytest.raises(IdentityError) as caught:
        read(content, rules)
    assert len(caught.value.detail) < 700
    assert caught.value.detail.isprintable()
    return caught.value.fault


def fault_after(before: Ldif | None, content: str, rules: IdentityRules = RULES) -> Fault:
    """Why a file must not follow another."""
    now = read(content, rules)
    with pytest.raises(IdentityError) as caught:
        now.follow(before, rules)
    return caught.value.fault


PEOPLE_OF_ALL_SORTS: Final = (
    tree("Ada", "Böll", *(f"n{number}" for number in range(20)))
    + f"dn: cn=Doe\\, John \\+ Sons,ou=People,{BASE}\nobjectClass: inetOrgPerson\ncn: Doe, John + Sons\nsn: Doe\n"
    + f"description: {'a long text, ' * 20}end\n"
    + f"description;lang-de:: {base64.b64encode(' Grüße '.encode()).decode()}\n\n"
)


def test_what_a_real_directory_writes_is_read() -> None:
    """By slapcat and by ldapsearch: the same entries. And slapadd loads what was read."""
    need("slapd")
    with directory() as one:
        assert read(PEOPLE_OF_ALL_SORTS).entries
        assert "" == one.load(PEOPLE_OF_ALL_SORTS.encode())
        of_slapcat = one.dump()
        with one.running():
            of_search = one.search()
    assert b"\n " in of_search  # it folds, and writes what is not ASCII in base64
    assert b"dn:: " in of_search
    assert read(PEOPLE_OF_ALL_SORTS) == read(of_search)
    assert read(of_search).entries.keys() == read(of_slapcat, OF_SLAPCAT).entries.keys()
    assert Fault.FORBIDDEN == fault_of(of_slapcat)
    with directory() as other:
        assert "" == other.load(of_search)


def test_changes_do_in_a_real_directory_what_people_were_told() -> None:
    """Each line is what ldapmodify did to the tree."""
    need("slapd")
    names = [f"n{number}" for number in range(30)]
    changes = (
        f"dn: cn=New,ou=People,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: New\nsn: New\n\n"
        + delete("n1")
        + rename("n2", "cn=Renamed")
        + rename("n3", "cn=Moved", BASE)
        + modify("n4", "replace: mail", "mail: n4@example.org", "-", "add: description", "description: x", "-")
        + modify("n4", "delete: description", "-")
    )
    before = read(tree(*names))
    lines = read(changes).follow(before, RULES)
    with directory() as one:
        assert "" == one.load(tree(*names).encode())
        with one.running():
            assert "" == one.change(changes.encode())
            after = read(one.search())
    told = set(before.entries)
    for line in lines:
        verb, _, rest = line.partition(" entry ")
        name, _, to = rest.partition(" to ")
        told -= {name} if verb in ("removed", "moved") else set()
        told |= {to} if verb == "moved" else {name} if verb == "added" else set()
    assert after.entries.keys() == told
    changed = {
        name for name in before.entries.keys() & after.entries.keys() if before.entries[name] != after.entries[name]
    }
    assert {f"cn=n4,ou=people,{BASE}"} == changed
    assert f"changed entry cn=n4,ou=people,{BASE}: clear description" in lines


@pytest.mark.parametrize(
    "changes",
    [
        delete("nobody"),
        f"dn: ou=People,{BASE}\nchangetype: delete\n\n",
        f"dn: cn=n1,ou=People,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: n1\nsn: n1\n\n",
        rename("n1", "cn=N2"),
        modify("nobody", "delete: description", "-"),
    ],
    ids=["unknown", "not a leaf", "there already", "onto another", "unknown modified"],
)
def test_what_a_real_directory_refuses_is_refused(changes: str) -> None:
    """Before it has done half of it."""
    need("slapd")
    names = [f"n{number}" for number in range(30)]
    with directory() as one:
        assert "" == one.load(tree(*names).encode())
        with one.running():
            assert one.change(changes.encode())
    assert fault_after(read(tree(*names)), changes) in (Fault.BASE, Fault.SWEEPING, Fault.MALFORMED)


@pytest.mark.parametrize(
    "name",
    [
        f"cn=x,{BASE}",
        "cn=x, DC=Example , dc = ORG",
        "cn=x,domainComponent=example,dc=org",
        "cn=x,dc=ex\\61mple,dc=org",
        "cn=x\\,y,dc=example,dc=org",
        f"sn=y+cn=x,{BASE}",
        BASE,
    ],
)
def test_a_name_below_the_base_is_taken(name: str) -> None:
    """However it is spelled."""
    assert 1 == len(read(f"dn: {name}\ncn: x\n").entries)
    assert read(f"dn: {name}\ncn: x\n") == read(f"dn:: {base64.b64encode(name.encode()).decode()}\ncn: x\n")


@pytest.mark.parametrize(
    "name",
    [
        "cn=x,dc=evil,dc=org",
        "dc=org",
        "cn=x,dc=example\\,dc=org",
        "cn=x\\,dc=example,dc=org",
        "cn=x,dc=example+cn=y,dc=org",
        "cn=x,notdc=example,dc=org",
        "cn=config",
        "cn=x,dc=example,dc=org,dc=evil",
    ],
)
def test_a_name_elsewhere_is_refused(name: str) -> None:
    """Also where a change names it as its target."""
    assert Fault.BASE == fault_of(f"dn: {name}\ncn: x\n")
    assert Fault.BASE == fault_of(f"dn:: {base64.b64encode(name.encode()).decode()}\ncn: x\n")
    assert Fault.BASE == fault_of(f"dn: {name}\nchangetype: delete\n")
    assert Fault.BASE == fault_of(rename("x", "cn=y", name))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "cn=",
        "cn=x,",
        ",cn=x",
        "cn=#04016a",
        'cn="x, y"',
        "cn=x;dc=example",
        "cn=\\ff",
        "2.5.4.3=x",
        "cn=x+",
        "cn=<x>",
        "=x",
        "cn=" + "x" * 5000,
        ",".join(["cn=x"] * 70),
    ],
)
def test_a_name_that_readers_take_differently_is_refused(name: str) -> None:
    """RFC 4514 has one spelling for each, and forgives none of these, or directories read them in several ways."""
    assert Fault.MALFORMED == fault_of(f"dn: {name},{BASE}\ncn: x\n" if name else "dn: \ncn: x\n")


@pytest.mark.parametrize(
    "line",
    [
        "userPassword: x",
        "USERPASSWORD;x-hash: x",
        "2.5.4.35: x",
        "unicodePwd:: eA==",
        "sambaNTPassword: x",
        "userPKCS12: x",
        "krbPrincipalKey:: eA==",
        "authPassword: x",
        "lmPassword: x",
        "ntPassword: x",
        "jpegPhoto: x",
        "1.2.3: x",
        "description:< file:///etc/passwd",
        "description:<file:///etc/passwd",
        "changetypes: x",
        "add: x",
        "ref: ldap://x",
    ],
)
def test_what_may_not_cross_is_refused(line: str) -> None:
    """In entries and in changes. A password may not, even if it is listed."""
    listed = replace(RULES, ldif_attributes=(*ATTRIBUTES, "userPassword", "2.5.4.35", "unicodePwd", "sambaNTPassword"))
    kind = line.partition(":")[0]
    for content in (
        f"dn: cn=x,{BASE}\ncn: x\n{line}\n",
        f"dn: cn=x,{BASE}\nchangetype: add\ncn: x\n{line}\n",
        modify("x", f"replace: {kind}", line, "-"),
    ):
        assert Fault.FORBIDDEN == fault_of(content, listed)
    if not kind[0].isdigit() and "<" not in line:
        leaf = kind.partition(";")[0]
        assert Fault.FORBIDDEN == fault_of(f"dn: {leaf}=x,{BASE}\ncn: x\n", listed)
        assert Fault.FORBIDDEN == fault_of(rename("x", f"{leaf}=y"), listed)
        assert Fault.FORBIDDEN == fault_of(modify("x", f"delete: {kind}", "-"), listed)


def test_listed_attributes_pass_with_their_options() -> None:
    """In whatever case, and by the names of RFC 4519."""
    check_attributes(["CN", "commonname;lang-de", "mail;binary", "1.2.3"], listed_types(["cn", "MAIL", "1.2.3"]))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "version: 1\n",
        "version: 2\n\n" + ROOT,
        "#\nversion: 1\n" + ROOT,
        ROOT + ROOT,
        ROOT + ROOT.replace("dc=example", "DC = Example"),
        ROOT + delete("x"),
        f"dn: cn=x,{BASE}\n",
        f"dn: cn=x,{BASE}\ncn: x\ncn: x\n",
        f"dn: cn=x,{BASE}\ncn: x\nCN: x\n",
        f"dn: cn=x,{BASE}\ncn: x\ndn: cn=y,{BASE}\n",
        f"DN: cn=x,{BASE}\ncn: x\n",
        f"cn: x\ndn: cn=x,{BASE}\n",
        f"dn: cn=x,{BASE}\ncn\n",
        f"dn: cn=x,{BASE}\ncn: x \n",
        f"dn: cn=x,{BASE}\ncn: :x\n",
        f"dn: cn=x,{BASE}\ncn:: e\n",
        f"dn: cn=x,{BASE}\ncn:: e*A==\n",
        f"dn: cn=x,{BASE}\ncn: x\n \nsn: y\n",
        f"dn: cn=x,{BASE}\ncn: x\n\tsn: y\n",
        f"dn: cn=x,{BASE}\ncn: x\n\n  y\n",
        f" dn: cn=x,{BASE}\ncn: x\n",
        f"dn: cn=x,{BASE}\rcn: x\n",
        f"dn: cn=x,{BASE}\ncn: x\0\n",
        f"dn: cn=x,{BASE}\ncn: x\n".encode("utf-16"),
        f"dn: cn=x,{BASE}\ncn: ".encode() + b"\xff\n",
        f"dn: cn=x,{BASE}\ncontrol: 1.2.840.113556.1.4.805 true\nchangetype: delete\n",
        f"dn: cn=x,{BASE}\nchangetype: delete\ncn: x\n",
        f"dn: cn=x,{BASE}\nchangetype: increment\n",
        f"dn: cn=x,{BASE}\nchangetype: add\n",
        f"dn: cn=x,{BASE}\nchangetype: modify\n",
        modify("x", "replace: mail", "cn: x", "-"),
        modify("x", "replace: mail", "mail: x"),
        modify("x", "increment: mail", "mail: 1", "-"),
        modify("x", "add: mail", "-"),
        modify("x", "-"),
        rename("x", "cn=y,cn=z"),
        rename("x", "cn=y", f"cn=x,ou=People,{BASE}"),
        rename("x", "cn=y").replace("deleteoldrdn: 1", "deleteoldrdn: 2"),
        rename("x", "cn=y").replace("deleteoldrdn: 1\n", ""),
        delete("x") + delete("X"),
    ],
)
def test_what_is_no_ldif_is_refused(content: str | bytes) -> None:
    """Or what readers of LDIF take differently."""
    assert fault_of(content) in (Fault.MALFORMED, Fault.FORBIDDEN)


def test_changes_and_entries_say_what_they_do() -> None:
    """Comments and folded lines are read as RFC 2849 has them."""
    folded = "version: 1\n# a comment\n # folded\ndn: cn=x,dc=exam\n ple,dc=org\r\ncn: x\n#dn: y\n"
    assert (f"added entry cn=x,{BASE}",) == read(folded).follow(None, RULES)


@pytest.mark.parametrize(
    "content",
    [
        ROOT.replace("o: Example", "#comment\n description: folded\no: Example"),
        "# comment\n\n#\n dn: cn=x\n\n#\n" + ROOT,
        "\n\n" + ROOT + "\n\n\n#\n" + PEOPLE + "\n\n# end",
        ROOT.replace("\n", "\r\n"),
        ROOT.replace("o: Example", "o:Exa\n m\n  ple\ndescription::ICA="),
        ROOT.replace("o: Example", "o: Exam\tple #x"),
        ROOT.replace("dn: dc=example,", "dn: DC = Exa\\6Dple , "),
    ],
    ids=[
        "comment inside",
        "comments before",
        "blank lines",
        "CRLF",
        "folds",
        "tab",
        "spelling",
    ],
)
def test_a_real_directory_reads_the_same(content: str) -> None:
    """Where readers of LDIF are known to differ, what slapadd makes of it is what was read."""
    need("slapd")
    with directory() as one:
        assert "" == one.load(content.encode())
        with one.running():
            assert read(content) == read(one.search())


@pytest.mark.parametrize("version", ["version: 1\n", "version: 1\n\n"])
def test_a_file_may_say_its_version(version: str) -> None:
    """As ldapsearch -L writes it, and as ldapmodify reads it; slapadd does not know the line."""
    need("slapd")
    with directory() as one, one.running():
        assert "" == one.change((version + ROOT).replace("objectClass", "changetype: add\nobjectClass", 1).encode())
        assert read(version + ROOT) == read(one.search())


def test_too_many_may_not_go_at_once() -> None:
    """A tenth may, as the channel has it; also by changes."""
    names = [f"n{number}" for number in range(18)]  # and two above them
    before = read(tree(*names))
    assert 2 == len(read(tree(*names[2:])).follow(before, RULES))
    assert Fault.SWEEPING == fault_after(before, tree(*names[3:]))
    assert 2 == len(read("".join(map(delete, names[:2]))).follow(before, RULES))
    assert Fault.SWEEPING == fault_after(before, "".join(map(delete, names[:3])))
    assert Fault.SWEEPING == fault_after(before, "".join(rename(name, f"cn=r{name}") for name in names[:3]))
    assert Fault.SWEEPING == fault_of(f"dn: {BASE}\nchangetype: delete\n")


def test_too_many_may_not_go_where_nobody_knows_how_many_there_are() -> None:
    """Changes without entries before them, or after other changes."""
    few, many = ("".join(delete(f"n{n}") for n in range(count)) for count in (MOST_UNKNOWN, MOST_UNKNOWN + 1))
    for before in (None, read(delete("other"))):
        assert MOST_UNKNOWN == len(read(few).follow(before, RULES))
        assert Fault.SWEEPING == fault_after(before, many)


def test_the_same_changes_may_follow_themselves() -> None:
    """Also when there are more than may go where nobody counts: they were counted before."""
    names = [f"n{number}" for number in range(300)]
    many = read("".join(map(delete, names[: MOST_UNKNOWN + 1])))
    assert many.follow(read(tree(*names)), RULES) == many.follow(many, RULES)


def test_entries_do_not_follow_changes() -> None:
    """They could leave out what nobody counts."""
    assert Fault.BASE == fault_after(read(delete("x")), tree("y"))


def test_entries_are_equal_whatever_their_order() -> None:
    """Of attributes and of values; and a changed value is told."""
    before = read(person("x", "mail: a@example.org\nmail: b@example.org\n"))
    assert () == read(person("x", "mail: b@example.org\nMAIL: a@example.org\n")).follow(before, RULES)
    changed = read(person("x", "mail: b@example.org\n")).follow(before, RULES)
    assert (f"changed entry cn=x,ou=people,{BASE}",) == changed


def test_many_changes_are_counted() -> None:
    """The first ones are shown, without a character that hides."""
    lines = read(tree(*(f"\u202en{number}" for number in range(300)))).follow(None, RULES)
    assert 100 == len(lines)
    assert "and 203 more changes" == lines[-1]
    assert all(line.isprintable() and len(line) < 300 for line in lines)


def test_a_name_takes_no_exponential_time() -> None:
    """The library's own pattern for names would: it never sees one."""
    name = "+".join(["cn=x"] * 500)
    assert 1 == len(read(f"dn: {name},{BASE}\ncn: x\n").entries)


def test_a_base_that_is_none_is_refused() -> None:
    """An operator's mistake is told, and is no crash."""
    assert Fault.BASE == fault_of(ROOT, replace(RULES, ldif_base="example.org"))


def _values(lines: Sequence[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for line in lines:
        name, value = line_of(line)
        found.setdefault(name, []).append(value)
    return found


def test_lines_are_read_as_the_library_reads_them() -> None:
    """Two readers, one meaning."""
    content = re.sub(r"^([\w;-]+):", lambda found: found[0].lower(), PEOPLE_OF_ALL_SORTS, flags=re.MULTILINE)
    ours = [_values(record[1:]) for record in records_of(content.encode())]
    theirs = [dict(entry) for _, entry in LDIFParser(io.BytesIO(content.encode()), encoding=None).parse()]
    assert ours == theirs


WHOLE: Final = (
    tree("Ada", "Böll").encode(),
    (delete("x") + rename("y", "cn=z") + modify("z", "delete: sn", "-")).encode(),
)


@settings(max_examples=400)
@given(st.data())
def test_no_change_of_bytes_raises_anything_else(data: st.DataObject) -> None:
    """And what is taken lies below the base."""
    whole = data.draw(st.sampled_from(WHOLE))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 30)))
    tokens = [
        b"\n\n",
        b"\n ",
        b"::",
        b":<",
        b"\\",
        b"\xff",
        b"+",
        b"-\n",
        b"dn: ",
        b"changetype: modify\n",
        b"#",
        b"=",
        b";",
    ]
    piece = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from(tokens), st.just(whole[end : end + 60])))
    try:
        found = read(whole[:start] + piece + whole[end:])
        found.follow(read(WHOLE[0]), RULES)
    except IdentityError:
        return
    assert all(name.endswith(BASE) for name in found.entries)
