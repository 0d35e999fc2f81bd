package power

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
)

// maxBody is the most of an answer that is read, in bytes.
const maxBody = 4 << 20

// newClient returns a client that talks to one place only and trusts what the
// target says. Proxies of the environment are not asked: BMCs are near.
func newClient(t *Target, place *url.URL) (*http.Client, error) {
	trust, err := trustOf(t)
	if err != nil {
		return nil, err
	}

	dialer := dialer()

	return &http.Client{
		Transport: &near{place: place, Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: trust, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		}},
	}, nil
}

// dialer is the way out to what operators name, over TCP and UDP alike.
func dialer() *net.Dialer { return &net.Dialer{Control: notLinkLocal} }

// notLinkLocal refuses addresses of one link, behind which clouds and appliances
// have services that take the caller for a friend, and those that clouds serve
// metadata at outside of it. It is asked with the address that a name was
// resolved to.
func notLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}

	switch addr := to.Addr().Unmap().WithZone(""); {
	case addr.IsLinkLocalUnicast():
		return outcome(Failed, "it has a link-local address, which is not called")
	case addr == netip.AddrFrom4([4]byte{100, 100, 100, 200}), addr == netip.MustParseAddr("fd00:ec2::254"): // Alibaba Cloud, EC2
		return outcome(Failed, "it has the address of a cloud's metadata, which is not called")
	default:
		return nil
	}
}

func trustOf(t *Target) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}

	if t.Insecure {
		trust.InsecureSkipVerify = true //nolint:gosec // the operator asked for it, for this BMC
	}

	if t.Pin == "" {
		return trust, nil
	}

	want, err := t.pin()
	if err != nil {
		return nil, err
	}

	trust.InsecureSkipVerify = true //nolint:gosec // one exact certificate is asked for instead, below
	trust.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return outcome(Untrusted, "it shows no certificate")
		}

		got := sha256.Sum256(state.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(got[:], want) != 1 {
			return outcome(Untrusted, "it shows another certificate than the pinned one")
		}

		return nil
	}

	return trust, nil
}

// near is a transport to one place. A link in an answer, or a redirect, that
// leads elsewhere is not followed: it would carry the credentials away.
type near struct {
	*http.Transport

	place *url.URL
}

func (n *near) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != n.place.Scheme || r.URL.Host != n.place.Host || r.URL.User != nil {
		return nil, outcome(Failed, "it refers to another address, which is not followed")
	}

	answer, err := n.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}

	answer.Body = &limited{ReadCloser: answer.Body, left: maxBody}

	return answer, nil
}

// limited ends in an error after so many bytes.
type limited struct {
	io.ReadCloser

	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("the answer is too long")
	}

	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n

	return n, err
}

// readAll returns what is left of an answer and closes it.
func readAll(answer *http.Response) ([]byte, error) {
	var all bytes.Buffer

	_, err := all.ReadFrom(answer.Body)

	return all.Bytes(), errors.Join(err, answer.Body.Close())
}

// ofStatus is the outcome that an HTTP status stands for.
func ofStatus(status int) Outcome {
	switch {
	case status >= 200 && status < 300:
		return OK
	case status == http.StatusUnauthorized:
		return WrongPassword
	case status == http.StatusForbidden:
		return Denied
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return Unsupported
	case status == http.StatusGatewayTimeout:
		return Timeout
	default:
		return Failed
	}
}
