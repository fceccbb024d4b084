"""A certificate authority of the openssl command, with a server for its list and an OCSP responder in a namespace."""
import os
import sys
import time

import lib

CONFIG = """[ca]
default_ca = this
[this]
dir = {folder}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/root.pem
private_key = $dir/root.key
default_md = sha256
default_days = {days}
policy = any
unique_subject = no
copy_extensions = none
[any]
organizationName = supplied
commonName = supplied
[req]
distinguished_name = nothing
prompt = no
[nothing]
"""


class Authority:
    """One root CA. crl, ocsp: the addresses that its certificates name, or None."""

    def __init__(self, folder, crl=None, ocsp=None, days=60):
        self.folder, self.crl, self.ocsp = folder, crl, ocsp
        os.makedirs(folder, mode=0o700)
        self.put("index.txt", "")
        self.put("serial", "1001\n")
        self.put("crlnumber", "01\n")
        self.put("ca.cnf", CONFIG.format(folder=folder, days=days))
        self.key("root")
        self.openssl("req", "-x509", "-new", "-key", self.path("root.key"), "-subj", "/O=Lab/CN=root", "-days", "90",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                     "keyUsage=critical,keyCertSign,cRLSign", "-out", self.path("root.pem"), config=False)
        self.issue("responder", "extendedKeyUsage=OCSPSigning\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def read(self, name):
        return read(self.path(name))

    def openssl(self, command, *words, config=True):
        return lib.run(["openssl", command, *(["-config", self.path("ca.cnf")] if config else []), *words]).stdout

    def key(self, name):
        lib.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                 self.path(f"{name}.key")])

    def issue(self, name, extensions="", dates=()):
        """NAME.pem and NAME.key, for the dNSName NAME. dates: days from now, of its begin and its end."""
        lines = [f"subjectAltName=DNS:{name}", "basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature"]
        if self.crl and not extensions:
            lines.append(f"crlDistributionPoints=URI:{self.crl}")
        if self.ocsp and not extensions:
            lines.append(f"authorityInfoAccess=OCSP;URI:{self.ocsp}")
        self.put(f"{name}.ext", "\n".join(lines) + "\n" + extensions)
        self.key(name)
        self.openssl("req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/O=Lab/CN={name}", "-out",
                     self.path(f"{name}.csr"))
        words = []
        for word, days in zip(("-startdate", "-enddate"), dates):
            words += [word, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))]
        self.openssl("ca", "-batch", "-notext", "-in", self.path(f"{name}.csr"), "-out", self.path(f"{name}.pem"),
                     "-extfile", self.path(f"{name}.ext"), *words)

    def revoke(self, name):
        self.openssl("ca", "-revoke", self.path(f"{name}.pem"), "-crl_reason", "keyCompromise")

    def publish(self, seconds=40):
        """Writes the list in DER into www/, for the server."""
        os.makedirs(self.path("www"), exist_ok=True)
        self.openssl("ca", "-gencrl", "-crlsec", str(seconds), "-out", self.path("list.pem"))
        self.openssl("crl", "-in", self.path("list.pem"), "-outform", "DER", "-out", self.path("www/list.new"),
                     config=False)
        os.rename(self.path("www/list.new"), self.path("www/list.crl"))

    def serve(self, host, port=8080):
        """Serves www/ in that host's namespace."""
        server = host.spawn([sys.executable, "-u", "-m", "http.server", str(port), "--directory", self.path("www")],
                            "http.log")
        wait_for_port(host, port)
        return server

    def respond(self, host, port=8081, minutes=1):
        """An OCSP responder with a certificate of its own. It reads index.txt anew when that changes."""
        responder = host.spawn(
            ["openssl", "ocsp", "-index", self.path("index.txt"), "-CA", self.path("root.pem"), "-rsigner",
             self.path("responder.pem"), "-rkey", self.path("responder.key"), "-port", str(port), "-nmin",
             str(minutes)], "ocsp.log")
        wait_for_port(host, port)
        return responder

    def give(self, host):
        """The host's certificate, key and root into its configuration folder."""
        host.write(f"private/{host.name}.pem", self.read(f"{host.name}.key"))
        host.write(f"x509/{host.name}.pem", self.read(f"{host.name}.pem"))
        host.write("x509ca/root.pem", self.read("root.pem"))


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def wait_for_port(host, port):
    lib.wait_for(f"port {port} listens",
                 lambda: f":{port} " in host.run(["ss", "-Hltn"], check=False).stdout, 10)
