#!/usr/bin/env bash
# Lays Mesa's newest Vulkan drivers, with the C library and loader that they want and devices that are not there, in a folder
# beside the system, which it leaves alone. Needs Debian's apt, whose mirror it takes.
#
# usage: tests/compilers/drivers.sh FOLDER
set -euo pipefail
folder=$1
[ ! -e "$folder/complete" ] || exit 0
command -v apt-get >/dev/null && [ "$(uname -m)" = x86_64 ] || { echo "these drivers come with Debian's apt for x86-64, which is not here" >&2; exit 1; }
mirror=$(grep -hv '^#' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -oE 'https?://[^ ]*/debian/?' | head -1 || true)
[ -n "$mirror" ] || { echo "apt names no mirror of Debian" >&2; exit 1; }

rm -rf "$folder"
mkdir -p "$folder"/{packages,root,apt/lists/partial,apt/cache/archives/partial}
cd "$folder"
# With an empty list of what is installed apt names every dependency, down to the C library.
: >apt/status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >apt/sources.list
cat >apt/apt.conf <<C
Dir::State "$folder/apt";
Dir::State::status "$folder/apt/status";
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt/cache";
Dir::Etc::sourcelist "$folder/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
C
export APT_CONFIG=$folder/apt/apt.conf
apt-get update -qq
cd packages
apt-get install -y --no-install-recommends --print-uris mesa-vulkan-drivers libvulkan1 libvulkan-dev mesa-drm-shim |
    sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" | grep -vxE 'perl.*|dpkg|debconf|bash|coreutils|adduser|passwd|systemd|init.*|apt|tar' |
    xargs apt-get download -qq
for package in *.deb; do dpkg-deb -x "$package" ../root; done
cd ..
rm -r packages apt/lists apt/cache
touch complete
