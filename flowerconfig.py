"""Flower's settings, found by `celery -A pipeline flower` in this folder and handed over by `painter flower`.

Flower's own defaults listen on every interface and keep 100 000 tasks; ours do not.
"""

# Only this machine; for others `painter flower --host … --basic-auth user:password` (Flower shows and stops workers).
address = "127.0.0.1"
port = 5555

# A task is a frame: five thousand are minutes, more is memory.
max_tasks = 5000
# A worker that left is gone from the page after a minute.
purge_offline_workers = 60
# A painter answers between two frames; on a slow CPU that takes longer than Flower's second.
inspect_timeout = 3000.0
