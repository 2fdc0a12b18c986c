#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     make-guest.sh FOLDER
#
# Makes a small guest in FOLDER: `kernel`, Debian's cloud kernel, out of its package, which is not
# installed; `initrd`, with busybox, the modules, nbd-client, mke2fs and init.  What is there
# already and not out of date stays.  Runs as any user; says what is missing if that is so.

set -e -u -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
modules="virtio_pci virtio_net virtio_blk nbd overlay"
programs="nbd-client mke2fs resize2fs"

die() {
    echo "no guest can be made: $*" >&2
    exit 1
}

# The name of the package that the newest cloud kernel is in.
kernel_package() {
    apt-cache "${apt[@]}" show linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1
}

# Into the folder we are in.  Where the system knows of no packages, with lists of our own.
download_kernel() {
    local package

    apt=(-q)
    package=$(kernel_package || true)
    if [ -z "$package" ] || ! apt-get "${apt[@]}" download "$package"; then
        mkdir -p "$PWD/apt/lists/partial" "$PWD/apt/cache/archives/partial"
        apt+=(-o "Dir::State=$PWD/apt" -o "Dir::State::status=/var/lib/dpkg/status"
              -o "Dir::Cache=$PWD/apt/cache" -o APT::Sandbox::User=)
        apt-get "${apt[@]}" update
        package=$(kernel_package || true)
        [ "$package" ] || die "apt-cache knows no linux-image-cloud-amd64"
        apt-get "${apt[@]}" download "$package"
    fi
}

# Sets version.  The package's files are then under package/.
get_kernel() {
    if [ ! -e kernel ]; then
        rm -rf package ./*.deb
        download_kernel >download.log 2>&1 || die "no download: $(tail -n 3 download.log)"
        dpkg-deb -x linux-image-*-cloud-amd64_*.deb package
        cp package/boot/vmlinuz-* kernel.new
        rm -rf ./*.deb apt
        mv kernel.new kernel
    fi
    version=$(basename package/boot/vmlinuz-*)
    version=${version#vmlinuz-}
}

# Where a program is, and the libraries it takes.
files_of() {
    local path

    path=$(command -v "$1") || die "$1 is not installed"
    echo "$path"
    ldd "$path" | sed -n 's/.* => \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'
}

# The modules in the order they are loaded in, each with its parameters.
load_order() {
    local module

    for module in $modules; do
        modprobe --dirname=package --set-version="$version" --show-depends "$module"
    done | sed -n 's/^insmod //p' | awk '!seen[$1]++'
}

make_initrd() {
    local program file path parameters

    rm -rf root
    mkdir -p root/bin root/sbin root/dev root/proc root/sys root/mnt root/tmp root/etc root/modules
    cp "$(command -v busybox)" root/bin/busybox
    cp "$here/init" root/init
    chmod 755 root/init
    for program in $programs; do
        files_of "$program" >files
        cp -L "$(head -n 1 files)" "root/sbin/$program"
        while read -r file; do
            mkdir -p "root$(dirname "$file")"
            cp -L "$file" "root$file"
        done < <(tail -n +2 files)
    done
    depmod -b package "$version"
    load_order | while read -r path parameters; do
        cp "$path" root/modules
        echo "$(basename "$path") $parameters" >>root/modules/order
    done
    (cd root && find . | cpio --quiet -o -H newc -R 0:0) >initrd.new
    mv initrd.new initrd
}

[ "$(uname -m)" = x86_64 ] || die "this machine is not an x86-64"
for program in apt-get busybox cpio depmod dpkg-deb flock ldd modprobe; do
    command -v "$program" >/dev/null || die "$program is not installed"
done
mkdir -p "$1"
cd "$1"
exec 9>lock
flock 9
get_kernel
if [ ! initrd -nt "$here/init" ] || [ ! initrd -nt "$here/make-guest.sh" ] ||
    [ ! initrd -nt "$(command -v nbd-client)" ]; then
    make_initrd
fi
