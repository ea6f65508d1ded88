#!/usr/bin/env python
"""The door to every command. Without DATABASE_URL it uses the embedded PostgreSQL under `var/`."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from config.embedded import stop_database, use_embedded
from config.env import BadSettingError

INTERRUPTED = 128 + 2
"""What shells report of a command that Ctrl-C ended."""
FILES_ONLY = frozenset({"evaluate", "evaluate_book", "evaluate_sentiment", "evaluate_volatility"})
"""Commands that read files alone: no database is started for them."""


def main() -> None:
    """Run one command; `migrate` alone runs as the role that owns the tables."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    if len(sys.argv) > 1 and sys.argv[1] in {"migrate", "makemigrations"}:
        os.environ["CANDOR_DB_AS_OWNER"] = "1"
    files_only = len(sys.argv) > 1 and sys.argv[1] in FILES_ONLY
    var = Path(os.environ.get("CANDOR_VAR", Path(__file__).parent / "var"))
    database = None if files_only else use_embedded(var)
    try:
        execute_from_command_line(sys.argv)
    except BadSettingError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        if database is not None:
            stop_database(database)


if __name__ == "__main__":
    main()
