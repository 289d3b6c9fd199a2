#!/usr/bin/env bash
# Finds or builds etcd and kube-apiserver, the two programs of a Kubernetes control plane that the
# tests and the demo need. Prints the folder that holds both on stdout; everything else on stderr.
#
#   KUBEBUILDER_ASSETS   a folder that holds both already: used as it is
#   XDG_CACHE_HOME       where a build is kept (default ~/.cache), in lightkeeper/controlplane/<key>
#   PYTHON               the Python >= 3.11 that starts the result once, to try it (default python3)
#
# etcd is Debian's package, unpacked but not installed, so that no daemon starts. kube-apiserver is
# compiled from Debian 12's own source package. Sources are fetched with a private apt set-up that
# takes its archive from the machine's: /etc/apt is not touched. The compiler and a few tools are
# installed with apt-get where they are missing.
#
# A folder in the cache is complete or absent: a build happens in a folder beside it, is tried with
# a real start, gets a manifest of sizes and checksums, and is then renamed. A lock keeps a second
# build waiting for the first.
set -euo pipefail

readonly kube_version=1.20.2
readonly recipe=1 # part of the cache key: raise it when a build's result would change
readonly suite=bookworm
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
readonly programs=(etcd kube-apiserver)
readonly tools=(
  golang-go dpkg-dev make rsync jq openssl debian-archive-keyring
  golang-github-modern-go-reflect2-dev # see patch_source
)

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly repository
stage_group= # process group of the running stage
work=        # folder of the unfinished build

say() {
  printf 'controlplane %3dm%02ds  %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2
}

fail() {
  printf 'controlplane: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

clean_up() {
  [ -z "$stage_group" ] || kill -- "-$stage_group" 2>/dev/null || true
  [ -z "$work" ] || rm -rf "$work"
}

# stage TITLE COMMAND...: runs a command into the log, with a sign of life every ten seconds. The
# command has its own process group, so that an interrupt leaves nothing of it behind.
stage() {
  local title=$1 started=$SECONDS beat=$SECONDS status=0
  shift
  say "$title"
  printf '\n== %s: %s\n' "$(date -u +%H:%M:%S)" "$title" >>"$log"
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
      say "  ... still $title ($((SECONDS - started)) s)"
    fi
  done
  wait "$stage_group" || status=$?
  stage_group=
  ((status == 0)) && return
  printf '%s\n' "--- the last lines of $log" >&2
  tail -n 30 "$log" >&2
  fail "$title: failed with exit code $status" \
    "The whole log: $log" \
    "Or point KUBEBUILDER_ASSETS at a folder that holds etcd and kube-apiserver."
}

# runs_here FOLDER: both programs are there and answer --version.
runs_here() {
  local program
  for program in "${programs[@]}"; do
    [ -x "$1/$program" ] && "$1/$program" --version >/dev/null 2>&1 || return 1
  done
}

# --- cache ------------------------------------------------------------------------------------

manifest() {
  local program
  for program in "${programs[@]}"; do
    printf '%s %s %s\n' "$program" "$(stat -c %s "$1/$program")" \
      "$(sha256sum <"$1/$program" | cut -d' ' -f1)"
  done
}

# intact FOLDER: what is cached is what was built, byte for byte.
intact() {
  [ -x "$1/etcd" ] && [ -x "$1/kube-apiserver" ] && [ -f "$1/MANIFEST" ] &&
    [ "$(manifest "$1")" = "$(cat "$1/MANIFEST")" ]
}

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

# --- stages -----------------------------------------------------------------------------------

missing_tools() {
  local tool
  for tool in "${tools[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null)" = installed ] || echo "$tool"
  done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@"
}

# The package lists are fetched only when they turn out to be missing or too old: they may name
# archives that cannot be reached from here and that we do not need.
install_tools() {
  if ! apt_install "$@"; then
    update_lists
    apt_install "$@"
  fi
}

debian_archive() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $suite" 'Component: main' | head -n 1
}

update_lists() {
  apt-get update || echo "some archives could not be reached: going on with the others"
}

# An apt of our own, next to the machine's: same archive, same keys, same proxy, other folders.
set_up_apt() {
  local archive
  archive=$(debian_archive)
  if [ -z "$archive" ] && ((EUID == 0)); then # there may be no lists yet that would name it
    update_lists
    archive=$(debian_archive)
  fi
  if [ -z "$archive" ]; then
    echo "No Debian archive with $suite/main in this machine's apt sources; its lists:"
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(COMPONENT)' 'Created-By: Packages'
    return 1
  fi
  mkdir -p "$work"/apt/{lists,archives}/partial "$work/apt/sources.d"
  printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$archive" "$suite" \
    deb-src "$keyring" "$archive" "$suite" >"$work/apt/sources.list"
  cat >"$work/apt/apt.conf" <<-CONF
	Dir::Etc::SourceList "$work/apt/sources.list";
	Dir::Etc::SourceParts "$work/apt/sources.d";
	Dir::State::Lists "$work/apt/lists";
	Dir::Cache "$work/apt";
	APT::Sandbox::User "root";
	CONF
  APT_CONFIG="$work/apt/apt.conf" apt-get update --error-on=any
}

fetch() {
  set_up_apt
  export APT_CONFIG="$work/apt/apt.conf"
  mkdir -p "$work/fetched" "$work/etcd"
  cd "$work/fetched"
  apt-get download etcd-server
  dpkg -x etcd-server_*.deb "$work/etcd"
  # apt has checked the archive's signature and every file's checksum; dpkg-source would ask for
  # the uploader's own key as well.
  apt-get source --download-only kubernetes
  dpkg-source --no-check -x kubernetes_*"$kube_version"-*.dsc "$source"
}

# The reflect2 1.0.1 in the source's vendor folder reads the runtime's types in a way that ends in
# a crash with Go >= 1.18, as soon as a custom resource is created. Debian's own is 1.0.2.
patch_source() {
  local reflect2=vendor/github.com/modern-go/reflect2
  rm -rf "${source:?}/$reflect2"
  cp -rL "/usr/share/gocode/src/${reflect2#vendor/}" "$source/$reflect2"
}

# The environment is built from nothing: a developer's GOFLAGS or MAKEFLAGS must not matter. What
# the tree's makefiles want beyond it: a path under GOPATH, and a version, as there is no git.
compile() {
  cd "$source"
  env -i PATH=/usr/lib/go/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$work" TMPDIR="$work" \
    GOPATH="$work/go" GOCACHE="$work/gocache" GO111MODULE=off CGO_ENABLED=0 \
    KUBE_GIT_VERSION="v$kube_version" make WHAT=cmd/kube-apiserver
}

collect() {
  install -D -m 0755 -t "$work/result" "$work/etcd/usr/bin/etcd" \
    "$source/_output/bin/kube-apiserver"
}

# A program that prints its version may still be broken: start both and ask for readiness.
try_result() {
  runs_here "$work/result"
  [ "$("$work/result/kube-apiserver" --version)" = "Kubernetes v$kube_version" ]
  cd "$repository"
  "${PYTHON:-python3}" -m tests.controlplane --assets "$work/result" --check
}

build() {
  local missing
  rm -rf "$root/.$key".building.* # left behind by a build that was killed
  work=$(mktemp -d "$root/.$key.building.XXXXXX")
  source="$work/go/src/k8s.io/kubernetes"
  mkdir -p "$(dirname "$source")"
  : >"$log"
  say "building Kubernetes $kube_version once; about 6 minutes on two idle cores (log: $log)"
  mapfile -t missing < <(missing_tools)
  if ((${#missing[@]})); then
    ((EUID == 0)) || fail "these Debian packages are missing: ${missing[*]}" \
      "Install them (sudo apt-get install ${missing[*]}) or run this as root."
    stage "installing ${missing[*]}" install_tools "${missing[@]}"
  fi
  stage "fetching etcd and the sources of kube-apiserver" fetch
  stage "replacing a vendored module" patch_source
  stage "compiling kube-apiserver" compile
  stage "collecting the programs" collect
  stage "starting the result once" try_result
  manifest "$work/result" >"$work/result/MANIFEST"
  sync "$work/result"/*
  rm -rf "$cached"
  mv -T "$work/result" "$cached"
  say "kept in $cached"
}

# --- main -------------------------------------------------------------------------------------

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  runs_here "$KUBEBUILDER_ASSETS" || fail \
    "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS does not hold an etcd and a kube-apiserver that run here" \
    "Correct it, or unset it to have both built."
  printf '%s\n' "$KUBEBUILDER_ASSETS"
  exit
fi

command -v dpkg apt-get >/dev/null || fail "this builds on Debian only (dpkg, apt-get)" \
  "Elsewhere, set KUBEBUILDER_ASSETS to a folder that holds etcd and kube-apiserver."
key="v$kube_version-$(dpkg --print-architecture)-r$recipe"
root="${XDG_CACHE_HOME:-$HOME/.cache}/lightkeeper/controlplane"
cached="$root/$key"
log="$root/$key.log"
source= # folder of kube-apiserver's sources, set by build
readonly key root cached log

if intact "$cached"; then
  printf '%s\n' "$cached"
  exit
fi
mkdir -p "$root"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
lock
if ! intact "$cached"; then # nobody built it while we waited
  [ ! -e "$cached" ] || say "$cached is damaged, or not complete: building it again"
  build
fi
printf '%s\n' "$cached"
