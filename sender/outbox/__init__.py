"""What lies in the outbox: folders of channels, the files of an item, their digests.

- ``folder``: finds what lies in ``outbox/<channel>/`` and has been quiet; moves it to ``sent/`` or
  ``failed/`` afterwards
- ``hashing``: reads every file of an item once, and hashes it: as a whole, by slab, and by piece
- ``hub_cache``: recognises the links of a Hugging Face cache, which may be followed
- ``links``: follows a symbolic link of an item, without ever leaving the folder that it may lead to
- ``scan``: finds the files of an item and opens them through descriptors; refuses hard links that others may have
  made
"""
