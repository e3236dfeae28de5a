"""The worker that verifies, writes and publishes.

- ``notes``: what others can cause in any number is said one by one so often a minute; of the rest the audit
  log has their number
- ``unrecorded``: bundles of channel ``trust`` on their way, of which no ledger knows before they are proven
- ``worker``: worker: verifies the manifest, then tables, then each slab *before* it is written; publishes
"""
