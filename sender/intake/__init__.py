"""What an item must pass before it is packed: sizes, content, who made it, what scanners and hooks say of it.

    hashed files -> limits -> content -> sums, signatures, model signature -> SBOM -> clamd -> hooks -> unchanged?
                       |         |                    |                         |       |        |          |
                       any refusal, crash, time-out, or answer that is not understood                    verdict
                                             |                                                              |
                               failed/, with the verdict                                           packing, attestation

``pipeline`` composes; every other file is one check, or what checks share. Cheap checks come first, and the first
refusal ends the work. docs/intake.md has the exact rules.
"""
