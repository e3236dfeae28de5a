"""Answers clients of Hugging Face: models and data sets.

- ``answer``: takes a request and gives the answer
- ``documents``: what a repository is said to be: its files, versions and tags
- ``listing``: the files and folders of one commit
- ``names``: the repositories that a client may see
- ``refusals``: what the hub's clients are refused, in the words that they understand
- ``repository``: one repository, and the bundle that a revision means
- ``routes``: takes the hub's addresses apart
"""
