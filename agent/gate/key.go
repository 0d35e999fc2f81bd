package gate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// NewKey makes the appliance's key and a certificate for it, signed by itself:
// ECDSA P-256, for the given names (host names or IP addresses, for browsers).
// Agents trust the key alone ([SPKI]), so that the certificate may be made anew
// for other names from the same key. It is valid for a hundred years from the
// day before now: machines under test have clocks of their own.
func NewKey(random io.Reader, now time.Time, names ...string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("making the appliance's key: %w", err)
	}

	template := &x509.Certificate{}

	for _, host := range names {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}

	certPEM, err = certify(random, now, template, key)
	if err != nil {
		return nil, nil, err
	}

	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the appliance's key: %w", err)
	}

	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Renew makes another certificate as [NewKey] does, as of now, for the key and the names
// of one that it made. Whoever trusts the key goes on trusting it.
func Renew(random io.Reader, now time.Time, have *tls.Certificate) (certPEM []byte, err error) {
	key, ok := have.PrivateKey.(crypto.Signer)
	if !ok || have.Leaf == nil {
		return nil, errors.New("renewing the appliance's certificate: its key cannot sign")
	}

	return certify(random, now, &x509.Certificate{IPAddresses: have.Leaf.IPAddresses, DNSNames: have.Leaf.DNSNames}, key)
}

// certify signs a certificate with the names of template by its own key.
func certify(random io.Reader, now time.Time, template *x509.Certificate, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}

	template.SerialNumber = serial
	template.Subject = pkix.Name{CommonName: "vetting appliance"}
	template.NotBefore, template.NotAfter = now.AddDate(0, 0, -1).UTC(), now.AddDate(100, 0, 0).UTC()
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.BasicConstraintsValid = true

	cert, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the appliance's certificate: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), nil
}

// SPKI returns the fingerprint of a certificate's key as it stands in the seed:
// SHA-256 of the DER SubjectPublicKeyInfo (RFC 7469 §2.4), in lower-case hex.
// For a tls.Certificate of tls.X509KeyPair, pass its Leaf.
func SPKI(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)

	return hex.EncodeToString(sum[:])
}
