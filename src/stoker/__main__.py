"""The command `stoker`, also `python -m stoker`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the exit code: 0 done, 1 failed, 2 usage."""
    try:
        from stoker.cli.app import run

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        print('stoker: the command line needs two more packages: pip install "stoker[cli]"', file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:  # before the command itself could hear it
        return 130


if __name__ == "__main__":
    sys.exit(main())
