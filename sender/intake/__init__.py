"""What an item must pass before it is packed: sizes, content, who made it, what scanners and hooks say of it.

    hashed files -> limits -> content -> sums, signatures, model signature -> SBOM -> clamd -> hooks -> unchanged?
                       |         |                    |                         |       |        |          |
                       any refusal, crash, time-out, or answer that is not understood                    verdict
                                             |                                                              |
                               failed/, with the verdict                                           packing, attestation

``pipeline`` composes; every other file is one check, or what checks share. Cheap checks come first, and the first
refusal ends the work. docs/intake.md has the exact rules.

- ``attestation``: a verdict as a signed verification summary, shortened until it fits
- ``candidate``: an item as its checks see it, still what was hashed
- ``clamd``: the conversation with a ClamAV daemon
- ``contents``: kinds and lint by content
- ``detached``: detached signatures beside files: Ed25519, or ECDSA as ``openssl dgst -sign`` and ``cosign
  sign-blob`` make them
- ``examine``: that child
- ``examiner``: who asks the confined child that looks at content
- ``hooks``: programs that judge: JSON in, a verdict out, bounded in time and words
- ``jsons``: JSON from outside
- ``limits``: sizes and counts
- ``messages``: what they say to each other
- ``minisign``: minisign signatures: Ed25519 over a file's BLAKE2b digest, and over a comment that is to be
  trusted
- ``model_signing``: ``model.sig``: OpenSSF Model Signing v1.0
- ``pipeline``: [what an item must pass](intake.md): composes a channel's checks, runs them, fails closed
- ``private_copy``: files for the hooks to read that nobody else can write, equal to what was hashed
- ``sbom``: bills of materials, found and summarised
- ``sbom_formats``: CycloneDX and SPDX
- ``scanning``: every file past it
- ``signed``: which files need a signature beside them
- ``sigstore``: sigstore bundles, offline: signer's identity, certificate, transparency log, against a root
  that people renew
- ``spare``: the next such child, started ahead so that no item waits for an interpreter
- ``sums``: ``SHA256SUMS`` against every file
- ``unopened``: what it passes without having opened it
- ``verdict``: what came of them, and the reasons
"""
