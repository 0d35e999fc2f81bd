package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"vetting/agent/gate"
	"vetting/core"
)

// certificateBeat is how often certificates are looked at while the appliance runs.
const certificateBeat = time.Minute

// soon is how long before its end a certificate is renewed, or missed by doctor.
const soon = 30 * 24 * time.Hour

// certificate is one that is in use, and can be replaced while it is. The zero value has
// none. Safe for concurrent use; look is called by one goroutine at a time.
type certificate struct {
	now atomic.Pointer[tls.Certificate]

	// Either our own, which is called name in the data directory …
	dir, name string
	// … or files of an authority, and what they were when they were loaded last.
	certFile, keyFile string
	seen              string
	refused           bool
}

// get returns the certificate in use; nil: there is none.
func (c *certificate) get() *tls.Certificate { return c.now.Load() }

// open loads the certificate, or makes our own at the first start.
func (c *certificate) open(now time.Time) error {
	var (
		pair tls.Certificate
		err  error
	)

	if c.certFile == "" {
		pair, err = keyPair(c.dir, c.name, now)
	} else if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err != nil {
		err = fmt.Errorf("loading console.tls: %w", err)
	}

	if err != nil {
		return err
	}

	c.seen = c.stamp()
	c.now.Store(&pair)

	return nil
}

// stamp changes when one of the files does.
func (c *certificate) stamp() string {
	var all strings.Builder

	for _, name := range []string{c.certFile, c.keyFile} {
		at, err := os.Stat(name)
		if err != nil {
			all.WriteString("none ")

			continue
		}

		fmt.Fprint(&all, at.ModTime().UnixNano(), at.Size(), " ")
	}

	return all.String()
}

// due reports whether a certificate is to be replaced: it ends soon, or the clock was
// wrong when it was made, and it does not count yet.
func due(pair *tls.Certificate, now time.Time) bool {
	return now.Add(soon).After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore)
}

// look replaces the certificate where that is due: our own by one for the same key, which
// agents pin, so that runs under way go on; files by what they have become. changed says
// that another one is in use from now on. An error leaves the one in use as it is.
func (c *certificate) look(now time.Time) (changed bool, err error) {
	have := c.get()

	switch {
	case have == nil:
		return false, nil
	case c.certFile == "":
		return c.renew(have, now)
	}

	// An authority writes one file after the other: what does not fit together yet is
	// looked at again.
	stamp := c.stamp()
	if stamp == c.seen && !c.refused {
		return false, nil
	}

	c.seen = stamp

	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if c.refused = err != nil; c.refused {
		return false, fmt.Errorf("loading console.tls again: %w", err)
	}

	c.now.Store(&pair)

	return true, nil
}

func (c *certificate) renew(have *tls.Certificate, now time.Time) (bool, error) {
	if !due(have, now) {
		return false, nil
	}

	// The pair may have been made anew in the settings meanwhile, for another key.
	kept, err := keyPair(c.dir, c.name, now)
	if err != nil {
		return false, err
	}

	if !due(&kept, now) {
		c.now.Store(&kept)

		return true, nil
	}

	text, err := gate.Renew(rand.Reader, now, &kept)
	if err != nil {
		return false, err
	}

	if err := writeSecret(filepath.Join(c.dir, c.name+".crt"), text); err != nil {
		return false, fmt.Errorf("keeping the renewed certificate: %w", err)
	}

	pair, err := keyPair(c.dir, c.name, now)
	if err != nil {
		return false, err
	}

	c.now.Store(&pair)

	return true, nil
}

// consoleCertificate opens the console's certificate; it has none with console.tls.mode
// off.
func (a *appliance) consoleCertificate() (*certificate, error) {
	mode, c := a.config.Console.TLS, &certificate{dir: a.config.DataDir, name: consoleKey}

	switch mode.Mode {
	case "off":
		return c, nil
	case "files":
		c.certFile, c.keyFile = mode.Cert, mode.Key
		if !a.fromConsole("console.tls.cert") {
			return c, c.open(time.Now())
		}

		// What was handed in lies with the data, wherever that is now. A backup without
		// keys does not hold it: without a console nobody could hand it in again.
		c.certFile, c.keyFile = filepath.Join(a.config.DataDir, filepath.Base(mode.Cert)), filepath.Join(a.config.DataDir, filepath.Base(mode.Key))
		if err := c.open(time.Now()); err == nil {
			return c, nil
		}

		a.warnings.warn("certificate", core.Critical,
			"The certificate that was handed in is not there, or does not fit its key; the console is served with one of its own until you hand it in again: Settings, Certificate.")

		c = &certificate{dir: a.config.DataDir, name: consoleKey}
	}

	return c, a.openOwn(c)
}

// openOwn loads the console's own pair. One of which only a half was kept, as when the
// power went between its two files, is made anew: nobody but browsers knows it.
func (a *appliance) openOwn(c *certificate) error {
	err := c.open(time.Now())
	if err == nil {
		return nil
	}

	at := filepath.Join(c.dir, c.name)
	if gone := errors.Join(os.Remove(at+".key"), os.Remove(at+".crt")); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return err
	}

	a.log.Warn("the console's own certificate is made anew", slog.String("error", err.Error()))

	return c.open(time.Now())
}

// keepCertificates looks at the certificates once in a while, until ctx ends.
func (a *appliance) keepCertificates(ctx context.Context) error {
	tick := time.NewTicker(certificateBeat)
	defer tick.Stop()

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.lookNow:
			a.console.refused = true // a person asks: look at the files whatever their times say
		}

		a.lookAtCertificates(time.Now())
	}
}

// lookAtCertificates renews what is due, and has everybody know what cannot be.
func (a *appliance) lookAtCertificates(now time.Time) {
	for subject, c := range map[string]*certificate{"agent API": a.gate, "console": a.console} {
		if c == nil || c.get() == nil {
			continue
		}

		changed, err := c.look(now)
		if changed {
			a.log.Info("another certificate is in use", slog.String("for", subject), slog.Time("until", c.get().Leaf.NotAfter))
		}

		a.tellOfCertificate("certificate of the "+subject, c.get(), err, now)
	}
}

func (a *appliance) tellOfCertificate(subject string, have *tls.Certificate, fault error, now time.Time) {
	day := have.Leaf.NotAfter.UTC().Format(time.DateOnly)

	switch {
	case fault != nil:
		a.log.Error("the certificate was not replaced; the old one stays in use", slog.String("for", subject), slog.String("error", fault.Error()))
		a.warnings.warn(subject, core.Warning, "The "+subject+" could not be replaced, so the old one stays in use, until "+day+": "+firstLine(fault.Error()))
	case now.After(have.Leaf.NotAfter):
		a.warnings.warn(subject, core.Critical, "The "+subject+" has expired on "+day+". Put another one in its place; it is taken up by itself.")
	case due(have, now):
		a.warnings.warn(subject, core.Warning, "The "+subject+" expires on "+day+", or is not valid yet. Put its successor in its place; it is taken up by itself.")
	default:
		a.warnings.settle(subject)
	}
}

// span says since when and until when a certificate is good. Our own are good since the
// day before they were made, for clocks that are behind.
func span(pair *tls.Certificate) string {
	return "good since " + pair.Leaf.NotBefore.UTC().Format(time.DateOnly) + ", until " + pair.Leaf.NotAfter.UTC().Format(time.DateOnly)
}

// certificates looks at the certificates as doctor does. What is not there is made at the
// first start.
func (c *checkup) certificates(config *Config, now time.Time) {
	a := &appliance{config: *config}
	c.certificate("certificate of agents", &certificate{dir: config.DataDir, name: gateKey}, now)

	mode := config.Console.TLS
	if mode.Mode == "off" {
		c.add("certificate", "ok", "none: the console speaks plain HTTP")

		return
	}

	own := &certificate{dir: a.config.DataDir, name: consoleKey}
	if mode.Mode == "files" {
		own.certFile, own.keyFile = mode.Cert, mode.Key
	}

	c.certificate("certificate", own, now)
}

func (c *checkup) certificate(subject string, of *certificate, now time.Time) {
	ours := of.certFile == ""
	if ours {
		for _, end := range []string{".crt", ".key"} {
			if _, err := os.Stat(filepath.Join(of.dir, of.name+end)); errors.Is(err, fs.ErrNotExist) {
				return
			}
		}
	}

	if err := of.open(now); err != nil {
		c.judge(subject, "", err)

		return
	}

	pair, by := of.get(), "its successor is taken up by itself once it lies there"
	if ours {
		by = "a running appliance renews it by itself"
	}

	switch {
	case now.After(pair.Leaf.NotAfter):
		c.add(subject, "fail", "expired on "+pair.Leaf.NotAfter.UTC().Format(time.DateOnly)+"; "+by)
	case now.Before(pair.Leaf.NotBefore):
		c.add(subject, "warn", "not valid before "+pair.Leaf.NotBefore.UTC().Format(time.DateOnly)+": look at the clock; "+by)
	case due(pair, now):
		c.add(subject, "warn", span(pair)+"; "+by)
	default:
		c.add(subject, "ok", span(pair))
	}
}
