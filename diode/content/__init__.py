"""Finds out what a file is and whether it is sound, from its content and never from its name alone (docs/content.md).

Nothing is unpacked to a disk or executed. Reading and unpacking are bounded by budgets. A *loader* is any program that
opens such files, like Python's ``pickle`` or PyTorch.

- ``allowance``: bounds how much may be unpacked, and how deep, while the archives of one item are looked into
- ``code_names``: tells by its name whether a file is code that other programs would run
- ``decision``: decides on one file by the rules of its channel
- ``examine``: examines one file: its kind, whether it is sound, whether it is a second kind as well
- ``gguf``: strict check of GGUF files: counts, types, texts, shapes and offsets
- ``inside``: examines the members of archives as if they were files of the item
- ``item``: what the other files of an item say about one of its files
- ``json_walk``: checks JSON without building its values, so that memory stays bounded
- ``judge``: judges a whole item by its channel's rules, file by file, and sums up the findings
- ``kinds``: tells the kind of a file by its first bytes, its last bytes and its structure
- ``loader``: the imagined state of a loader of pickles, which finds where it would run code
- ``npy``: tells whether arrays of numpy can be loaded without unpickling
- ``onnx``: strict check of ONNX files, whose tensors may lie in other files of the same item
- ``opcodes``: reads the bytes of a pickle as loaders do: opcodes and their arguments
- ``pickles``: finds pickles by their content, and tells whether unpickling would run code
- ``pictures``: recognises pictures whose first bytes are too short to be sure
- ``protobuf``: walks over protocol buffer messages: which fields are there, and where
- ``reader``: bounded reading of a file that a stranger wrote
- ``remote_code``: finds code that a model's configuration names and that ``trust_remote_code`` would run
- ``rules``: what a channel takes: a preset of kinds of content, narrowed by its other settings
- ``safetensors``: strict check of safetensors files: a length, a JSON header, and tensors without holes or overlaps
- ``sentencepiece``: strict check of SentencePiece models
- ``steps``: what each opcode of a pickle does to the state of a loader, and where it calls something
- ``structure``: recognises kinds whose first bytes are not enough, by fields that must fit together
- ``texts``: recognises text (UTF-8 without control characters), and JSON and SVG among it
- ``trouble``: the closed list of reasons why a file is not taken
- ``words``: the names of the kinds, and which of them belong together
- ``zip_bodies``: compares the part in front of a zip directory with the directory
- ``zip_directory``: reads the directory of a zip archive, and keeps it in some 40 bytes and a name for each member
- ``zip_ends``: finds every place where some reader would look for the directory of a zip archive
- ``zip_fields``: reads extra fields of zip archives: large sizes, and names in Unicode
- ``zips``: judges zip archives: what two readers would read differently is refused as ambiguous
"""
