"""Celery's settings, each with its reason; all others are Celery's defaults. Read by `pipeline.server.app`."""

from pipeline.process.config import broker_url as _find_broker
from pipeline.process.config import settings as _settings
from pipeline.server.connection import celery_options as _celery_options

broker_url = _find_broker() or "redis://localhost:6379/0"
# A rediss:// server's certificate is always checked: PAINTER_TLS_CA, else the system's authorities.
broker_use_ssl, _sentinels = _celery_options(broker_url)

# msgpack only, in every direction: nothing we receive can make us run code.
task_serializer = "msgpack"
result_serializer = "msgpack"
event_serializer = "msgpack"
accept_content = ["msgpack"]

# Paintings go to the painted stream; a result backend would carry each a second time.
result_backend = None
task_ignore_result = True

# A ticket is acknowledged after its frame is published, and one that is prefetched would wait behind a busy worker
# while another idles.
task_acks_late = True
worker_prefetch_multiplier = 1
# fork breaks CUDA, and `solo` would not answer remote control while painting.
worker_pool = "threads"
imports = ("workers.tasks",)

# A server that comes back finds its workers again; a reserved message lost to `maxmemory` does not end the worker.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
worker_cancel_long_running_tasks_on_connection_loss = False

broker_transport_options = {
    # One list per queue, so that its length is the queue's length.
    "priority_steps": [0],
    "queue_order_strategy": "pipeline.protocol.queues:LiveFirst",
    # Celery's own redelivery is the backstop behind our leases; it must outlast the longest painting. Unset, its sweep
    # runs every 100 s.
    "visibility_timeout": int(_settings().hang_s) + 10,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
    # The sweep holds a lock for some ms. One taken for a worker that no longer waits for the answer, as after a server
    # that stood still for 8 s, is held by nobody: by default for 300 s, in which no ticket came back.
    "unacked_mutex_expire": 10,
    # A half-open connection is noticed in about 11 s instead of 51 s.
    "health_check_interval": 5,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # For sentinel:// URLs: the name of the master, and how to speak with the sentinels.
    **_sentinels,
}

# Flower switches events on when it watches; workers send them gathered (`workers/events.py`).
worker_send_task_events = False
worker_hijack_root_logger = False
worker_redirect_stdouts = False
# A painter's day has millions of frames; two INFO lines each would be the largest output of the whole system.
worker_task_log_format = "[%(asctime)s: %(levelname)s] %(message)s"
