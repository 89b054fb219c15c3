"""Real photographs to measure the input pipeline on: JPEG files of one size, cut from Debian's wallpapers.

Needs apt-get and dpkg-deb, but not to be root: the packages are only unpacked.

    files = cut_photographs(fetch_photographs(folder), (500, 375), 256, folder / "small")
"""

import pathlib
import subprocess

from PIL import Image

PACKAGES = ("mate-backgrounds", "plasma-workspace-wallpapers", "lomiri-wallpapers-16.04")


def fetch_photographs(folder: pathlib.Path) -> list[str]:
    """Return the paths of the packages' JPEG files, largest of each kind."""
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    files = [file for file in folder.rglob("*.jpg") if file.is_file()]
    largest = {}
    for file in sorted(files, key=lambda file: file.stat().st_size):
        key = file.parent if "contents" in file.parts else file  # a wallpaper comes at many resolutions
        largest[key] = file
    return sorted(map(str, largest.values()))


def cut_photographs(
    photographs: list[str], side: tuple[int, int], count: int, folder: pathlib.Path, *, quality: int = 90
) -> list[str]:
    """Write JPEG files of one size into a new folder and return their paths.

    Args:
        photographs: files; those that are too small are left out.
        side: width and height to cut, in pixels.
        count: how many to write at most.
        folder: is made.
        quality: of JPEG.
    """
    tiles = []
    for photograph in photographs:
        tiles += tiles_of(Image.open(photograph).convert("RGB"), *side)
        if len(tiles) >= count:
            break
    folder.mkdir()
    files = [str(folder / f"{number:05}.jpg") for number in range(min(count, len(tiles)))]
    for file, tile in zip(files, tiles):
        tile.save(file, quality=quality)
    return files


def tiles_of(image: Image.Image, width: int, height: int) -> list[Image.Image]:
    """Return the tiles of a photograph that is shrunk to hold two by two, or one where it is too small, or none."""
    if image.width < width or image.height < height:
        return []
    along = 2 if image.width >= 2 * width and image.height >= 2 * height else 1
    share = max(along * width / image.width, along * height / image.height)
    image = image.resize((round(image.width * share) + 1, round(image.height * share) + 1), Image.LANCZOS)
    corners = [(x * width, y * height) for x in range(along) for y in range(along)]
    return [image.crop((left, top, left + width, top + height)) for left, top in corners]
