"""A good input of each kind: what fuzzing starts from, since wholly random bytes rarely get past the first check."""

import io
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from pathlib import Path

import msgpack
import numpy as np
import torch
from PIL import Image

from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec, EncodedFrame
from pipeline.protocol.wire import Stages, Ticket, pack_frame, pack_stages
from tests.media import Clip, make_clip, picture
from viewer.picture_coder import PageCodec, make_coder
from viewer.segments import Segment
from workers.classic_network import TransformerNet
from workers.network import StyleNetwork, Widths, save


def _frame(codec: Codec) -> bytes:
    data = encode_pixels(picture(1, 32, 24), codec)
    return pack_frame(EncodedFrame(1, 2, codec, 32, 24, data, "name"))


def _photo(kind: str, **options: object) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture(1, 32, 24)[:, :, ::-1])).save(written, kind, **options)
    return written.getvalue()


def _key_frame(codec: PageCodec) -> bytes:
    jpeg = encode_pixels(picture(1, 64, 48), Codec.MJPEG)
    return make_coder(codec, Fraction(1), 24).code(jpeg, 0, 1e6, key=True).data


def _in_file(suffix: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"seed{suffix}")
        write(path)
        return path.read_bytes()


def _manifest() -> bytes:
    segments = [asdict(Segment("0.mp4", 0, 4, 0, 3, 5))]
    return json.dumps({"version": 1, "job": "job", "segments": segments}).encode()


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Return good inputs of `target`."""
    jpeg = encode_pixels(picture(1, 32, 24), Codec.MJPEG)
    good: dict[str, Callable[[], tuple[bytes, ...]]] = {
        "wire_frame": lambda: tuple(map(_frame, Codec)),
        "wire_stages": lambda: (pack_stages(Stages(1, 2, 3.0, 4.0, 5.0, "wave", "w")),),
        "ticket": lambda: (msgpack.packb(Ticket("s", 1, 1).to_args()),),
        "image_header": lambda: (jpeg, encode_pixels(picture(1, 32, 24), Codec.PNG)),
        "socket_text": lambda: (
            b'{"type":"watch","streams":["a"],"compare":true}',
            b'{"type":"camera","styles":["wave"],"strength":0.5,"keep_colours":false}',
            b'{"type":"drawn","stream":"a","seq":7,"delay_ms":81.2}',
            b'{"type":"wish","stream":"a","style":"wave"}',
            b'{"type":"can","video":["h264","vp8"],"always":true}',
            b'{"type":"key","stream":"a"}',
            b'{"type":"echo","at_ms":12.5}',
            b'{"type":"watch","streams":["a"],"width":320}',
            b'{"type":"drawn","stream":"a","seq":7,"delay_ms":81.2,"held_ms":3.5}',
        ),
        "socket_picture": lambda: (struct.pack("<Bd", 1, 12.5) + jpeg,),
        "camera_video": lambda: (
            struct.pack("<BBBd", 4, 1, 1, 12.5) + _key_frame(PageCodec.H264),
            struct.pack("<BBBd", 4, 2, 1, 12.5) + _key_frame(PageCodec.VP8),
        ),
        "upload": lambda: (jpeg, b"\0\0\0\x18ftypisom", b"RIFF0000WEBP", b"G" + bytes(187) + b"G"),
        "manifest": lambda: (_manifest(),),
        "settings_value": lambda: (b"PAINTER_JPEG_QUALITY=90\nPAINTER_DEVICE=cuda:1\nPAINTER_TLS_CA=/x",),
        "broker_url": lambda: (b"redis://:secret@host:6379/0", b"redis+socket:///x?virtual_host=0", b"sentinel://a;b"),
        "style_safetensors": lambda: (
            _in_file(".safetensors", lambda path: save(StyleNetwork(Widths(8, 8, 8, 1)).eval(), path)),
        ),
        "style_pth": lambda: (
            _in_file(".pth", lambda path: torch.save({"conv1.conv2d.bias": torch.zeros(32)}, path)),
            _in_file(".pth", lambda path: torch.save(TransformerNet().state_dict(), path)),
        ),
        "style_card": lambda: (b'{"painting": "The Great Wave", "year": 1831}',),
        "photo": lambda: (
            _photo("PNG"),
            _photo("JPEG"),
            _photo("WEBP"),
            _photo("TIFF"),
            _photo("BMP"),
            _photo("GIF"),
        ),
        "video": lambda: (
            _in_file(".mp4", lambda path: make_clip(path, Clip(frames=3, width=32, height=32))),
            _in_file(".mkv", lambda path: make_clip(path, Clip(frames=3, width=32, height=32))),
        ),
    }
    return good[target]()
