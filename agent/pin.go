package agent

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrWrongKey says that whoever answers at the appliance's address does not hold
// the appliance's key. Nothing was sent to it.
var ErrWrongKey = errors.New("the server does not hold the appliance's key")

// pinned returns a TLS configuration that trusts one key (SHA-256 of the DER
// SubjectPublicKeyInfo, hex) and nothing else: no authority, no name, no date,
// since a machine's clock may be years off. The check is part of the handshake,
// so that it is over before the first byte of a request; VerifyConnection is
// called for resumed sessions too, unlike VerifyPeerCertificate.
func pinned(pin string) (*tls.Config, error) {
	want, err := hex.DecodeString(pin)
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("reading the pin %.64q: want %d hexadecimal digits", pin, 2*sha256.Size)
	}

	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // the key itself is compared in VerifyConnection; names and dates prove nothing here
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return ErrWrongKey
			}

			got := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if subtle.ConstantTimeCompare(got[:], want) != 1 {
				return fmt.Errorf("%w: pinned %x, offered %x", ErrWrongKey, want, got)
			}

			return nil
		},
	}, nil
}
