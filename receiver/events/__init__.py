"""What happens on the receiving side, as the supervisor knows it: one frozen class an event, told to every reader.

A worker's message is never an event: it is looked up first.

- ``happened``: the events
- ``lines``: the log: which events are lines of it, in which words
- ``lookup``: events of bundles, made of what ``store`` names and the ledger knows
"""
