"""The events of the receiving side: each is one frozen class, and each is given to every reader.

The supervisor makes an event when something has happened. Progress display, log and metrics are readers. A worker's
message is never an event itself. The supervisor first looks up in the ledger what the message is about.

- ``happened``: the classes of all events
- ``of_link``: events of the link: who is heard, under which key, what is missing by numbers
- ``lines``: the reader that writes the log: which events become log lines, and in which words
- ``lines_of_use``: the log lines about versions in use: health, recalls, drills
- ``lookup``: makes an event of a message of ``store``, by what the ledger knows of the bundle
"""
