#!/bin/sh
# Installs Cube's packages from the lock beside this script into a folder: install.sh DEST [STANDIN_DIR]
#
# Cube needs a Rust addon, which its package downloads. If the download fails, the script installs the stand-in from
# STANDIN_DIR. Without a STANDIN_DIR it fails, so that no production image ever contains a stand-in.
# The last line of output says which of the two is installed: `native: real` or `native: stand-in`.
# NODE and NPM set the paths of the two programs; by default the script looks for them on PATH.
set -eu

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "$1" ]; then
  fail "usage: install.sh DEST [STANDIN_DIR]"
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dest=${1%/}
standin=${2:-}
node=${NODE:-node}
npm=${NPM:-npm}
command -v "$npm" >/dev/null 2>&1 || fail "npm is missing ($npm): install Node.js 22 or newer with npm."
command -v "$node" >/dev/null 2>&1 || fail "node is missing ($node): install Node.js 22 or newer."
[ -z "$standin" ] || [ -f "$standin/index.js" ] || fail "there is no stand-in in $standin (index.js)."

# The script writes this file last and then renames the folder to DEST, so an incomplete folder never has that name.
mark=native.txt
if [ -f "$dest/$mark" ]; then
  kind=$(cat "$dest/$mark")
  if [ "$kind" = stand-in ] && [ -z "$standin" ]; then
    fail "$dest holds the stand-in of Cube's Rust addon, and none was allowed: remove the folder."
  fi
  echo "native: $kind"
  exit 0
fi
[ ! -d "$dest" ] || rmdir -- "$dest" 2>/dev/null || fail "$dest exists already, and this script did not create it."

part=$dest.tmp
rm -rf -- "$part"
trap 'rm -rf -- "$part"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p -- "$part"
cp -- "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$part/"

# Only the stand-in needs the development packages.
omit=dev
[ -z "$standin" ] || omit=
(cd -- "$part" && "$npm" ci --no-progress --loglevel=error ${omit:+"--omit=$omit"}) >&2 ||
  fail "npm could not install Cube's packages."

addon=$(CDPATH='' cd -- "$part/node_modules/@cubejs-backend/native" && pwd)
log=$part/native.log
# Runs the package's own postinstall script, for at most a minute.
download='
  const { status } = require("node:child_process").spawnSync(
    process.execPath, ["../../@cubejs-infra/post-installer/dist/bin.js"],
    { cwd: process.argv[1], timeout: 60000, stdio: "inherit" },
  );
  process.exit(status ?? 1);
'
load='require(process.argv[1]).loadNative()'

if "$node" -e "$download" "$addon" >"$log" 2>&1 && "$node" -e "$load" "$addon" >>"$log" 2>&1; then
  kind=real
elif [ -n "$standin" ]; then
  rm -rf -- "$addon/index.node"
  mkdir -- "$addon/index.node"
  cp -- "$standin/index.js" "$addon/index.node/"
  "$node" -e "$load" "$addon" >>"$log" 2>&1 || {
    cat -- "$log" >&2
    fail "the stand-in of Cube's Rust addon does not load."
  }
  kind=stand-in
else
  cat -- "$log" >&2
  fail "Cube's Rust addon could not be downloaded, or does not load here, and no stand-in was allowed."
fi

echo "$kind" >"$part/$mark"
mv -- "$part" "$dest"
echo "native: $kind"
