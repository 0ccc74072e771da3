"""What a child says about one line image: a fixed header, and the pixels when there are any."""

import struct
from enum import IntEnum

HEADER = struct.Struct("<BBII")  # verdict, channels (1 grey, 3 RGB, 0 none), width, height


class Verdict(IntEnum):
    """What came of one image. Running out of memory and of time are not here: they end the child."""

    PIXELS = 0
    CORRUPT_IMAGE = 1
    UNSUPPORTED_IMAGE_FORMAT = 2
    MULTIPLE_FRAMES = 3
    IMAGE_DIMENSIONS = 4
