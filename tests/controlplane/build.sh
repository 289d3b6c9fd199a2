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
readonly programs=(etcd kube-apiserver)
readonly tools=(
  golang-go dpkg-dev make rsync jq openssl debian-archive-keyring
  golang-github-modern-go-reflect2-dev # see patch_source
)

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
title=controlplane
readonly repository title
source "$repository/packaging/cached-build.sh"
instead=("Or point KUBEBUILDER_ASSETS at a folder that holds etcd and kube-apiserver.")

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

# --- stages -----------------------------------------------------------------------------------

fetch() {
  private_apt "$suite"
  mkdir -p "$work/fetched" "$work/etcd"
  cd "$work/fetched"
  apt-get download etcd-server
  dpkg -x etcd-server_*.deb "$work/etcd"
  source_package kubernetes "$source" "$kube_version"
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
  rm -rf "$root/.$key".building.* # left behind by a build that was killed
  work=$(mktemp -d "$root/.$key.building.XXXXXX")
  source="$work/go/src/k8s.io/kubernetes"
  mkdir -p "$(dirname "$source")"
  : >"$log"
  say "building Kubernetes $kube_version once; about 6 minutes on two idle cores (log: $log)"
  need "${tools[@]}"
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
clean_up_at_the_end
lock
if ! intact "$cached"; then # nobody built it while we waited
  [ ! -e "$cached" ] || say "$cached is damaged, or not complete: building it again"
  build
fi
printf '%s\n' "$cached"
