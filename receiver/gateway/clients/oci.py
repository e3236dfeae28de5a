"""Lines for clients of ``oci``: docker, containerd, podman, skopeo, oras. None of them falls back upstream.

``registry-mirrors`` of docker is not among them: docker asks upstream about whatever a mirror does not have, and gives
a mirror that asks for a token people's own login for Docker Hub.
"""

from collections.abc import Iterator
from typing import Final

from receiver.gateway.clients.lines import Clearing, Lines, Place

HUB: Final = ("docker.io", "registry-1.docker.io")
_EXAMPLE: Final = "NAME:TAG"
_FILES: Final = "rm -rf FILES  # whatever was pulled of {name} {version}"

CLEARING: Final[tuple[Clearing, ...]] = (
    Clearing("docker/", "docker", "docker rmi --force $(docker images --quiet '*/{name}')", asks=True),
    Clearing("containerd/", "containerd", "ctr --namespace k8s.io images rm IMAGE  # of {name} {version}", asks=False),
    Clearing("containers/", "podman, skopeo", "podman rmi --force IMAGE  # of {name} {version}", asks=True),
    Clearing("skopeo/", "skopeo", "rm -rf LAYOUT  # whatever was copied of {name} {version}", asks=True),
    Clearing("cri-o/", "CRI-O", "crictl rmi IMAGE  # of {name} {version}", asks=False),
    Clearing("oras", "oras", _FILES, asks=True),
    Clearing("buildkit/", "docker buildx", "docker builder prune --all --force", asks=False),
    Clearing(
        "python-requests/", "oras of Python", "rm -rf FILES  # whatever was pulled of {name} {version}", asks=True
    ),
)


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place."""
    return [*_docker(place), *_containerd(place), *_podman(place), *_oras(place)]


def _address(place: Place) -> str:
    """The gateway's address, without the path that every client adds by itself."""
    return place.base.removesuffix("/v2")


def _docker(place: Place) -> Iterator[Lines]:
    if place.is_tls and place.certificate:
        file = f"/etc/docker/certs.d/{place.authority}/ca.crt"
        yield Lines("docker", "", f"install -D -m 644 {place.certificate} {file}")
    elif not place.is_tls:
        text = f'{{"insecure-registries": ["{place.authority}"]}}'
        yield Lines("docker", "/etc/docker/daemon.json", text, "Plain http; on loopback docker needs no such line.")
    yield Lines("docker", "", f"{_login('docker', place)}docker pull {place.authority}/{_EXAMPLE}")
    served = [host for host in HUB if host in place.hosts]
    if served == list(HUB) and place.is_tls:
        host = place.authority.rpartition(":")[0] or place.authority
        text = f"# the address of {host} in the place of ADDRESS\n" + "\n".join(f"ADDRESS {name}" for name in served)
        note = (
            "Then names stay as they are: docker pull NAME:TAG. The CA must be in the system's store "
            "(/usr/local/share/ca-certificates, update-ca-certificates, and docker started anew): docker reads no "
            "certs.d for Docker Hub."
        )
        yield Lines("docker, by upstream's names", "/etc/hosts", text, note)


def _containerd(place: Place) -> Iterator[Lines]:
    address = _address(place)
    text = [f'server = "{address}"', "", f'[host."{address}"]', '  capabilities = ["pull", "resolve"]']
    if place.is_tls and place.certificate:
        text.append(f'  ca = "{place.certificate}"')
    if place.token:
        text += [f'  [host."{address}".header]', f'    Authorization = "Bearer {place.token}"']
    note = (
        "One such file for each registry whose names are used: certs.d/quay.io/hosts.toml, and so on. Both server and "
        "[host] must stand there: without one of them containerd asks upstream."
    )
    yield Lines("containerd, Kubernetes", "/etc/containerd/certs.d/docker.io/hosts.toml", "\n".join(text), note)


def _podman(place: Place) -> Iterator[Lines]:
    is_insecure = "" if place.is_tls else "\ninsecure = true"
    text = 'unqualified-search-registries = ["docker.io"]\n' + "\n".join(
        f'\n[[registry]]\nprefix = "{prefix}"\nlocation = "{place.authority}{below}"{is_insecure}'
        for prefix, below in (("docker.io", ""), ("quay.io", "/quay.io"))
    )
    note = "A location, and no mirror: after a mirror, podman and skopeo ask upstream. One entry for each registry."
    yield Lines("podman, skopeo, buildah, CRI-O", "/etc/containers/registries.conf.d/enclave.conf", text, note)
    if place.is_tls and place.certificate:
        file = f"/etc/containers/certs.d/{place.authority}/ca.crt"
        yield Lines("podman, skopeo, buildah, CRI-O", "", f"install -D -m 644 {place.certificate} {file}")
    if place.token:
        yield Lines("podman, skopeo, buildah", "", _login("podman", place).removesuffix(" && "))


def _oras(place: Place) -> Iterator[Lines]:
    how = "" if place.is_tls else " --plain-http"
    how += f" --ca-file {place.certificate}" if place.is_tls and place.certificate else ""
    yield Lines("oras", "", f"{_login('oras', place, how)}oras pull{how} {place.authority}/{_EXAMPLE}")


def _login(program: str, place: Place, how: str = "") -> str:
    """A command that gives the token, and goes on; nothing where none is asked for."""
    if not place.token:
        return ""
    return f"printf %s '{place.token}' | {program} login{how} --username client --password-stdin {place.authority} && "
