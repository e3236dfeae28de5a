"""Identity material that crosses to the enclave: what may stand in it, and what may follow what (docs/identity.md).

Bytes and an instant go in, a report or a refusal comes out. Both sides use it, each with pins of its own. Only
``kept`` knows folders.

- ``algorithms``: which key an algorithm of JSON Web Keys needs
- ``attributes``: which attributes of a directory may cross, and which never
- ``ca_bundle``: the authorities of a file
- ``check``: judges an item against what was taken before
- ``crl``: the revocation lists of a file, and deltas with their base
- ``der``: what reading DER may raise
- ``jwks``: the public keys of a set
- ``kept``: copies of what was taken last, in a folder of the daemon's
- ``ldif``: entries of a directory, and changes of them
- ``ldif_changes``: what changes do to a directory, and how many entries they take away
- ``ldif_lines``: cuts an LDIF file into records, as every reader must cut it
- ``material``: what every kind has in common: how it is refused
- ``names``: distinguished names in one spelling
- ``pem``: finds the blocks of PEM text
- ``revocation``: one revocation list: its signature, number, dates and serials
- ``rules``: what a channel trusts and allows
- ``saml``: SAML metadata, signed as a whole by a pinned key
- ``showing``: bounds what people are shown
- ``telling``: tells the kinds apart
"""
