"""What a bundle holds for npm: packages as ``npm pack`` writes them, ``*.tgz``, wherever they lie in its data.

Who a package is stands in its own ``package.json``; the name of its file says nothing. Facts:

- ``npm``, by a package's normal name: the list of its versions, as ``gateway.npm`` reads them
"""

import json
import re
from typing import Any, Final

from diode.content.allowance import Allowance
from diode.formats.escape import escape
from diode.layouts.names import normal_form
from diode.layouts.package_json import package_of
from receiver.catalogue.card import CardFile, Claim, Fact
from receiver.describe.protocols import Described, Made
from receiver.describe.upstream import allowance_for, uploaded

_TAG: Final = re.compile(r"(?![vV]?[0-9]|[xX]$)[A-Za-z][A-Za-z0-9._-]{0,99}")  # none that npm reads as versions

Versions = dict[tuple[str, str], dict[str, Any]]


def describe(one: Described) -> Made:
    """Look at one bundle."""
    made, found = Made(), Versions()
    files = [file for file in one.files.table() if file.path.endswith(".tgz")]
    allowance = allowance_for(files)
    for file in files:
        try:
            _add(made, found, _describe(one, file, allowance))
        except (ValueError, OSError) as error:
            made.problems.append(f"{escape(file.path)} is not served to npm: {escape(str(error))[:300]}")
    by_name: dict[str, list[dict[str, Any]]] = {}
    for (name, _), fact in found.items():
        by_name.setdefault(normal_form("npm", name), []).append(fact)
    for normal, facts in by_name.items():
        _tag(one, facts)
        made.claims.append(Claim("npm", normal, facts[0]["name"]))
        made.facts.append(Fact("npm", normal, json.dumps(facts).encode()))
    return made


def _add(made: Made, found: Versions, fact: dict[str, Any]) -> None:
    """Note a version. Of two with different bytes, the first by path is served."""
    first = found.setdefault((fact["name"], fact["version"]), fact)
    if first is fact:
        made.sha512.add(fact["path"])
    elif first["sha256"] != fact["sha256"]:
        made.problems.append(
            f"{escape(fact['path'])} is not served to npm: "
            f"{escape(first['path'])} is {fact['name']} {fact['version']}, too, and has other bytes"
        )


def _describe(one: Described, file: CardFile, allowance: Allowance) -> dict[str, Any]:
    """What is noted of a version. Raises ValueError, OSError."""
    manifest = package_of(one.files, file, allowance)
    name = manifest["name"]
    return {
        "name": name,
        "version": manifest["version"],
        "path": file.path,
        "sha256": file.sha256,
        "size": file.size,
        "uploaded": uploaded(one, file, is_named=one.source is not None and one.source.name == name),
        "manifest": manifest,
        "tags": [],
    }


def _tag(one: Described, facts: list[dict[str, Any]]) -> None:
    """Note upstream's tags of the version that ``source.json`` speaks of: its revision, or the only one there is."""
    if one.source is None:
        return
    own = [fact for fact in facts if fact["name"] == one.source.name]
    tagged = own if len(own) == 1 else [fact for fact in own if fact["version"] == one.source.revision]
    for fact in tagged:
        fact["tags"] = [tag for tag in one.source.tags if _TAG.fullmatch(tag) and tag != "latest"]
