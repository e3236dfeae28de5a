"""What happens on the sending side, as the supervisor knows it: one frozen class an event, told to every reader.

A worker's message is never an event: it is looked up first.

- ``happened``: the events
- ``lines``: the log: which events are lines of it, in which words
"""
