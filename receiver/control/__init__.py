"""What the running receiver is asked by its commands, and what it answers (docs/control.md).

- ``desk``: answers requests, on the daemon's event loop
- ``picture``: what the daemon is doing now
- ``retrying``: finds what of a bundle can be tried again, or says why nothing can, and what to type
- ``words``: the requests
"""
