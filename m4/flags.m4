dnl SPDX-License-Identifier: LGPL-2.1-or-later

dnl BLK_APPEND_FLAG(VARIABLE, FLAG): appends FLAG to VARIABLE if the compiler knows it.
AC_DEFUN([BLK_APPEND_FLAG], [
    AS_VAR_PUSHDEF([cache], [blk_cv_cflag_$2])
    AC_CACHE_CHECK([whether $CC accepts $2], [cache], [
        blk_saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cache], [yes])],
                          [AS_VAR_SET([cache], [no])])
        CFLAGS=$blk_saved_CFLAGS
    ])
    AS_VAR_IF([cache], [yes], [$1="${$1:+$$1 }$2"])
    AS_VAR_POPDEF([cache])
])

dnl BLK_REQUIRE_LINK_FLAGS(FLAGS): stops unless a program builds and links with FLAGS.
AC_DEFUN([BLK_REQUIRE_LINK_FLAGS], [
    AC_MSG_CHECKING([whether $CC links with $1])
    blk_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
                   [AC_MSG_RESULT([no])
                    AC_MSG_ERROR([$CC cannot link with $1])])
    CFLAGS=$blk_saved_CFLAGS
])
