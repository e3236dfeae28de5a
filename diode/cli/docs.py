"""``diode docs``: where the pages and the units of systemd are."""


def docs() -> None:
    """Print where documentation and units lie.

    The folders of the pages and of the units for systemd, as they were installed.
    """
    from diode.commands import docs

    docs.show()
