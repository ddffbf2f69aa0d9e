#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The host keys of a seed and a target, computed anew from what control/keeper/host_derive.c says of itself: prints
their fingerprints, which test_host_keys.c holds as known answers."""
import base64
import hashlib
import struct

SEED = bytes(range(32))
TARGET = b"SHA256:example"


def derived(context, *parts):
    h = hashlib.blake2b(key=SEED, digest_size=32)
    h.update(context + b"\0" + b"\0".join(parts))
    return h.digest()


def chacha20(key, length):
    def quarter(x, a, b, c, d):
        def rotate(v, n):
            return ((v << n) | (v >> (32 - n))) & 0xFFFFFFFF
        for first, second, third, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] = (x[first] + x[second]) & 0xFFFFFFFF
            x[third] = rotate(x[third] ^ x[first], n)

    out = b""
    block = 0
    while len(out) < length:
        start = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + (block, 0, 0, 0))
        x = start[:]
        for _ in range(10):
            for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                      (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(x, *q)
        out += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start)))
        block += 1
    return out[:length]


def string(b):
    return struct.pack(">I", len(b)) + b


def mpint(n):
    return string(n.to_bytes(n.bit_length() // 8 + 1, "big"))


def show(kind, blob):
    print(kind, "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("="))


CURVES = {  # p, a, b, G, order
    "nistp256": (2**256 - 2**224 + 2**192 + 2**96 - 1,
                 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
                 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5,
                 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551),
    "nistp384": (2**384 - 2**128 - 2**96 + 2**32 - 1,
                 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7,
                 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f,
                 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973),
    "nistp521": (2**521 - 1,
                 0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66,
                 0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650,
                 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409),
}


def multiply(k, point, p):
    """On y^2 = x^3 - 3x + b."""
    def add(u, v):
        if u is None or v is None:
            return u or v
        if u[0] == v[0]:
            if (u[1] + v[1]) % p == 0:
                return None
            slope = (3 * u[0] * u[0] - 3) * pow(2 * u[1], -1, p)
        else:
            slope = (v[1] - u[1]) * pow(v[0] - u[0], -1, p)
        x = (slope * slope - u[0] - v[0]) % p
        return x, (slope * (u[0] - x) - u[1]) % p

    result = None
    while k:
        if k & 1:
            result = add(result, point)
        point = add(point, point)
        k >>= 1
    return result


def is_prime(n):
    for a in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if n % a == 0:
            return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in range(2, 40):
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(bytes_):
    n = int.from_bytes(bytes_, "big") | 3 << 8 * len(bytes_) - 2 | 1
    while n % 65537 == 1 or not is_prime(n):
        n += 2
    return n


for curve, (p, x, y, order) in CURVES.items():
    kind = ("ecdsa-sha2-" + curve).encode()
    size = (order.bit_length() + 7) // 8
    stream = chacha20(derived(b"portreeve host key 2", kind, TARGET), size + 16)
    point = multiply(1 + int.from_bytes(stream, "big") % (order - 1), (x, y), p)
    show(kind.decode(), string(kind) + string(curve.encode()) + string(
        b"\4" + point[0].to_bytes(size, "big") + point[1].to_bytes(size, "big")))
stream = chacha20(derived(b"portreeve host key 2", b"ssh-rsa", TARGET), 384)
n = prime(stream[:192]) * prime(stream[192:])
show("ssh-rsa", string(b"ssh-rsa") + mpint(65537) + mpint(n))
