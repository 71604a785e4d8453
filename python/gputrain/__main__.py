"""``python -m gputrain`` is the program."""

from ._program import main

main()
