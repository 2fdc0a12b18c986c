#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is wrong in a configuration file is told, all of it, with file and line and the nearest key.
source "$(dirname "$0")/common.sh"
truncate -s 1M "$tmp/a"

# expect FILE TEXT...: --check-config refuses the file, and each text is part of a line it prints.
expect() {
    local file=$1 status=0 text

    shift
    timeout 60 "$NBD_EXPORT" --check-config --config "$file" >"$tmp/out" 2>"$tmp/err" || status=$?
    cat "$tmp/err"
    [ $status -eq 1 ] || fail "status $status"
    [ ! -s "$tmp/out" ] || fail "something on stdout"
    for text; do
        grep -qF -- "$text" "$tmp/err" || fail "no word of \"$text\""
    done
}

cat >"$tmp/c" <<END
stray = 1
[generic]
prot = 10809
threads = many
image = x
config = x
[a]
exportname = $tmp/a
format = raw
reedonly = true
readonly = maybe
port = 1
description = one
description = two
copyonwrite = true
copyonwritten
throttle.iops-totl = 1
[b
key = of nobody
[c]
[a]
image = $tmp/a
[missing]
image = $tmp/missing
[empty-list]
image = $tmp/a
authfile = /dev/null
[]
END
expect "$tmp/c" "$tmp/c:1: \"stray\" belongs to no section" "$tmp/c:3: unknown key \"prot\"" \
    'Did you mean "port"' "$tmp/c:4: threads: \"many\"" "$tmp/c:5: \"image\" belongs into the" \
    "$tmp/c:6: \"config\" has its place on the command line" "$tmp/c:10: unknown key \"reedonly\"" \
    'Did you mean "readonly"' "$tmp/c:11: readonly: \"maybe\"" \
    "$tmp/c:12: \"port\" belongs into [generic]" "$tmp/c:14: \"description\" is given a second" \
    "$tmp/c:15: copyonwrite" "$tmp/c:16: \"copyonwritten\" should be KEY = VALUE" \
    "$tmp/c:17: unknown key \"throttle.iops-totl\"" "$tmp/c:18: \"[b\"" \
    "$tmp/c:20: section [c] names no image" \
    "$tmp/c:21: section [a] stands twice, also at $tmp/c:7" \
    "$tmp/missing" "$tmp/c:27: authfile" "$tmp/c:28: a section needs a name"
if grep -q "c:19" "$tmp/err"; then
    fail "a line of a section whose header is wrong is blamed"
fi

# The server does not start with it either.
if timeout 60 "$NBD_EXPORT" --socket "$tmp/sock" --config "$tmp/c" 2>"$tmp/err"; then
    fail "started"
fi
grep -q reedonly "$tmp/err"

expect "$tmp/nonexistent" "cannot read the configuration file" "No such file"
expect "$tmp" "cannot read the configuration file" "Is a directory"
printf '[generic]\nport = 1\0\n' >"$tmp/c"
expect "$tmp/c" "$tmp/c:2: a byte 0"
head -c 5M /dev/zero | tr '\0' '#' >"$tmp/c"
expect "$tmp/c" "larger than 4 MiB"
: >"$tmp/c"
expect "$tmp/c" "no image to serve"
printf '[a]\nimage = %s\nformat = raw\n[\xff]\nimage = x\n' "$tmp/a" >"$tmp/c"
expect "$tmp/c" "is not UTF-8"
export_a="[a]\nimage = $tmp/a\nformat = raw\n"
# shellcheck disable=SC2059 # no % in it
printf "[generic]\nincludedir = $tmp/nowhere\n$export_a" >"$tmp/c"
expect "$tmp/c" "nowhere"
mkdir "$tmp/more"
# shellcheck disable=SC2059 # no % in it
printf "[generic]\nincludedir = $tmp/more\n$export_a" >"$tmp/c"
echo "[generic]" >"$tmp/more/x.conf"
expect "$tmp/c" "more/x.conf:1: [generic] belongs into the main file"
rm "$tmp/more/x.conf"
seq -f "[%.0f]" 2000 >>"$tmp/c"
expect "$tmp/c" "... and 1900 more errors"

# What the server itself needs is tried too.
# shellcheck disable=SC2059 # no % in it
printf "[generic]\ntls-certs = $tmp/nocerts\nexport-dir = $tmp/nodir\n" >"$tmp/c"
expect "$tmp/c" "nocerts" "nodir"

# Nothing is opened for writing, and a server that has the image is not disturbed.
printf '[a]\nimage = %s\nformat = raw\n' "$tmp/a" >"$tmp/c"
start_server --config "$tmp/c"
"$NBD_EXPORT" --check-config --config "$tmp/c"
chmod a-w "$tmp/a"
before=$(stat -c %Y.%Z "$tmp/a")
if [ "$(id -u)" -ne 0 ]; then
    expect "$tmp/c" "cannot be written"
fi
[ "$(stat -c %Y.%Z "$tmp/a")" = "$before" ] || fail "the image was touched"
stop_server
