"""Making a style from one picture: materials, losses, the training loop, and what it hands to the workers.

Imports `workers.network` and `pipeline.errors`; nothing of the running product imports this package.
"""
