"""What this side takes: whose signature counts, what a channel allows, whether there is room.

- ``admission``: limits, quotas and free space: whether a bundle may be begun now, or has to wait
- ``authority``: whom this receiver believes: the newest trust document, or the keys in its folder
- ``examine``: worker: the content of complete bundles, a confined child for each
- ``rules``: what this side allows of what is signed: in time, labelled as its channel takes it
"""
