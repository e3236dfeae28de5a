"""The inbox: the one rename that publishes, what is published beside the data, what lies there already.

- ``facts``: what identifies a bundle, in the audit log, in a receipt, beside a refusal
- ``folder``: the trial rename at start, the one rename that publishes, quarantine
- ``receipts``: what lies in the inbox and the ledger does not know
- ``sidecars``: what is published beside the data: manifest, SHA256SUMS, receipt
"""
