package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vetting/agent/gate"
)

// The key pairs of the appliance, by the name of their files.
const (
	gateKey    = "gate"    // the agent API; agents pin it
	consoleKey = "console" // console and operator API
)

// keyPair loads the certificate and key called name from dir, or makes and
// keeps a self-signed pair at the first start. Agents pin the key of the pair
// gateKey, so it must outlive restarts.
func keyPair(dir, name string, now time.Time) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")

	if _, err := os.Stat(keyFile); errors.Is(err, fs.ErrNotExist) {
		certPEM, keyPEM, err := gate.NewKey(rand.Reader, now)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("making the %s key: %w", name, err)
		}

		if err := errors.Join(writeSecret(certFile, certPEM), writeSecret(keyFile, keyPEM)); err != nil {
			return tls.Certificate{}, fmt.Errorf("keeping the %s key: %w", name, err)
		}
	}

	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair, fmt.Errorf("loading the %s key (remove both files to have a new pair made; agents under way must then boot again): %w", name, err)
	}

	return pair, nil
}

// The secrets of the appliance, by the name of their files. They are no part of
// the ledger, so that neither it nor its backup opens anything.
const (
	holdSecret  = "hold.secret"  // makes the keys of held hosts
	tokenSecret = "token.secret" // makes the tokens of runs
	totpSecret  = "totp.secret"  // makes the second factors of people
)

// lastingSecret loads the secret called name from dir, or draws and keeps one at
// the first start. What was made with it is worth nothing once it is lost.
func lastingSecret(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)

	secret, err := os.ReadFile(path) //nolint:gosec // in the appliance's own data directory

	switch {
	case errors.Is(err, fs.ErrNotExist):
		secret = make([]byte, sha256.Size)
		if _, err := io.ReadFull(rand.Reader, secret); err != nil {
			return nil, fmt.Errorf("drawing %s: %w", name, err)
		}

		return secret, writeSecret(path, secret)
	case err != nil:
		return nil, fmt.Errorf("loading %s: %w", name, err)
	case len(secret) != sha256.Size:
		return nil, fmt.Errorf("loading %s: it has %d bytes instead of %d; remove it to have another drawn, "+
			"which makes keys of held hosts and tokens of hosts that boot worthless", path, len(secret), sha256.Size)
	default:
		return secret, nil
	}
}

// writeSecret writes a file that only the owner may read, whole or not at all.
func writeSecret(path string, content []byte) error {
	temp := path + ".new"

	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the path is in the appliance's own data directory
	if err != nil {
		return fmt.Errorf("creating %s: %w", temp, err)
	}

	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", temp, err)
	}

	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("keeping %s: %w", path, err)
	}

	return nil
}
