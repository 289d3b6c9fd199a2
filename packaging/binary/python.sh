#!/usr/bin/env bash
# Finds or builds the place where the binary is made: the root of a Debian 11 with a CPython and an
# OpenSSL of its own in /opt. Prints that root on stdout; everything else goes to stderr.
#
#   XDG_CACHE_HOME   where it is kept (default ~/.cache), in lightkeeper/python/<key>
#
# Debian 11 because a program runs on the C library it was linked with and on newer ones: what is
# made here runs wherever there is glibc 2.31. Its own Python and OpenSSL are too old; both are
# compiled from Debian 12's source packages, which carry Debian's security fixes.
#
# A folder in the cache is complete or absent: it is made beside it, tried, and renamed.
set -euo pipefail

readonly recipe=1 # part of the cache key: raise it when a build's result would change
readonly old=bullseye sources=bookworm
readonly compilers=(
  autoconf autoconf-archive binutils gcc libc6-dev libexpat1-dev libffi-dev make perl pkg-config
  zlib1g-dev
)
# What nobody speaks any more, or nothing here asks for: less to compile, to carry and to attack.
readonly openssl_without=(
  no-tests no-engine no-module no-legacy no-comp no-ssl3 no-tls1 no-tls1_1 no-dtls no-srp no-psk
  no-cmp no-cms no-ts no-idea no-seed no-camellia no-aria no-sm2 no-sm3 no-sm4 no-gost no-mdc2
  no-md4 no-rc2 no-rc4 no-bf no-cast no-whirlpool no-ui-console
)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
title=python
readonly here title
source "$here/../cached-build.sh"

# inside FOLDER COMMAND...: runs a command in the root, with an environment made of nothing.
inside() {
  local folder=$1
  shift
  unshare --mount --propagation private bash -euo pipefail -c '
    mount --bind /proc "$0/proc"
    exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive "$@"
  ' "$folder" "$@"
}

# works FOLDER: its Python starts there, and has what a bundle needs.
works() {
  [ -f "$1/VERSIONS" ] && inside "$1" /opt/python/bin/python3.11 -c '
import ctypes, hashlib, platform, pyexpat, ssl, zlib
assert ssl.OPENSSL_VERSION.startswith("OpenSSL 3.")
assert platform.libc_ver() == ("glibc", "2.31")
' >/dev/null 2>&1
}

bootstrap() {
  # apt's trust and proxy are the machine's; debootstrap verifies the archive's signature itself.
  debootstrap --variant=minbase --keyring="$keyring" "$old" "$result" "$archive"
  inside "$result" apt-get install -y --no-install-recommends "${compilers[@]}"
  inside "$result" apt-get clean
}

fetch() {
  private_apt "$sources"
  source_package openssl "$result/src/openssl"
  source_package python3.11 "$result/src/python"
  {
    printf 'python %s\n' "$(sed -n 's/^Version: //p' "$work"/fetched/python3.11/*.dsc | head -n 1)"
    printf 'openssl %s\n' "$(sed -n 's/^Version: //p' "$work"/fetched/openssl/*.dsc | head -n 1)"
    # shellcheck disable=SC2016  # dpkg-query's own variables
    inside "$result" dpkg-query -W -f '${Package} ${Version}\n' libc6 libffi7 zlib1g
  } >"$result/versions.new"
}

compile_openssl() {
  inside "$result" bash -euo pipefail -c '
    cd /src/openssl
    ./config shared "$@" --prefix=/opt/openssl --libdir=lib --openssldir=/etc/ssl
    make -j"$(nproc)" build_libs
    make install_dev
  ' openssl "${openssl_without[@]}"
}

compile_python() {
  inside "$result" bash -euo pipefail -c '
    cd /src/python
    autoconf # Debian has patched configure.ac
    # A patch of Debian uses the interpreter from inside, and their makefile says so, not setup.py.
    printf "*shared*\npyexpat pyexpat.c -DPy_BUILD_CORE_MODULE -lexpat\n" >Modules/Setup.local
    ./configure --prefix=/opt/python --enable-shared --without-ensurepip --disable-test-modules \
      --with-openssl=/opt/openssl --with-openssl-rpath=auto LDFLAGS=-Wl,-rpath,/opt/python/lib
    make -j"$(nproc)"
    make install
  '
}

finish() {
  rm -rf "$result/src" "$result"/var/lib/apt/lists/*
  mv "$result/versions.new" "$result/VERSIONS"
  works "$result"
}

build() {
  rm -rf "$root/.$key".building.* # left behind by a build that was killed
  work=$(mktemp -d "$root/.$key.building.XXXXXX")
  chmod 0755 "$work"
  result="$work/root"
  : >"$log"
  say "building CPython for glibc 2.31 once; about 8 minutes on two idle cores (log: $log)"
  ((EUID == 0)) || fail "a Debian 11 root can only be made by root"
  need debootstrap debian-archive-keyring dpkg-dev
  archive=$(debian_archive "$sources")
  stage "making a Debian 11 root" bootstrap
  stage "fetching the sources of CPython and OpenSSL" fetch
  stage "compiling OpenSSL" compile_openssl
  stage "compiling CPython" compile_python
  stage "trying the result" finish
  rm -rf "$cached"
  mv -T "$result" "$cached"
  say "kept in $cached"
}

command -v dpkg apt-get >/dev/null || fail "this builds on Debian only (dpkg, apt-get)"
key="debian11-$(dpkg --print-architecture)-r$recipe"
root="${XDG_CACHE_HOME:-$HOME/.cache}/lightkeeper/python"
cached="$root/$key"
log="$root/$key.log"
result=  # the root that is being made
archive= # where Debian 11 is fetched from
readonly key root cached log

mkdir -p "$root"
if ! works "$cached"; then
  clean_up_at_the_end
  lock
  if ! works "$cached"; then # nobody built it while we waited
    build
  fi
fi
printf '%s\n' "$cached"
