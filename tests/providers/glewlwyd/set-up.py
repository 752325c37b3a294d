"""Writes Glewlwyd's settings and database into the current folder, by its administration API. Needs nothing but Python."""

import gzip
import http.cookiejar
import json
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

STATE = Path.cwd()
ROOT = Path(os.environ["ROOT"])
ORIGIN = f"http://127.0.0.1:{os.environ['PORT']}"
START_TIMEOUT = 30  # seconds
SCOPES = ["openid", "profile", "email"]

CONFIGURATION = f"""
port = {os.environ["PORT"]}
bind_address = "127.0.0.1"
external_url = "{ORIGIN}"
login_url = "login.html"
api_prefix = "api"
static_files_path = "{STATE}/webapp"
log_mode = "console"
log_level = "WARNING"
cookie_domain = "127.0.0.1"
cookie_secure = 0
session_key = "GLEWLWYD_SESSION"
session_expiration = 86400
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{ROOT}/usr/lib/glewlwyd/user"
user_middleware_module_path = "{STATE}/none"
client_module_path = "{ROOT}/usr/lib/glewlwyd/client"
user_auth_scheme_module_path = "{ROOT}/usr/lib/glewlwyd/scheme"
plugin_module_path = "{ROOT}/usr/lib/glewlwyd/plugin"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{STATE}/glewlwyd.sqlite"; }};
static_files_mime_types = (
  {{ extension = ".html"; mime_type = "text/html"; }},
  {{ extension = ".css"; mime_type = "text/css"; }},
  {{ extension = ".js"; mime_type = "application/javascript"; }},
  {{ extension = ".json"; mime_type = "application/json"; }}
)
"""


def provider_settings(private_key, public_key):
    return {
        "module": "oidc",
        "name": "oidc",
        "display_name": "OpenID Connect",
        "parameters": {
            "iss": f"{ORIGIN}/api/oidc",
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": private_key,
            "cert": public_key,
            # Also the lifetime of ID tokens.
            "access-token-duration": 600,
            "refresh-token-duration": 3600,
            "code-duration": 600,
            "allow-non-oidc": False,
            "auth-type-code-enabled": True,
            "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": False,
            "auth-type-none-enabled": False,
            "auth-type-password-enabled": False,
            "auth-type-client-enabled": False,
            "auth-type-refresh-enabled": False,
            "auth-type-device-enabled": False,
            "jwks-show": True,
            "allowed-scope": SCOPES,
            "pkce-allowed": True,
            "pkce-method-plain-allowed": False,
            # By default the ID token has no claim that identifies the user: `sub` is a random text.
            "claims": [{"name": "preferred_username", "user-property": "username", "on-demand": False, "mandatory": True}],
            "session-management-allowed": True,
            "session-cookie-name": "GLEWLWYD_OIDC",
            "session-cookie-expiration": 86400,
            "back-channel-logout-allowed": True,
            "front-channel-logout-allowed": True,
            "oauth-par-allowed": True,
            "oauth-par-required": False,
            "oauth-par-duration": 90,
            "oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:",
        },
    }


class Api:
    """Calls with a session of their own."""

    def __init__(self):
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def call(self, method, path, body):
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{ORIGIN}/api{path}", json.dumps(body).encode(), headers, method=method)
        try:
            self.opener.open(request).read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def sign_in(self, username, password):
        self.call("POST", "/auth/", {"username": username, "password": password})


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, **options).stdout


def write_files():
    (STATE / "glewlwyd.conf").write_text(CONFIGURATION)
    (STATE / "none").mkdir()
    # A copy, since the link for config.json leads out of the unpacked packages.
    ignored = shutil.ignore_patterns("config.json", "locales")
    shutil.copytree(ROOT / "usr/share/glewlwyd/webapp", STATE / "webapp", ignore=ignored)
    for locale in ["en", "en-US"]:
        shutil.copytree(ROOT / "usr/share/glewlwyd/webapp/locales/en", STATE / "webapp/locales" / locale)
    frontend = json.loads((ROOT / "etc/glewlwyd/config-2.7.json/config.json").read_text())
    (STATE / "webapp/config.json").write_text(json.dumps(frontend))
    schema = gzip.open(ROOT / "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz", "rt").read()
    # The provider reads a property that its own schema does not let clients have.
    known = '"post_logout_redirect_uri":{"multiple":false'
    assert known in schema, "the schema has changed"
    schema = schema.replace(known, '"post_logout_redirect_uris":{"multiple":true')
    with sqlite3.connect(STATE / "glewlwyd.sqlite") as database:
        database.executescript(schema)


def configure():
    admin = Api()
    admin.sign_in("admin", "password")
    for scope in SCOPES[1:]:
        admin.call("POST", "/scope/", {"name": scope, "display_name": scope, "password_required": True, "scheme": {}})
    private_key = openssl("genrsa", "2048")
    public_key = openssl("rsa", "-pubout", input=private_key)
    admin.call("POST", "/mod/plugin/", provider_settings(private_key, public_key))
    user = {"username": "one-moved", "password": "correct horse", "name": "Olive Moved", "enabled": True}
    admin.call("POST", "/user/", {**user, "scope": ["g_profile", *SCOPES]})
    person = Api()
    person.sign_in("one-moved", "correct horse")
    for client in json.loads(os.environ["CLIENTS"]):
        registration = {
            "client_id": client["client_id"],
            "name": client["client_id"],
            "enabled": True,
            "confidential": True,
            "client_secret": client["client_secret"],
            "redirect_uri": client["redirect_uris"],
            "post_logout_redirect_uris": client["post_logout_redirect_uris"],
            "authorization_type": ["code"],
            "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
            "scope": SCOPES,
        }
        admin.call("POST", "/client/", registration)
        # Or the user is asked for consent at the first sign-in.
        person.call("PUT", f"/auth/grant/{client['client_id']}", {"scope": " ".join(SCOPES)})


def main():
    write_files()
    server = subprocess.Popen([ROOT / "usr/bin/glewlwyd", "--config-file", STATE / "glewlwyd.conf"])
    try:
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                urllib.request.urlopen(f"{ORIGIN}/config/").read()
                break
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > end or server.poll() is not None:
                    raise
                time.sleep(0.05)
        configure()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
