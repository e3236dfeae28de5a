"""What lies in the outbox: folders of channels, the files of an item, their digests.

- ``folder``: finds what lies in ``outbox/<channel>/`` and has been quiet; moves it to ``sent/`` or
  ``failed/`` afterwards
- ``hashing``: every file is read once and hashed: as a whole, by slab, and by piece
- ``hub_cache``: which links are those of a Hugging Face cache
- ``links``: where a link of an item leads, resolved below its descriptor
- ``scan``: which files an item holds, found and opened through descriptors; hard links that others may have
  made
"""
