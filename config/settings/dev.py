"""One machine: `make run` and the commands beside it. No TLS in front, so cookies are not marked Secure."""

from config import env
from config.embedded import secret_key, secrets_key
from config.settings.base import *  # noqa: F403  # settings modules extend each other by design
from config.settings.base import SECRET_KEY, SECRETS_KEYS, VAR_DIR

SECRET_KEY = SECRET_KEY or secret_key(VAR_DIR)
SECRETS_KEYS = SECRETS_KEYS or [secrets_key(VAR_DIR)]
DEMO_ACCOUNTS = True
LOG_JSON = env.flag("LOG_JSON", False)
LOGGING = {"json": LOG_JSON, "level": env.text("LOG_LEVEL", "WARNING")}
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.filebased.EmailBackend")
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
# One process on loopback: files are served from where the build put them, so a second start has nothing to collect.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
ACCOUNT_EMAIL_VERIFICATION = "optional"  # mail is written to files, which nobody looks into on the first day
CONSOLE_MFA = env.flag(
    "CONSOLE_MFA", False
)  # the demo's operator has a password in a file of this machine, no telephone
