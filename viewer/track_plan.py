"""Which of the source's tracks the output will hold, and how: tried on their first packets before anything is painted.

Invariant: a film is never lost to its sound or subtitles. What the container refuses is converted, else left out, and
`notices` says so in one line a track.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from pipeline.ffmpeg import file_url, picture_track
from viewer.sound import EncodedSound
from viewer.tracks import REFUSALS, CopiedTrack, CoverTrack, TextTrack, Track, describe

log = logging.getLogger(__name__)

# So many packets of a track are tried, of so many read in all: 2 MB of a usual film, but of a master in ProRes they
# would be a gigabyte.
_HEAD_PACKETS, _READ_PACKETS, _READ_BYTES = 24, 600, 1 << 24
# Players take PCM in MP4 (`ipcm`) for noise; QuickTime and Matroska are its usual homes.
_SOUND_TO_ENCODE = {"mp4": "pcm_"}
_SOUND_CODECS = {"webm": "libopus"}
# What MP4 and MOV hold as covers.
_COVERS = frozenset({"mjpeg", "png", "bmp"})
#: FFmpeg's muxers of pictures alone.
PICTURES_ONLY = frozenset({"gif", "webp", "apng", "image2", "yuv4mpegpipe"})


class Way(StrEnum):
    """How a track reaches the output."""

    COPY = "copied"
    ENCODE = "encoded"
    TEXT = "written as the container's text"


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """The tracks kept, by the source's stream index, and what is said of the others."""

    ways: dict[int, Way] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    #: The cover pictures among `ways`.
    covers: dict[int, bytes] = field(default_factory=dict)

    def careful(self) -> "TrackPlan":
        """Return a plan for a container that refused a track after all: sound decoded and encoded, no subtitles."""
        return TrackPlan({index: Way.ENCODE for index, way in self.ways.items() if way is not Way.TEXT})


def plan_tracks(path: Path, muxer: str) -> TrackPlan:
    """Try all side tracks of `path` in a container of FFmpeg's `muxer`; of a broken source what can be read."""
    try:
        with av.open(file_url(path), metadata_errors="replace") as source:
            return _plan(source, muxer)
    except av.FFmpegError as error:
        log.debug("%s: no side tracks: %s", path, error)
        return TrackPlan()


def open_tracks(source: InputContainer, out: OutputContainer, plan: TrackPlan) -> dict[int, Track]:
    """Add the planned tracks to `out`; by the source's stream index. Raises ValueError, `av.FFmpegError`."""
    tracks: dict[int, Track] = {}
    for stream in source.streams:
        way = plan.ways.get(stream.index)
        if stream.type == "attachment":
            if way is Way.COPY:
                out.add_stream_from_template(stream)
        elif stream.index in plan.covers and way is not None:
            if (cover := _open_cover(stream, out, plan.covers[stream.index])) is not None:
                tracks[stream.index] = cover
        elif way is not None and (way is not Way.ENCODE or stream.type == "audio"):
            tracks[stream.index] = _open(stream, out, way)
    return tracks


def _open_cover(stream: Stream, out: OutputContainer, data: bytes) -> CoverTrack | None:
    """Add a cover: as a track, in Matroska as an attachment, which is written with the header."""
    if out.format.name != "matroska":
        return CoverTrack(stream, out, data)
    kind = _codec(stream)
    name = stream.metadata.get("filename") or f"cover.{'jpg' if kind == 'mjpeg' else kind}"
    out.add_attachment(name, f"image/{'jpeg' if kind == 'mjpeg' else kind}", data)
    return None


def _plan(source: InputContainer, muxer: str) -> TrackPlan:
    ways: dict[int, Way] = {}
    notices: list[str] = []
    data: list[str] = []  # timecodes, telemetry: phones write four
    side = [stream for stream in source.streams if not (_is_picture(source, stream) or _names_chapters(source, stream))]
    if muxer in PICTURES_ONLY:
        kinds = sorted({_kind(stream) for stream in side})
        return TrackPlan({}, (f"{', '.join(kinds)} left out: {muxer} holds pictures alone",) if kinds else ())
    heads = _heads(source, [stream for stream in side if stream.type in ("audio", "subtitle")])
    covers = {stream.index: bytes(heads[stream.index][0]) for stream in side if _is_cover(stream, heads)}
    for stream in side:
        way = next((way for way in _ways(stream, muxer) if _works(stream, way, muxer, heads[stream.index])), None)
        if way is None:
            notices.append(
                f"{_kind(stream)} track {stream.index} ({_codec(stream)}) left out: {muxer} does not take it"
            )
        else:
            ways[stream.index] = way
        if way is Way.ENCODE:
            notices.append(f"sound track {stream.index} ({_codec(stream)}) becomes {_sound_codec(muxer)} in {muxer}")
    if data:
        notices.append(f"data tracks left out: {', '.join(data)}")
    return TrackPlan(ways, tuple(notices), {index: data for index, data in covers.items() if index in ways})


def _ways(stream: Stream, muxer: str) -> Sequence[Way]:
    """Return what to try, best first."""
    if stream.type == "attachment":
        return (Way.COPY,) if muxer == "matroska" else ()
    if stream.disposition & Disposition.attached_pic:
        return (Way.COPY,) if muxer in ("matroska", "mp4") else ()
    if stream.type not in ("audio", "subtitle") or not stream.codec_context:
        return ()  # timecodes, telemetry, and codecs this FFmpeg does not know
    if stream.type == "subtitle":
        return (Way.COPY, Way.TEXT)
    unwanted = _SOUND_TO_ENCODE.get(muxer)
    return (Way.ENCODE,) if unwanted and _codec(stream).startswith(unwanted) else (Way.COPY, Way.ENCODE)


def _works(stream: Stream, way: Way, muxer: str, head: Sequence["Packet[Any]"]) -> bool:
    """Say whether the container takes the track's header, and of its first packets at least one."""
    if stream.type == "attachment":
        return _takes_attachment(stream, muxer)
    if stream.disposition & Disposition.attached_pic:
        return bool(head) and (muxer == "matroska" or _codec(stream) in _COVERS)
    taken = 0
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as out:
            track = _open(stream, out, way)
            out.start_encoding()
            for packet in head:
                try:
                    for done in track.convert(_clone(packet), _first_s(head)):
                        out.mux(done)
                        taken += 1
                except REFUSALS as error:
                    log.debug("track %d: a packet is refused: %s", stream.index, error)
            for done in track.flush():
                out.mux(done)
                taken += 1
    except REFUSALS as error:
        log.debug("track %d cannot be %s in %s: %s", stream.index, way, muxer, error)
        return False
    return taken > 0 or not head


def _takes_attachment(stream: Stream, muxer: str) -> bool:
    """Say whether the header can be written: an attachment without a name or kind, as broken files have, ends it."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as out:
            out.add_stream_from_template(stream)
            out.start_encoding()
    except REFUSALS as error:
        log.debug("attachment %d is refused: %s", stream.index, error)
        return False
    return True


def _open(stream: Stream, out: OutputContainer, way: Way) -> Track:
    track: Track
    if way is Way.ENCODE and isinstance(stream, AudioStream):
        track = EncodedSound(stream, out, _sound_codec(out.format.name))
    elif way is Way.TEXT and isinstance(stream, SubtitleStream):
        track = TextTrack(stream, out)
    else:
        track = CopiedTrack(stream, out)
    describe(stream, track.target)
    return track


def _heads(source: InputContainer, streams: Sequence[Stream]) -> "dict[int, list[Packet[Any]]]":
    """Return the first packets of each track, by stream index; fewer of one that begins late."""
    heads: dict[int, list[Packet[Any]]] = {stream.index: [] for stream in source.streams}
    wanted = {stream.index for stream in streams}
    read = read_bytes = 0
    try:
        # All tracks, so that the count bounds what is read of the pictures too.
        for packet in source.demux():
            read, read_bytes = read + 1, read_bytes + packet.size
            head = heads[packet.stream.index]
            is_wanted = packet.stream.index in wanted or packet.stream.disposition & Disposition.attached_pic
            if is_wanted and packet.size and len(head) < _HEAD_PACKETS:
                head.append(_clone(packet))
            if (
                read > _READ_PACKETS
                or read_bytes > _READ_BYTES
                or all(len(heads[index]) >= _HEAD_PACKETS for index in wanted)
            ):
                break
    except av.FFmpegError as error:
        log.debug("tracks of a broken file: %s", error)
    return heads


def _clone(packet: "Packet[Any]") -> "Packet[Any]":
    clone: Packet[Any] = Packet(bytes(packet))
    clone.stream, clone.time_base = packet.stream, packet.time_base
    clone.pts, clone.dts, clone.duration = packet.pts, packet.dts, packet.duration
    clone.is_keyframe = packet.is_keyframe
    return clone


def _first_s(head: Sequence["Packet[Any]"]) -> Any:
    stamp = head[0].pts if head[0].pts is not None else head[0].dts
    return (stamp or 0) * head[0].time_base


def _is_cover(stream: Stream, heads: "dict[int, list[Packet[Any]]]") -> bool:
    return bool(stream.disposition & Disposition.attached_pic) and bool(heads[stream.index])


def _names_chapters(source: InputContainer, stream: Stream) -> bool:
    """Say whether this is the track in which MP4 keeps what `chapters()` gives."""
    return stream.type == "data" and _codec(stream) == "bin_data" and bool(source.chapters())


def _is_picture(source: InputContainer, stream: Stream) -> bool:
    return stream is picture_track(source.streams.video)


def _kind(stream: Stream) -> str:
    if stream.disposition & Disposition.attached_pic:
        return "cover"
    return {"audio": "sound"}.get(stream.type, stream.type)


def _sound_codec(muxer: str) -> str:
    return _SOUND_CODECS.get(muxer, "aac")


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context is not None else getattr(stream, "name", None) or "unknown"
