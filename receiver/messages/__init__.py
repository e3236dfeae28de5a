"""What the processes of the receiver say to each other: one class a message, one vocabulary a pipe, all bounded.

- ``pipeline``: what the workers say to the supervisor and to each other; who may say what
- ``questions``: what ``store`` asks of the workers that look into bundles, and what they answer
- ``use``: what ``store`` says about versions in use: pointers, orders, recalls, drills
"""
