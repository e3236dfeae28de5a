"""Takes items out of the outbox, each priority by itself.

- ``lane``: takes the items of one priority: packs and queues what has been quiet, sets aside what cannot be
- ``watcher``: lists the outbox whenever it changes, and gives each lane its items
"""
