"""`python -m jtoolbox run script.py [arguments]` and `python -m jtoolbox check script.py`."""

from __future__ import annotations

import sys

from jtoolbox.programs import check, run

USAGE = """usage: python -m jtoolbox run script.py [arguments]   run a PyTorch script on jtoolbox
       python -m jtoolbox check script.py ...         list the names of torch that scripts use
"""


def main(arguments: list[str]) -> int:
    """The exit code: the script's; of a check 0, or 1 when something is absent; 2 for usage."""
    match arguments:
        case ["run", script, *rest]:
            return run(script, rest)
        case ["check", first, *rest]:
            return max(check(script) for script in [first, *rest])
        case ["-h" | "--help"]:
            print(USAGE, end="")
            return 0
    print(USAGE, end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
