package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vetting/agent/simhost"
	"vetting/core"
)

// openPlayground starts an appliance whose hosts are simulated, fast, and wait to be
// vetted, several of each kind. It has heard a stranger, and can tell a phone and
// cannot tell a pager. It ends with the test.
func openPlayground(t *testing.T) ([]string, error) {
	t.Helper()

	const hosts, speed = 40, 50

	phone := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(phone.Close)

	a := deskAppliance(t, t.TempDir(), func(a *appliance) {
		a.config.Dispatcher.MaxConcurrentRuns = hosts
		a.config.Notifiers = map[string]NotifierConfig{
			"phone": {Type: "ntfy", Attempts: 1, URL: Secret{text: phone.URL}, Topic: "rack3"},
			"pager": {Type: "ntfy", Attempts: 1, URL: Secret{text: "http://127.0.0.1:1"}, Topic: "rack3"},
		}
	})

	a.engine.Witness(core.BootStep{Time: time.Now(), MAC: "52:54:03:00:00:01", Kind: "discover", Client: core.BootClient{Vendor: "PXEClient"}})

	s, err := a.newStage(t.Context(), fast(simhost.Cast(hosts), speed))
	if err != nil {
		return nil, err
	}

	for _, c := range s.cast {
		if err := s.register(t.Context(), c); err != nil {
			return nil, err
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)

	go func() { ended <- a.together(ctx, []component{{"gate", s.serveGate}, {"hosts", s.play}}) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	return reaching(t, a, "admin")
}
