#!/usr/bin/env bash
# The packages: installed, moved to another place, found from there by pkg-config and by CMake, linked both
# ways, beside another Rust archive; a wrong version is refused.
#
# PROFILE=dev builds faster. A tool that is missing is installed where that can be done; otherwise what needs it
# is skipped, which is said.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PROFILE:=release}"
export PROFILE

have() {
    if ! command -v "$1" >/dev/null 2>&1; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$1"; } >/dev/null 2>&1 || true
    fi
    command -v "$1" >/dev/null 2>&1 || { echo "SKIPPED, without $1: $2" >&2 && false; }
}
have make "all packages" || exit 0
have g++ "all packages" || exit 0

here=$PWD/ffi/tests/package
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' ffi/Cargo.toml | head -n 1)

fail() {
    echo "packages: $1" >&2
    exit 1
}
# says WORDS COMMAND..: the command prints exactly that.
says() {
    local said
    said=$("${@:2}") || fail "${*:2}: failed"
    [ "$said" = "$1" ] || fail "${*:2}: said '$said', not '$1'"
}
# refused WORDS COMMAND..: the command fails, and says so among other things.
refused() {
    ! "${@:2}" >"$tmp/said" 2>&1 || fail "${*:2}: not refused"
    grep -q "$1" "$tmp/said" || fail "${*:2}: $(cat "$tmp/said")"
}

echo "== installed by make, then moved"
make -s -C ffi install BUILD="$tmp/build" PREFIX="$tmp/first"
mkdir "$tmp/moved here"
mv "$tmp/first" "$tmp/moved here/shmkit"
root="$tmp/moved here/shmkit"
! grep -rIl "$tmp" "$root" || fail "a file knows where it was installed"
soname=$(readelf -d "$root/lib/libshmkit.so" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
[ "$soname" = "libshmkit.so.$(sed -n 's/^#define SHMKIT_ABI_VERSION //p' ffi/include/shmkit.h)" ] ||
    fail "the name at run time is $soname"
[ -e "$root/lib/$soname" ] || fail "$soname is not there"
foreign=$(nm -g --defined-only "$root/lib/libshmkit.a" | awk 'NF == 3 && $3 !~ /^shmkit_/ { print $3 }')
[ -z "$foreign" ] || fail "the archive shows names of its own: $foreign"
# Both libraries offer the same.
names() { awk 'NF == 3 { print $3 }' | sort; }
diff <(nm -D --defined-only "$root/lib/libshmkit.so" | names) <(nm -g --defined-only "$root/lib/libshmkit.a" | names) ||
    fail "the libraries differ"

with_pkg_config() {
    echo "== found by pkg-config"
    export PKG_CONFIG_PATH="$root/lib/pkgconfig"
    says "$version" pkg-config --modversion shmkit
    pkg-config --atleast-version="$version" shmkit || fail "pkg-config does not find its own version"
    ! pkg-config --atleast-version=99.0 shmkit || fail "pkg-config takes it for version 99"
    # The folder has a space in its name, which pkg-config escapes.
    flags() { pkg-config "$@" shmkit | xargs -n 1 printf '%s\n'; }
    mapfile -t cflags < <(flags --cflags)
    mapfile -t libs < <(flags --libs)
    mapfile -t all < <(flags --static --libs)
    mapfile -t system < <(printf '%s\n' "${all[@]}" | grep -v -e '^-L' -e '^-lshmkit$')
    export LD_LIBRARY_PATH="$root/lib"
    cc -std=c11 -Wall -Wextra -Werror "${cflags[@]}" "$here/hello.c" -o "$tmp/c-shared" "${libs[@]}"
    says "hello from C" "$tmp/c-shared"
    g++ -std=c++17 -Wall -Wextra -Werror "${cflags[@]}" "$here/hello.cpp" -o "$tmp/cpp-shared" "${libs[@]}"
    says "hello from C++" "$tmp/cpp-shared"
    unset LD_LIBRARY_PATH
    cc "${cflags[@]}" "$here/hello.c" -o "$tmp/c-static" "$root/lib/libshmkit.a" "${system[@]}"
    says "hello from C" "$tmp/c-static"
    g++ -std=c++17 "${cflags[@]}" "$here/hello.cpp" -o "$tmp/cpp-static" "$root/lib/libshmkit.a" "${system[@]}"
    says "hello from C++" "$tmp/cpp-static"
    cc -static "${cflags[@]}" "$here/hello.c" -o "$tmp/c-whole" "${libs[0]}" -lshmkit -lpthread -lm -ldl -lgcc_eh -lc \
        2>"$tmp/said" || fail "$(cat "$tmp/said")" # it warns of what the Rust library looks up by name, which nothing here asks for
    says "hello from C" "$tmp/c-whole"
    unset PKG_CONFIG_PATH
}

with_cmake() {
    echo "== found by CMake"
    find_it() { # BUILD WANTED OPTIONS..
        cmake -S "$here/found" -B "$tmp/$1" -DCMAKE_PREFIX_PATH="$root" -DWANTED="$2" "${@:3}"
    }
    for wanted in "" "${version%.*}" "$version"; do
        find_it found "$wanted" >"$tmp/said" || fail "find_package(shmkit $wanted): $(cat "$tmp/said")"
    done
    cmake --build "$tmp/found" >"$tmp/said" || fail "$(cat "$tmp/said")"
    for library in shmkit shared static; do
        says "hello from C" "$tmp/found/c-$library"
        says "hello from C++" "$tmp/found/cpp-$library"
    done
    find_it found-static "" -DSHMKIT_USE_STATIC=ON >"$tmp/said"
    cmake --build "$tmp/found-static" --target c-shmkit >"$tmp/said" || fail "$(cat "$tmp/said")"
    says "hello from C" "$tmp/found-static/c-shmkit"
    ! ldd "$tmp/found-static/c-shmkit" | grep -q libshmkit || fail "SHMKIT_USE_STATIC links the shared library"
    for wanted in 0.0.1 0.99 1.0 99; do
        refused "version: $version" find_it "refused-$wanted" "$wanted"
    done

    echo "== built as a part, and installed by CMake"
    cmake -S "$here/fetched" -B "$tmp/fetched" -DSHMKIT="$PWD/ffi" -DSHMKIT_PROFILE="$PROFILE" >"$tmp/said" ||
        fail "$(cat "$tmp/said")"
    cmake --build "$tmp/fetched" >"$tmp/said" 2>&1 || fail "$(cat "$tmp/said")"
    says "hello from C++" "$tmp/fetched/fetched-shared"
    says "hello from C" "$tmp/fetched/fetched-static"
    cmake -S ffi -B "$tmp/cmake" -DCMAKE_INSTALL_LIBDIR=lib -DSHMKIT_PROFILE="$PROFILE" >"$tmp/said"
    cmake --build "$tmp/cmake" >"$tmp/said" 2>&1 || fail "$(cat "$tmp/said")"
    cmake --install "$tmp/cmake" --prefix "$tmp/second" >"$tmp/said"
    diff <(cd "$root" && find . | sort) <(cd "$tmp/second" && find . | sort) || fail "make and cmake install different files"
    for file in lib/pkgconfig/shmkit.pc lib/cmake/shmkit/shmkit-config.cmake lib/cmake/shmkit/shmkit-config-version.cmake; do
        diff "$root/$file" "$tmp/second/$file" || fail "make and cmake make different $file"
    done
}

echo "== beside another Rust archive"
cargo build --quiet --release --offline --manifest-path "$here/other/Cargo.toml" --target-dir "$tmp/other"
system="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
other=$tmp/other/release/libother.a
cc -I "$root/include" "$here/beside.c" -o "$tmp/beside" "$root/lib/libshmkit.a" "$other" $system
says 42 "$tmp/beside"
cc -I "$root/include" "$here/beside.c" -o "$tmp/beside" "$other" "$root/lib/libshmkit.a" $system
says 42 "$tmp/beside"

! have pkg-config "what pkg-config finds" || with_pkg_config
! have cmake "what CMake finds" || with_cmake

echo "packages: installed, moved, found, linked and refused as they should be"
