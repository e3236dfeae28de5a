"""How signed texts are written: names and their bounds, canonical JSON, envelopes, digests, sizes, times.

- ``canonical``: writes canonical JSON, in which each value has exactly one spelling
- ``digest``: computes BLAKE3 digests
- ``dsse``: writes, reads and verifies DSSE envelopes
- ``escape``: makes text that a stranger chose safe to look at
- ``json_object``: reads a JSON object that comes from outside, whose numbers may have fractions
- ``names``: bounds of names, numbers and sizes in signed texts, and the rules for file names
- ``sboms``: finds bills of materials (SBOMs) by their names, and reads the formats CycloneDX and SPDX
- ``signers``: loads securesystemslib without the signers of cloud services
- ``sizes``: parses sizes as people write them
- ``strict_json``: reads JSON more strictly than the standard does
- ``timestamps``: writes and checks times: RFC 3339 in UTC, to the second
"""
