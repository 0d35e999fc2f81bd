package hostmode

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	keyFile = "host.key"
	pemType = "PRIVATE KEY" // PKCS #8 (RFC 5958)
)

// LoadKey reads the host's Ed25519 key from dir, or makes and keeps one there at
// the first start, for root's eyes only. A file that others may read is refused:
// whoever has the key may speak for this host.
func LoadKey(dir string, random io.Reader) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)

	info, err := os.Lstat(path)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeKey(path, random)
	case err != nil:
		return nil, fmt.Errorf("reading the host's key: %w", err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("reading the host's key: %s is open to others (%s); remove it to have a new one made, and approve that", path, info.Mode())
	}

	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the host's key: %w", err)
	}

	return parseKey(path, raw)
}

func parseKey(path string, raw []byte) (ed25519.PrivateKey, error) {
	broken := fmt.Errorf("reading the host's key: %s is no Ed25519 key; remove it to have a new one made, and approve that", path)

	block, _ := pem.Decode(raw)
	if block == nil || block.Type != pemType {
		return nil, broken
	}

	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, broken
	}

	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, broken
	}

	return key, nil
}

// makeKey keeps a new key so that a crash leaves none or a whole one.
func makeKey(path string, random io.Reader) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("making the host's key: %w", err)
	}

	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making the host's key: %w", err)
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keeping the host's key: %w", err)
	}

	if err := writeWhole(path, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return nil, fmt.Errorf("keeping the host's key: %w", err)
	}

	return key, nil
}

func writeWhole(path string, content []byte) error {
	temp := path + ".new"

	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // a path of our own
	if err != nil {
		return err
	}

	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}

	return os.Rename(temp, path)
}
