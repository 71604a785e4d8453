"""The program ``gputrain``."""

import sys

from ._native import main as native_main


def main():
    """Runs the program with the command line of this process."""
    sys.exit(native_main(["gputrain", *sys.argv[1:]]))
