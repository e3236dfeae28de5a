"""Pushes published bundles into stores that the enclave has already. Daemon and workers never import it.

    inbox -> item (signed table) -> plan -> put -> check -> publish -> point        undo: point -> take -> clean
                                      |      each step is in the journal before it is taken

The inbox is only read. Each byte is held against the signed table while it is read, and goes on from memory.

- ``bucket``: the kind ``s3``: objects, a marker, and an object ``current``
- ``directory``: the kind ``dir``: a folder, and a link ``current``
- ``hub_cache``: the kind ``hf-cache``: blobs, a snapshot of links to them, a ref
- ``hub_names``: what a bundle is called where models are kept as Hugging Face does
- ``item``: a published bundle: its signed table, and its files, read against it
- ``journal``: what was done to a target, written before it is done
- ``kinds``: opens the target that the configuration names
- ``mlflow_models``: the kind ``mlflow``: a version of a model, and an alias
- ``objects``: the objects of a bucket, by boto3
- ``plan``: which steps are left, from what lies there and what the journal says; pure
- ``program``: the kind ``exec``: a program of the site's own
- ``registry``: the kind ``oci``: skopeo copies from the gateway into a registry
- ``secrets``: files with secrets, which nobody else may read
- ``served``: what the gateway serves of a repository of models, read from there
- ``shelf``: puts a whole folder into place by one rename, and takes it away again
- ``target``: what every kind of store can do
- ``trees``: writes files of a bundle into a folder, and compares folders with the signed table
- ``work``: takes the steps; undoes them
"""
