#!/usr/bin/env bash
# Builds the libraries as they are shipped: libs.sh FOLDER puts there libshmkit.so.VERSION, the links by
# which it is found, and libshmkit.a, which shows nothing but `shmkit_*`.
#
# PROFILE=dev builds faster and runs slower; CARGO, CC, NM, OBJCOPY and AR name other tools.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: libs.sh FOLDER}
: "${CARGO:=cargo}" "${CC:=cc}" "${NM:=nm}" "${OBJCOPY:=objcopy}" "${AR:=ar}" "${PROFILE:=release}"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
abi=$(sed -n 's/^#define SHMKIT_ABI_VERSION \([0-9]*\)$/\1/p' "$here/include/shmkit.h")

# Builds one kind of library (alone, or the archive would carry a second copy of everything for
# optimisation later) and says where it is.
build() {
    "$CARGO" rustc --quiet --manifest-path "$here/Cargo.toml" --lib --profile "$PROFILE" \
        --crate-type "$1" --message-format=json-render-diagnostics |
        sed -n "s/.*\"\([^\"]*libshmkit\.$2\)\".*/\1/p" | tail -n 1
}

mkdir -p "$out"
shared=$(build cdylib so)
install -m 755 "$shared" "$out/libshmkit.so.$version"
ln -sf "libshmkit.so.$version" "$out/libshmkit.so.$abi"
ln -sf "libshmkit.so.$abi" "$out/libshmkit.so"

# The archive holds the Rust library's own insides, which another Rust archive in the same program has,
# too: link it into one object, and hide all names in that but those of the interface.
archive=$(build staticlib a)
work=$(mktemp -d "$out/.libs.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$NM" -D --defined-only "$shared" | awk '$3 ~ /^shmkit_/ { print "-Wl,-u," $3 }' >"$work/roots"
# Without groups, of which another archive's would be thrown away for ours, whose names are hidden.
"$CC" -r -nostdlib -Wl,--gc-sections -Wl,--force-group-allocation "@$work/roots" "$archive" -o "$work/shmkit.o"
# Bitcode for other versions of LLVM makes tools with a plugin for it stumble.
"$OBJCOPY" --wildcard --keep-global-symbol='shmkit_*' --strip-debug \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$work/shmkit.o"
rm -f "$work/libshmkit.a"
"$AR" rcs "$work/libshmkit.a" "$work/shmkit.o"
install -m 644 "$work/libshmkit.a" "$out/libshmkit.a"
