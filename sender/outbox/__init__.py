"""What lies in the outbox: folders of channels, the files of an item, their digests.

- ``aside``: what was set aside, and why, as ``status`` shows it
- ``folder``: finds what lies in ``outbox/<channel>/`` and has been quiet; moves it to ``sent/`` or
  ``failed/`` afterwards
- ``hashing``: reads every file of an item once, and hashes it: as a whole, by slab, and by piece
- ``hub_cache``: recognises the links of a Hugging Face cache, which may be followed
- ``left``: what lies in the outbox and is not sent for now, and why; read by ``status``
- ``links``: follows a symbolic link of an item, without ever leaving the folder that it may lead to
- ``look``: when an item changed last, and a value that differs when anything of it does
- ``mount``: what the outbox's file system cannot do, told at the start
- ``refusals``: one list of everything in an item that cannot cross
- ``scan``: finds the files of an item and opens them through descriptors; refuses hard links that others may have
  made
- ``settling``: judges whether an item has been quiet long enough, and is written by nobody
- ``writers``: finds out whether a file is open for writing, by a lease or the process table
"""
