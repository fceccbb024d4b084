"""Certificate authorities with intermediates and revocation lists, made with strongSwan's pki."""
import os

import strongswan
from strongswan import lib


class Issued:
    """A key, its certificate and the CAs above it, lowest first, the root left out."""

    def __init__(self, key, certificate, authority):
        self.key, self.certificate, self.authority = key, certificate, authority

    def bundle(self):
        """The certificate and its intermediates in one PEM text."""
        return "".join(read(path) for path in [self.certificate, *self.authority.intermediates()])


class Authority:
    """A CA: a root, or below another one."""

    def __init__(self, folder, name="root", parent=None, kind="ecdsa", size="256", words=()):
        self.folder, self.name, self.parent, self.kind, self.size = folder, name, parent, kind, size
        os.makedirs(folder, exist_ok=True)
        self.key = self.make_key(name, kind, size)
        self.certificate = self.path(f"{name}.pem")
        dn = f"C=DE, O=Lab, CN={name}"
        if parent is None:
            self.write(self.certificate, ["--self", "--ca", "--in", self.key, "--type", kind, "--lifetime", "30",
                                          "--dn", dn, "--outform", "pem", *words])
        else:
            parent.sign(self.certificate, self.public(name), dn, ["--ca", *words])

    def path(self, name):
        return os.path.join(self.folder, name)

    def root(self):
        return self if self.parent is None else self.parent.root()

    def intermediates(self):
        return [] if self.parent is None else [self.certificate, *self.parent.intermediates()]

    def write(self, path, words):
        text = lib.run([strongswan.PKI, *words]).stdout
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(text)

    def make_key(self, name, kind, size):
        path = self.path(f"{name}.key")
        words = [] if kind in ("ed25519", "ed448") else ["--size", size]
        self.write(path, ["--gen", "--type", kind, *words, "--outform", "pem"])
        return path

    def public(self, name):
        path = self.path(f"{name}.pub")
        self.write(path, ["--pub", "--in", self.path(f"{name}.key"), "--type", "priv", "--outform", "pem"])
        return path

    def sign(self, certificate, public, dn, words):
        lifetime = [] if "--not-after" in words else ["--lifetime", "20"]
        self.write(certificate, ["--issue", "--in", public, "--type", "pub", "--cacert", self.certificate, "--cakey",
                                 self.key, "--dn", dn, *lifetime, "--outform", "pem", *words])

    def issue(self, name, dn=None, sans=None, kind=None, size=None, words=()):
        """A host's certificate; its name is the dNSName unless sans says otherwise."""
        key = self.make_key(name, kind or self.kind, size or self.size)
        certificate = self.path(f"{name}.pem")
        for san in [name] if sans is None else sans:
            words = [*words, "--san", san]
        self.sign(certificate, self.public(name), dn or f"C=DE, O=Lab, CN={name}", words)
        return Issued(key, certificate, self)

    def revoke(self, *issued, words=()):
        """This CA's revocation list with those certificates in it."""
        path = self.path(f"{self.name}.crl")
        entries = []
        for one in issued:
            entries += ["--reason", "key-compromise", "--cert", one.certificate]
        self.write(path, ["--signcrl", "--cacert", self.certificate, "--cakey", self.key, "--lifetime", "15",
                          "--outform", "pem", *entries, *words])
        return path


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()
