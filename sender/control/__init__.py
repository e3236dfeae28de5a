"""What the running sender is asked by its commands, and what it answers (docs/control.md).

- ``desk``: answers requests, on the daemon's event loop
- ``pauses``: what people paused: kept until they resume it, also over a restart
- ``picture``: what the daemon is doing now
- ``retrying``: finds what of a bundle or an item can be tried again, or says why nothing can, and what to type
- ``words``: the requests
"""
