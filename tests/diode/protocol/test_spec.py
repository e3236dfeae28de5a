"""docs/wire-format.md and the code say the same: its tables are read and compared."""

import importlib
import re
import unicodedata
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from diode.audit.chain import ALARMS, FACTS, MAX_LINE_BYTES, Entry, What
from diode.bundle.manifest import MAX_ATTESTATION_BYTES, MAX_BUNDLE_SLABS, MAX_TABLE_BYTES, PAYLOAD_TYPE, Manifest
from diode.errors import Drop
from diode.formats.dsse import MAX_SIGNATURES
from diode.formats.names import MAX_COMPONENT_BYTES, MAX_DEPTH, MAX_FILES, MAX_MANIFEST_BYTES, MAX_PATH_BYTES
from diode.protocol import sizes, wire
from diode.protocol.fitting import fitting_repair
from diode.protocol.geometry import OBJECT_MAX_K, PROFILES, object_geometry, slab_at, slab_count, stream_geometry
from diode.protocol.heartbeat import Heartbeat, InFlight
from diode.protocol.link_key import Mode
from diode.protocol.sizes import Kind, ObjectType, symbol_bytes_for
from diode.protocol.zfec_code import repair_matrix
from diode.trust.document import MAX_TRUST_BYTES, MAX_VERSION, TrustDocument

SPEC = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text()
Row = dict[str, str]


def cells(line: str) -> list[str]:
    """Texts between the bars of one line."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(page: str) -> dict[tuple[str, ...], list[Row]]:
    """All tables of a page, by their column heads; tables with the same heads are one."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        lines = block.splitlines()
        heads = tuple(cells(lines[0]))
        rows = [dict(zip(heads, cells(line), strict=True)) for line in lines[2:]]
        found.setdefault(heads, []).extend(rows)
    return found


TABLES = tables(SPEC)
BUNDLE = (Path(__file__).parents[3] / "docs" / "bundle-format.md").read_text()
TRUST = (Path(__file__).parents[3] / "docs" / "trust.md").read_text()
AUDIT = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()


def table(*heads: str) -> list[Row]:
    """The one table whose column heads begin like this."""
    [rows] = [rows for found, rows in TABLES.items() if found[: len(heads)] == heads]
    assert rows
    return rows


def bare(cell: str) -> str:
    """A cell without its back-quotes."""
    return cell.strip("`")


def test_header_fields() -> None:
    """Names, offsets, sizes and types of the header, in order, and nothing between or behind them."""
    rows = table("offset", "size", "field", "type")
    fields = wire.HEADER.fields
    assert fields is not None
    assert [bare(row["field"]) for row in rows] == list(wire.HEADER.names or ())
    end = 0
    for row in rows:
        kind, offset = fields[bare(row["field"])][:2]
        assert (int(row["offset"]), int(row["size"])) == (offset, kind.itemsize)
        expected = {"u8": "|u1", "u16": ">u2", "u32": ">u4", "u64": ">u8"}.get(row["type"])
        assert np.dtype((np.uint8, (6,))) == kind if expected is None else expected == kind.str
        assert end == offset
        end = offset + kind.itemsize
    assert sizes.HEADER_BYTES == end


def test_header_bounds() -> None:
    """The bounds of the header table are the code's constants."""
    bounds = {bare(row["field"]): row["bounds"] for row in table("offset", "size", "field")}
    assert f"0x{wire.MAGIC << 8 | wire.VERSION:08X}" == bounds["magic_version"]
    assert f"{min(Kind)}..{max(Kind)}" == bounds["kind"]
    assert f"object: {min(ObjectType)}..{max(ObjectType)}; else 0" == bounds["flags"]
    assert f"0..{sizes.MAX_SLABS - 1}" == bounds["slab"]
    assert f"1..{sizes.MAX_COLUMNS}" == bounds["columns"]
    assert f"1..{sizes.MAX_ROWS - 1}" == bounds["k"]
    assert f"0..{sizes.MAX_ROWS} x D - 1" == bounds["symbol"]


def test_constants() -> None:
    """Every constant of the two pages has the code's value."""
    for row in [*table("constant", "value"), *tables(BUNDLE)["constant", "value", "unit"]]:
        name = bare(row["constant"])
        module, _, attribute = name.rpartition(".")
        place = module if module.startswith(("sender.", "receiver.")) else f"diode.{module}"
        of_the_link = sizes if hasattr(sizes, attribute) else wire
        value = getattr(importlib.import_module(place) if module else of_the_link, attribute)
        assert (name, int(row["value"], 0)) == (name, value)


def test_symbol_sizes() -> None:
    """The examples of the symbol size by MTU."""
    for row in table("MTU"):
        mtu = int(row["MTU"])
        sizes = symbol_bytes_for(mtu), symbol_bytes_for(mtu, ipv6=True)
        assert (int(row["S, IPv4"]), int(row["S, IPv6"])) == sizes


def test_kinds_and_objects() -> None:
    """Numbers and names of kinds and object types."""
    assert {bare(row["name"]): int(row["kind"]) for row in table("kind", "name")} == {k.name: k.value for k in Kind}
    assert {bare(row["name"]): int(row["flags"]) for row in table("flags", "name")} == {
        o.name: o.value for o in ObjectType
    }


def test_profiles() -> None:
    """Names and code rates, in order."""
    expected = [(bare(row["profile"]), int(row["k"]), int(row["r"])) for row in table("profile", "k", "r")]
    assert expected == [(p.name, p.k, p.r) for p in PROFILES.values()]
    assert f"k = {OBJECT_MAX_K} and r = {2 * OBJECT_MAX_K}" in SPEC


def test_tails() -> None:
    """The examples of the one rule for tails."""
    for row in table("S", "profile", "total"):
        size, is_object = int(row["S"]), row["profile"] == "object"
        full = object_geometry(size) if is_object else stream_geometry(size, PROFILES[bare(row["profile"])])
        number, total = int(row["slab"]), int(row["total"])
        slab = slab_at(full, total, number, is_object=is_object)
        assert number == slab_count(full, total) - 1
        expected = tuple(int(row[head]) for head in ("length", "D'", "k'", "r'", "source symbols"))
        assert expected == (slab.length, slab.shape.columns, slab.shape.k, slab.shape.r, slab.source_symbols)


def test_repair_matrix() -> None:
    """The examples of repair coefficients are the matrix that the engines use."""
    for row in table("k", "n"):
        k, n = int(row["k"]), int(row["n"])
        expected = bytes.fromhex(row["M(n, 0) .. M(n, min(k, 8) - 1)"])
        assert expected == repair_matrix(k)[n - k][:8].tobytes()


def test_authentication_modes() -> None:
    """The modes of the page are those that a session knows."""
    for head in ("mode", "kind 4 in mode"):
        assert {bare(row[head]) for row in table(head)} == set(get_args(Mode))


def test_heartbeat_fields() -> None:
    """A heartbeat has the page's fields, and so has each of its bundles."""
    rows = [bare(row["field"]) for row in table("field", "type", "bounds")]
    in_flight = [info.alias or name for name, info in InFlight.model_fields.items()]
    assert [*Heartbeat.model_fields, *in_flight] == rows
    states = get_args(InFlight.model_fields["state"].annotation)
    assert [bare(row["state"]) for row in table("state", "means")] == list(states)


def test_drop_reasons() -> None:
    """Every reason is in the table, in the order of the checks, and no other is."""
    assert [bare(row["reason"]) for row in table("reason", "stage")] == list(Drop)


@pytest.mark.parametrize("reason", [bare(row["reason"]) for row in table("reason", "stage")])
def test_every_reason_has_a_vector(reason: str) -> None:
    """Each is shown by a file in tests/vectors."""
    folder = Path(__file__).parents[2] / "vectors"
    assert any(f'"{reason}": 1' in path.read_text() for path in folder.glob("*/*.json"))


def test_manifest_fields() -> None:
    """docs/bundle-format.md has the manifest's fields, and the numbers in its prose are those of its limits."""
    rows = [
        name
        for field in ("field", "field of version 2")
        for row in tables(BUNDLE)[field, "type", "bounds"]
        for name in re.findall(r"`(\w+)`", row[field])
    ]
    assert rows == list(Manifest.model_fields)
    bounds = {row["field"]: row["bounds"] for row in tables(BUNDLE)["field", "type", "bounds"]}
    assert f"at most {MAX_ATTESTATION_BYTES} bytes of UTF-8" in bounds["`attestation`"]
    assert 1 << 25 == MAX_BUNDLE_SLABS
    assert "at most 2^25" in bounds["`slabs`"]
    assert (10**6, 1 << 30) == (MAX_FILES, MAX_TABLE_BYTES)
    assert "0 .. 10^6, `size` 0 .. 2^30" in bounds["`files`"]
    assert "`application/vnd.diode.manifest.v1+json`" == f"`{PAYLOAD_TYPE}`"
    assert (
        f"at most {MAX_DEPTH} components and {MAX_PATH_BYTES} bytes, a component 1 to {MAX_COMPONENT_BYTES}" in BUNDLE
    )
    assert f"a list of at most {MAX_SIGNATURES} objects" in BUNDLE
    assert f"(a manifest's: {MAX_MANIFEST_BYTES} bytes)" in BUNDLE


def test_trust_document_fields() -> None:
    """docs/trust.md has the document's fields, and the bounds that a reader of it keeps."""
    [(_, rows)] = [found for found in tables(TRUST).items() if found[0] == ("field", "type", "bounds")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row["field"])]
    assert names == list(TrustDocument.model_fields)
    assert f"at most {MAX_TRUST_BYTES} bytes" in TRUST
    bounds = {row["field"]: row["bounds"] for row in rows}
    assert f"1 .. {MAX_VERSION}" == bounds["`version`"]
    schema = TrustDocument.model_json_schema()
    most = {name: schema["properties"][name]["maxProperties"] for name in ("persons", "revoked", "channels", "release")}
    assert bounds["`persons`"].startswith(f"at most {most['persons']}:")
    assert bounds["`revoked`"].startswith(f"at most {most['revoked']}:")
    assert bounds["`channels`, `release`"].startswith(f"at most {most['channels']} each")
    assert most["channels"] == most["release"]
    role = schema["$defs"]["RoleEntry"]["properties"]
    assert f"1 to {role['persons']['maxItems']} names" in bounds["`root`"]
    assert f"`threshold`: 1 to {role['threshold']['maximum']}" in bounds["`root`"]
    public = schema["$defs"]["KeyEntry"]["properties"]["public"]
    assert f"at most {public['maxLength']} characters" in bounds["`persons`"]


def test_the_version_of_unicode() -> None:
    """The page names the version that this Python has, or an older one."""
    named = re.search(r"those of Unicode (\d+)\.(\d+) or later", BUNDLE)
    assert named
    assert (int(named[1]), int(named[2])) <= tuple(map(int, unicodedata.unidata_version.split(".")[:2]))


def test_audit_log() -> None:
    """docs/audit.md has the fields, words and bounds of the code, and says which words are alarms."""
    found = tables(AUDIT)
    fields = {bare(row["entry field"]): row["bounds"] for row in found["entry field", "type", "bounds", "meaning"]}
    assert list(fields) == list(Entry.model_fields)
    assert {name: f"{most:,}" for name, most in FACTS.items()} == {
        name: fields[name].removeprefix("1..").removesuffix(" characters") for name in FACTS
    }
    assert [bare(row["word"]) for row in found["word", "side", "said when"]] == list(What)
    assert f"at most {MAX_LINE_BYTES:,} bytes" in AUDIT
    severity = re.search(r"severity 4 \(warning\) for (.*?), else 5", AUDIT, re.DOTALL)
    assert severity
    assert ALARMS == set(re.findall(r"`(\w+)`", severity[1]))


def test_repair_of_small_slabs() -> None:
    """The table of r'' is what a sender sends."""
    for row in table("small slab, k'"):
        for name, profile in PROFILES.items():
            if said := row[f"`{name}`"]:
                full = stream_geometry(1408, profile)
                assert int(said) == fitting_repair(full, int(row["small slab, k'"]))
