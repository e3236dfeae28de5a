"""What this side takes: whose signature counts, what a channel allows, whether there is room.

- ``admission``: decides by limits, quotas and free space whether a bundle may be begun now, or has to wait
- ``authority``: whom this receiver believes: the newest trust document, or the keys in its folder
- ``examine``: worker: examines the content of complete bundles, in a confined child for each
- ``governed``: channels of identity material: what was published last, and that nothing older follows it
- ``material``: examines identity material, beside the rules of content
- ``rules``: checks a signed bundle against the channel's rules: not expired, the right labels, sound content
"""
