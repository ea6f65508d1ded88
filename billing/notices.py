"""What pages say about a subscription that needs attention."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.access import Viewer
from accounts.plans import plan_of
from billing.gateway import enabled
from billing.models import Subscription
from billing.state import Phase
from lib.clock import wall_now


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence, and the time it is about."""

    tone: str
    text: str
    until: datetime | None = None


def notice_of(row: Subscription | None) -> Notice | None:
    """What is to be said of a subscription now; None where all is well."""
    if row is None:
        return None
    due, plan = row.entitlement(wall_now()), plan_of(row.plan).title
    words = {
        Phase.GRACE: ("warn", _("A payment failed. %s stays until the time below; then the Free plan applies.")),
        Phase.LAPSED: ("bad", _("A payment is missing, so %s has ended. Pay the open invoice to get it back.")),
        Phase.UNPAID: ("bad", _("A payment is missing, so %s has ended. Pay the open invoice to get it back.")),
        Phase.INCOMPLETE: ("warn", _("The first payment for %s is not finished yet.")),
        Phase.PAUSED: ("warn", _("%s is paused. Add a way to pay to go on.")),
        Phase.ENDING: ("", _("%s is cancelled and ends at the time below. Nothing is deleted.")),
    }
    if due.phase not in words:
        return None
    tone, text = words[due.phase]
    return Notice(tone, text % plan, due.until)


def banner_notice(viewer: Viewer | None) -> Notice | None:
    """The notice for the frame of every page: only what costs the viewer's organization its plan."""
    if viewer is None or viewer.organization_id is None or not enabled():
        return None
    found = notice_of(Subscription.objects.filter(organization_id=viewer.organization_id).first())
    return found if found and found.tone else None
