"""Lines for clients of ``hub``: ``huggingface_hub`` and what stands on it, Rust, curl, llama.cpp, MLflow.

None of them falls back to the internet: whatever the gateway does not have is not found.
"""

from typing import Final

from receiver.gateway.clients.lines import Clearing, Lines, Place

_CACHE: Final = "~/.cache/huggingface/hub"
_PRINTED: Final = 'curl -s "$HF_ENDPOINT/api/models/ORG/NAME/revision/main" | jq -r .sha'

_CLEAR: Final = f"rm -rf {_CACHE}/{{folder}}"
_SAVED: Final = "rm the files that it saved of {name} {version}"
# whatever has the files already and was given a commit sends nothing: no answer can reach it
CLEARING: Final[tuple[Clearing, ...]] = (
    Clearing("unknown/None; hf_hub/", "huggingface_hub, given main, a tag or a version", _CLEAR, asks=True),
    Clearing("unknown/None; hf_hub/", "huggingface_hub, given a commit", _CLEAR, asks=False),
    Clearing("huggingface-cli/", "hf download, given main, a tag or a version", _CLEAR, asks=True),
    Clearing("huggingface-cli/", "hf download, given a commit", _CLEAR, asks=False),
    Clearing("transformers/", "transformers, given main, a tag or a version", _CLEAR, asks=True),
    Clearing("transformers/", "transformers, given a commit", _CLEAR, asks=False),
    Clearing("datasets/", "datasets", f"{_CLEAR} ~/.cache/huggingface/datasets", asks=False),
    Clearing("unkown/None; hf-hub/", "hf-hub of Rust", _CLEAR, asks=False),
    Clearing("llama-cpp", "llama.cpp", f"{_CLEAR} ~/.cache/llama.cpp", asks=False),
    Clearing("curl/", "curl", _SAVED, asks=False),
    Clearing("Wget/", "wget", _SAVED, asks=False),
)


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place."""
    repository = _example(place)
    return [
        Lines("huggingface_hub, transformers, datasets", "environment", _environment(place), _NOTE),
        Lines("hf", "command", f"hf download {repository}\nhf cache verify {repository}", "with the same environment"),
        Lines("hf-hub of Rust, text-embeddings-inference", "environment", _environment(place), _RUST_NOTE),
        Lines("curl, wget", "command", _curl(place, repository), "the commit: " + _PRINTED),
        Lines("llama.cpp", "environment", _llama(place, repository), _LLAMA_NOTE),
        Lines("MLflow, KServe", "source of a model version", f"hf://{repository}@COMMIT", _MLFLOW_NOTE),
    ]


_NOTE: Final = (
    "HF_HUB_OFFLINE must not be set. datasets asks datasets-server.HOST, too: that name must be refused at once, "
    "not swallowed, or it waits for 100 s"
)
_RUST_NOTE: Final = (
    f"it asks main twice and keeps what it has for good: give it the commit as revision ({_PRINTED}); "
    "it sees neither a promotion nor a recall"
)
_LLAMA_NOTE: Final = "it takes branch main when it starts"
_MLFLOW_NOTE: Final = "with the same environment; a rollback there is an alias moved to the version before"


def _environment(place: Place) -> str:
    found = [f"HF_ENDPOINT={place.base}", "HF_UPDATE_DOWNLOAD_COUNTS=0", "HF_HUB_DISABLE_UPDATE_CHECK=1"]
    if place.token:
        found.append(f"HF_TOKEN={place.token}")
    if place.certificate:
        found += [f"SSL_CERT_FILE={place.certificate}", f"REQUESTS_CA_BUNDLE={place.certificate}"]
    return "\n".join(found)


def _curl(place: Place, repository: str) -> str:
    token = f' -H "Authorization: Bearer {place.token}"' if place.token else ""
    certificate = f" --cacert {place.certificate}" if place.certificate else ""
    return f"curl -fLO{certificate}{token} {place.base}/{repository}/resolve/COMMIT/FILE"


def _llama(place: Place, repository: str) -> str:
    token = f"\nHF_TOKEN={place.token}" if place.token else ""
    return f"MODEL_ENDPOINT={place.base}/{token}\nllama-server -hf {repository}"


def _example(place: Place) -> str:
    """A repository that is there, or what stands for one."""
    for _, name in place.names:
        plain = name.removeprefix("models--")
        if not plain.startswith("datasets--"):
            return plain.replace("--", "/", 1)
    return "ORG/NAME"
