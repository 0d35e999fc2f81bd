package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"vetting/agent/gate"
	"vetting/agent/partner"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/ui"
)

// answerAgents serves the agent API on a listener: to the agents of runs, and to
// those of installed machines.
func (a *appliance) answerAgents(ctx context.Context, listener net.Listener) error {
	config := gate.Config{
		Runs: a.engine, Logs: a.logs, Artifacts: a.artifacts, Log: a.log,
		Screen: &screens{ledger: a.store, console: consoleURL(&a.config), log: a.log},
	}
	if a.partner != nil {
		config.Partner = a.partner
		config.Meetings = &partner.Meetings{
			Testing: func(context.Context) map[core.RunID]string { return a.engine.InStage(core.Network) },
			Coming:  func(context.Context) map[core.RunID]string { return a.engine.Before(core.Network) },
			Has:     a.onTestNIC,
		}
	}

	runs := gate.New(config)
	hosts := a.hostSide(a.gate.get())
	mux := http.NewServeMux()

	mux.Handle("/", runs)

	for _, path := range []string{"/api/v1/hosts", "/api/v1/hosts/", gate.QuickPath, gate.AgentPath} {
		mux.Handle(path, hosts)
	}

	return gate.Server{Handler: mux, Certificate: a.gate.get, Log: a.log}.Serve(ctx, listener)
}

// segment is a listener that lets in only who is on the test network: Linux
// answers for an address on every card, also where nobody tests anything.
type segment struct {
	net.Listener

	has func(net.Addr) bool
}

// Accept returns the next connection from the test network.
func (s segment) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil || s.has(conn.RemoteAddr()) {
			return conn, err
		}

		_ = conn.Close() // whoever it was is told nothing
	}
}

// hostSide answers installed machines on a listener with that certificate, which
// they are told to trust.
func (a *appliance) hostSide(cert *tls.Certificate) http.Handler {
	return gate.NewHosts(gate.HostConfig{
		Hosts: a.engine, Log: a.log, SPKI: gate.SPKI(cert.Leaf), Agent: a.program, TrustLAN: a.config.HostAPI.TrustLAN,
	})
}

// hostSideOf is hostSide for a certificate that may be replaced by one of another key,
// which machines are told to trust from then on.
func (a *appliance) hostSideOf(cert *certificate) http.Handler {
	type side struct {
		cert    *tls.Certificate
		handler http.Handler
	}

	var last atomic.Pointer[side]

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now, have := cert.get(), last.Load()
		if have == nil || gate.SPKI(have.cert.Leaf) != gate.SPKI(now.Leaf) {
			have = &side{now, a.hostSide(now)}
			last.Store(have)
		}

		have.handler.ServeHTTP(w, r)
	})
}

// installed is the side of installed machines as the console serves it; nil
// without TLS, which they insist on.
func (a *appliance) installed(console *certificate) *ui.Installed {
	if console == nil || console.get() == nil {
		return nil
	}

	return &ui.Installed{
		Handler: a.hostSideOf(console),
		Mine: func(method, path string, header func(string) string) bool {
			return gate.IsHostCall(method, path, header(wire.HeaderSignature))
		},
		Lines: func(host string) []ui.QuickLine {
			lines := a.quickLines()
			if line := gate.QuickLine(host, gate.SPKI(console.get().Leaf), a.program.Digest()); a.program != nil && line != "" && !isLoopback(host) {
				lines = append(lines, ui.QuickLine{For: "For machines that reach this console:", Line: line})
			}

			return lines
		},
	}
}

// quickLines are the lines that install the agent from the test network.
func (a *appliance) quickLines() []ui.QuickLine {
	if a.program == nil || a.netboot == nil {
		return nil
	}

	return []ui.QuickLine{{
		For: "For machines on the test network:", Line: gate.QuickLine(a.self.Addr().String(), gate.SPKI(a.gate.get().Leaf), a.program.Digest()),
	}}
}

// isLoopback reports whether a host, with or without a port, is this machine to
// whoever asks.
func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}

	addr, err := netip.ParseAddr(name)

	return name == "localhost" || err == nil && addr.IsLoopback()
}

// warnOfTrust says aloud that anybody on the network may speak for a host.
func (a *appliance) warnOfTrust() {
	if !a.config.HostAPI.TrustLAN {
		return
	}

	const text = "host_api.trust_lan is on: whoever reaches the agent API can pretend to be any installed host, and hosts reboot without a key that was approved."

	a.log.Warn("anybody on the network may speak for an installed host", slog.String("key", "host_api.trust_lan"))
	a.warnings.warn("host_api.trust_lan", core.Warning, text)
}
