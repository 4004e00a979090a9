"""Workers and streams under Prometheus' names: the page and `painter status --metrics` tell of them alike.

Each family is made anew for a scrape; whoever knows more of a stream adds it to the families returned.
"""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pipeline.protocol.frame import Mode
from pipeline.protocol.records import Heartbeat, StreamRecord

#: The labels of a worker's families and of a stream's.
WORKER = ("worker", "style", "device", "host")
STREAM = ("stream", "style", "mode")


def worker_labels(beat: Heartbeat) -> tuple[str, ...]:
    """Return the values of `WORKER`."""
    return beat.name, beat.style, beat.device, beat.host


def stream_labels(card: StreamRecord) -> tuple[str, ...]:
    """Return the values of `STREAM`."""
    return card.name, card.style, card.mode


def worker_families(beats: Iterable[Heartbeat]) -> tuple[Metric, ...]:
    """Return speed, load, memory and count of each worker."""
    fps = GaugeMetricFamily("painter_worker_fps", "frames a second of one worker", labels=WORKER)
    busy = GaugeMetricFamily("painter_worker_busy", "share of its time at work, 0 to 1", labels=WORKER)
    memory = GaugeMetricFamily("painter_worker_memory_bytes", "resident memory", labels=WORKER)
    painted = CounterMetricFamily("painter_frames", "frames painted since the worker started", labels=WORKER)
    for beat in beats:
        of = worker_labels(beat)
        fps.add_metric(of, beat.fps)
        busy.add_metric(of, beat.busy)
        memory.add_metric(of, beat.rss_bytes)
        painted.add_metric(of, beat.painted)
    return fps, busy, memory, painted


def stream_families(
    cards: Iterable[StreamRecord], fps_of: Callable[[str], float]
) -> tuple[CounterMetricFamily, tuple[Metric, ...]]:
    """Return the frames of each stream by fate; beside them its speed, frames in flight, and losses by cause."""
    frames = CounterMetricFamily("painter_stream_frames", "frames by fate", labels=(*STREAM, "fate"))
    fps = GaugeMetricFamily("painter_stream_fps", "painted frames a second", labels=STREAM)
    flying = GaugeMetricFamily("painter_in_flight", "frames sent and not painted yet", labels=STREAM)
    drops = CounterMetricFamily("painter_stream_drops", "frames dropped by cause", labels=(*STREAM, "cause"))
    failures = CounterMetricFamily("painter_stream_failures", "frames failed by cause", labels=(*STREAM, "cause"))
    for card in cards:
        of = stream_labels(card)
        fps.add_metric(of, fps_of(card.name))
        flying.add_metric(of, card.in_flight)
        fates = {"dropped": card.dropped, "painted": card.painted, "failed": card.failed}
        if card.mode == Mode.LIVE:
            # Nothing counts a file's frames before they are painted.
            fates["captured"] = card.captured
        for fate, count in fates.items():
            frames.add_metric((*of, fate), count)
        for metric, losses in ((drops, card.drops), (failures, card.failures)):
            for cause, count in losses.items():
                metric.add_metric((*of, cause), count)
    return frames, (fps, flying, drops, failures)
