package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/cmd/client"
	"vetting/core/coretest"
	"vetting/core/route"
)

// shown is the certificate that a listener shows.
func shown(t *testing.T, base string) *x509.Certificate {
	t.Helper()

	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}

	conn, err := tls.DialWithDialer(&net.Dialer{}, "tcp", at.Host, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	return conn.ConnectionState().PeerCertificates[0]
}

// Before they end, the appliance's own certificates are made anew for the same key while
// it runs: who trusts the key sees nothing of it.
func TestOwnCertificatesAreRenewedInTime(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	_, people := operatorOf(t, a)
	before, agents := shown(t, a.ui.URL()), a.gate.get().Leaf
	clock := coretest.NewClock()

	clock.Advance(before.NotAfter.Sub(clock.Now()) - soon - time.Hour)
	a.lookAtCertificates(clock.Now())

	if !shown(t, a.ui.URL()).Equal(before) || a.gate.get().Leaf != agents {
		t.Fatal("renewed an hour too early")
	}

	clock.Advance(2 * time.Hour)
	a.lookAtCertificates(clock.Now())

	after := shown(t, a.ui.URL())
	if after.Equal(before) || !after.NotAfter.After(before.NotAfter.AddDate(99, 0, 0)) || gate.SPKI(after) != gate.SPKI(before) {
		t.Errorf("the console shows one that is good until %s, not a renewed one of the same key", after.NotAfter)
	}

	if now := a.gate.get().Leaf; now.Equal(agents) || gate.SPKI(now) != gate.SPKI(agents) {
		t.Error("that of agents was not renewed, or has another key, which agents under way refuse")
	}

	if err := people.Call(t.Context(), client.Request{Route: "hosts.list"}, &route.HostList{}); err != nil {
		t.Errorf("a program that trusts the certificate of before: %v", err)
	}

	again, err := keyPair(a.config.DataDir, consoleKey, clock.Now())
	if err != nil || !again.Leaf.Equal(after) {
		t.Errorf("after a restart it is another one (%v)", err)
	}

	if list := a.warnings.list(); len(list) != 0 {
		t.Errorf("%+v", list)
	}

	// A clock that was years ahead when the certificate was made.
	a.lookAtCertificates(clock.Now().AddDate(-150, 0, 0))

	if early := shown(t, a.ui.URL()); early.NotBefore.After(clock.Now().AddDate(-150, 0, 0)) || gate.SPKI(early) != gate.SPKI(before) {
		t.Errorf("valid from %s only", early.NotBefore)
	}
}

// issue writes a certificate of an authority with a key of its own.
func issue(t *testing.T, certFile, keyFile string, until time.Time) {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	form := &x509.Certificate{
		SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: "vetting.lan"}, NotBefore: until.AddDate(0, -3, 0), NotAfter: until, DNSNames: []string{"vetting.lan"},
	}

	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}

	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}

	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Files of an authority are taken up once they were renewed, without a restart; what does
// not fit together is told, and the old one stays.
func TestFilesOfAnAuthorityAreTakenUp(t *testing.T) {
	t.Parallel()

	dir, now := t.TempDir(), time.Now().UTC().Truncate(time.Second)
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")

	issue(t, certFile, keyFile, now.AddDate(0, 2, 0))

	a := deskAppliance(t, t.TempDir(), func(a *appliance) {
		a.config.Console.TLS = TLSConfig{Mode: "files", Cert: certFile, Key: keyFile}
	})

	told := func(want string) {
		t.Helper()

		all := ""
		for _, w := range a.warnings.list() {
			all += w.Text
		}

		if want == "" && all != "" || !strings.Contains(all, want) {
			t.Errorf("the console says %q, not %q", all, want)
		}
	}

	first := shown(t, a.ui.URL())
	a.lookAtCertificates(now)
	told("")

	// Nobody renews it.
	a.lookAtCertificates(now.AddDate(0, 1, 10))
	told("certificate of the console expires on")
	a.lookAtCertificates(now.AddDate(0, 3, 0))
	told("has expired")

	// The authority has written one of the two files so far.
	other := t.TempDir()
	issue(t, filepath.Join(other, "crt"), filepath.Join(other, "key"), now.AddDate(0, 5, 0))

	late := now.AddDate(0, 3, 0)

	for _, part := range []struct{ from, to, told string }{{"crt", certFile, "could not be replaced"}, {"key", keyFile, ""}} {
		text, err := os.ReadFile(filepath.Join(other, part.from))
		if err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(part.to, text, 0o600); err != nil {
			t.Fatal(err)
		}

		a.lookAtCertificates(late)
		told(part.told)
	}

	if after := shown(t, a.ui.URL()); after.Equal(first) || !after.NotAfter.Equal(now.AddDate(0, 5, 0)) {
		t.Errorf("it shows one that is good until %s", after.NotAfter)
	}
}

// Doctor says how old the certificates are and how long they last.
// A backup without keys does not hold the certificate that was handed in, and a data
// directory may be restored to another place: the console is there all the same.
func TestAConsoleIsServedWithoutTheCertificateHandedIn(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	own := a.console.get().Leaf
	a.source = &source{origin: map[string]string{"console.tls.cert": consoleOrigin}}
	a.config.Console.TLS = TLSConfig{Mode: "files", Cert: "/before/" + ownCert, Key: "/before/" + ownKey}

	console, err := a.consoleCertificate()
	if err != nil || !console.get().Leaf.Equal(own) {
		t.Fatalf("without the files: %v", err)
	}

	if list := a.warnings.list(); len(list) != 1 || !strings.Contains(list[0].Text, "handed in") {
		t.Errorf("nobody is told: %v", list)
	}

	cert, key, err := gate.NewKey(rand.Reader, time.Now(), "vetting.lan")
	if err != nil {
		t.Fatal(err)
	}

	for name, text := range map[string][]byte{ownCert: cert, ownKey: key} {
		if err := os.WriteFile(filepath.Join(a.config.DataDir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if console, err = a.consoleCertificate(); err != nil || console.get().Leaf.DNSNames[0] != "vetting.lan" {
		t.Errorf("with the files where the data is now: %v", err)
	}
}

// The power may go between the two files of a pair.
func TestHalfAPairOfTheConsoleIsMadeAnew(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)

	cert, _, err := gate.NewKey(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(a.config.DataDir, consoleKey+".crt"), cert, 0o600); err != nil {
		t.Fatal(err)
	}

	console, err := a.consoleCertificate()
	if err != nil {
		t.Fatal(err)
	}

	if gate.SPKI(console.get().Leaf) == gate.SPKI(a.gate.get().Leaf) {
		t.Error("the console has the key of the agents' API")
	}
}

func TestDoctorTellsHowLongCertificatesAreGood(t *testing.T) {
	t.Parallel()

	config := Defaults()
	config.DataDir = t.TempDir()

	var none checkup
	if none.certificates(&config, time.Now()); len(none.Checks) != 0 {
		t.Errorf("without any: %+v", none.Checks)
	}

	for _, name := range []string{gateKey, consoleKey} {
		if _, err := keyPair(config.DataDir, name, time.Now().AddDate(0, 0, -9)); err != nil {
			t.Fatal(err)
		}
	}

	for want, now := range map[string]time.Time{
		"ok good since " + time.Now().UTC().AddDate(0, 0, -10).Format(time.DateOnly) + ", until 2": time.Now(),
		"renews it by itself": time.Now().AddDate(99, 11, 20), "fail expired": time.Now().AddDate(101, 0, 0), "look at the clock": time.Now().AddDate(0, -1, 0),
	} {
		var c checkup

		c.certificates(&config, now)

		if len(c.Checks) != 2 || !strings.Contains(c.Checks[0].Result+" "+c.Checks[0].Detail, want) || !strings.Contains(c.Checks[1].Result+" "+c.Checks[1].Detail, want) {
			t.Errorf("%s: %+v", want, c.Checks)
		}
	}
}
