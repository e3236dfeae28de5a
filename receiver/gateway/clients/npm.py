"""Lines for clients of ``npm``: npm and npx. None of them asks anybody but the gateway."""

from typing import Final

from receiver.gateway.clients.lines import Clearing, Lines, Place

UPSTREAM: Final = "registry.npmjs.org"
_CLEAR: Final = 'npm uninstall {name}; npm cache clean --force; rm -rf "$(npm config get cache)/_npx"'
# `npm ci` takes a package from its cache without asking, unless `prefer-online` is set; npx runs what it once unpacked
CLEARING: Final[tuple[Clearing, ...]] = (Clearing("npm/", "npm", _CLEAR, asks=False),)


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place."""
    return [_npm(place), *_outside(place)]


def _npm(place: Place) -> Lines:
    text = [f"registry={place.base}/", "prefer-online=true", "update-notifier=false", "fund=false"]
    if place.token:
        text.append(f"{place.base.split(':', 1)[1]}/:_authToken={place.token}")
    if place.is_tls and place.certificate:
        text.append(f"cafile={place.certificate}")
    return Lines("npm, npx", ".npmrc", "\n".join(text), "without prefer-online, npm ci never asks for what it has")


def _outside(place: Place) -> list[Lines]:
    if UPSTREAM not in place.hosts:
        note = "a package-lock.json made outside names upstream's host; npm asks the line above in its place"
        return [Lines("npm, with a lock made outside", ".npmrc", "replace-registry-host=npmjs\nallow-remote=all", note)]
    address = place.authority.rpartition(":")[0] or place.authority
    text = f"# the address of {address} in the place of ADDRESS\nADDRESS {UPSTREAM}"
    ca = place.certificate or "the CA that signed the gateway's certificate"
    note = f"or the same in DNS; and {ca} as NODE_EXTRA_CA_CERTS (Debian's npm: as cafile in .npmrc)"
    found = [Lines("npm, with a lock made outside", "/etc/hosts", text, note)]
    if place.token:
        found.append(Lines("npm, with a lock made outside", ".npmrc", f"//{UPSTREAM}/:_authToken={place.token}"))
    return found
