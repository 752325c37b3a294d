# Shared by the scripts beside it: steps with their time, and installing what is missing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
[ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"
export PATH

# step NAME COMMAND…: runs it, and says how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@"
  printf '== %s: passed in %d s\n' "$name" $((SECONDS - start))
}

become=()
if [ "$(id -u)" -ne 0 ]; then become=(sudo); fi

# Reads Debian's lists of packages, once.
update_package_lists() {
  [ -z "${apt_updated:-}" ] || return 0
  "${become[@]}" apt-get update -qq
  apt_updated=yes
}

# install PACKAGE…: from Debian's archive.
install() {
  printf 'installing %s\n' "$*"
  update_package_lists
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes -qq --no-install-recommends "$@" >/dev/null
}

# need COMMAND PACKAGE…: installs the packages unless the command is there.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null || install "$@"
}
