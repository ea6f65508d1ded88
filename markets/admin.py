"""The operator's view of markets: venues and their terms, what is followed, how feeds and data do."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from markets.models import DayQuality, FeedState, Instrument, Refusal, Run, Venue
from markets.quality import GOAL


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that the platform writes and operators look at."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(Venue)
class VenueAdmin(ReadOnlyAdmin):
    """Where candles come from, what each can deliver and on which terms."""

    list_display = ("title", "key", "kind", "offers", "terms", "licence", "created_at")
    list_filter = ("kind",)
    search_fields = ("key", "title")
    fields = ("key", "title", "kind", "adapter", "offers", "terms", "licence", "redistribution", "limits", "created_at")
    readonly_fields = fields

    @admin.display(description="Capabilities")
    def offers(self, venue: Venue) -> str:
        """Comma-separated."""
        return ", ".join(word.replace("_", " ") for word in venue.capabilities)

    @admin.display(description="Terms")
    def terms(self, venue: Venue) -> str:
        """A link, or a dash where nobody's terms apply."""
        if not venue.terms_url:
            return "–"
        return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', venue.terms_url, "terms of use")


@admin.register(Instrument)
class InstrumentAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """A venue's whole market; the tick says what is fed, decided and shown. The feed takes changes on by itself."""

    list_display = ("symbol", "venue", "market_class", "quote", "calendar", "tick_size", "followed")
    list_editable = ("followed",)
    list_filter = ("followed", "venue", "market_class", "quote")
    search_fields = ("symbol", "raw_symbol", "base")
    list_select_related = ("venue",)
    fields = ("venue", "raw_symbol", "symbol", "base", "quote", "market_class", "tick_size", "calendar", "followed")
    readonly_fields = ("venue", "raw_symbol", "symbol", "base", "quote", "market_class", "tick_size", "calendar")
    ordering = ("-followed", "symbol")
    actions = ("follow", "unfollow")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: `manage.py sync_instruments` lists a venue's market."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: candles, rounds and the record name instruments by their row."""
        return False

    @admin.action(description="Follow")
    def follow(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        """Tick the chosen ones."""
        self.message_user(request, f"{queryset.update(followed=True)} instruments are followed")

    @admin.action(description="Do not follow any more")
    def unfollow(self, request: HttpRequest, queryset: QuerySet[Instrument]) -> None:
        """Untick them; what was recorded stays."""
        self.message_user(request, f"{queryset.update(followed=False)} instruments are not followed any more")


@admin.register(FeedState)
class FeedStateAdmin(ReadOnlyAdmin):
    """Whether each feed is live, delayed or down, since when, and why."""

    list_display = ("series", "venue", "state", "since", "last_message_at", "reconnects", "skew_s", "detail")
    list_filter = ("state", "venue")
    list_select_related = ("venue", "instrument")
    ordering = ("venue", "instrument")

    @admin.display(description="Series")
    def series(self, row: FeedState) -> str:
        """The instrument, or the connection as a whole."""
        return row.instrument.symbol if row.instrument else "connection"


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Every stretch of a feed."""

    list_display = ("venue", "state", "started_at", "ended_at", "speed", "speed_reached", "market_at", "beat_at")
    list_filter = ("state",)
    list_select_related = ("venue",)
    ordering = ("-started_at",)


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    """Refused candles by day and reason, with the last one as it came."""

    list_display = ("day", "instrument", "reason", "count", "sample")
    list_filter = ("reason", "day")
    list_select_related = ("instrument__venue",)
    ordering = ("-day", "-count")


@admin.register(DayQuality)
class DayQualityAdmin(ReadOnlyAdmin):
    """Due candles of a day and the share that was on time and untainted."""

    list_display = ("day", "instrument", "due", "good", "share", "reaches_goal")
    list_filter = ("day",)
    list_select_related = ("instrument__venue",)
    ordering = ("-day", "instrument")

    @admin.display(description="Score")
    def share(self, row: DayQuality) -> str:
        """In percent."""
        return "–" if row.score is None else f"{row.score:.2%}"

    @admin.display(description=f"≥ {GOAL:.1%}", boolean=True)
    def reaches_goal(self, row: DayQuality) -> bool | None:
        """Whether the day reached what a day should reach."""
        return None if row.score is None else row.score >= GOAL
