"""Settings from the environment only (twelve-factor). Every variable is named, with its meaning, in deploy/env.example.

A variable ``NAME`` may be given as ``NAME_FILE``, the path of a file that holds the value (secrets).
"""

from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from server.core import limits

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
VERSION = "1.0.0"

# Where the instance lives.
ORIGIN: str = env.str("TRIBUTARY_ORIGIN", default="http://localhost:8000").rstrip("/")
_origin = urlsplit(ORIGIN)
if _origin.scheme not in {"http", "https"} or not _origin.hostname or _origin.path:
    raise ImproperlyConfigured("TRIBUTARY_ORIGIN must be https://HOST (or http://localhost:PORT for development)")
HOST: str = _origin.netloc.lower()
INSTANCE_NAME: str = env.str("TRIBUTARY_INSTANCE_NAME", default=HOST)
INSTANCE_DESCRIPTION: str = env.str("TRIBUTARY_INSTANCE_DESCRIPTION", default="A community that owns its short videos.")
CONTACT_EMAIL: str = env.str("TRIBUTARY_CONTACT_EMAIL", default="")
REGISTRATION_OPEN: bool = env.bool("TRIBUTARY_REGISTRATION_OPEN", default=True)

# Where it keeps things.
DATA_DIR = Path(env.str("TRIBUTARY_DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
SECRETS_DIR = DATA_DIR / "secrets"
MEDIA_ROOT = Path(env.str("TRIBUTARY_MEDIA_DIR", default=str(DATA_DIR / "media"))).resolve()
UPLOAD_DIR = DATA_DIR / "uploads"
# Parts of archives that are no media of this server, and archives on their way in.
ARCHIVE_DIR = DATA_DIR / "archives"
# The largest archive that is taken in.
ARCHIVE_BYTES_MAX: int = env.int("TRIBUTARY_ARCHIVE_BYTES_MAX", default=20 * limits.GIB)
# What this server keeps for people of other servers: of each, and of all together. 0 keeps nothing.
COPY_BYTES_MAX: int = env.int("TRIBUTARY_COPY_BYTES_MAX", default=2 * limits.GIB)
COPIES_BYTES_MAX: int = env.int("TRIBUTARY_COPIES_BYTES_MAX", default=50 * limits.GIB)
# The files of the ledger; a restored backup must never be older than these.
LEDGER_DIR = DATA_DIR / "ledger"
# Of each ledger that is mirrored here.
LEDGER_MIRROR_BYTES_MAX: int = env.int("TRIBUTARY_LEDGER_MIRROR_BYTES_MAX", default=20 * limits.GIB)
# Media may be served from a host of its own; empty means from this one.
MEDIA_ORIGIN: str = env.str("TRIBUTARY_MEDIA_ORIGIN", default="").rstrip("/")
MEDIA_URL = f"{MEDIA_ORIGIN}/media/"
FREE_DISK_BYTES_MIN: int = env.int("TRIBUTARY_FREE_DISK_BYTES_MIN", default=512 * limits.MIB)

# Development and tests. ``manage.py check --deploy`` refuses each of these.
DEBUG: bool = env.bool("TRIBUTARY_DEBUG", default=False)
ALLOW_LOOPBACK: bool = env.bool("TRIBUTARY_ALLOW_LOOPBACK", default=False)
_clock_file = env.str("TRIBUTARY_CLOCK_OFFSET_FILE", default="")
CLOCK_OFFSET_FILE: Path | None = Path(_clock_file) if _clock_file else None

_secret_file = SECRETS_DIR / "secret_key"
SECRET_KEY: str = env.str("TRIBUTARY_SECRET_KEY", default=_secret_file.read_text() if _secret_file.exists() else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("no secret key: run script/server or `python -m server.secrets`, or set TRIBUTARY_SECRET_KEY")
ALLOWED_HOSTS: list[str] = [_origin.hostname, *env.list("TRIBUTARY_EXTRA_HOSTS", default=[])]
# The addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
TRUSTED_PROXIES: list[str] = env.list("TRIBUTARY_TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "server",
    "server.core",
    "server.identity",
    "server.accounts",
    "server.videos",
    "server.moderation",
    "server.feed",
    "server.sponsors",
    "server.portability",
    "payouts",
    "federation",
    "server.web.apps.WebConfig",
    "server.api.apps.ApiConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "rest_framework",
    "oauth2_provider",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
]
MIDDLEWARE = [
    "server.web.middleware.request_log",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "server.urls"
WSGI_APPLICATION = "server.wsgi.application"
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
                "server.web.context.instance",
            ],
        },
    }
]

# One database is the record and the queue.
DATABASES = {"default": env.db_url("TRIBUTARY_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'tributary.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;",
    }
else:
    DATABASES["default"].setdefault("CONN_HEALTH_CHECKS", True)
# To open SQLite and set it up costs more than most requests; the last one to close it also moves its journal, synced.
DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis is a doorbell and a cache, never a record.
REDIS_URL: str = env.str("TRIBUTARY_REDIS_URL", default="")
CACHES = (
    {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    if REDIS_URL
    else {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
)
CELERY_BROKER_URL = REDIS_URL or "bells://localhost"  # without a host Celery warns at every start
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_connect_timeout": 2, "socket_timeout": 10}
    if REDIS_URL
    else {
        "data_folder_in": str(DATA_DIR / "broker"),
        "data_folder_out": str(DATA_DIR / "broker"),
        "polling_interval": 0.1,
    }
)
FACTS_WIRING = "server.wiring.SUBSCRIBERS"
DOORBELL = "server.celery.ring"
# Who asks other servers about people: accounts stand below federation and may not import it.
ACCOUNT_RESOLVER = "federation.fetch.lookup_acct"
# Who knows the form in which things are published: archives contain it.
PUBLISHED_ACTOR = "federation.portable.actor"
PUBLISHED_OUTBOX = "federation.portable.outbox"

# People and sessions.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "server.web.signup.Adapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "server.web.signup.HandleForm"
ACCOUNT_EMAIL_VERIFICATION = env.str("TRIBUTARY_EMAIL_VERIFICATION", default="optional")
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _origin.scheme
vars().update(env.email_url("TRIBUTARY_EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL: str = env.str("TRIBUTARY_EMAIL_FROM", default=f"tributary@{_origin.hostname}")

# Transport and headers.
_https = _origin.scheme == "https"
CSRF_TRUSTED_ORIGINS = [ORIGIN]
CSRF_FAILURE_VIEW = "server.web.errors.csrf_failed"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
# Two instances on one development host must not overwrite each other's cookies.
SESSION_COOKIE_NAME = "session" if _https else f"session_{_origin.port or 80}"
CSRF_COOKIE_NAME = "csrftoken" if _https else f"csrftoken_{_origin.port or 80}"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
SECURE_SSL_REDIRECT = False  # the proxy in front redirects
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_remote_media = ["https:", "http://localhost:*", "http://127.0.0.1:*"] if ALLOW_LOOPBACK else ["https:"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        # Remote videos and posters are played from where they are published.
        "img-src": ["'self'", "data:", "blob:", *_remote_media],
        "media-src": ["'self'", "blob:", *_remote_media],
        "connect-src": ["'self'", *([MEDIA_ORIGIN] if MEDIA_ORIGIN else [])],
        "worker-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.INBOX_BYTES_MAX
FILE_UPLOAD_MAX_MEMORY_SIZE = limits.UPLOAD_CHUNK_BYTES
FILE_UPLOAD_TEMP_DIR = str(UPLOAD_DIR) if UPLOAD_DIR.exists() else None

# Videos.
FFMPEG_BINARY: str = env.str("TRIBUTARY_FFMPEG", default="")
UPLOAD_BYTES_MAX: int = env.int("TRIBUTARY_UPLOAD_BYTES_MAX", default=500 * limits.MIB)
VIDEO_SECONDS_MAX: int = env.int("TRIBUTARY_VIDEO_SECONDS_MAX", default=180)
S3_BUCKET: str = env.str("TRIBUTARY_S3_BUCKET", default="")


def _s3_client_config() -> object:
    from botocore.config import Config  # 0.3 s, for those who have a bucket

    # Checksums that Amazon alone asks for travel behind the body over https; many S3-compatible stores cannot read that.
    return Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")


_media_backend = (
    {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": env.str("TRIBUTARY_S3_ENDPOINT", default="") or None,
            "access_key": env.str("TRIBUTARY_S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("TRIBUTARY_S3_SECRET_KEY", default="") or None,
            "region_name": env.str("TRIBUTARY_S3_REGION", default="") or None,
            "custom_domain": urlsplit(MEDIA_ORIGIN).netloc or None,
            "querystring_auth": False,
            "file_overwrite": True,
            "client_config": _s3_client_config(),
            "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
        },
    }
    if S3_BUCKET
    else {"BACKEND": "django.core.files.storage.FileSystemStorage"}
)
STORAGES = {
    "default": _media_backend,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "server.web.staticfiles.HashedStaticFiles"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("TRIBUTARY_STATIC_DIR", default=str(BASE_DIR / "var" / "static"))).resolve()
# The browser makes recovery sentences from the same lists.
STATICFILES_DIRS = [("identity/words", BASE_DIR / "server" / "identity" / "wordlists")]

# Money. A close of this many millionths or more needs a second person (default: 100 units of the currency).
FOUR_EYES_AMOUNT_MILLIONTHS: int = env.int("TRIBUTARY_FOUR_EYES_AMOUNT", default=100_000_000)

# REST.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["server.api.auth.BearerAuthentication", "server.api.auth.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["server.api.auth.ScopedPermission"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "server.api.problems.handle",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle", "rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("TRIBUTARY_THROTTLE_ANON", default="300/min"),
        "user": env.str("TRIBUTARY_THROTTLE_USER", default="1200/min"),
        # Each makes a row that somebody has to look at or that stays for weeks.
        "apps": "30/hour",
        "reports": "60/hour",
    },
    "NUM_PROXIES": 1 if TRUSTED_PROXIES else 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tributary API",
    "DESCRIPTION": "Short video that communities own: the verbs of the web pages, for programs.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # The numbers in our addresses are ids, and ids are strings.
    "PATH_CONVERTER_OVERRIDES": {"int": {"type": "string", "pattern": "^[0-9]{1,19}$"}},
    "ENUM_NAME_OVERRIDES": {"VideoState": "server.videos.states.STATES"},
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}
OAUTH2_PROVIDER = {
    "SCOPES": {"read": "Read your feed, profile and videos", "write": "Upload, comment, like and follow for you"},
    "DEFAULT_SCOPES": ["read"],
    "OAUTH2_VALIDATOR_CLASS": "server.api.auth.Validator",
    "OIDC_ISS_ENDPOINT": ORIGIN,
    # Long enough to copy a code by hand.
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 300,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 365 * 24 * 3600,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # Programs are judged where they register (server/api/redirects.py); these bind what an administrator adds by hand.
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http"] if ALLOW_LOOPBACK else ["https"],
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OAUTH2_GRANT_TYPES_SUPPORTED": ["authorization_code", "refresh_token"],
    "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["none"],
    # RFC 9700, every gate closed: S256 only, tokens stored as hashes and sent in the header only, no implicit or password grant.
    "PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": not ALLOW_LOOPBACK,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
}
CORS_URLS_REGEX = r"^/(api/|oauth/(token|revoke)$|\.well-known/)"
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "upload-offset", "x-csrftoken", "x-requested-with"]
CORS_EXPOSE_HEADERS = ["retry-after", "www-authenticate", "x-request-id"]
CORS_ALLOW_CREDENTIALS = False

# Identities. Who keeps copies of the key logs of our people (origins); empty: peers that run the same software.
REPLICAS: list[str] = env.list("TRIBUTARY_REPLICAS", default=[])
# What copies of the logs of others may take in the database.
REPLICA_BYTES_MAX: int = env.int("TRIBUTARY_REPLICA_BYTES_MAX", default=4 * limits.GIB)

# Federation.
USER_AGENT = f"Tributary/{VERSION} (+{ORIGIN})"

# What operators see.
LOG_FORMAT: str = env.str("TRIBUTARY_LOG_FORMAT", default="json")
LOG_LEVEL: str = env.str("TRIBUTARY_LOG_LEVEL", default="INFO")
# Where the processes of one instance keep their counters so that /metrics can add them up; empty: each for itself.
_metrics_dir = env.str("TRIBUTARY_METRICS_DIR", default="")
METRICS_DIR: Path | None = Path(_metrics_dir).resolve() if _metrics_dir else None
METRICS_ALLOWED: list[str] = env.list("TRIBUTARY_METRICS_ALLOWED", default=["127.0.0.1", "::1"])
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "server.core.logs.formatter", "style": "json"},
        "console": {"()": "server.core.logs.formatter", "style": "console"},
    },
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {"django.server": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
SILENCED_SYSTEM_CHECKS = [
    # The proxy in front redirects to https and decides about subdomains and preload (deploy/).
    "security.W008",
    "security.W005",
    "security.W021",
]
