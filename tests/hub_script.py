"""Run by the Python of an environment in which some version of ``huggingface_hub`` is: does what its argument lists.

Prints a list as JSON: what each step returned, or how it failed, in all the words that a person would see.
"""

import importlib
import json
import sys
import urllib.request
from typing import Any


def main() -> None:
    """All steps of the first argument, or of the file that it names."""
    steps = json.loads(sys.argv[1])
    print("\n" + json.dumps([_tried(step) for step in steps]))


def _tried(step: dict[str, Any]) -> dict[str, Any]:
    what = step.pop("do")
    try:
        return {"got": globals()[f"_{what}"](**step)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the test reads it
        return {"error": type(error).__name__, "text": str(error), "chain": _chain(error)}


def _chain(error: BaseException) -> str:
    words: list[str] = []
    following: BaseException | None = error
    while following is not None:
        words.append(f"{type(following).__name__}: {following}")
        following = following.__cause__ or following.__context__
    return "\n".join(words)


def _of(module: str) -> Any:
    """A library of that environment, which is not this project's."""
    return importlib.import_module(module)


def _file(**arguments: Any) -> str:
    return str(_of("huggingface_hub").hf_hub_download(**arguments))


def _snapshot(**arguments: Any) -> str:
    return str(_of("huggingface_hub").snapshot_download(max_workers=1, **arguments))


def _api(method: str, **arguments: Any) -> str:
    found = getattr(_of("huggingface_hub").HfApi(), method)(**arguments)
    return str(list(found) if hasattr(found, "__next__") else found)


def _read(path: str, **arguments: Any) -> str:
    return str(_of("huggingface_hub").HfFileSystem().cat_file(path, **arguments)[:100].decode())


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


def _make(folder: str) -> str:
    """A tokenizer and a configuration by transformers, rows by pyarrow."""
    tokenizers, transformers = _of("tokenizers"), _of("transformers")
    words = tokenizers.models.WordLevel({"hello": 0, "world": 1, "[UNK]": 2}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    fast.save_pretrained(f"{folder}/model")
    transformers.BertConfig(hidden_size=48, num_attention_heads=4).save_pretrained(f"{folder}/model")
    _of("pyarrow.parquet").write_table(_of("pyarrow").table({"n": [1, 2, 3]}), f"{folder}/train.parquet")
    return folder


def _tokens(name: str, text: str, **arguments: Any) -> list[int]:
    return list(_of("transformers").AutoTokenizer.from_pretrained(name, **arguments)(text)["input_ids"])


def _width(name: str, **arguments: Any) -> int:
    return int(_of("transformers").AutoConfig.from_pretrained(name, **arguments).hidden_size)


def _rows(name: str, **arguments: Any) -> list[int]:
    return [row["n"] for row in _of("datasets").load_dataset(name, split="train", **arguments)]


if __name__ == "__main__":
    main()
