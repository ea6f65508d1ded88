"""Who may call which address, task and socket, and with what. A new one fails the suite until it is entered here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tests.isolation.inventory import routes
from tests.isolation.world import Side

Facts = Callable[[Side], dict[str, Any]]


def nothing(_: Side) -> dict[str, Any]:
    """No arguments, no data."""
    return {}


class Needs(IntEnum):
    """The least a caller must be; whoever is less is refused whatever they send."""

    ANYONE = 0
    SIGNED_IN = 1
    MEMBER = 2
    WRITER = 3
    MANAGER = 4
    OWNER = 5
    OPERATOR = 6


RANKS = {
    "visitor": Needs.ANYONE,
    "readonly": Needs.MEMBER,
    "teammate": Needs.WRITER,
    "manager": Needs.MANAGER,
    "owner": Needs.OWNER,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One address.

    Attributes:
        needs: the least rank that is let in.
        methods: every method it answers; all others must be refused (of a library's addresses only these are tried).
        keys: what fills the address for a side's own row.
        data: what a form posts.
        posts_row: the form, not the address, names the row.
        to_write: the least a caller must be to post, where that is more.
        personal: the row is for one person outside the organization, so that not even its members may use it.
        why: for an address that shows no tenant's rows, why that is so.
    """

    needs: Needs
    methods: tuple[str, ...] = ("GET",)
    keys: Facts = nothing
    data: Facts = nothing
    posts_row: bool = False
    to_write: Needs | None = None
    personal: bool = False
    why: str = ""

    def least(self, method: str) -> Needs:
        """The least rank that a request of this method takes."""
        return self.to_write if self.to_write is not None and method != "GET" else self.needs

    @property
    def names_row(self) -> bool:
        """Whether a caller chooses the row, and so may try another tenant's."""
        return (self.keys is not nothing or self.posts_row) and not self.why


def row(name: str, word: str = "pk") -> Facts:
    """The address argument `word` from one of a side's keys."""
    return lambda side: {word: side.keys[name]}


ABSENT = 9_999_999
BOTH, POST = ("GET", "POST"), ("POST",)
PUBLIC = "the record is public, held back by the plan's delay"
OWN = "shows the session's own user and nobody else"
ENTRANCE = "where people come in: it knows nobody yet"

RULES: dict[str, Rule] = {
    # the record and the market: the same rows for everybody, by plan
    "board": Rule(Needs.ANYONE, why=PUBLIC),
    "signal": Rule(Needs.ANYONE, keys=lambda _: {"public_id": "00000000-0000-4000-8000-000000000000"}, why=PUBLIC),
    "chart": Rule(Needs.ANYONE, keys=lambda _: {"instrument_id": ABSENT}, why=PUBLIC),
    "history": Rule(Needs.ANYONE, why=PUBLIC),
    "models": Rule(Needs.ANYONE, why=PUBLIC),
    "history-csv": Rule(Needs.ANYONE, why=PUBLIC),
    "patterns": Rule(Needs.ANYONE, why=PUBLIC),
    "settings": Rule(Needs.ANYONE, BOTH, why="preferences live in the browser's own cookie"),
    "disclaimer": Rule(Needs.ANYONE, why="a text"),
    "terms": Rule(Needs.ANYONE, why="a text"),
    "gallery": Rule(Needs.ANYONE, why="made-up widgets, absent from an installation"),
    # the organization
    "accounts:accept": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "accounts:organization": Rule(Needs.MEMBER),
    "accounts:rename": Rule(Needs.MANAGER, POST, data=lambda side: {"name": f"renamed by {side.marker}"}),
    "accounts:switch": Rule(Needs.MEMBER, POST, data=lambda side: {"organization": side.keys["slug"]}, posts_row=True),
    "accounts:invite": Rule(
        Needs.MANAGER, POST, data=lambda side: {"email": f"new@{side.marker}.example", "role": "member"}
    ),
    "accounts:withdraw": Rule(Needs.MANAGER, POST, row("invitation")),
    "accounts:role": Rule(Needs.MANAGER, POST, row("teammate_membership"), data=lambda _: {"role": "admin"}),
    "accounts:remove": Rule(Needs.MANAGER, POST, row("owner_membership")),
    "accounts:invitation": Rule(Needs.SIGNED_IN, BOTH, row("invitation_token", "token"), personal=True),
    "accounts:audit": Rule(Needs.MANAGER),
    "accounts:audit-csv": Rule(Needs.MANAGER),
    "accounts:found": Rule(Needs.SIGNED_IN, BOTH, data=lambda side: {"name": f"founded by {side.marker}"}),
    "accounts:transfer": Rule(
        Needs.OWNER,
        BOTH,
        data=lambda side: {"heir": side.keys["teammate_membership"], "name": side.organization.name},
    ),
    "accounts:close-organization": Rule(Needs.OWNER, BOTH, data=lambda side: {"name": side.organization.name}),
    "accounts:keep-organization": Rule(Needs.OWNER, POST),
    "identity:organization-security": Rule(Needs.MANAGER, BOTH, data=lambda _: {"required": "on"}),
    "instruments": Rule(Needs.MEMBER, BOTH, to_write=Needs.WRITER),
    # its money
    "billing:overview": Rule(Needs.MEMBER),
    "billing:plans": Rule(Needs.MEMBER),
    "billing:return": Rule(Needs.MEMBER),
    "billing:checkout": Rule(Needs.MANAGER, POST, data=lambda _: {"price": "candor_pro_month", "currency": "usd"}),
    "billing:order": Rule(Needs.MANAGER, BOTH, row("order", "key")),
    "billing:refresh": Rule(Needs.MANAGER, POST),
    "billing:change": Rule(Needs.MANAGER, BOTH, data=lambda _: {"price": "candor_desk_month"}),
    "billing:cancel": Rule(Needs.MANAGER, BOTH),
    "billing:resume": Rule(Needs.MANAGER, POST),
    "billing:invoices": Rule(Needs.MANAGER),
    "billing:portal": Rule(Needs.MANAGER, POST),
    "billing:webhook": Rule(Needs.ANYONE, POST, why="takes what carries Stripe's signature, and answers nothing"),
    # a person's own
    "accounts:privacy": Rule(Needs.SIGNED_IN, why=OWN),
    "accounts:export": Rule(Needs.SIGNED_IN, POST, data=lambda _: {"of": "account"}, why=OWN),
    "accounts:download": Rule(Needs.SIGNED_IN, keys=row("export"), personal=True),
    "accounts:close-account": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "accounts:keep-account": Rule(Needs.SIGNED_IN, POST, why=OWN),
    "accounts:end-impersonation": Rule(Needs.OPERATOR, POST),
    "identity:end-session": Rule(Needs.OWNER, POST, row("owner_session")),
    "usersessions_list": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_index": Rule(Needs.SIGNED_IN, why=OWN),
    "mfa_activate_totp": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_deactivate_totp": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_generate_recovery_codes": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_view_recovery_codes": Rule(Needs.SIGNED_IN, why=OWN),
    "mfa_download_recovery_codes": Rule(Needs.SIGNED_IN, why=OWN),
    "mfa_list_webauthn": Rule(Needs.SIGNED_IN, why=OWN),
    "mfa_add_webauthn": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_edit_webauthn": Rule(
        Needs.OWNER, ("GET", "POST", "PUT"), row("owner_passkey"), data=lambda side: {"name": side.marker}
    ),
    "mfa_remove_webauthn": Rule(Needs.OWNER, ("GET", "POST", "DELETE"), row("owner_passkey")),
    "mfa_authenticate": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "mfa_login_webauthn": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "mfa_reauthenticate": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "mfa_reauthenticate_webauthn": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    # where people come in and see to their own account (allauth)
    "account_login": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "account_logout": Rule(Needs.ANYONE, BOTH, why=OWN),
    "account_inactive": Rule(Needs.ANYONE, why="a text"),
    "account_signup": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "account_reauthenticate": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "account_email": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "account_email_verification_sent": Rule(Needs.ANYONE, why="a text"),
    "account_change_password": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "account_set_password": Rule(Needs.SIGNED_IN, BOTH, why=OWN),
    "account_reset_password": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "account_reset_password_done": Rule(Needs.ANYONE, why="a text"),
    "account_reset_password_from_key": Rule(
        Needs.ANYONE, BOTH, keys=lambda _: {"uidb36": "1", "key": "no-such-key"}, why=ENTRANCE
    ),
    "account_reset_password_from_key_done": Rule(Needs.ANYONE, why="a text"),
    "account_confirm_login_code": Rule(Needs.ANYONE, BOTH, why=ENTRANCE),
    "account_confirm_email": Rule(Needs.ANYONE, BOTH, keys=lambda _: {"key": "no-such-key"}, why=ENTRANCE),
    # the API
    "api:me": Rule(Needs.ANYONE, why=OWN),
    "api:auth-register": Rule(Needs.ANYONE, POST, why=ENTRANCE),
    "api:auth-login": Rule(Needs.ANYONE, POST, why=ENTRANCE),
    "api:auth-refresh": Rule(Needs.ANYONE, POST, why=ENTRANCE),
    "api:auth-me": Rule(Needs.SIGNED_IN, why=OWN),
    "api:instruments": Rule(Needs.ANYONE, why=PUBLIC),
    "api:candles": Rule(Needs.ANYONE, why=PUBLIC),
    "api:rounds": Rule(Needs.ANYONE, why=PUBLIC),
    "api:round": Rule(Needs.ANYONE, keys=lambda _: {"public_id": "00000000-0000-4000-8000-000000000000"}, why=PUBLIC),
    "api:latest-signal": Rule(Needs.ANYONE, keys=lambda _: {"instrument": "BTC-USDT"}, why=PUBLIC),
    "api:signal-history": Rule(Needs.ANYONE, keys=lambda _: {"instrument": "BTC-USDT"}, why=PUBLIC),
    "api:patterns": Rule(Needs.ANYONE, why=PUBLIC),
    "api:events": Rule(Needs.ANYONE, why=PUBLIC),
    "api:health": Rule(Needs.ANYONE, why=PUBLIC),
    "api:schema": Rule(Needs.ANYONE, why="the description of the API"),
    "api-docs": Rule(Needs.ANYONE, why="the description of the API"),
    "console": Rule(Needs.OPERATOR),
    "metrics": Rule(Needs.ANYONE, why="counters without a tenant; refused without its token where one is set"),
}


RULES |= {
    route.name: Rule(Needs.ANYONE, BOTH, why=f"allauth's own API: {OWN}")
    for route in routes()
    if route.name.startswith("headless:")
} | {route.name: Rule(Needs.OPERATOR) for route in routes() if route.name.startswith("no-phones-")}

MARKET = "the market and the public record belong to no tenant"

TASKS: dict[str, str] = {
    "accounts.tasks.make_person_export": "a person's own copy, made inside their own fence",
    "accounts.tasks.keep_promises": "operator work on the record: erases what is due",
    "accounts.tasks.forget_old_rows": "operator work on the record: the retention rules",
    "billing.tasks.pass_time": "operator work on the record: finds subscriptions whose time has come",
    "billing.tasks.sweep_events": "operator work on the record: events of Stripe not yet worked on",
    "billing.tasks.work_on": "takes the number of an event of Stripe, which names its organization itself",
    "markets.tasks.ingest_closed": MARKET,
    "markets.tasks.measure_quality": MARKET,
    "markets.tasks.poll_derivatives": MARKET,
    "markets.tasks.poll_words": MARKET,
    "markets.tasks.forget_old_headlines": MARKET,
    "markets.tasks.create_partitions": MARKET,
    "markets.tasks.drop_old_books": MARKET,
    "models_ml.tasks.retrain": MARKET,
    "models_ml.tasks.mine_patterns": MARKET,
    "models_ml.tasks.update": MARKET,
    "models_ml.tasks.tune": MARKET,
    "models_ml.tasks.judge": MARKET,
    "models_ml.tasks.review_panel": MARKET,
    "models_ml.tasks.recalibrate": MARKET,
    "models_ml.tasks.sweep_trainings": MARKET,
    "models_ml.tasks.forget_language_calls": MARKET,
    "signals.tasks.decide_minute": MARKET,
    "signals.tasks.sweep": MARKET,
    "signals.tasks.resolve_outcomes": MARKET,
    "signals.tasks.tell_feeds": MARKET,
    "signals.tasks.watch_patterns": MARKET,
    "signals.tasks.shadow_sizes": MARKET,
    "signals.tasks.forget_push_events": MARKET,
}
"""Tasks that work for no tenant, and why. Every other task is a `TenantTask`, tried with the other side's rows."""

TENANT_TASKS: dict[str, Facts] = {
    "accounts.tasks.make_organization_export": lambda side: {
        "export_id": str(side.keys["export"]),
        "user_id": side.keys["user"],
    },
}
"""Arguments of each `TenantTask` after the organization's id, naming a side's own rows."""

SOCKETS = {"ws/board/": "rounds and market events of one tier of plans; nothing on it belongs to a tenant"}
"""Every WebSocket address, and what travels on it."""
