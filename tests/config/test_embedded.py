"""The embedded cluster is made once, however many processes of a fresh machine ask for it at the same moment."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASK = """
import sys
from pathlib import Path
import psycopg
from config.embedded import APP, start_database, stop_database
database = start_database(Path(sys.argv[1]), durable=False)
with psycopg.connect(database.url(APP)) as connection:
    print(connection.execute("SELECT current_user, inet_server_addr() IS NULL").fetchone(), database.socket_dir)
sys.stdin.readline()
stop_database(database)
"""


def test_processes_that_start_together_share_one_cluster(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ASK, str(tmp_path / "postgres")]
    together = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [child.stdout.readline() for child in together if child.stdout]  # all have it before one leaves
    ended = [child.communicate("\n", timeout=120) for child in together]
    assert [child.returncode for child in together] == [0] * 4, ended
    assert len(set(said)) == 1
    assert said[0].startswith("('candor_app', True)")
