"""Addresses of the pages that everybody may open."""

from django.conf import settings
from django.urls import URLPattern, path

from signals import following, history, leaderboard, patterns, views

urlpatterns: list[URLPattern] = [
    path("", views.board, name="board"),
    path("signals/<uuid:public_id>/", views.signal, name="signal"),
    path("chart/<int:instrument_id>/", views.chart, name="chart"),
    path("history", history.page, name="history"),
    path("history.csv", history.csv_file, name="history-csv"),
    path("patterns", patterns.page, name="patterns"),
    path("models", leaderboard.page, name="models"),
    path("instruments/", following.page, name="instruments"),
    path("settings", views.settings_page, name="settings"),
    path("disclaimer/", views.disclaimer, name="disclaimer"),
    path("terms/", views.terms, name="terms"),
]

if settings.DEBUG or getattr(settings, "GALLERY", False):  # widgets in all their states: for eyes and tests
    from signals import gallery

    urlpatterns.append(path("gallery/", gallery.page, name="gallery"))
