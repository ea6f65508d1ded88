"""Servers behind TLS. Missing secrets stop the start with a system check, not with a guess."""

from config import env
from config.settings.base import *  # noqa: F403  # settings modules extend each other by design

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_PROXY") else None
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-candor-session"
CSRF_COOKIE_NAME = "__Host-candor-csrf"
LANGUAGE_COOKIE_SECURE = True
LANGUAGE_COOKIE_NAME = "__Host-candor-language"
PREFERENCES_COOKIE_NAME = "__Host-candor-view"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
if SENTRY_DSN := env.text("SENTRY_DSN"):
    import sentry_sdk

    sentry_sdk.init(dsn=SENTRY_DSN, send_default_pii=False)
