"""What the sender says of itself, compared with what it said before; what is asked of it.

- ``audit_heads``: the head of the sender's audit log, as heartbeats name it: noted, alarmed when it goes back
- ``channels``: ``channel begin``: a person says from which number on a channel counts
- ``completion``: when a bundle whose passes are over is incomplete
- ``heartbeats``: what heartbeats tell: recorded, compared, and turned into requests
- ``link_keys``: for ``status``: which link keys are taken, and which one was heard
- ``order_alarm``: says that heartbeats are refused for their order, and what to type
- ``regressions``: the sender's books against what they were: what went backwards
- ``requests``: codes for what is missing, kept as text and QR code
"""
