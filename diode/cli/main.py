"""The ``diode`` command, put together from its groups. What concerns only one side is in that side's own command.

Modules of this folder define arguments and help texts. The work is in :mod:`diode.commands`, which is loaded only when
a command runs.
"""

from typing import Final

from diode.cli import audit, docs, doctor, init, keys, lab, trust
from diode.console.entry import InstallCompletion, ShowCompletion, Version, guarded, new_app

PANELS: Final = {
    "Set up": ("init", "keys", "trust", "oneway", "doctor", "docs"),
    "Try and measure": ("demo", "link", "plan", "bench", "calibrate"),
    "Sign and verify": ("sign", "inspect", "verify", "audit", "evidence"),
}
app = new_app(
    """Set up, try and verify a one-way link.

    The link itself is served by 'diode-sender' on the staging side, and by 'diode-receiver' in the enclave.
    """,
    PANELS,
)
app.add_typer(init.app, name="init")
app.add_typer(keys.app, name="keys")
app.add_typer(lab.calibrate_app, name="calibrate")
app.add_typer(doctor.oneway_app, name="oneway")
app.add_typer(audit.app, name="audit")
app.command("doctor")(doctor.doctor)
app.command("evidence")(doctor.evidence)
app.command("docs")(docs.docs)
app.add_typer(trust.app, name="trust")
app.command("sign")(trust.sign)
app.command("inspect")(trust.inspect)
app.command("verify")(trust.verify)
app.command("link")(lab.link)
app.command("demo")(lab.demo)
app.command("plan")(lab.plan)
app.command("bench")(lab.bench)
main = guarded(app, config_in_front=False)


@app.callback()
def _common(_version: Version = False, _show: ShowCompletion = None, _install: InstallCompletion = None) -> None:
    pass


if __name__ == "__main__":
    main()
