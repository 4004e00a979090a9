"""A video file as a sink: short closed segments while painting goes on, joined by packet copy at the end.

Invariant: a frame is in exactly one closed segment, or it is given again by the next run. An encoder thread overlaps
x264 with painting; at most `_WAITING` frames wait for it, then `write` waits.
"""

import errno
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import Stopped, UsageError
from pipeline.process import shutdown
from pipeline.protocol.frame import Frame, Landmark, StreamInfo
from viewer.animation import is_numbered, write_animation
from viewer.encoders import ANIMATIONS, MUXERS, Encoder, resolve
from viewer.remux import Join, join
from viewer.segment_writer import SegmentWriter
from viewer.segments import PartsFolder, Segment, SinkOptions, fingerprint, sink_error
from viewer.source_file import Origin
from viewer.track_plan import TrackPlan, plan_tracks
from viewer.tracks import REFUSALS

log = logging.getLogger(__name__)

# Four 1280×720 frames are 11 MB and hide an encoder's hiccup on a scene cut.
_WAITING = 4
# For a place among them, and at the end for the frames that wait and the last segment's own end: x264's slowest preset
# took 124 s for that of 62 frames of 3840×2160 on half a core. Longer, and a disk stands still.
_FINISH_S = 600.0
# Where nothing more is wanted: whatever is not in a closed segment by then is painted again by the next run.
_CLOSE_S = 10.0
# How soon a `write` that waits notices that it is to end.
_LOOK_S = 0.2

# A full or broken disk is not the tracks' fault.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})

_Item = tuple[int, NDArray[np.uint8]]


class VideoSink:
    """Writes painted frames into `output`, with the source's sound and subtitles; see `viewer.sink.Sink`."""

    def __init__(self, source: Path, output: Path, info: StreamInfo, options: SinkOptions) -> None:
        """Take the output's working folder. Raises `UsageError`."""
        self._encoder, self._notices = choose_encoder(output, info, options)
        self._muxer = self._encoder.muxer
        self._output, self._info, self._options = output, info, options
        self._origin = Origin.read(source, info)
        # Before anything is painted: what a container refuses is to be known now.
        self._tracks = plan_tracks(source, self._muxer)
        self._notices += self._tracks.notices
        self._parts = PartsFolder(output, _job(source, info, options, self._encoder), fresh=options.fresh)
        self._next = self._parts.frames
        self._writer: SegmentWriter | None = None
        self._failure: BaseException | None = None
        self._queue: queue.Queue[_Item | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._is_stuck = False
        self._stopped_s: float | None = None

    def next_seq(self) -> int:
        """Return the first frame no closed segment holds."""
        return self._next

    def landmark(self) -> Landmark | None:
        """Return the last frame of the closed segments."""
        if not self._parts.segments:
            return None
        last = self._parts.segments[-1]
        return Landmark(last.first_seq + last.frames - 1, last.last_pts)

    def write(self, frame: Frame) -> None:
        """Hand the frame to the encoder; waits while it has four. Raises `SinkError`, `Stopped` after `stop`."""
        if frame.seq != self._next or frame.pixels.shape != (self._info.height, self._info.width, 3):
            raise ValueError(f"frame {frame.seq} of shape {frame.pixels.shape}, expected number {self._next}")
        self._raise_failure()
        if self._thread is None:
            self._thread = threading.Thread(target=self._encode_all, name="video-sink", daemon=True)
            self._thread.start()
        self._hand_over((frame.pts, frame.pixels))
        self._next += 1

    def take_notices(self) -> list[str]:
        """Return the lines about the output not taken yet."""
        notices, self._notices = self._notices, []
        return notices

    def stop(self) -> None:
        """Have a `write` that waits for the encoder end soon, and `finish` after some seconds."""
        self._stopped_s = time.monotonic()

    def finish(self) -> None:
        """Close the last segment, join all into the output, remove the working folder. Raises `SinkError`."""
        self._stop_thread(_FINISH_S)
        self._raise_failure()
        try:
            self._close_segment()
            if not self._parts.segments:
                raise OSError("not one frame was painted")
            self._join(self._parts.segments, self._output, complete=True)
        except (OSError, ValueError, av.FFmpegError) as error:
            raise sink_error(self._output, error) from error
        self._parts.remove()

    def keep_partial(self) -> Path | None:
        """Join what is painted into `<stem>.partial<suffix>`, keeping the closed segments for the next run."""
        if not self._stop_thread(_FINISH_S):
            return None
        segments = list(self._parts.segments)
        target = self._output.with_name(f"{self._output.stem}.partial{self._output.suffix}")
        try:
            if (last := self._finish_writer()) is not None:
                segments.append(last)
            if not segments:
                return None
            self._join(segments, target, complete=False)
        except (OSError, ValueError, av.FFmpegError) as error:
            log.warning("%s: what was painted so far cannot be written (%s)", target, error)
            return None
        finally:
            self._parts.release()
        return target

    def close(self) -> None:
        """Stop the encoder, drop the segment it is in, keep the closed ones."""
        if self._stop_thread(_CLOSE_S):
            self._let_go()

    def _hand_over(self, item: _Item) -> None:
        """Wait for a place. After a failure there is one soon: the thread empties the queue until its end is put."""
        end_s = time.monotonic() + _FINISH_S
        while not _put(self._queue, item, _LOOK_S):
            if self._stopped_s is not None or shutdown.has_begun():
                raise Stopped("stopped while the encoder was busy")
            if time.monotonic() > end_s:
                raise sink_error(self._output, _stands_still(_FINISH_S))

    def _encode_all(self) -> None:
        """Encode until the end is put. A failure is kept for the next `write`; then frames are only taken."""
        while (item := self._queue.get()) is not None:
            if self._is_stuck:
                break
            if self._failure is not None:
                continue
            try:
                self._encode(*item)
            except Exception as error:  # the thread's edge: `write` and `finish` raise it
                log.debug("encoder stopped", exc_info=True)
                self._failure = error
        if self._is_stuck:
            # Nobody is there to hear what else is wrong with such a disk.
            with suppress(OSError):
                self._let_go()

    def _let_go(self) -> None:
        """Drop the open segment and leave the folder to the next run."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._parts.release()

    def _encode(self, pts: int, pixels: NDArray[np.uint8]) -> None:
        if self._writer is None:
            path = self._parts.path / f"{self._parts.frames:09d}.{self._encoder.segment_format}"
            self._writer = SegmentWriter(path, self._info, self._origin.aspect, self._encoder)
        self._writer.write(pts, pixels)
        if self._writer.frames == self._options.segment_frames:
            self._close_segment()

    def _close_segment(self) -> None:
        if (segment := self._finish_writer()) is not None:
            self._parts.add(segment)

    def _finish_writer(self) -> Segment | None:
        writer, self._writer = self._writer, None
        if writer is None or not writer.frames:
            return None
        writer.finish()
        size_bytes = writer.path.stat().st_size
        first_seq = self._parts.frames
        return Segment(writer.path.name, first_seq, writer.frames, writer.first_pts, writer.last_pts, size_bytes)

    def _join(self, segments: list[Segment], target: Path, *, complete: bool) -> None:
        """Join into `target`. What was painted is not lost to the source's sound: without it, if need be."""
        joined = self._parts.path / f"joined{target.suffix}"
        to_end = complete and self._options.end_s is None
        job = Join(self._parts.path, tuple(segments), joined, self._muxer, to_end, bool(self._options.start_s))
        if self._muxer in ANIMATIONS:
            write_animation(job, self._origin, target)
            return
        for plan in (self._tracks, self._tracks.careful(), TrackPlan()):
            try:
                self._notices += join(replace(job, plan=plan), self._origin)
                break
            except REFUSALS as error:
                if not plan.ways or getattr(error, "errno", None) in _DISK_ERRORS:
                    raise
                log.info("%s: joined again with fewer tracks: %s", target, error)
                reason = getattr(error, "strerror", None) or error
                self._notices.append(f"{_kept(self._tracks, plan)} ({reason})")
        joined.replace(target)

    def _stop_thread(self, seconds: float) -> bool:
        """Have the encoder end with the frames it was given.

        False: it has not. It keeps its writer and the folder, or the next run would write into the same file, and lets
        both go when the disk does; ask no more.
        """
        if self._thread is None:
            return not self._is_stuck
        thread, began_s = self._thread, time.monotonic()
        end_s = began_s + seconds
        self._is_stuck = not (
            self._until(end_s, lambda look_s: _put(self._queue, None, look_s))
            and self._until(end_s, lambda look_s: shutdown.joined([thread], look_s))
        )
        if self._is_stuck:
            waited_s = time.monotonic() - began_s
            log.warning("%s: the encoder did not end within %.0f s", self._output, waited_s)
            self._failure = self._failure or _stands_still(waited_s)
        self._thread = None
        return not self._is_stuck

    def _until(self, end_s: float, ask: Callable[[float], bool]) -> bool:
        """Ask, waiting a moment each time, until it is so. False: not by `end_s`, or not soon after a stop."""
        while True:
            if self._stopped_s is not None:
                end_s = min(end_s, self._stopped_s + _CLOSE_S)
            if ask(_LOOK_S):
                return True
            if time.monotonic() > end_s:
                return False

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise sink_error(self._output, self._failure) from self._failure


def choose_encoder(output: Path, info: StreamInfo, options: SinkOptions) -> tuple[Encoder, list[str]]:
    """Return the encoder for an output, and lines for the user. Raises `UsageError`."""
    if output.suffix.lower() not in MUXERS:
        raise UsageError(f"{output}: a video is written as {', '.join(MUXERS)}, or as pictures: %05d.png")
    encoder, notices = resolve(options, output.suffix, (info.width, info.height))
    if is_numbered(output):
        encoder = replace(encoder, muxer="image2")
    if (size := encoder.padded(info.width, info.height)) != (info.width, info.height):
        notices.append(f"written as {size[0]}×{size[1]}: phones play even sizes alone")
    return encoder, notices


def _put(waiting: queue.Queue[_Item | None], item: _Item | None, seconds: float) -> bool:
    with suppress(queue.Full):
        waiting.put(item, timeout=seconds)
        return True
    return False


def _stands_still(seconds: float) -> OSError:
    return OSError(f"nothing was written for {seconds:.0f} s")


def _kept(planned: TrackPlan, tried: TrackPlan) -> str:
    """Return what becomes of the tracks after the container refused the plan just tried."""
    return "all sound is encoded anew, subtitles left out" if tried is planned else "sound and subtitles left out"


def _job(source: Path, info: StreamInfo, options: SinkOptions, chosen: Encoder) -> str:
    # The encoder's version is part of it: segments of two x264s cannot share one header.
    encoder = (chosen, av.__version__, sorted(av.library_versions.items()))
    return fingerprint(source, options=options, info=info, encoder=encoder)
