//go:build linux

package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
)

// Bare is the least that can answer a fleet: Go's HTTP server over TLS, which decodes
// each batch and forgets it. What it takes of a processor is what an appliance takes
// for being spoken to, on this machine, whatever it does with what it hears.
type Bare struct {
	Address string // to listen on
	Key     string // file that gets the SPKI pin once it listens
}

// Serve answers until ctx ends.
func (b Bare) Serve(ctx context.Context) error {
	cert, pin, err := selfSigned()
	if err != nil {
		return err
	}

	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", b.Address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}

	if err := os.WriteFile(b.Key+".new", []byte(pin), 0o600); err != nil {
		return fmt.Errorf("telling the key: %w", err)
	}

	if err := os.Rename(b.Key+".new", b.Key); err != nil { // whole, or not there
		return fmt.Errorf("telling the key: %w", err)
	}

	server := &http.Server{Handler: http.HandlerFunc(answerBarely), ReadHeaderTimeout: 10 * time.Second}

	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()

	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if err := server.Serve(tls.NewListener(ln, config)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering: %w", err)
	}

	return nil
}

func answerBarely(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))

	var batch wire.SensorBatch
	if err == nil && filepath.Base(r.URL.Path) == "sensor" {
		err = json.Unmarshal(text, &batch)
	}

	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}

	answer := `{"breaches":[]}`
	if filepath.Base(r.URL.Path) == "heartbeat" {
		answer = `{"cmd":"continue","state":"InventoryCheck"}`
	}

	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer) // the caller counts what it did not get
}

func selfSigned() (cert tls.Certificate, pin string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, "", fmt.Errorf("making a key: %w", err)
	}

	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}

	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return cert, "", fmt.Errorf("making a certificate: %w", err)
	}

	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return cert, "", fmt.Errorf("making a certificate: %w", err)
	}

	sum := sha256.Sum256(public)

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}

// meetBare makes hosts that speak to a Bare server, which knows nobody and refuses
// nobody.
func (f *fleet) meetBare() error {
	if err := addAddresses(f.Interface, []netip.Addr{f.Server.Next()}, f.Bits); err != nil {
		return err
	}

	f.hosts = make([]*member, f.Hosts)

	for i := range f.hosts {
		seed := wire.Seed{Version: wire.Version, Server: "https://" + f.Server.String(), Run: fmt.Sprintf("BARE%022d", i), MAC: MAC(i), SPKISHA256: f.Bare}

		client, err := agent.NewClient(seed, (&net.Dialer{Timeout: 10 * time.Second}).DialContext)
		if err != nil {
			return err
		}

		f.hosts[i] = f.newMember(i, client, hex.EncodeToString(make([]byte, 32)))
	}

	return nil
}
