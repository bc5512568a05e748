#!/bin/sh
# What Qt and OpenGL need from a bare Debian or Ubuntu, and a virtual screen for tests and for `demo --headless`.
# As root the missing ones are installed; otherwise this says exactly which are missing and how to get them.
set -eu

packages="xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0
libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
libxcb-xfixes0 libfontconfig1 libglib2.0-0"

command -v dpkg-query >/dev/null || exit 0 # not Debian: nothing we could say would be right

installed() {
    dpkg-query --show --showformat '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

missing=""
for package in $packages; do
    # Debian 13 and Ubuntu 24.04 call some libraries NAMEt64
    installed "$package" || installed "${package}t64" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "These system packages are missing:$missing" >&2
    echo "Install them with: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of names, split on purpose
apt-get -qq install --yes --no-install-recommends $missing >/dev/null
