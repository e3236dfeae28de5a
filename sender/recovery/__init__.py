"""What helps a person after a loss: a backup of the ledger, a rebaseline of an older one, a resend of lost slabs.

- ``backup``: backs up the ledger and the packed bundles, and puts a backup back
- ``rebaseline``: notices at the start that the ledger is older than what was sent, and sets it right
- ``resends``: finds the bundle that a resend code or a confirm code of the receiver names
"""
