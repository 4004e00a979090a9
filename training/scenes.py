"""The photos to practise on, each with the simplified scene that its painting should show.

A scene is simplified by a Kuwahara filter (large even areas, crisp borders) with its local contrast raised; faces keep
more detail. So the content loss asks for areas and borders, not for every leaf of the photo. Crops depend on a
generator alone: a resumed run sees exactly the crops it would have seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.photos import Picture, read_picture
from workers.processing import tone_curve

# Photos are kept at this short side; a crop shows most of a scene 400 to 560 px high.
_SHORT_SIDE_PX = 480
_SCALES_PX = (400, 560)
# Radius of the Kuwahara filter and its rounds; of a face only a third of an eye's width.
_RADIUS_PX, _ROUNDS = 4, 2
_FACE_RADIUS_PX = 2
# Local contrast: share of what a blur of 7 px takes away.
_PUNCH, _FACE_PUNCH, _PUNCH_PX = 0.6, 0.4, 7.0
# Share of crops with a face, and of crops darkened as in a fade.
_FACES, _FADES = 0.18, 0.12
# Boxes of faces (left, top, width, height, at a short side of 480 px) in the photos that `make materials` fetches.
_FACE_BOXES = Path(__file__).with_name("faces.json")

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scene:
    """A photo after the tone curve, its simplified copy (both H×W×3 uint8 RGB), and its faces, H×W, 0..255."""

    photo: Picture
    simplified: Picture
    faces: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Crop:
    """1 x 3 x S x S RGB 0..1: photo and simplified scene; 1 x 1 x S x S: where faces are, 0..1."""

    photo: Tensor
    simplified: Tensor
    faces: Tensor


class SceneSet:
    """Scenes in memory, about 2 MB each."""

    def __init__(self, paths: Sequence[Path], *, contrast: float) -> None:
        boxes = json.loads(_FACE_BOXES.read_text(encoding="utf-8"))
        self._scenes = [make_scene(path, boxes.get(path.name, []), contrast=contrast) for path in paths]
        self._with_faces = [scene for scene in self._scenes if scene.faces.max() > 0]

    def __len__(self) -> int:
        return len(self._scenes)

    def crop(self, rng: np.random.Generator, size_px: int) -> Crop:
        """Draw a scene, its scale, place and mirror; sometimes darkened, so that fades stay dark."""
        scenes = self._with_faces if self._with_faces and rng.random() < _FACES else self._scenes
        crop = _cut(scenes[int(rng.integers(len(scenes)))], rng, size_px)
        if rng.random() >= _FADES:
            return crop
        light = float(rng.uniform(0.0, 0.6))
        return Crop(crop.photo * light, crop.simplified * light, crop.faces)

    def survey(self, rng: np.random.Generator, count: int, size_px: int) -> Tensor:
        """count x 3 x size x size: whole simplified scenes, squeezed, for the palette."""
        chosen = rng.choice(len(self._scenes), count, replace=count > len(self._scenes))
        size = (size_px, size_px)
        small = [cv2.resize(self._scenes[i].simplified, size, interpolation=cv2.INTER_AREA) for i in chosen]
        return torch.cat([_tensor(picture) for picture in small])


def make_scene(path: Path, boxes: Sequence[Sequence[int]], *, contrast: float) -> Scene:
    """Read a photo and simplify it; raises UsageError if it is not an image."""
    photo = read_picture(path, short_side_px=_SHORT_SIDE_PX)
    ratio = _SHORT_SIDE_PX / min(photo.shape[:2])
    if ratio > 1.0:
        photo = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    photo = np.ascontiguousarray(photo)
    photo = np.asarray(cv2.LUT(photo, tone_curve(photo[..., ::-1], contrast)), np.uint8)
    faces = _face_mask(photo.shape[0], photo.shape[1], boxes)
    simplified = _punched(simplify(photo, _RADIUS_PX, rounds=_ROUNDS), _PUNCH)
    if faces.any():
        fine = _punched(simplify(photo, _FACE_RADIUS_PX, rounds=1), _FACE_PUNCH)
        simplified = np.asarray(simplified * (1.0 - faces[..., None]) + fine * faces[..., None], np.uint8)
    return Scene(photo, simplified, np.round(faces * 255.0).astype(np.uint8))


def simplify(picture: Picture, radius_px: int, *, rounds: int) -> Picture:
    """Kuwahara filter (Kuwahara 1976, smooth weights after Papari 2007) of an H×W×3 uint8 picture, any channel order.

    Each pixel takes the mean of those of eight neighbourhoods around it that vary least.
    """
    picture = np.asarray(cv2.bilateralFilter(picture, 9, 40, 5), np.uint8)
    for _ in range(rounds):
        picture = _kuwahara(picture, radius_px)
    return picture


def _kuwahara(picture: Picture, radius_px: int) -> Picture:
    sigma = radius_px / 2.2
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma)
    variance = cv2.GaussianBlur(luma * luma, (0, 0), sigma) - cv2.GaussianBlur(luma, (0, 0), sigma) ** 2
    size = (picture.shape[1], picture.shape[0])
    total: Plane = np.zeros(picture.shape, np.float32)
    weights: Plane = np.zeros(luma.shape, np.float32)
    for angle in np.arange(8) * np.pi / 4:
        move = np.array([[1, 0, 0.8 * radius_px * np.cos(angle)], [0, 1, 0.8 * radius_px * np.sin(angle)]], np.float32)
        moved_mean, moved_variance = (
            cv2.warpAffine(plane, move, size, borderMode=cv2.BORDER_REFLECT) for plane in (mean, variance)
        )
        weight = np.asarray((1.0 / (np.maximum(moved_variance, 0.0) + 2.0)) ** 3, np.float32)
        total += np.asarray(moved_mean * weight[..., None], np.float32)
        weights += weight
    return np.asarray(np.clip(total / weights[..., None], 0.0, 255.0), np.uint8)


def _punched(picture: Picture, amount: float) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), _PUNCH_PX)
    return np.asarray(cv2.addWeighted(picture, 1.0 + amount, soft, -amount, 0.0), np.uint8)


def _face_mask(height: int, width: int, boxes: Sequence[Sequence[int]]) -> Plane:
    mask = np.zeros((height, width), np.float32)
    for left, top, across, down in boxes:
        centre, axes = (left + across // 2, top + down // 2), (round(across * 0.6), round(down * 0.75))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 8.0), np.float32) if boxes else mask


def _cut(scene: Scene, rng: np.random.Generator, size_px: int) -> Crop:
    height, width = scene.photo.shape[:2]
    # The window in the kept photo that shows `size_px` of a scene of the drawn height.
    window = min(height, width, round(size_px * _SHORT_SIDE_PX / float(rng.uniform(*_SCALES_PX))))
    top, left = int(rng.integers(0, height - window + 1)), int(rng.integers(0, width - window + 1))
    rows, columns = slice(top, top + window), slice(left, left + window)
    way = cv2.INTER_AREA if window > size_px else cv2.INTER_CUBIC
    planes = [
        np.asarray(cv2.resize(plane[rows, columns], (size_px, size_px), interpolation=way), np.uint8)
        for plane in (scene.photo, scene.simplified, scene.faces)
    ]
    if rng.random() < 0.5:
        planes = [plane[:, ::-1] for plane in planes]
    photo, simplified, faces = planes
    return Crop(_tensor(photo), _tensor(simplified), torch.from_numpy(faces.copy())[None, None].float() / 255.0)


def _tensor(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255.0
