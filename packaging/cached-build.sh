# Sourced by scripts that build something large once and keep it: stages with signs of life, a lock,
# Debian's packages and sources by an apt of their own. A folder in the cache is complete or absent.
#
# The script sets: title (begins its lines), root (the cache's folder), log (a file), and, once a
# build begins, work (the folder of the unfinished build). It prints its result on stdout, and
# everything else goes to stderr.

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
stage_group= # process group of the running stage
work=        # folder of the unfinished build

say() {
  printf '%s %3dm%02ds  %s\n' "$title" $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2
}

fail() {
  printf '%s: %s\n' "$title" "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

clean_up() {
  [ -z "$stage_group" ] || kill -- "-$stage_group" 2>/dev/null || true
  [ -z "$work" ] || rm -rf "$work"
}

clean_up_at_the_end() {
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# stage TITLE COMMAND...: runs a command into the log, with a sign of life every ten seconds. The
# command has its own process group, so that an interrupt leaves nothing of it behind.
stage() {
  local name=$1 started=$SECONDS beat=$SECONDS status=0
  shift
  say "$name"
  printf '\n== %s: %s\n' "$(date -u +%H:%M:%S)" "$name" >>"$log"
  set -m
  (
    set +m
    "$@"
  ) </dev/null >>"$log" 2>&1 &
  stage_group=$!
  set +m
  while kill -0 "$stage_group" 2>/dev/null; do
    sleep 0.3
    if ((SECONDS - beat >= 10)); then
      beat=$SECONDS
      say "  ... still $name ($((SECONDS - started)) s)"
    fi
  done
  wait "$stage_group" || status=$?
  stage_group=
  ((status == 0)) && return
  printf '%s\n' "--- the last lines of $log" >&2
  tail -n 30 "$log" >&2
  fail "$name: failed with exit code $status" "The whole log: $log" "${instead[@]}"
}
instead=() # what to do instead when a stage fails

# lock: waits until no other build uses this cache.
lock() {
  local beat=$SECONDS
  exec 9>>"$root/lock"
  flock -n 9 && return
  say "waiting for another build to finish (it holds $root/lock)"
  until flock -w 1 9; do
    if ((SECONDS - beat >= 10)); then
      beat=$SECONDS
      say "  ... still waiting for the other build"
    fi
  done
}

# --- Debian -----------------------------------------------------------------------------------

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@"
}

update_lists() {
  apt-get update || echo "some archives could not be reached: going on with the others"
}

# The package lists are fetched only when they turn out to be missing or too old: they may name
# archives that cannot be reached from here and that we do not need.
install_packages() {
  if ! apt_install "$@"; then
    update_lists
    apt_install "$@"
  fi
}

# need PACKAGE...: a stage that installs what is missing of these; without root it says what to do.
need() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || fail "these Debian packages are missing: ${missing[*]}" \
    "Install them (sudo apt-get install ${missing[*]}) or run this as root."
  stage "installing ${missing[*]}" install_packages "${missing[@]}"
}

named_archive() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $1" 'Component: main' | head -n 1
}

# debian_archive SUITE: where the machine's apt gets that suite from.
debian_archive() {
  local archive
  archive=$(named_archive "$1")
  if [ -z "$archive" ] && ((EUID == 0)); then # there may be no lists yet that would name it
    update_lists >&2
    archive=$(named_archive "$1")
  fi
  if [ -z "$archive" ]; then
    echo "No Debian archive with $1/main in this machine's apt sources; its lists:" >&2
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' >&2
    return 1
  fi
  printf '%s\n' "$archive"
}

# private_apt SUITE [BESIDE]: an apt of our own in $work/apt, next to the machine's: same archive,
# same keys, same proxy, other folders; binary packages and sources. APT_CONFIG points at it from
# here on. A suite that the machine does not use is where the one BESIDE it comes from.
private_apt() {
  local archive
  archive=$(debian_archive "${2:-$1}")
  mkdir -p "$work"/apt/{lists,archives}/partial "$work/apt/sources.d"
  printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$archive" "$1" \
    deb-src "$keyring" "$archive" "$1" >"$work/apt/sources.list"
  cat >"$work/apt/apt.conf" <<-CONF
	Dir::Etc::SourceList "$work/apt/sources.list";
	Dir::Etc::SourceParts "$work/apt/sources.d";
	Dir::State::Lists "$work/apt/lists";
	Dir::Cache "$work/apt";
	APT::Sandbox::User "root";
	CONF
  export APT_CONFIG="$work/apt/apt.conf"
  apt-get update --error-on=any
}

# source_package NAME FOLDER [VERSION]: unpacks a source package. apt has checked the archive's
# signature and every file's checksum; dpkg-source would ask for the uploader's own key as well.
source_package() {
  mkdir -p "$work/fetched/$1" "$(dirname "$2")"
  cd "$work/fetched/$1"
  apt-get source --download-only "$1"
  dpkg-source --no-check -x ./*"${3:-}"*.dsc "$2"
}
