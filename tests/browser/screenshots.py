"""Takes the pictures of the page that stand in docs/: `python -m tests.browser.screenshots URL CAMERA.mjpeg docs`.

The page must be served with its workers (`painter up`). CAMERA is an MJPEG file that Chromium's fake camera plays; its
name is shown as the camera's.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, camera_arguments

# Long enough for the charts to show something and for the caches to be warm.
_LIVE_MS, _KEY_MS = 9000, 5000


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: the window, the theme, the style, and the keys pressed once the camera is live."""

    name: str
    width: int
    height: int
    theme: str
    style: str
    keys: str


SHOTS = (
    Shot("live", 1120, 700, "dark", "starry", "i"),
    Shot("compare", 1120, 700, "light", "cafe", "c"),
    Shot("wall", 1120, 700, "dark", "wave", "g"),
    Shot("phone", 390, 844, "light", "wave", ""),
)


def take(browser: Browser, url: str, shot: Shot) -> Image.Image:
    """Return one picture, in 256 colours as documents need no more."""
    theme = "dark" if shot.theme == "dark" else "light"
    context = browser.new_context(viewport={"width": shot.width, "height": shot.height}, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    page.locator(f".style[data-style={shot.style}]").click()
    page.locator("#start").click()
    page.wait_for_selector("[data-tone=live]")
    page.wait_for_timeout(_LIVE_MS)
    for key in shot.keys:
        page.keyboard.press(key)
        page.wait_for_timeout(_KEY_MS)
    page.mouse.move(shot.width * 0.5, shot.height * 0.35)  # brings the controls back
    page.wait_for_timeout(700)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return picture.quantize(256, method=Image.Quantize.MEDIANCUT)


def main(url: str, camera: str, folder: str) -> None:
    """Take all pictures into `folder`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=camera_arguments(Path(camera)))
        for shot in SHOTS:
            take(browser, url, shot).save(Path(folder) / f"page-{shot.name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:4])
