#!/usr/bin/env python3
"""Makes the certificates and signatures of this folder, once, with Python's `cryptography`.

Every run makes new keys, so run it only to add a case; the tests read the committed files. Dates are
fixed (2026-01-01 to 2036-01-01): the code under test gets the time as an argument.
"""
import datetime
import ipaddress
import json
import pathlib
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

HERE = pathlib.Path(__file__).parent
# RFC 8032 section 7.4, "1 octet".
RFC8032_ED448 = ("c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c"
                 "5e3bc397a659949ef8021e954e0a12274e")
START = datetime.datetime(2026, 1, 1)
END = datetime.datetime(2036, 1, 1)


def name(common):
    return x509.Name([
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Espalier test"),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ])


def usage(**bits):
    fields = ("digital_signature content_commitment key_encipherment data_encipherment "
              "key_agreement key_cert_sign crl_sign encipher_only decipher_only").split()
    return x509.KeyUsage(**{field: bits.get(field, False) for field in fields})


def certificate(file, subject, key, issuer, issuer_key, ca=False, path_length=None, extensions=(),
                start=START, end=END, sans=(), key_usage=None, omit_basic=False):
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(start).not_valid_after(end))
    if not omit_basic:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if key_usage is None and ca:
        key_usage = usage(key_cert_sign=True, crl_sign=True)
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(sans)), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = builder.sign(issuer_key, algorithm)
    (HERE / file).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return made


def save_key(file, key, form=serialization.PrivateFormat.PKCS8, secret=None):
    encryption = (serialization.BestAvailableEncryption(secret) if secret
                  else serialization.NoEncryption())
    (HERE / file).write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def make_certificates(keys):
    ca_key, sub_key, other_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
    ca = certificate("ca.pem", "Root", ca_key, "Root", ca_key, ca=True, path_length=1)
    certificate("other-ca.pem", "Other root", other_key, "Other root", other_key, ca=True)
    # The same name as the root, another key: a path through it must fail on the signature.
    impostor_key = ec.generate_private_key(ec.SECP384R1())
    certificate("impostor-ca.pem", "Root", impostor_key, "Root", impostor_key, ca=True)
    certificate("sub-ca.pem", "Intermediate", sub_key, "Root", ca_key, ca=True, path_length=0)
    subsub_key = ec.generate_private_key(ec.SECP256R1())
    certificate("subsub-ca.pem", "Too deep", subsub_key, "Intermediate", sub_key, ca=True)
    sign = usage(digital_signature=True)
    for host, key in keys.items():
        sans = [x509.DNSName(host + ".example.net"), x509.DNSName(host),
                x509.RFC822Name("root@" + host + ".example.net"),
                x509.IPAddress(ipaddress.ip_address("192.0.2.11")),
                x509.IPAddress(ipaddress.ip_address("2001:db8::11"))]
        certificate(host + ".pem", host, key, "Root", ca_key, sans=sans, key_usage=sign)
    leaf = keys["ecdsa256"]
    certificate("by-sub-ca.pem", "by-sub-ca", leaf, "Intermediate", sub_key, key_usage=sign)
    certificate("by-subsub-ca.pem", "by-subsub-ca", leaf, "Too deep", subsub_key)
    certificate("by-impostor.pem", "by-impostor", leaf, "Root", impostor_key, key_usage=sign)
    certificate("by-leaf.pem", "by-leaf", keys["ed25519"], "ecdsa256", leaf, key_usage=sign)
    certificate("no-extensions.pem", "no-extensions", leaf, "Root", ca_key, omit_basic=True)
    certificate("encipher-only.pem", "encipher-only", leaf, "Root", ca_key,
                key_usage=usage(key_encipherment=True))
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    certificate("critical-unknown.pem", "critical-unknown", leaf, "Root", ca_key, key_usage=sign,
                extensions=[(unknown, True)])
    certificate("self-signed.pem", "self-signed", leaf, "self-signed", leaf, key_usage=sign)
    certificate("not-utf8-subject.pem", "Zo\u00eb \"the\nroot\"", leaf, "Root", ca_key)
    san = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.17"), bytes.fromhex("3009820761") +
                                     b"\x00.evil"[:6])
    certificate("nul-in-san.pem", "nul-in-san", leaf, "Root", ca_key, extensions=[(san, False)])
    bad = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.17"), bytes.fromhex("30078705c000020b00"))
    certificate("bad-ip-san.pem", "bad-ip-san", leaf, "Root", ca_key, extensions=[(bad, False)])
    broken = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.17"), bytes.fromhex("300482"))
    certificate("broken-san.pem", "broken-san", leaf, "Root", ca_key, extensions=[(broken, False)])
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    certificate("rsa1024.pem", "rsa1024", weak, "Root", ca_key, key_usage=sign)
    save_key("rsa1024.key", weak)
    k1 = ec.generate_private_key(ec.SECP256K1())
    certificate("secp256k1.pem", "secp256k1", k1, "Root", ca_key, key_usage=sign)
    return ca


def openssl(*arguments, data=None):
    subprocess.run(["openssl", *arguments], check=True, input=data, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, cwd=HERE)


def make_openssl_ones():
    """What the Python library refuses to make: SHA-1, version 1, explicit curve parameters."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "v1.tmp", "-subj", "/CN=v1 root", "-days", "3650", "-out", "v1x.tmp")
    openssl("req", "-new", "-key", "v1.tmp", "-subj", "/CN=v1 root", "-out", "v1r.tmp")
    openssl("x509", "-req", "-in", "v1r.tmp", "-signkey", "v1.tmp", "-days", "3650",
            "-out", "v1-ca.pem")
    openssl("req", "-new", "-key", "ecdsa256.key", "-subj", "/CN=by-v1", "-out", "r.tmp")
    openssl("x509", "-req", "-in", "r.tmp", "-CA", "v1-ca.pem", "-CAkey", "v1.tmp", "-set_serial",
            "7", "-days", "3650", "-out", "by-v1-ca.pem")
    openssl("req", "-new", "-key", "ecdsa256.key", "-subj", "/CN=sha1", "-out", "r.tmp")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "sha1ca.tmp", "-subj",
            "/CN=sha1 root", "-days", "3650", "-out", "sha1-ca.pem")
    openssl("x509", "-req", "-sha1", "-in", "r.tmp", "-CA", "sha1-ca.pem", "-CAkey", "sha1ca.tmp",
            "-set_serial", "8", "-days", "3650", "-out", "sha1.pem")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit",
            "-out", "explicit-curve.key")
    for temporary in HERE.glob("*.tmp"):
        temporary.unlink()


def make_strongswan_ones():
    """By strongSwan's pki: what its users' CAs look like."""
    def pki(out, *arguments):
        done = subprocess.run(["pki", *arguments], check=True, capture_output=True, cwd=HERE)
        (HERE / out).write_bytes(done.stdout)
    dates = ["--dateform", "%d.%m.%y %H:%M:%S", "--not-before", "01.01.26 00:00:00",
             "--not-after", "01.01.36 00:00:00", "--outform", "pem"]
    pki("swan-ca.tmp", "--gen", "--type", "ed25519", "--outform", "pem")
    pki("swan.key", "--gen", "--type", "ecdsa", "--size", "384", "--outform", "pem")
    pki("swan-ca.pem", "--self", "--ca", "--in", "swan-ca.tmp", "--type", "ed25519", "--dn",
        "C=CH, O=strongSwan, CN=strongSwan Root CA", *dates)
    pki("swan.pem", "--issue", "--cacert", "swan-ca.pem", "--cakey", "swan-ca.tmp", "--type",
        "priv", "--in", "swan.key", "--dn", "C=CH, O=strongSwan, CN=moon.strongswan.org", "--san",
        "moon.strongswan.org", "--san", "192.0.2.1", *dates)
    (HERE / "swan-ca.tmp").unlink()


def der(tag, *parts):
    body = b"".join(parts)
    assert len(body) < 128
    return bytes([tag, len(body)]) + body


HASHES = {"sha256": (hashes.SHA256(), 1, 32), "sha384": (hashes.SHA384(), 2, 48),
          "sha512": (hashes.SHA512(), 3, 64)}


def pss_identifier(last, salt, null=True, trailer=False):
    oid = bytes.fromhex("0609608648016503040200")[:-1] + bytes([last])
    hash_id = der(0x30, oid, bytes.fromhex("0500") if null else b"")
    mgf = der(0x30, bytes.fromhex("06092a864886f70d010108"), hash_id)
    parts = [der(0xa0, hash_id), der(0xa1, mgf), der(0xa2, der(2, bytes([salt])))]
    if trailer:
        parts.append(der(0xa3, der(2, b"\x01")))
    return der(0x30, bytes.fromhex("06092a864886f70d01010a"), der(0x30, *parts))


def make_signatures(keys):
    """Authentication Data of method 14 by other code than ours, over one message."""
    message = b"the octets of RFC 7296 section 2.15"
    out = []

    def add(label, key, identifier, signature):
        out.append({"name": label, "public_der": spki(key).hex(), "data": message.hex(),
                    "auth_data": (bytes([len(identifier)]) + identifier + signature).hex()})
    for word, (algorithm, last, length) in HASHES.items():
        pkcs1 = bytes.fromhex("300d06092a864886f70d0101") + bytes([0x0a + last]) + b"\x05\x00"
        add("rsa-pkcs1-" + word, keys["rsa2048"], pkcs1,
            keys["rsa2048"].sign(message, padding.PKCS1v15(), algorithm))
        for label, salt, null, trailer in (("null", length, True, False),
                                           ("bare", length, False, False),
                                           ("trailer", length, True, True),
                                           ("salt-0", 0, True, False)):
            pss = padding.PSS(padding.MGF1(algorithm), salt)
            add(f"rsa-pss-{word}-{label}", keys["rsa2048"],
                pss_identifier(last, salt, null, trailer),
                keys["rsa2048"].sign(message, pss, algorithm))
        ecdsa = bytes.fromhex("300a06082a8648ce3d0403") + bytes([1 + last])
        for host in ("ecdsa256", "ecdsa384", "ecdsa521"):
            add(f"{host}-{word}", keys[host], ecdsa, keys[host].sign(message, ec.ECDSA(algorithm)))
    add("ed25519", keys["ed25519"], bytes.fromhex("300506032b6570"), keys["ed25519"].sign(message))
    (HERE / "signatures.json").write_text(json.dumps(
        {"origin": "made with Python's cryptography by make.py", "vectors": out}, indent=1) + "\n")


def main():
    keys = {
        "rsa2048": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ecdsa256": ec.generate_private_key(ec.SECP256R1()),
        "ecdsa384": ec.generate_private_key(ec.SECP384R1()),
        "ecdsa521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    for host, key in keys.items():
        save_key(host + ".key", key)
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    save_key("rsa2048-pkcs1.key", keys["rsa2048"], traditional)
    save_key("ecdsa256-sec1.key", keys["ecdsa256"], traditional)
    save_key("encrypted.key", keys["ecdsa256"], secret=b"a pass phrase")
    save_key("ed448.key", ed448.Ed448PrivateKey.from_private_bytes(bytes.fromhex(RFC8032_ED448)))
    make_certificates(keys)
    make_signatures(keys)
    make_openssl_ones()
    make_strongswan_ones()
    return 0


if __name__ == "__main__":
    sys.exit(main())
