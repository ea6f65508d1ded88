"""`manage.py verify_audit`: recompute every audit chain and name the first row that does not hold."""

from django.core.management.base import BaseCommand, CommandError

from accounts.audit import operator_work
from accounts.audit_reading import verify_chains


class Command(BaseCommand):
    """Checks that no audit row was changed, removed, added or moved."""

    help = "Recompute the audit log's hash chains; fails and names the first broken row of each."

    def handle(self, *args: object, **options: object) -> None:
        """Check, and fail loudly."""
        with operator_work("command:verify_audit", "recompute the chains"):
            count, broken = verify_chains()
        for each in broken:
            self.stderr.write(f"chain {each.chain}, row {each.number}: {each.reason}")
        if broken:
            raise CommandError(f"{len(broken)} of {count} audit chains are broken")
        self.stdout.write(f"{count} audit chains are whole")
