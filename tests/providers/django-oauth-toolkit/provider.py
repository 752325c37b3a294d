"""A Django project with nothing but an OpenID Provider.

`set-up` creates database, signing key, user and clients in the current folder; `serve` serves them.
"""

import json
import os
import sys
from pathlib import Path

import django
from django.conf import settings

STATE = Path.cwd()
KEY = STATE / "signing-key.pem"
PORT = os.environ["PORT"]

SIGN_IN = """<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"><title>Sign in</title><link rel="icon" href="data:,"></head>
  <body>
    <h1>Sign in to Django</h1>
    <form method="post">{% csrf_token %}{{ form.as_p }}<button type="submit">Sign in</button></form>
  </body>
</html>
"""


def configure():
    settings.configure(
        SECRET_KEY="not-a-secret",
        DEBUG=False,
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF="site_parts",
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE / "django.sqlite"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"sign-in.html": SIGN_IN}),
                        "django.template.loaders.app_directories.Loader",
                    ],
                },
            }
        ],
        LOGIN_URL="/sign-in",
        # Fast: these passwords are no secrets.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        # Each provider on this host needs cookies of its own.
        SESSION_COOKIE_NAME="django_session",
        CSRF_COOKIE_NAME="django_csrf",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{PORT}/o",
            "OIDC_RSA_PRIVATE_KEY": KEY.read_text() if KEY.exists() else "",
            "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
            "OAUTH2_VALIDATOR_CLASS": "site_parts.Validator",
            "SCOPES": {"openid": "OpenID Connect", "profile": "Name", "email": "Email address"},
            "ALLOWED_SCHEMES": ["http", "https"],
            "ID_TOKEN_EXPIRE_SECONDS": 600,
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
        },
    )
    django.setup()


def new_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    KEY.write_bytes(pem)


def set_up():
    new_key()
    configure()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    get_user_model().objects.create_user("one-moved", password="correct horse")
    for client in json.loads(os.environ["CLIENTS"]):
        get_application_model().objects.create(
            name=client["client_id"],
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            client_type="confidential",
            authorization_grant_type="authorization-code",
            algorithm="RS256",
            skip_authorization=True,
            redirect_uris=" ".join(client["redirect_uris"]),
            post_logout_redirect_uris=" ".join(client["post_logout_redirect_uris"]),
        )


def serve():
    configure()
    from django.core.management import call_command

    call_command("runserver", f"127.0.0.1:{PORT}", use_reloader=False)


if __name__ == "__main__":
    {"set-up": set_up, "serve": serve}[sys.argv[1]]()
