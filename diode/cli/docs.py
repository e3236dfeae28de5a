"""``diode docs``: where the pages and the units of systemd are."""


def docs() -> None:
    """Print the folders of the documentation and of the units for systemd, as they were installed."""
    from diode.commands import docs

    docs.show()
