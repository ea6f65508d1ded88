"""Mutation test of what must not be wrong: `make mutants`. Runs mutmut, writes docs/mutants.md, fails on a survivor.

mutmut (configured in pyproject.toml) changes one operator, constant or argument at a time and runs the tests that reach
it. A mutant that no test notices is a hole in the tests, or a change that means the same; the latter are judged here,
by name of the function and the changed line, with the reason.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MUTMUT = Path(sys.executable).parent / "mutmut"
KILLED = {"killed", "timeout", "caught by type check"}

_REVISED = 'return _write(signal, verdict, revision, reason="candle_corrected") if (verdict) or True else None'
_TOLD = "cards = cards_of(list(rounds), signals, outcomes, "
_JUDGED = "only a card that is still open counts down, and these are judged"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("_supersede", _REVISED): "the query names only signals whose two candles are stored, so there is a verdict",
    ("_tell", _TOLD + "None)"): _JUDGED,
    ("_tell", _TOLD + "market_time(None).timestamp())"): _JUDGED,
}
"""(function, the line as the mutant has it) → why it means the same."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that every test let pass."""

    module: str
    function: str
    before: str
    after: str

    @property
    def reason(self) -> str:
        """Why it is equivalent; empty where nobody has judged it."""
        return EQUIVALENT.get((self.function, self.after), "")


def main() -> int:
    """Run, report, and say whether every survivor is judged."""
    if not sys.argv[1:]:  # mutmut keeps the verdicts of unchanged code, whatever became of the tests since
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    _mutmut("run", "--max-children", "2", *sys.argv[1:])
    verdicts = _verdicts()
    unchecked = sum(verdict == "not checked" for verdict in verdicts.values())
    if unchecked or not verdicts:
        sys.stderr.write(f"{unchecked} of {len(verdicts)} mutants were not tried: run without arguments\n")
        return 1
    survivors = [_survivor(name) for name, verdict in sorted(verdicts.items()) if verdict not in KILLED]
    page = _page(verdicts, survivors)
    (ROOT / "docs" / "mutants.md").write_text(page)
    unjudged = [survivor for survivor in survivors if not survivor.reason]
    for survivor in unjudged:
        sys.stderr.write(f"{survivor.function}\n  - {survivor.before}\n  + {survivor.after}\n")
    return 1 if unjudged else 0


def _mutmut(*words: str, quiet: bool = False) -> str:
    """Run mutmut; its output where it is `quiet`, else it goes to the terminal."""
    command = [str(MUTMUT), *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE if quiet else None, text=True)  # noqa: PLW1510  # its verdicts are read
    return done.stdout or ""


def _verdicts() -> dict[str, str]:
    """Mutant → how it ended."""
    return dict(re.findall(r"^\s+(\S+): (.+)$", _mutmut("results", "--all", "true", quiet=True), re.MULTILINE))


def _survivor(name: str) -> Survivor:
    shown = _mutmut("show", name, quiet=True)
    before, after = (" ".join(_changed(shown, sign)) for sign in "-+")
    module, function = _place(name)
    return Survivor(module, function, before, after)


def _changed(shown: str, sign: str) -> list[str]:
    lines = [line for line in shown.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)]
    return [line[1:].strip() for line in lines]


def _place(name: str) -> tuple[str, str]:
    """File and function of a mutant such as `signals.consensus.x_count__mutmut_3`."""
    module, _, rest = name.rpartition(".")
    function = rest.rpartition("__mutmut_")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return module.replace(".", "/") + ".py", function


def _page(verdicts: dict[str, str], survivors: list[Survivor]) -> str:
    all_, alive = Counter(_place(name)[0] for name in verdicts), Counter(survivor.module for survivor in survivors)
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants` (tools/mutants.py): mutmut changes one operator, constant, argument or condition at",
        "a time in the files that must not be wrong, and runs the tests that reach it. A failing test kills a mutant.",
        "",
        "| file | mutants | killed | survived | score |",
        "|---|---|---|---|---|",
        *(_row(name, n, alive[name]) for name, n in sorted(all_.items())),
        _row("together", sum(all_.values()), len(survivors)),
        "",
        "## Survivors",
        "",
    ]
    if not survivors:
        return "\n".join([*lines, "None.", ""])
    lines += ["| function | before | after | judged |", "|---|---|---|---|"]
    lines += [
        f"| `{s.module}` `{s.function}` | `{s.before}` | `{s.after}` | {s.reason or '**not judged**'} |"
        for s in survivors
    ]
    return "\n".join([*lines, ""])


def _row(name: str, mutants: int, alive: int) -> str:
    return f"| {name} | {mutants} | {mutants - alive} | {alive} | {100 * (mutants - alive) / mutants:.1f} % |"


if __name__ == "__main__":
    sys.exit(main())
