"""Lines for clients of ``mcp``: VS Code, whatever reads the registry, and servers started by npx, uvx or docker."""

from typing import Final

from receiver.gateway.clients.lines import Clearing, Lines, Place

_NPX: Final = 'rm -rf "$(npm config get cache)/_npx" && npm cache clean --force'
CLEARING: Final[tuple[Clearing, ...]] = (
    Clearing("Code/", "VS Code", "MCP: List Servers, then Uninstall, for {name}", asks=True),
    Clearing("node", "a program that starts servers by npx", _NPX, asks=False),
    Clearing("uv/", "a program that starts servers by uvx", "uv cache clean", asks=False),
)


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place."""
    root = place.base.removesuffix("/mcp")
    npm, pypi = f"{root}/_npm/", f"{root}/pypi/simple/"
    note = (
        "VS Code asks a registry by https alone, and by a certificate that the system trusts. It then runs npx, uvx or "
        "docker with a package's name, and without the registry's address: their own lines must be in place, too."
    )
    if place.token:
        note += " It cannot show a token: give the channel of servers none, and those of the packages theirs."
    header = f" -H 'Authorization: Bearer {place.token}'" if place.token else ""
    ca = f" --cacert {place.certificate}" if place.is_tls and place.certificate else ""
    vs_code = f'"chat.mcp.gallery.enabled": true,\n"chat.mcp.gallery.serviceUrl": "{place.base}"'
    return [
        Lines("VS Code", "settings.json", vs_code, note),
        Lines("any client", "", f"curl --fail{ca}{header} '{place.base}/v0.1/servers?version=latest'"),
        Lines("npx", "", f"npx --yes --registry {npm} PACKAGE@VERSION", "settings of npm: the lines for npm"),
        Lines("uvx", "", f"uvx --default-index {pypi} PACKAGE@VERSION", "settings of uv: the lines for uv"),
    ]
