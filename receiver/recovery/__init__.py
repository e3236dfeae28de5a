"""What helps a person after a loss: a backup of the ledger, and a rebaseline of an older one.

- ``backup``: backs up the ledger, and puts a backup back if its trust document once counted here
- ``rebaseline``: notices at the start that the ledger is older than what was published, and sets it right
- ``recalls``: what the audit log says of recalls, for such a ledger
"""
