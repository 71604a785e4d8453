#!/usr/bin/env python3
"""Draws the letters K to T in one font, shifted, turned, sized and noisy: a folder for each letter in letters/train and letters/test.

    pip install pillow numpy
    python letters.py FONT.ttf [--train 20] [--test 100]     # pictures of each letter
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 28


def picture(letter, font_file, random):
    """One letter, white on black as in notMNIST."""
    font = ImageFont.truetype(font_file, int(random.integers(16, 27)))
    large = Image.new("L", (2 * SIZE, 2 * SIZE))
    ImageDraw.Draw(large).text((SIZE, SIZE), letter, fill=255, font=font, anchor="mm")
    large = large.rotate(random.uniform(-25, 25), Image.Resampling.BILINEAR)
    x, y = (int(n) for n in SIZE // 2 + random.integers(-4, 5, 2))
    values = np.asarray(large.crop((x, y, x + SIZE, y + SIZE)), dtype=float)
    values = values * random.uniform(0.4, 1.0) + random.normal(0, 25, values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("font")
    arguments.add_argument("--train", type=int, default=20)
    arguments.add_argument("--test", type=int, default=100)
    taken = arguments.parse_args()
    for seed, (split, count) in enumerate({"train": taken.train, "test": taken.test}.items()):
        random = np.random.default_rng(seed)
        for letter in "KLMNOPQRST":
            folder = Path("letters", split, letter)
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture(letter, taken.font, random).save(folder / f"{number:03}.png")


if __name__ == "__main__":
    main()
