# Shared by the start scripts below this folder. Each script runs one OpenID Provider on loopback until killed.
#
# From the environment:
#   PORT     the provider listens on http://127.0.0.1:$PORT
#   CLIENTS  JSON: a list of { client_id, client_secret, redirect_uris, post_logout_redirect_uris }
#   STATE    an existing, empty folder for this run
#   CACHE    a folder for what is installed; it outlives the run
#   CLOCK    a file of 16 characters: how many seconds the provider's clock is ahead, and spaces; it may change meanwhile
#
# The provider has one user, `one-moved`, with the password `correct horse`.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
: "${PORT:?}" "${CLIENTS:?}" "${STATE:?}" "${CACHE:?}" "${CLOCK:?}"
mkdir -p "$CACHE"

# Runs an installation, one at a time: providers are started side by side.
install_alone() {
  (
    flock 9
    "$@" >&2
  ) 9>"$CACHE/lock"
}

# Prints the folder of the virtual environment, which has exactly the pinned packages of requirements.txt.
virtual_environment() {
  install_alone install_packages "$CACHE/venv"
  echo "$CACHE/venv"
}

install_packages() {
  local venv=$1
  ! cmp -s "$here/requirements.txt" "$venv/installed.txt" || return 0
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
}

# Becomes the command, with a clock that is off by what the file $CLOCK says.
run_with_clock() {
  cc -shared -fPIC -O2 -Wall -Werror -o "$STATE/clock.so" "$here/../clock.c" -ldl
  LD_PRELOAD=$STATE/clock.so exec "$@"
}
