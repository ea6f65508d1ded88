#!/usr/bin/env python
"""The door to every command. Without DATABASE_URL it uses the embedded PostgreSQL under `var/`."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line
from django.db import ProgrammingError

from config.embedded import stop_database, use_embedded
from config.env import BadSettingError

INTERRUPTED = 128 + 2
"""What shells report of a command that Ctrl-C ended."""
AS_OWNER = frozenset({"migrate", "makemigrations"})
"""Commands that run as the role that owns the tables, and that know themselves what the database lacks."""
FILES_ONLY = frozenset({"evaluate", "evaluate_book", "evaluate_sentiment", "evaluate_volatility"})
"""Commands that read files alone: no database is started for them."""


def main() -> None:
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in AS_OWNER:
        os.environ["CANDOR_DB_AS_OWNER"] = "1"
    var = Path(os.environ.get("CANDOR_VAR", Path(__file__).parent / "var"))
    database = None if name in FILES_ONLY else use_embedded(var)
    try:
        execute_from_command_line(sys.argv)
    except BadSettingError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except ProgrammingError as error:
        line = None if name in AS_OWNER else _why_behind(error)
        if line is None:
            raise
        sys.stderr.write(f"{line}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        if database is not None:
            stop_database(database)


def _why_behind(error: ProgrammingError) -> str | None:
    from config.behind import why_behind  # only what failed reads the migrations

    return why_behind(error)


if __name__ == "__main__":
    main()
