"""`make pictures`: draw docs/pictures anew from a cloud assembly."""

from __future__ import annotations

import argparse
from pathlib import Path

from pictures.pages import drawn

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"


def main() -> None:
    """Write every picture, and take away those that are drawn no more."""
    parser = argparse.ArgumentParser(prog="python -m pictures", description=__doc__)
    parser.add_argument("assembly", type=Path, help="the folder that cdk synth wrote")
    pictures = drawn(parser.parse_args().assembly)
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        if old.name not in pictures:
            old.unlink()
    for name, svg in pictures.items():
        (FOLDER / name).write_text(svg)
    print(f"{len(pictures)} pictures in docs/pictures")


if __name__ == "__main__":
    main()
