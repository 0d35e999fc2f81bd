package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headTimeout = 10 * time.Second // handshake, and head of a request
	idleTimeout = 90 * time.Second // agents beat every 15 s on a kept connection
	stopTimeout = 5 * time.Second  // answers under way when the appliance stops
	maxHead     = 8 << 10          // bytes of a request's head
	maxPerAddr  = 64               // connections of one address
)

// Server is the agent API's listener side: TLS 1.3 and HTTP/1.1 with every wait
// bounded. All fields but MaxPerAddr must be set.
type Server struct {
	Handler http.Handler
	Cert    tls.Certificate
	// Certificate is asked for each connection, where one may be replaced by another
	// meanwhile; nil: Cert is always it.
	Certificate func() *tls.Certificate
	Log         *slog.Logger
	// MaxPerAddr is how many connections one address may hold, so that one
	// hostile machine cannot take them all; 0 is 64.
	MaxPerAddr int
}

// Serve answers on ln until ctx ends, then lets answers under way be finished
// for five seconds, and returns nil. It closes ln.
func (s Server) Serve(ctx context.Context, ln net.Listener) error {
	limit := s.MaxPerAddr
	if limit == 0 {
		limit = maxPerAddr
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)

	server := &http.Server{
		Handler:           s.Handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}

	config := &tls.Config{Certificates: []tls.Certificate{s.Cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if s.Certificate != nil {
		config.Certificates = nil
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.Certificate(), nil }
	}

	failed := make(chan error, 1)

	go func() { failed <- server.Serve(tls.NewListener(newCrowd(ln, limit), config)) }()

	select {
	case err := <-failed:
		return fmt.Errorf("serving agents on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()

	if err := server.Shutdown(grace); err != nil {
		s.Log.LogAttrs(grace, slog.LevelWarn, "stopped while agents were being answered", slog.String("error", err.Error()))

		_ = server.Close() // what it could not close is closed with the process
	}

	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving agents on %s: %w", ln.Addr(), err)
	}

	return nil
}
