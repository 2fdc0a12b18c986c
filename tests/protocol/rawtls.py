# SPDX-License-Identifier: LGPL-2.1-or-later
"""TLS for the raw client: certificates, and STARTTLS byte by byte."""
import contextlib
import os
import ssl
import subprocess

from rawnbd import OPT_STARTTLS, REP_ACK, Client, eq, nbdtest, served, skip


def make_certs(name='pki'):
    """A folder with certificates for a server and a client."""
    folder = nbdtest.path(name)
    made = subprocess.run([nbdtest.NBD_EXPORT, '--make-certs', folder], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if 'built without TLS' in made.stderr:
        skip('nbd-export was built without TLS')
    eq(made.returncode, 0, made.stderr)
    return folder


def context(folder, certificate=True):
    ctx = ssl.create_default_context(cafile=os.path.join(folder, 'ca-cert.pem'))
    if certificate:
        ctx.load_cert_chain(os.path.join(folder, 'client-cert.pem'),
                            os.path.join(folder, 'client-key.pem'))
    return ctx


class TlsClient(Client):
    """In the clear until starttls()."""

    may_want_tls = True

    def ask_for_tls(self):
        eq(self.option(OPT_STARTTLS), [(REP_ACK, b'')], 'NBD_OPT_STARTTLS')

    def starttls(self, ctx):
        self.ask_for_tls()
        self.sock = ctx.wrap_socket(self.sock, server_hostname='localhost')
        self.may_want_tls = False
        return self

    def expect_close(self):
        try:
            super().expect_close()
        except ssl.SSLError:            # cut off instead of closed, or an alert
            self.close()


def connect_tls(server, ctx, structured=False, name=''):
    """A client in the transmission phase."""
    client = TlsClient(server).starttls(ctx)
    if structured:
        client.negotiate_structured()
    return client.go(name)


@contextlib.contextmanager
def served_tls(*args, **kwargs):
    """As served(), with certificates; yields the server and a client's context."""
    folder = make_certs()
    with served('--tls-certs=' + folder, *args, **kwargs) as server:
        yield server, context(folder)
