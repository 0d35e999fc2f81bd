package gate_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
)

// up serves handler on a loopback socket and returns its address and a function
// that stops it and returns what Serve did.
func up(t *testing.T, s gate.Server) (addr string, stop func() error) {
	t.Helper()

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	s.Cert, s.Log = gatetest.NewCert(t), slog.New(slog.DiscardHandler)

	go func() { ended <- s.Serve(ctx, ln) }()

	return ln.Addr().String(), func() error {
		cancel()

		return <-ended
	}
}

func insecure(min, max uint16) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: min, MaxVersion: max}}}
}

func TestTheServerSpeaksTLS13AndNothingOlder(t *testing.T) {
	addr, stop := up(t, gate.Server{Handler: http.NotFoundHandler()})

	resp, err := insecure(tls.VersionTLS13, tls.VersionTLS13).Get("https://" + addr)
	if err != nil || resp.TLS.Version != tls.VersionTLS13 || resp.ProtoMajor != 1 {
		t.Errorf("TLS 1.3: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}

	if resp, err := insecure(tls.VersionTLS10, tls.VersionTLS12).Get("https://" + addr); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.2 was spoken")
	}

	if err := stop(); err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

func TestAnAnswerUnderWayIsFinishedWhenTheServerStops(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	addr, stop := up(t, gate.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish

		if r.Context().Err() == nil {
			_, _ = io.WriteString(w, "whole")
		}
	})})

	got := make(chan string, 1)

	go func() {
		resp, err := insecure(0, 0).Get("https://" + addr)
		if err != nil {
			got <- err.Error()

			return
		}
		defer resp.Body.Close()

		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()

	<-begun

	stopped := make(chan error, 1)

	go func() { stopped <- stop() }()

	close(finish)

	if answer := <-got; answer != "whole" {
		t.Errorf("answer %q", answer)
	}

	if err := <-stopped; err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

func TestOneAddressCannotTakeAllConnections(t *testing.T) {
	addr, stop := up(t, gate.Server{Handler: http.NotFoundHandler(), MaxPerAddr: 3})
	defer stop()

	dial := func() (net.Conn, error) {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return nil, err
		}

		return conn, nil
	}

	var held []net.Conn

	for range 3 {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}

		held = append(held, conn)
	}

	if conn, err := dial(); err == nil {
		conn.Close()
		t.Error("a fourth connection was taken")
	}

	held[0].Close()

	// The server notices the end of a connection in its own time.
	for deadline := time.Now().Add(5 * time.Second); ; {
		conn, err := dial()
		if err == nil {
			conn.Close()

			break
		}

		if time.Now().After(deadline) {
			t.Fatalf("the place of a closed connection is not given back: %v", err)
		}
	}

	for _, conn := range held {
		conn.Close()
	}
}

func TestServeTellsWhenItsListenerFails(t *testing.T) {
	wire := &gatetest.Wire{}
	ln := wire.Listen()
	ln.Close()

	err := gate.Server{Handler: http.NotFoundHandler(), Cert: gatetest.NewCert(t), Log: slog.New(slog.DiscardHandler)}.Serve(t.Context(), ln)
	if err == nil || !strings.Contains(err.Error(), "serving agents on 10.77.0.1:443") {
		t.Errorf("Serve() = %v", err)
	}
}

func TestNewKey(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

	certPEM, keyPEM, err := gate.NewKey(rand.Reader, now, "vetting.lan", "10.77.0.1")
	if err != nil {
		t.Fatal(err)
	}

	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}

	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)

	for _, name := range []string{"vetting.lan", "10.77.0.1"} {
		for _, at := range []time.Time{now, now.AddDate(50, 0, 0)} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at}); err != nil {
				t.Errorf("%s at %v: %v", name, at, err)
			}
		}
	}

	pin := gate.SPKI(pair.Leaf)
	if digest, err := hex.DecodeString(pin); err != nil || len(digest) != 32 || pin != strings.ToLower(pin) {
		t.Errorf("SPKI() = %s", pin)
	}

	if other := gate.SPKI(gatetest.NewCert(t).Leaf); other == pin {
		t.Error("two keys have one fingerprint")
	}
}
