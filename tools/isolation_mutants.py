"""`make isolation`: take one scope, policy or permission away at a time; the isolation suite must notice each.

Each mutant is one replacement in a copy of the tree. The report says which tests noticed, and whether the walk with
both walls standing still found no leak: a missing scope is noticed with the other wall taken away, and leaks nothing
while it stands. A mutant whose text is no longer found once in its file is an error: the list is kept with the code.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", "var", "node_modules", "mutants", "__pycache__", ".*_cache", ".venv")
FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
LANES = 2
"""Copies of the tree that are tried at a time, each with a database of its own: the walk itself is one process."""
BOTH_WALLS = "test_nothing_of_another_tenant_is_reached[both"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing taken away: in `path`, `before` becomes `after`."""

    title: str
    path: str
    before: str
    after: str

    @property
    def selection(self) -> str:
        """For pytest's -k: the walk, and each wall alone where one has a hole."""
        return "both" if self.title.startswith("permission") else "both or each_wall"


MANAGER = "    objects: ClassVar[TenantManager[Self]] = TenantManager()"
OPEN_MANAGER = "    objects = models.Manager()"
MODELS, BILLING = "accounts/models.py", "billing/models.py"
FIRST, TENANCY, MONEY = (
    "accounts/migrations/0001_initial.py",
    "accounts/migrations/0003_tenancy.py",
    "billing/migrations/0001_initial.py",
)
VIEWS = "accounts/views.py"
MANAGING = "    require_managing(viewer)\n"


def _without_manager(title: str, path: str, column: str) -> Mutant:
    """A model whose rows are no longer scoped in code; `column` ends the line before its manager."""
    return Mutant(f"scope: {title}", path, f"{column}\n\n{MANAGER}", f"{column}\n\n{OPEN_MANAGER}")


def _without_policy(title: str, path: str, line: str) -> Mutant:
    """A table that PostgreSQL no longer fences."""
    return Mutant(f"policy: {title}", path, f"        {line}\n", "")


def _without_right(title: str, path: str, before: str, asked: str = MANAGING, after: str = "") -> Mutant:
    """A page that no longer asks who may: `asked` goes from between `before` and `after`."""
    return Mutant(f"permission: {title}", path, before + asked + after, before + after)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "scope: every model at once",
        "accounts/scoping.py",
        'return super().get_queryset().filter(**{self.path: scope["organization"]})',
        "return super().get_queryset()",
    ),
    _without_manager("memberships", MODELS, '_("since"), default=wall_now, editable=False)'),
    _without_manager("invitations", MODELS, '_("accepted"), null=True, blank=True)'),
    _without_manager("API keys", MODELS, '_("revoked"), null=True, blank=True)'),
    _without_manager("audit log", MODELS, '_("hash"), max_length=64, blank=True, default="", editable=False)'),
    _without_manager("subscriptions", BILLING, 'help_text=_("The past-due date whose grace was said to end")\n    )'),
    _without_policy("memberships", FIRST, 'RowLevelSecurity("membership", also_user="user_id"),'),
    _without_policy("invitations", FIRST, 'RowLevelSecurity("invitation", also_email="email"),'),
    _without_policy("API keys", FIRST, 'RowLevelSecurity("apikey", also_key_prefix="prefix"),'),
    _without_policy("sealed secrets", TENANCY, 'RowLevelSecurity("tenantsecret"),'),
    _without_policy("customers", MONEY, 'RowLevelSecurity("customer"),'),
    _without_policy("subscriptions", MONEY, 'RowLevelSecurity("subscription"),'),
    _without_right("renaming", VIEWS, "    found = access_organization(viewer)\n", after="    form = RenameForm"),
    _without_right("inviting", VIEWS, "    found = access_organization(viewer)\n", after="    form = InviteForm"),
    _without_right("withdrawing an invitation", VIEWS, "    found = access_invitation(viewer, pk)\n"),
    _without_right("changing a role", VIEWS, "", after="    form = RoleForm"),
    _without_right("reading the audit log", "accounts/access.py", "    organization = access_organization(viewer)\n"),
    _without_right("closing the organization", "accounts/ownership_views.py", "", "    require_owning(viewer)\n"),
    _without_right("asking members for a second factor", "accounts/identity/views.py", ""),
    Mutant(
        "permission: ending somebody's session",
        "accounts/identity/views.py",
        "get_object_or_404(UserSession, pk=pk, user=_user(request))",
        "get_object_or_404(UserSession, pk=pk)",
    ),
    Mutant(
        "permission: an invitation to somebody else",
        "accounts/inviting.py",
        "Invitation.objects.filter(token_hash=token_hash(token), email=user.email).first()",
        "Invitation.objects.filter(token_hash=token_hash(token)).first()",
    ),
    Mutant(
        "permission: the console",
        "accounts/middleware.py",
        "if in_console and not (viewer.operator and _from_operators_network()):",
        "if False:",
    ),
    Mutant(
        "permission: spending the organization's money",
        "billing/views.py",
        "if not viewer_of(request).may_manage or not isinstance(request.user, User):",
        "if not isinstance(request.user, User):",
    ),
    Mutant(
        "permission: choosing instruments", "signals/following.py", "    if not viewer.may_write:\n", "    if False:\n"
    ),
)


def main() -> int:
    """Run all, `LANES` at a time; 1 when one was not noticed."""
    with tempfile.TemporaryDirectory(prefix="candor-isolation-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for lane in range(LANES):
            trees.put(shutil.copytree(ROOT, Path(folder) / f"tree-{lane}", ignore=LEFT_OUT, symlinks=True))

        def tried(mutant: Mutant) -> list[str]:
            tree = trees.get()
            failed = _tried(tree, mutant)
            trees.put(tree)
            print(f"{'noticed' if failed else 'NOT NOTICED'}: {mutant.title}", flush=True)
            return failed

        with ThreadPoolExecutor(LANES) as lanes:
            found = list(lanes.map(tried, MUTANTS))
    lines = [_line(mutant, failed) for mutant, failed in zip(MUTANTS, found, strict=True)]
    missed = sum(not failed for failed in found)
    _write(lines, missed)
    return 1 if missed else 0


def _line(mutant: Mutant, failed: list[str]) -> str:
    leaks = any(BOTH_WALLS in name for name in failed)
    return f"| {mutant.title} | `{mutant.path}` | {_names(failed)} | {'yes' if leaks else 'no'} |"


def _tried(tree: Path, mutant: Mutant) -> list[str]:
    """The tests that fail with the mutant in place."""
    file = tree / mutant.path
    text = file.read_text()
    if text.count(mutant.before) != 1:
        sys.exit(
            f"{mutant.path}: {mutant.before!r} is there {text.count(mutant.before)} times, not once: mend the list"
        )
    file.write_text(text.replace(mutant.before, mutant.after))
    try:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:logging",
                "-p",
                "no:cacheprovider",
                "-k",
                mutant.selection,
                "tests/isolation/test_isolation.py",
            ],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(text)
    return FAILED.findall(run.stdout)


def _names(failed: list[str]) -> str:
    short = sorted({name.rpartition("::")[2].partition("[")[0] for name in failed})
    return ", ".join(f"`{name}`" for name in short) or "**nobody**"


def _write(lines: list[str], missed: int) -> None:
    text = (
        f"""# What notices a hole between tenants

Written by `make isolation` (tools/isolation_mutants.py): one scope, policy or permission is taken away at a time, and
tests/isolation has to fail. The last column says whether the walk with both walls standing found anything: where one
wall is gone and the other still stands, it must not.

{len(lines)} taken away, {len(lines) - missed} noticed.

| taken away | where | noticed by | reached with the other wall standing |
|---|---|---|---|
"""
        + "\n".join(lines)
        + "\n"
    )
    (ROOT / "docs" / "isolation.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
