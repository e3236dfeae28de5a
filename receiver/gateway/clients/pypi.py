"""Lines for clients of ``pypi``: pip and uv. None of them asks anybody but the gateway."""

from typing import Final

from receiver.gateway.clients.lines import Clearing, Lines, Place

UPSTREAM: Final = ("pypi.org", "files.pythonhosted.org")
CLEARING: Final[tuple[Clearing, ...]] = (
    Clearing("pip/", "pip", "pip uninstall --yes {name}; pip cache purge", asks=True),
    Clearing("uv/", "uv", "uv pip uninstall {name}; uv cache clean {name}", asks=True),
)


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place."""
    return [_pip(place), _uv(place), *_export(place), *_upstream(place)]


def _index(place: Place) -> str:
    scheme, _, rest = place.base.partition("://")
    who = f"token:{place.token}@" if place.token else ""
    return f"{scheme}://{who}{rest}/simple/"


def _pip(place: Place) -> Lines:
    text = ["[global]", f"index-url = {_index(place)}", "disable-pip-version-check = true"]
    if not place.is_tls:
        text.append(f"trusted-host = {place.authority}")
    elif place.certificate:
        text.append(f"cert = {place.certificate}")
    note = "remove extra-index-url and find-links that lead elsewhere: pip would take the newest of all of them"
    return Lines("pip", "pip.conf", "\n".join(text), note)


def _uv(place: Place) -> Lines:
    text = ['python-downloads = "never"', "[[index]]", f'url = "{_index(place)}"', "default = true"]
    note = f"and SSL_CERT_FILE={place.certificate} in the environment" if place.is_tls and place.certificate else ""
    return Lines("uv", "uv.toml", "\n".join(text), note)


def _export(place: Place) -> list[Lines]:
    if set(UPSTREAM) <= set(place.hosts):
        return []
    text = (
        "uv export --frozen --format requirements-txt > requirements.txt\n"
        f"uv pip install --default-index {_index(place)} --require-hashes -r requirements.txt"
    )
    note = "a uv.lock made outside names upstream's hosts, which are not served here; its hashes are kept"
    return [Lines("uv, with a lock made outside", "shell", text, note)]


def _upstream(place: Place) -> list[Lines]:
    served = [host for host in UPSTREAM if host in place.hosts]
    if not served:
        return []
    address = place.authority.rpartition(":")[0] or place.authority
    text = f"# the address of {address} in the place of ADDRESS\nADDRESS {' '.join(served)}"
    ca = place.certificate or "the CA that signed the gateway's certificate"
    note = f"or the same in DNS; and {ca} as SSL_CERT_FILE, or in the system's store. Then a uv.lock fits as it is"
    found = [Lines("uv, with a lock made outside", "/etc/hosts", text, note)]
    if place.token:  # a lock has no place for it
        netrc = "\n".join(f"machine {host} login token password {place.token}" for host in served)
        found.append(Lines("uv, with a lock made outside", "~/.netrc", netrc))
    return found
