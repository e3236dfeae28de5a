"""What a file is and whether it is sound, by its content and never by its name (docs/content.md).

Nothing is loaded, unpacked or executed, and no more is read than a stated budget.

- ``allowance``: how much may be unpacked, and how deep, while the archives of one item are looked into
- ``code_names``: which files are code by their names: loaders import, compile and start what is called so,
  whatever is in it
- ``examine``: one file: what it is, whether it is sound, and whether it is something else besides
- ``gguf``: strict lint of GGUF: counts, types, texts, shapes and offsets, each within bounds before it is
  used
- ``inside``: what archives hold, looked at as files are: nothing is unpacked to a disk, and all of it is paid
  for
- ``item``: what is known of the item that a file belongs to, as far as it changes what the file means
- ``json_walk``: JSON, walked over without being built: what it takes grows with its length, and not with how
  many values it has
- ``judge``: A whole item by its channel's rules, file after file, and what is to be said of it in the end
- ``kinds``: what a file is, by its first bytes, its last ones, and its structure
- ``loader``: what a loader of pickles holds while it reads a stream: kinds instead of values, and where it
  would run something
- ``npy``: arrays of numpy: those of objects are pickles
- ``onnx``: strict lint of ONNX: a message of protocol buffers whose tensors may lie in other files, but only
  of the same item
- ``opcodes``: reading a pickle's bytes as loaders do: opcodes, their arguments, lines of any length
- ``pickles``: pickles, found by content: what unpickling would run is code
- ``pictures``: pictures, told by more than two letters: whatever is short in their marks is made up by sizes
  that must fit
- ``protobuf``: walking over messages of protocol buffers: which fields are there, and where
- ``reader``: bounded reading of a file that somebody else wrote
- ``remote_code``: code that a model's configuration names: ``trust_remote_code`` of its loader imports and
  runs it
- ``rules``: what a channel takes: a preset of kinds of content, narrowed by its other settings
- ``safetensors``: strict lint of safetensors: a length, a JSON header, and tensors that fill the rest without
  hole or overlap
- ``sentencepiece``: strict lint of SentencePiece models: a message of protocol buffers with the pieces of a
  tokenizer
- ``steps``: what each opcode does to a loader: to its stack, its marks and its memo, and where it calls
  something
- ``structure``: kinds whose marks are too short, or stand too far inside, to tell by themselves: what must
  fit makes up for it
- ``texts``: texts: UTF-8 without control characters, and what is made of them: JSON, and pictures of the kind
  SVG
- ``trouble``: why a file is not taken, as a closed list: the one word that a confined judge of content may
  say of it
- ``zip_bodies``: what stands in front of the directory of a zip archive, as readers meet it that begin at the
  front
- ``zip_directory``: the directory of a zip archive, read whole and kept compactly: a member costs some 40
  bytes and its name
- ``zip_ends``: where the directory of a zip archive begins: every end record, and every way in which readers
  use one
- ``zip_fields``: extra fields of zip archives: large sizes, and names in Unicode
- ``zips``: archives of zip's format, judged as all their readers do: what two of them would read differently
  is ambiguous
"""
