package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
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
// day before now: machines under test have clocks of their own, and there is
// nobody to renew it.
func NewKey(random io.Reader, now time.Time, names ...string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("making the appliance's key: %w", err)
	}

	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("drawing a serial number: %w", err)
	}

	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "vetting appliance"},
		NotBefore:             now.AddDate(0, 0, -1).UTC(),
		NotAfter:              now.AddDate(100, 0, 0).UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}

	for _, host := range names {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}

	cert, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the appliance's certificate: %w", err)
	}

	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the appliance's key: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// SPKI returns the fingerprint of a certificate's key as it stands in the seed:
// SHA-256 of the DER SubjectPublicKeyInfo (RFC 7469 §2.4), in lower-case hex.
// For a tls.Certificate of tls.X509KeyPair, pass its Leaf.
func SPKI(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)

	return hex.EncodeToString(sum[:])
}
