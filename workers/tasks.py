"""The Celery task, and what a worker process does before its first ticket and after its last.

Celery imports this in every process that uses the app, Flower too: nothing heavy is imported until a worker starts.
The style a worker serves is the one its queues name: `celery -A pipeline worker -Q style.wave`.
"""

import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.exceptions import Reject, WorkerShutdown
from celery.signals import celeryd_init, worker_init, worker_ready, worker_shutdown
from celery.worker.control import control_command

from pipeline.errors import PipelineError, UsageError
from pipeline.flow.placement import frames_at_once
from pipeline.process.config import settings
from pipeline.protocol.queues import queue_of, style_of
from pipeline.protocol.wire import LEAVE, TASK_NAME
from workers.exit_codes import EXIT_CANNOT_START, EXIT_DRAINED

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.protocol.frame import Look
    from workers.painter import Painter
    from workers.service import PaintService

log = logging.getLogger(__name__)

# A worker that met a newer version's ticket looks again after this time: the newer producer may have gone.
_AWAY_S = 30.0

_service: "PaintService | None" = None
_consumer: Any = None
_leaving = threading.Lock()
_back: threading.Timer | None = None


@shared_task(name=TASK_NAME, acks_late=True, ignore_result=True)
def paint(*args: Any) -> None:
    """Serve one ticket (`wire.Ticket`)."""
    assert _service is not None, "tickets arrive only after worker_init"
    if not _service.handle(args):
        # First the queues, then the ticket: Celery asks for no more before it has left them.
        _stay_away(_AWAY_S)
        raise Reject("for a newer worker", requeue=True)


@celeryd_init.connect
def choose_threads(conf: Any, options: dict[str, Any], **_: Any) -> None:
    """Take the number of painting threads from the device unless `-c` says otherwise."""
    if not options.get("concurrency"):
        conf.worker_concurrency = frames_at_once(is_gpu=settings().device != "cpu")


@celeryd_init.connect
def gather_events(instance: Any, **_: Any) -> None:
    """Send Flower's events together."""
    instance.app.events.dispatcher_cls = "workers.events:GatheringDispatcher"


@worker_init.connect
def load_style(sender: Any, **_: Any) -> None:
    """Load the style before the first ticket is taken. Ends the process with one line if that cannot be done."""
    global _service
    # Two INFO lines a frame would be this process's largest output, and a ticket given back is no error to be traced.
    for chatty, least in (("celery.worker.strategy", logging.WARNING), ("celery.app.trace", logging.ERROR)):
        logging.getLogger(chatty).setLevel(least)
    try:
        _service = _open_service(sender.app, sender.hostname, sender.concurrency)
    except PipelineError as error:
        # Celery swallows what its signals raise, except for this.
        sys.stderr.write(f"{sender.hostname}: {error}\n")
        sys.stderr.flush()
        raise SystemExit(EXIT_CANNOT_START) from error


@worker_ready.connect
def serve(sender: Any, **_: Any) -> None:
    """Give the first sign of life once tickets are being taken, so that "ready" means ready."""
    global _consumer
    _consumer = sender
    if _service is not None:
        _service.start()


@control_command(name=LEAVE)
def leave(state: Any) -> None:
    """Finish what is held and leave for good; Celery's own `shutdown` would have the launcher start another."""
    del state
    log.info("told to leave")
    raise WorkerShutdown(EXIT_DRAINED)


@worker_shutdown.connect
def sign_off(**_: Any) -> None:
    """Stop the threads and leave the list of workers."""
    if _back is not None:
        _back.cancel()
    if _service is not None:
        _service.stop()


def _stay_away(away_s: float) -> None:
    """Take nothing from our queues for a while. Celery's own thread does it, as soon as it is free."""
    global _back
    with _leaving:
        if _back is not None and _back.is_alive():
            return
        queues = list(_consumer.app.amqp.queues.consume_from)
        for queue in queues:
            _consumer.call_soon(_consumer.cancel_task_queue, queue)
        _back = threading.Timer(away_s, _come_back, [queues])
        _back.daemon = True
        _back.start()


def _come_back(queues: list[str]) -> None:
    for queue in queues:
        _consumer.call_soon(_consumer.add_task_queue, queue)
    if _service is not None:
        _service.come_back()


def _open_service(app: Any, name: str, threads: int) -> "PaintService":
    import cv2

    from pipeline.protocol.wire import Limits
    from pipeline.server.transport import Transport
    from workers.leases import Leases
    from workers.service import Identity, PaintService

    conf = settings()
    # A slot is as wide as its engine; OpenCV's own pool would take the neighbours' cores.
    cv2.setNumThreads(1)
    style = _style(app)
    painter = _load_painter(style)
    transport = Transport.connect(str(app.conf.broker_url))
    leases = Leases(transport, lease_s=conf.lease_s, renew_s=conf.renew_s, hang_s=conf.hang_s)
    who = Identity(name, style, conf.device, threads, socket.gethostname())
    limits = Limits(conf.max_pixels, conf.max_frame_mb << 20)
    log.info("style=%s device=%s threads=%d loaded", style, conf.device, threads)
    service = PaintService(transport, painter, leases, who, limits=limits)
    service.refusal = _refusal(style)
    if conf.device != "cpu":
        service.device_bytes = _gpu_bytes
    return service


def _refusal(name: str) -> "Callable[[Look], str]":
    """Return what says why a look cannot be painted here: the second style of its mix is missing or built otherwise."""
    from pipeline.errors import StyleError
    from workers.styles import find_style, mixed

    conf = settings()
    own = str(conf.weights) if conf.weights else name
    known = {""}

    def why(look: "Look") -> str:
        # Looked for once: a ticket is not worth reading the disk. What is missing may be there at the next look.
        if look.mix not in known:
            try:
                mixed(find_style(own), find_style(look.mix), look.share)
            except StyleError as error:
                return str(error)
            known.add(look.mix)
        return ""

    return why


def _gpu_bytes() -> int:
    """Return the memory in use on our one GPU, by all its processes."""
    import torch

    free, total = torch.cuda.mem_get_info()
    return int(total - free)


def _style(app: Any) -> str:
    """Return the one style of the process's queues, and make sure its live queue is among them."""
    queues = app.amqp.queues
    styles = {style for queue in queues.consume_from if (style := style_of(queue)) is not None}
    if len(styles) != 1:
        named = ", ".join(sorted(styles)) or "none"
        raise UsageError(f"a worker serves one style, its queues name {named}; start it with -Q style.<name>")
    (style,) = styles
    for queue in (queue_of(style), queue_of(style, live=True)):
        if queue not in queues.consume_from:
            queues.select_add(queues.new_missing(queue))
    return style


def _load_painter(name: str) -> "Painter":
    from workers.devices import cores
    from workers.fake_styles import PREFIX, load_standin
    from workers.mixing import MixingPainter
    from workers.painter import EnginePainter
    from workers.styles import Style, find_style, load_engine, mixed

    conf = settings()
    if conf.test_styles and name.startswith(PREFIX):
        return load_standin(name, jpeg_quality=conf.jpeg_quality)
    style = find_style(str(conf.weights) if conf.weights else name)

    def load(chosen: Style) -> EnginePainter:
        engine = load_engine(chosen, conf.device, conf.threads or cores())
        return EnginePainter(engine, tile_mb=conf.tile_mb, jpeg_quality=conf.jpeg_quality)

    return MixingPainter(load(style), lambda other, share: load(mixed(style, find_style(other), share)))
