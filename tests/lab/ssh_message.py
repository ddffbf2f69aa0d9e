# SPDX-License-Identifier: Apache-2.0
"""A message of SSH's, of the Python values that it holds (RFC 4251 section 5)."""
from paramiko.message import Message


def message(number, *parts):
    m = Message()
    m.add_byte(bytes([number]))
    for part in parts:
        if isinstance(part, bool):
            m.add_boolean(part)
        elif isinstance(part, int):
            m.add_int(part)
        else:
            m.add_string(part)
    return m
