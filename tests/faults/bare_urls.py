"""A deliberate defect: the site's addresses without its error pages."""

from config.urls import urlpatterns

__all__ = ["urlpatterns"]
