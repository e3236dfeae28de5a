"""What an item must pass before it is packed: sizes, content, who made it, what scanners and hooks say of it.

    hashed files -> limits -> content -> sums, signatures, model signature -> SBOM -> clamd -> hooks -> unchanged?
                       |         |                    |                         |       |        |          |
                       any refusal, crash, time-out, or answer that is not understood                    verdict
                                             |                                                              |
                               failed/, with the verdict                                           packing, attestation

``pipeline`` runs the checks of a channel in order. Every other file is one check, or something that checks share. Cheap
checks come first, and the first refusal ends the work. docs/intake.md has the exact rules.

- ``attestation``: states a verdict as a signed verification summary, shortened until it fits into a manifest
- ``candidate``: an item as its checks see it: every byte that they read is proven to be what was hashed
- ``clamd``: asks a ClamAV daemon over its Unix socket
- ``closure``: a check: what the machines behind the wall need of the item is there (``sender/closure/``)
- ``contents``: a check: the files have kinds that the channel takes, and none is unsound or dangerous by its content
- ``detached``: detached signatures beside files: Ed25519, or ECDSA as ``openssl dgst -sign`` and ``cosign
  sign-blob`` make them
- ``examine``: the confined child process that parses the files of one item
- ``examiner``: starts the child ``examine``, hands it the files, and hears its answer
- ``hooks``: a check: programs of the operator judge the item, bounded in time and in the length of their answer
- ``identity``: a check: identity material is what the channel's pins allow, and may follow what was taken before
- ``identity_child``: the confined child process that judges one item of identity material
- ``identity_messages``: what ``identity`` and ``identity_child`` say to each other, a class for each message
- ``limits``: a check: the size and the number of files that a channel allows
- ``messages``: what ``examiner`` and ``examine`` say to each other, a class for each message
- ``minisign``: minisign signatures: Ed25519 over a file's BLAKE2b digest, and over a comment that is to be
  trusted
- ``model_signing``: a check: the signature of a whole model in ``model.sig``, by OpenSSF Model Signing v1.0
- ``pipeline``: composes the checks of a channel and runs them; whatever goes wrong in a check refuses the item
- ``private_copy``: copies an item for hooks that read files, so that nobody can change the files meanwhile
- ``sbom``: finds the bills of materials (SBOMs) of an item and summarises them
- ``scanning``: a check: sends every file to a virus scanner (``clamd``)
- ``signed``: a check: finds the signature beside each file, and has it verified
- ``sigstore``: verifies sigstore bundles offline: the signer's identity, the certificate, and the transparency log
- ``spare``: has the next child ``examine`` born ahead of need, so that no item waits for one to be confined
- ``sums``: a check: ``SHA256SUMS`` names every file, with the digest that was computed
- ``unopened``: names the kinds of packed files that clamd calls clean without looking into them
- ``verdict``: what the checks found, and every reason for a refusal
"""
