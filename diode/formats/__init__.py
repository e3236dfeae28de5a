"""How signed texts are written: names and their bounds, canonical JSON, envelopes, digests, sizes, times.

- ``canonical``: canonical JSON (docs/bundle-format.md): one byte string for one value, so that it can be
  signed and compared
- ``digest``: BLAKE3
- ``dsse``: DSSE envelopes
- ``escape``: text that somebody else chose, with what nobody sees written out
- ``names``: names, numbers and sizes that signed texts share, with the bounds of each (docs/bundle-format.md)
- ``sizes``: numbers of bytes as people write them
- ``strict_json``: JSON and times as signed texts may spell them
- ``timestamps``: times as signed text (docs/bundle-format.md, section "Times"): RFC 3339 in UTC, to the
  second
"""
