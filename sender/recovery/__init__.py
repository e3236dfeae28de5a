"""What a person asks of a sender after a loss: a backup, a rebaseline, a resend.

- ``backup``: the packed bundles beside a backup of the ledger
- ``rebaseline``: a ledger that went back in time: noticed at start, set right
- ``resends``: what a code that was carried back asks for: looked up, or refused
"""
