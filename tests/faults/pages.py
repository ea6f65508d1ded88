"""How long pages take, measured from a process of its own: `python -m tests.faults.pages PORT` until its input ends."""

import json
import sys
import threading
import time
from http.client import HTTPConnection

READERS = 2
TIMEOUT_S = 20


def main(port: int) -> None:
    """Ask for the front page from a few readers; print the seconds of each answer as JSON."""
    ending, took = threading.Event(), list[float]()

    def read() -> None:
        while not ending.wait(0.1):
            began = time.monotonic()
            connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
            connection.request("GET", "/", headers={"Host": "localhost", "Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            took.append(time.monotonic() - began if answer.status == 200 else TIMEOUT_S)
            connection.close()

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    sys.stdin.read()
    ending.set()
    for reader in readers:
        reader.join()
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    main(int(sys.argv[1]))
