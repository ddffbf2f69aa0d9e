# SPDX-License-Identifier: Apache-2.0
# Read by CMake right after libssh's project(): options set here reach the library's own sources but not the
# configure checks, which look for the C library's poll() under its real name.
add_compile_options(-include "${PORTREEVE_RENAME}" -fno-strict-aliasing -fPIC -w)
if (PORTREEVE_SANITIZE)
  add_compile_options("-fsanitize=${PORTREEVE_SANITIZE}" -fno-omit-frame-pointer)
endif ()
