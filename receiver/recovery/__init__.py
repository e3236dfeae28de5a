"""What a person asks of a receiver after a loss: a backup, a rebaseline.

- ``backup``: the receiver's backup, whose trust document must be one that counted here
- ``rebaseline``: a ledger that went back in time: noticed at start, set right
"""
