#!/usr/bin/env bash
# Finds or builds an API server of today, for what kube-apiserver 1.20 does not have: watch lists,
# OpenAPI v3. It is Kubernetes' own apiextensions-apiserver, the part of kube-apiserver that serves
# custom resources, and an etcd that is new enough for it. Prints the folder that holds both on
# stdout; everything else on stderr.
#
#   LIGHTKEEPER_NEWER   a folder that holds both already: used as it is
#   XDG_CACHE_HOME      where a build is kept (default ~/.cache), in lightkeeper/newer/<key>
#
# No newer kube-apiserver is packaged as a whole. Debian's unstable distribution has the libraries
# it is made of, and the Go that goes with them: they are fetched with a private apt set-up that
# takes its archive from the machine's, and unpacked, not installed. That distribution moves: what
# is built is the Kubernetes it has on that day, and is kept from then on.
set -euo pipefail

readonly recipe=1 # part of the cache key: raise it when a build's result would change
readonly suite=sid
readonly server=apiextensions-apiserver
readonly programs=(etcd "$server")
readonly tools=(dpkg-dev debian-archive-keyring)

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
title=newer
readonly repository title
source "$repository/packaging/cached-build.sh"
instead=("Or point LIGHTKEEPER_NEWER at a folder that holds etcd >= 3.5.8 and $server.")

# runs_here FOLDER: both programs are there and start.
runs_here() {
  [ -x "$1/etcd" ] && "$1/etcd" --version >/dev/null 2>&1 &&
    [ -x "$1/$server" ] && "$1/$server" --help >/dev/null 2>&1
}

# --- stages -----------------------------------------------------------------------------------

# Everything the server's source needs, by Debian's dependencies on a machine that has nothing.
fetch() {
  private_apt "$suite" bookworm
  : >"$work/apt/status"
  printf 'Dir::State::Status "%s";\n' "$work/apt/status" >>"$APT_CONFIG"
  mkdir -p "$work/fetched" "$work/root"
  cd "$work/fetched"
  local wanted
  wanted=$(apt-get install --simulate --no-install-recommends \
    "golang-k8s-$server-dev" golang-go |
    awk '/^Inst golang-/ { print $2 }')
  # shellcheck disable=SC2086 # a name a word
  apt-get download etcd-server $wanted
  for package in ./*.deb; do
    dpkg -x "$package" "$work/root"
    rm "$package"
  done
}

# The environment is built from nothing: a developer's GOFLAGS must not matter. The sources are laid
# out for GOPATH, so that Go fetches nothing.
compile() {
  local go # the default of those that Debian has
  go=$(readlink -f "$work/root/usr/lib/go")
  cd "$work/root/usr/share/gocode/src/k8s.io/$server"
  env -i PATH="$go/bin:/usr/bin:/bin" GOROOT="$go" HOME="$work" TMPDIR="$work" \
    GOPATH="$work/root/usr/share/gocode" GOCACHE="$work/gocache" GOTOOLCHAIN=local \
    GO111MODULE=off CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/$server" .
}

collect() {
  install -D -m 0755 -t "$work/result" "$work/root/usr/bin/etcd" "$work/$server"
  runs_here "$work/result"
}

build() {
  rm -rf "$root/.$key".building.* # left behind by a build that was killed
  work=$(mktemp -d "$root/.$key.building.XXXXXX")
  : >"$log"
  say "building today's $server once; about 6 minutes on two idle cores (log: $log)"
  need "${tools[@]}"
  stage "fetching its libraries, Go and etcd" fetch
  stage "compiling $server" compile
  stage "starting the result once" collect
  sync "$work/result"/*
  rm -rf "$cached"
  mv -T "$work/result" "$cached"
  say "kept in $cached"
}

# --- main -------------------------------------------------------------------------------------

if [ -n "${LIGHTKEEPER_NEWER:-}" ]; then
  runs_here "$LIGHTKEEPER_NEWER" || fail \
    "LIGHTKEEPER_NEWER=$LIGHTKEEPER_NEWER does not hold an etcd and an $server that run here" \
    "Correct it, or unset it to have both built."
  printf '%s\n' "$LIGHTKEEPER_NEWER"
  exit
fi

command -v dpkg apt-get >/dev/null || fail "this builds on Debian only (dpkg, apt-get)" \
  "Elsewhere, set LIGHTKEEPER_NEWER to a folder that holds etcd and $server."
key="$(dpkg --print-architecture)-r$recipe"
root="${XDG_CACHE_HOME:-$HOME/.cache}/lightkeeper/newer"
cached="$root/$key"
log="$root/$key.log"
readonly key root cached log

if [ -e "$cached" ] && runs_here "$cached"; then
  printf '%s\n' "$cached"
  exit
fi
mkdir -p "$root"
clean_up_at_the_end
lock
if ! { [ -e "$cached" ] && runs_here "$cached"; }; then # nobody built it while we waited
  build
fi
printf '%s\n' "$cached"
