"""What the sender says of itself, compared with what it said before; what is asked of it.

- ``asking``: what is missing, and is asked for by itself
- ``audit_checkpoints``: the head of the sender's audit log, as heartbeats name it: noted, alarmed when it goes back
- ``channels``: ``channel begin``: a person says from which number on a channel counts
- ``completion``: when a bundle whose passes are over is incomplete
- ``heartbeats``: what is heard: how far each link key has come, which bundles are over
- ``link_keys``: for ``status``: which link keys are taken, and which one was heard
- ``order_alarm``: says that heartbeats are refused for their order, and what to type
- ``recording``: what was said, recorded in the ledger and compared, in a thread of its own
- ``regressions``: detects sequence numbers and clocks of the sender that move backwards
- ``requests``: codes for what is missing, kept as text and QR code
"""
