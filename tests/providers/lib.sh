# Shared by the start scripts below this folder. Each script runs one OpenID Provider on loopback until killed.
#
# From the environment:
#   PORT     the provider listens on http://127.0.0.1:$PORT
#   CLIENTS  JSON: a list of { client_id, client_secret, redirect_uris, post_logout_redirect_uris }
#   STATE    an existing, empty folder for this run
#   CACHE    a folder for what is installed; it outlives the run
#   CLOCK    a file with the offset of the provider's clock as libfaketime reads it, such as "+0" or "-900"
#
# The provider has one user, `one-moved`, with the password `correct horse`.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
: "${PORT:?}" "${CLIENTS:?}" "${STATE:?}" "${CACHE:?}" "${CLOCK:?}"
mkdir -p "$CACHE"

# Prints the folder of the virtual environment, which has exactly the pinned packages of requirements.txt.
virtual_environment() {
  local venv=$CACHE/venv
  if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/installed.txt"
  fi
  echo "$venv"
}

# Becomes the command, with the clock of the file $CLOCK. Timers go on by the machine's clock.
run_with_clock() {
  local library
  library=$(dpkg -L libfaketime | grep '/libfaketime.so.1$')
  export LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$CLOCK FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
  exec "$@"
}
