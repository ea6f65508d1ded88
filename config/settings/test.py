"""The suite: cheap hashes, no pool (role changes need fresh connections), mail in memory unless a test sets a sink."""

from pathlib import Path

from config.settings.base import *  # noqa: F403  # settings modules extend each other by design
from config.settings.base import BASE_DIR, DATABASES, VAR_DIR

SECRET_KEY = "only-for-tests-" + "x" * 40
SECRETS_KEYS = ["b25seSBmb3IgdGVzdHMsIDMyIGJ5dGVzIGluIGFsbC4="]
DATABASES["default"]["OPTIONS"].pop("pool")  # type: ignore[attr-defined]  # a plain dict from env.database
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
LOGGING = {"json": True, "level": "ERROR"}
ARTIFACTS_DIR = Path(VAR_DIR) / "test-artifacts"
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
(BASE_DIR / "static" / "dist").mkdir(parents=True, exist_ok=True)
SOCKET_ACCEPTS_A_SECOND = 10_000.0  # tests open sockets as they like
GALLERY = True  # the page that shows every widget in every state
ACCOUNT_EMAIL_VERIFICATION = "optional"  # tests of the mail's way itself make it mandatory, as it is in life
