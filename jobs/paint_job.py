"""One file painted in one style: source → submission → workers → collector → sink, and its report.

Composition only. Three threads: one feeds, one watches leases, the caller's own collects and writes. Whichever fails
first stops the others; the caller sees its error.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import uuid4

from jobs.report import Progress, Report
from jobs.temporal import WARM_UP_FRAMES, TemporalSmoother
from pipeline.errors import PipelineError, ServerFull, ServerGone, SourceError, Stopped
from pipeline.flow.metrics import Percentiles, Rate
from pipeline.flow.window import Holds, Window, raw_bytes, window_size
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.process.config import Settings
from pipeline.process.shutdown import joined, within
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, Frame, Look, StreamInfo
from pipeline.protocol.records import Heartbeat, mix_facts
from pipeline.protocol.wire import Limits, Stages
from pipeline.server.broker import Broker
from producer.source import Source
from producer.submit import Order, Submission
from viewer.painted_reader import PaintedReader
from viewer.sink import Sink

log = logging.getLogger(__name__)

# A lease of 1.5 s that ran out is seen within this much more: the stall after a killed worker stays under 2 s.
_WATCH_S = 0.2
# How often the workers are asked for, in looks.
_WORKERS_EVERY = 10
# That nobody paints is said again after this time: a job waits as long as it takes, and never in silence.
_AGAIN_S = 60.0
# At the end: for a call, or the decoding of a frame, that is under way.
_STOP_S = 5.0
# And for the last question about the stream and its end, which nobody needs so much as to wait for a server.
_LEAVE_S = 2.0


class PaintJob:
    """Paints `source` in `style` into `sink`. The caller opened both and closes them; any thread may `stop` it.

    With `smoother`, made for this job, what is written is held together from frame to frame.
    """

    #: What broke in the source; all frames before it, and those behind that could be read, are painted.
    damage: SourceError | None = None

    def __init__(  # noqa: PLR0913
        self,
        source: Source,
        sink: Sink,
        *,
        style: str,
        look: Look,
        broker: Broker,
        settings: Settings,
        smoother: TemporalSmoother | None = None,
    ) -> None:
        self._source, self._sink, self._style, self._look = source, sink, style, look
        self._smoother = smoother
        self._transport = broker.transport
        self._is_own = not broker.is_foreign
        self._settings = settings
        self._first = sink.next_seq()
        self._start = max(0, self._first - WARM_UP_FRAMES) if self._smoother else self._first
        stream = f"{style}-{uuid4().hex[:12]}"
        painters = self._painters(self._workers() or [])
        self._raw_bytes = self._largest_raw(painters)
        self._submission = Submission(
            self._transport,
            partial(broker.pack, style),
            Order(stream, style, look, settings.attempts, _facts(source.info, style, look)),
            window=Window(_size(painters)),
            wait_s=settings.server_wait_s,
        )
        self._collector = PaintedReader(
            self._transport,
            stream,
            first=self._start,
            limits=Limits(settings.max_pixels, settings.max_frame_mb << 20),
            wait_s=settings.server_wait_s,
            on_arrival=self._arrived,
        )
        self._submission.painters = _names(painters)
        if self._is_own:
            # A frame of 6 MB takes it 20 ms.
            self._submission.far_s = math.inf
        self._submission.on_restart = self._collector.rewind
        self._submission.is_caught_up = lambda: self._collector.is_caught_up
        self._submission.on_full = lambda: self._trim(stream)
        #: Told why nobody paints, for as long as that is so.
        self.on_absence: Callable[[str], object] = lambda why: log.warning("stream=%s %s", stream, why)
        self._absence, self._told_s = "", float("-inf")
        self._delays, self._holds, self._rate = Percentiles(), Holds(), Rate()
        self._done = self._duplicates = 0
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def run(self, on_progress: Callable[[Progress], None]) -> tuple[int, float]:
        """Paint everything; return frames painted and seconds taken. Raises what broke first, or `Stopped`."""
        began_s = time.monotonic()
        self._submission.watch()
        threads = [threading.Thread(target=part, name=part.__name__, daemon=True) for part in (self._feed, self._watch)]
        for thread in threads:
            thread.start()
        try:
            self._collect(on_progress)
        except BaseException as error:
            self._fail(error)
        finally:
            self._end()
            if not (joined(threads, _STOP_S) and within(_LEAVE_S, self._leave)):
                log.info("stream=%s left to expire: the server does not answer", self._submission.stream)
        if self._error is not None:
            raise self._error
        if not self._collector.is_complete:
            raise Stopped("stopped before its end")
        return self._done, time.monotonic() - began_s

    def stop(self) -> None:
        """End `run`, or the sink's `finish` after it, soon and cleanly; idempotent."""
        self._sink.stop()
        self._end()

    def fail(self, error: PipelineError) -> None:
        """End `run` with `error`, unless something broke before; from any thread."""
        self._fail(error)

    def report(self, source: str, output: str, seconds: float) -> Report:
        """Return the report of a finished run."""
        return Report(
            source=source,
            output=output,
            style=self._style,
            frames=self._done,
            resumed=self._first,
            seconds=round(seconds, 3),
            fps=round(self._done / seconds, 2) if seconds else 0.0,
            delay_p50_ms=_ms(self._delays.at(50)),
            delay_p95_ms=_ms(self._delays.at(95)),
            resubmitted=self._submission.resubmitted,
            duplicates=self._duplicates,
        )

    def _feed(self) -> None:
        quality = self._settings.jpeg_quality
        seq = self._start
        try:
            for frame in self._frames():
                if not self._submission.submit(encode(frame, self._codec(frame), quality=quality)):
                    return
                seq = frame.seq + 1
        except SourceError as error:
            # What was read is painted; whoever asked is told once it is.
            self.damage = error
        except BaseException as error:
            self._fail(error)
            return
        self._collector.finish_at(seq)

    def _frames(self) -> Iterator[Frame]:
        """Yield what is to be painted; those that are not written only once there is one that is: a film that is whole
        waits for nobody to paint."""
        ready: list[Frame] = []
        for frame in self._source.frames(self._start, self._sink.landmark()):
            if self._smoother:
                self._smoother.add(frame)
            ready.append(frame)
            if frame.seq >= self._first:
                yield from ready
                ready.clear()

    def _codec(self, frame: Frame) -> Codec:
        """Say how a frame crosses: as it is where the server has room for that, else as its source asks."""
        return Codec.RAW if frame.pixels.nbytes <= self._raw_bytes else self._source.info.codec

    def _largest_raw(self, painters: Sequence[Heartbeat]) -> int:
        if not self._is_own:
            return 0
        try:
            server_bytes = self._transport.memory()[1]
        except PipelineError:
            return 0
        return raw_bytes(_size(painters), painters, server_bytes, self._settings.max_frame_mb << 20)

    def _watch(self) -> None:
        look = 0
        try:
            while not self._ended.wait(_WATCH_S):
                self._submission.watch()
                if self._is_own:
                    self._trim(self._submission.stream)
                look += 1
                if look % _WORKERS_EVERY == 0 and (workers := self._workers()) is not None:
                    painters = self._painters(workers)
                    self._raw_bytes = self._largest_raw(painters)
                    self._submission.painters = _names(painters)
                    self._submission.resize(_size(painters), self._holds.wider(painters))
                    self._note_absence(why_nobody_paints(self._style, workers))
        except BaseException as error:
            self._fail(error)

    def _note_absence(self, why: str) -> None:
        """Say why nobody paints, once that has been so for two looks: a worker that restarts is back by then."""
        now_s = time.monotonic()
        if why and why == self._absence and now_s >= self._told_s:
            self._told_s = now_s + _AGAIN_S
            self.on_absence(why)
        self._absence = why

    def _collect(self, on_progress: Callable[[Progress], None]) -> None:
        for frame in self._collector.frames():
            painted = frame
            if self._smoother:
                painted = replace(frame, pixels=self._smoother.smooth(frame.seq, frame.pixels))
            if painted.seq >= self._first:
                self._sink.write(painted)
                self._done += 1
            self._submission.written(painted.seq)
            now_s = time.monotonic()
            self._rate.tick(now_s)
            total = self._source.info.frames
            done = self._first + self._done
            on_progress(Progress(done, total, self._rate.per_s(now_s), self._submission.in_flight))

    def _arrived(self, seq: int, stages: Stages, published_ms: int) -> None:
        self._holds.note(stages, published_ms)
        delay_s = self._submission.arrived(seq, stages)
        if delay_s is not None:
            self._delays.add(delay_s)

    def _trim(self, stream: str) -> None:
        """What this job, the stream's only reader, has read need not stay on the server."""
        # A server that goes away just now is waited for by whoever found it full.
        with suppress(ServerGone, ServerFull):
            if self._collector.has_read:
                self._transport.trim(stream, self._collector.cursor)

    def _workers(self) -> list[Heartbeat] | None:
        try:
            return self._transport.workers()
        except PipelineError:
            return None

    def _painters(self, workers: Sequence[Heartbeat]) -> list[Heartbeat]:
        return [beat for beat in workers if beat.style == self._style]

    def _leave(self) -> None:
        """Count the duplicates, and take the stream from the server."""
        self._duplicates = self._collector.duplicates
        with suppress(PipelineError):
            facts = self._transport.stream_facts(self._submission.stream)
            self._duplicates += int(facts.get("duplicates", 0))
        self._submission.close()

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._end()

    def _end(self) -> None:
        self._ended.set()
        self._submission.stop()
        self._collector.stop()


def _size(painters: Sequence[Heartbeat]) -> int:
    return window_size(sum(beat.threads for beat in painters))


def _names(painters: Sequence[Heartbeat]) -> frozenset[str]:
    return frozenset(beat.name for beat in painters)


def _facts(info: StreamInfo, style: str, look: Look) -> dict[str, str | int | float]:
    return {
        "style": style,
        **mix_facts(look),
        "mode": str(info.mode),
        "width": info.width,
        "height": info.height,
        "time_base": str(info.time_base),
        "rate": str(info.rate or ""),
        "frames": info.frames or 0,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
