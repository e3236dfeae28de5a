"""What heartbeats say of the sender, compared with what they said before; and codes by which a person asks for more.

- ``asking``: reports bundles that are missing, with the code that a person carries to the sender
- ``audit_checkpoints``: records how far the sender's audit log has come, and raises an alarm when it goes back
- ``channels``: ``channel begin``: a person says from which sequence number on a channel counts
- ``completion``: tells when a bundle counts as incomplete, after all of its passes are over
- ``dismissing``: ``dismiss``: a person says that something is not missed any more
- ``heartbeats``: takes each heartbeat once and in order, and hands what it says on
- ``link_keys``: for ``status``: which link keys are valid, and which one was heard last
- ``order_alarm``: raises an alarm when heartbeats are refused for their order, and says what to type
- ``recording``: records in a thread what heartbeats said, and compares it with the ledger
- ``regressions``: detects sequence numbers and clocks of the sender that move backwards
- ``requests``: makes resend codes for what is missing, and keeps them as text and QR code
"""
