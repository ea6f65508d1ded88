"""What every installation shares. Each value that an operator may change is read from the environment by name."""

from datetime import timedelta
from pathlib import Path

from csp.constants import NONCE

from config import env

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = Path(env.text("CANDOR_VAR", str(BASE_DIR / "var")))

SECRET_KEY = env.text("SECRET_KEY")
SECRETS_KEYS = env.words("SECRETS_KEYS")  # base64 of 32 bytes each; the first one seals, all open
DEBUG = False
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost 127.0.0.1 [::1]")
TRUSTED_PROXIES = env.words("TRUSTED_PROXIES")  # networks whose X-Forwarded-For is believed
CONSOLE_NETWORKS = env.words("CONSOLE_NETWORKS")  # networks that may open the console; none named means all
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold",  # stands before the admin, whose templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_celery_beat",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "config",
    "accounts",
    "markets",
    "models_ml",
    "signals",
    "trading",
    "alerts",
    "billing",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.middleware.RequestContextMiddleware",
    "accounts.identity.middleware.LimitTraceMiddleware",
    "accounts.identity.bearer.BearerMiddleware",
    "config.middleware.PrivateCacheMiddleware",
    "accounts.identity.middleware.SessionLimitMiddleware",
    "accounts.identity.middleware.ConsoleMiddleware",
    "accounts.middleware.TenantMiddleware",
    "accounts.identity.middleware.RequiredMfaMiddleware",
    "accounts.throttling.RateHeadersMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "config.context.site",
            ],
        },
    }
]

# Two roles: the owner migrates, the application owns nothing and so cannot undo row-level security.
_APP_URL = "postgresql://candor_app@localhost/candor"
_OWNER_URL = "postgresql://candor_owner@localhost/candor"
DB_AS_OWNER = env.flag("CANDOR_DB_AS_OWNER")
DATABASES = {
    "default": env.database("DATABASE_OWNER_URL", _OWNER_URL) if DB_AS_OWNER else env.database("DATABASE_URL", _APP_URL)
}
DATABASES["default"] |= {
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"]["OPTIONS"],  # type: ignore[dict-item]  # env.database returns plain objects
        "pool": {"min_size": 1, "max_size": env.whole("DATABASE_POOL", 24, low=1), "timeout": 5},
        "application_name": "candor",
        "connect_timeout": 5,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache"
        if REDIS_URL
        else "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": REDIS_URL or "candor",
        **({"OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1}} if REDIS_URL else {}),
    }
}

# ---- people
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "accounts.identity.passwords.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # while it is optional, sign-up itself tells which addresses are known
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that signed up; anywhere else the link only confirms
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_CHANGE_EMAIL = True  # one address a person; a new one takes its place once it is confirmed
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# Each is counted per `ip`, per `user`, or per `key`: the address a form names (docs/security.md has the table).
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",  # the key is account and ip: nobody can lock another's account by its name
    "login_account": "50/h/key",  # wrong passwords of one account from all over the world
    "signup": "10/m/ip,60/h/ip",
    "reset_password": "10/m/ip,3/10m/key",
    "confirm_email": "1/3m/key",
    "manage_email": "10/m/user",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
    "mail": "20/h/key",  # whatever is asked for, no mailbox gets more
}
MFA_ADAPTER = "accounts.identity.mfa.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Candor"
MFA_TOTP_TOLERANCE = 0  # a used code is remembered for one period: with a tolerance it would work twice
# Safe because confirmation is mandatory: nobody who is in has an address that was never confirmed. Without it a person
# with a second factor could not change their address.
MFA_ALLOW_UNVERIFIED_EMAIL = True
CONSOLE_MFA = env.flag("CONSOLE_MFA", True)
USERSESSIONS_ADAPTER = "accounts.identity.sessions.SessionsAdapter"
SESSION_IDLE = timedelta(hours=env.whole("SESSION_IDLE_HOURS", 72, low=1))
SESSION_ABSOLUTE = timedelta(days=env.whole("SESSION_ABSOLUTE_DAYS", 30, low=1))
SESSION_COOKIE_AGE = int(SESSION_ABSOLUTE.total_seconds())
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"  # noqa: S105  # a class
HEADLESS_JWT_ALGORITHM = "HS256"  # signed with SECRET_KEY: issuer and reader are one
HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED = True  # a token lives no longer than the session behind it
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = 300
HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN = int(SESSION_IDLE.total_seconds())
HEADLESS_SERVE_SPECIFICATION = False
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Candor <candor@localhost>")
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", "127.0.0.1")
EMAIL_PORT = env.whole("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 10
DEMO_ACCOUNTS = False  # whether the demonstration's people may exist: on one machine only
DEFAULT_PLAN = env.text("DEFAULT_PLAN", "free")
ORGANIZATIONS_PER_PERSON = env.whole("ORGANIZATIONS_PER_PERSON", 5, low=1)
ERASURE_GRACE_DAYS = env.whole("ERASURE_GRACE_DAYS", 14, low=0, high=30)

# ---- billing: without a key nobody pays and DEFAULT_PLAN is everybody's
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY")
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "https://api.stripe.com")
STRIPE_TIMEOUT_S = env.number("STRIPE_TIMEOUT_S", 10, low=0.1, high=80)
STRIPE_WEBHOOK_SECRETS = env.words("STRIPE_WEBHOOK_SECRETS")
BILLING_GRACE_DAYS = env.whole("BILLING_GRACE_DAYS", 7, low=0, high=90)
BILLING_TRIAL_DAYS = env.whole("BILLING_TRIAL_DAYS", 14, low=0, high=730)
BILLING_AUTOMATIC_TAX = env.flag("BILLING_AUTOMATIC_TAX")
BILLING_CURRENCIES = [word.lower() for word in env.words("BILLING_CURRENCIES", "usd eur gbp")]

# ---- pages
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [("dist", BASE_DIR / "static" / "dist"), ("img", BASE_DIR / "static" / "img")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'", NONCE],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
PREFERENCES_COOKIE_NAME = "candor_view"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # one cookie less
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.identity.rest.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],  # what is seen is decided in the fetch
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.PlanThrottle"],
    "EXCEPTION_HANDLER": "config.api.problem",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Candor API",
    "DESCRIPTION": "Rounds, signals, outcomes and the candles they rest on.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}

# ---- tasks
CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_RESULT_BACKEND = REDIS_URL or "cache+memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 3600, "socket_timeout": 10, "socket_connect_timeout": 1, "health_check_interval": 30}
    if REDIS_URL
    else {"polling_interval": 0.01}  # kombu's memory queue is polled; its default of 1 s is a late round
)
CELERY_TASK_PUBLISH_RETRY = False  # the sweeper finds what a lost message forgot; a feed must not wait for a broker
CELERY_BEAT_SCHEDULER = "config.beat.Scheduler"
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# ---- the market and the record
MARKET = env.text("MARKET", "auto")
HORIZON_S = 60
PUSH_RETENTION = timedelta(hours=26)
LATE_AFTER_S = env.number("LATE_AFTER_S", 3.0, low=0.1, high=60)
QUALITY_HOUR_FLOOR = env.number("QUALITY_HOUR_FLOOR", 0.95, low=0, high=1)
QUALITY_DAY_FLOOR = env.number("QUALITY_DAY_FLOOR", 0.99, low=0, high=1)
CLOCK_VENUES = env.words("CLOCK_VENUES", "binance kraken coinbase")
SOCKET_ACCEPTS_A_SECOND = env.number("SOCKET_ACCEPTS_A_SECOND", 100, low=1)
STALE_AFTER_S = env.number("STALE_AFTER_S", 90, low=5)
AGENT_DEADLINE_S = env.number("AGENT_DEADLINE_S", 0.6, low=0.05, high=30)
VOTER_DEADLINE_S = env.number("VOTER_DEADLINE_S", 1.5, low=0.05, high=30)
PAYOUT = env.number("PAYOUT", 0.85, low=0.01, high=10)
CONSERVATIVE = env.flag("CONSERVATIVE", False)
RISK_CEILING = env.number("RISK_CEILING", 0.7, low=0, high=1)
TIER_1_MARGIN = env.number("TIER_1_MARGIN", 0.03, low=0, high=1)
TIER_2_MARGIN = env.number("TIER_2_MARGIN", 0.01, low=0, high=1)
ACTIONABLE_MARGIN = env.number("ACTIONABLE_MARGIN", 0.01, low=0, high=1)
KELLY_FRACTION = env.number("KELLY_FRACTION", 0.25, low=0, high=1)
FEE_BPS = env.number("FEE_BPS", 1.0, low=0, high=1000)
BOOK_EVERY_S = env.number("BOOK_EVERY_S", 5, low=1, high=60)
BOOK_RETENTION = timedelta(days=env.whole("BOOK_RETENTION_DAYS", 30, low=1))
TRAIN_PROFILE = env.text("TRAIN_PROFILE", "quick")
TRAINING_TABLE = env.text("TRAINING_TABLE", "auto")
CHALLENGE_HOURS = env.number("CHALLENGE_HOURS", 24, low=0.5, high=720)
UPDATE_CHALLENGE_HOURS = env.number("UPDATE_CHALLENGE_HOURS", 4, low=0.5, high=720)
CHALLENGE_ROWS = env.whole("CHALLENGE_ROWS", 1000, low=1)
CHALLENGE_MARGIN = env.number("CHALLENGE_MARGIN", 0, low=0, high=1)
AUTO_PROMOTE = env.flag("AUTO_PROMOTE", True)
ARTIFACTS_DIR = VAR_DIR / "artifacts"
GEMINI_API_KEY = env.text("GEMINI_API_KEY")
GEMINI_MODEL = env.text("GEMINI_MODEL")
GEMINI_BASE_URL = env.text("GEMINI_BASE_URL")
GEMINI_PRICE_IN = env.number("GEMINI_PRICE_IN", 0, low=0)
GEMINI_PRICE_OUT = env.number("GEMINI_PRICE_OUT", 0, low=0)
XAI_API_KEY = env.text("XAI_API_KEY")
XAI_MODEL = env.text("XAI_MODEL")
XAI_BASE_URL = env.text("XAI_BASE_URL")
XAI_PRICE_IN = env.number("XAI_PRICE_IN", 0, low=0)
XAI_PRICE_OUT = env.number("XAI_PRICE_OUT", 0, low=0)
LLM_DEADLINE_S = env.number("LLM_DEADLINE_S", 2.0, low=0.05, high=30)
LLM_CALLS_PER_MINUTE = env.whole("LLM_CALLS_PER_MINUTE", 60)
LLM_DAILY_COST_CAP = env.number("LLM_DAILY_COST_CAP", 0, low=0)
LLM_DAILY_TOKEN_CAP = env.whole("LLM_DAILY_TOKEN_CAP", 0, high=2**53)
LLM_RETENTION = timedelta(days=env.whole("LLM_RETENTION_DAYS", 30, low=1))
FEED_NETWORKS = env.words("FEED_NETWORKS")  # private networks that feeds may be read from
HEADLINE_RETENTION = timedelta(days=env.whole("HEADLINE_RETENTION_DAYS", 400, low=8))
NEWS_WINDOW_BEFORE = env.number("NEWS_WINDOW_BEFORE", 15, low=0, high=1440)
NEWS_WINDOW_AFTER = env.number("NEWS_WINDOW_AFTER", 15, low=0, high=1440)
SENTIMENT_READER = env.text("SENTIMENT_READER", "auto")
SENTIMENT_FOLDER = env.text("SENTIMENT_FOLDER")
METRICS_TOKEN = env.text("METRICS_TOKEN")
TERMS_VERSION = "2026-11"

LOG_JSON = env.flag("LOG_JSON", True)
LOG_LEVEL = env.text("LOG_LEVEL", "INFO")
LOGGING_CONFIG = "config.logs.configure"
LOGGING = {"json": LOG_JSON, "level": LOG_LEVEL}
