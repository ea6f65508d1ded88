"""The door to every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_ctrl_c_ends_a_command_with_one_line(django_db_setup: None) -> None:
    # A suite that runs in the background hands an ignored SIGINT down.
    code = "from signal import *; signal(SIGINT, default_int_handler); raise_signal(SIGINT)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_reader_who_has_seen_enough_gets_no_traceback(django_db_setup: None) -> None:
    code = "print('word ' * 100_000, flush=True)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("word", ["0.5", "0", "-1", "nan"])
def test_a_door_that_would_admit_nobody_stops_the_start(django_db_setup: None, word: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    given = os.environ | {"SOCKET_ACCEPTS_A_SECOND": word}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
    told = f"SOCKET_ACCEPTS_A_SECOND='{word}' is out of range: use 1 or more\n"
    assert (done.returncode, done.stderr) == (1, told)
