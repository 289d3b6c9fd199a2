#!/usr/bin/env bash
# Makes dist/lightkeeper (one file) and dist/lightkeeper-folder (the same for images) from this
# checkout, with the packages of requirements.lock beside this file, in the root of python.sh.
#
#   PYTHON           a Python >= 3.11 with pip that fetches the packages (default python3)
#   XDG_CACHE_HOME   where the packages and the root are kept (default ~/.cache)
#
# The same commit gives the same bytes: versions are locked, times are the commit's, hashes are not
# seeded at random. What is built runs on this machine's processor type and glibc 2.31 or newer.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
title=binary
readonly here repository title
source "$here/../cached-build.sh"

readonly oldest_glibc=31 # 2.31, as Debian 11 has it

# The files of this checkout that go into the binary, as they are now.
collect_source() {
  mkdir -p "$work/source" "$work/data"
  cd "$repository"
  find agent -type f -not -name '*.pyc' |
    tar --create --files-from - | tar --extract --directory "$work/source"
  printf 'This folder was unpacked by lightkeeper and is removed at its end.\n' \
    >"$work/data/lightkeeper.bundle"
}

# What the binary says of itself: commit, components, licences. Stops at what nobody reviewed.
describe() {
  local commit
  commit=$(git -C "$repository" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
  [ -z "$(git -C "$repository" status --porcelain 2>/dev/null)" ] || commit+=-dirty
  cp -r "$repository/pyproject.toml" "$here" "$work/source/"
  inside python3.11 /work/source/binary/notices.py --source /work/source --commit "$commit" \
    --output /work/source/agent
}

# The wheels are chosen for the old C library, not for this machine's.
fetch_packages() {
  local platforms=() minor machine
  machine=$(uname -m)
  for minor in $(seq "$oldest_glibc" -1 17); do
    platforms+=(--platform "manylinux_2_${minor}_$machine")
  done
  platforms+=(--platform "manylinux2014_$machine" --platform "manylinux2010_$machine"
    --platform "manylinux1_$machine" --platform any)
  rm -rf "$packages.new"
  "${PYTHON:-python3}" -m pip --disable-pip-version-check --no-input install --quiet \
    --require-hashes --no-deps --no-compile --only-binary :all: --python-version 3.11 \
    --implementation cp --abi cp311 --abi abi3 --abi none "${platforms[@]}" \
    --target "$packages.new" --requirement "$here/requirements.lock"
  mv -T "$packages.new" "$packages"
}

# inside COMMAND...: runs a command in the root, where the work is in /work.
inside() {
  unshare --mount --propagation private bash -euo pipefail -c '
    root=$1 work=$2 packages=$3 epoch=$4
    shift 4
    mkdir -p "$root/work" "$root/packages"
    mount --bind /proc "$root/proc"
    mount --bind "$work" "$root/work"
    mount --bind "$packages" "$root/packages"
    exec chroot "$root" /usr/bin/env -i PATH=/opt/python/bin:/usr/bin:/bin HOME=/work LANG=C.UTF-8 \
      PYTHONPATH=/packages PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 SOURCE_DATE_EPOCH="$epoch" \
      LIGHTKEEPER_SOURCE=/work/source LIGHTKEEPER_DATA=/work/data "$@"
  ' inside "$python_root" "$work" "$packages" "$epoch" "$@"
}

bundle() {
  inside python3.11 -m PyInstaller --noconfirm --log-level WARN --distpath /work/dist \
    --workpath /work/build /work/source/lightkeeper.spec
}

# Every library of the folder is looked at: none may ask for a newer C library than promised.
check_floor() {
  inside bash -euo pipefail -c '
    newest=$(find /work/dist/lightkeeper-folder -type f -exec sh -c "objdump -T \"\$1\" 2>/dev/null" - {} \; |
      grep -o "GLIBC_2\.[0-9]*" | sort -uV | tail -n 1)
    echo "newest symbol version asked for: $newest"
    [ "${newest#GLIBC_2.}" -le "$1" ]
  ' floor "$oldest_glibc"
}

try_result() {
  inside /work/dist/lightkeeper version
  inside /work/dist/lightkeeper-folder/lightkeeper version
}

command -v dpkg apt-get >/dev/null || fail "this builds on Debian only (dpkg, apt-get)"
python_root=$("$here/python.sh")
root="${XDG_CACHE_HOME:-$HOME/.cache}/lightkeeper/binary"
mkdir -p "$root"
log="$root/build.log"
packages="$root/packages-$(uname -m)-$(sha256sum <"$here/requirements.lock" | cut -c1-16)"
epoch=$(git -C "$repository" log -1 --format=%ct 2>/dev/null || echo 0)
readonly python_root root log packages epoch

clean_up_at_the_end
lock
: >"$log"
work=$(mktemp -d "$root/.building.XXXXXX")
chmod 0755 "$work"
[ -d "$packages" ] || stage "fetching the packages" fetch_packages
stage "collecting the source" collect_source
cp "$here/lightkeeper.spec" "$work/source/"
stage "listing what is in it" describe
stage "bundling" bundle
stage "checking the C library's floor" check_floor
stage "starting the result" try_result
mkdir -p "$repository/dist"
rm -rf "$repository/dist/lightkeeper" "$repository/dist/lightkeeper-folder"
mv "$work/dist/lightkeeper" "$work/dist/lightkeeper-folder" "$repository/dist/"
say "dist/lightkeeper: $(($(stat -c %s "$repository/dist/lightkeeper") / 1000)) kB"
