"""The inbox: publishes a bundle by one rename, writes the files beside its data, and reads receipts of earlier bundles.

- ``facts``: the fields by which the audit log, a receipt and a refusal name a bundle
- ``folder``: the folders of the inbox: publishes by one rename, which is tried at the start; moves into quarantine
- ``receipts``: finds receipts in the inbox whose bundles the ledger does not know
- ``sidecars``: writes what is published beside the data: manifest, SHA256SUMS, receipt
"""
