package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
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
	"vetting/agent/hostmode"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/initramfs"
)

// insecure trusts whoever answers: who that is, is not what the test is about.
func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
}

// fetch gets a file from an appliance whatever its certificate says.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()

	client := http.Client{Transport: insecure()}
	defer client.CloseIdleConnections()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}

	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}

	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}

	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}

	return answer.StatusCode, string(text)
}

// withAgents is an appliance that answers agents on loopback, and the address.
func withAgents(t *testing.T, tune func(*appliance)) (*appliance, string) {
	t.Helper()

	return withAgentsIn(t, t.TempDir(), tune)
}

func withAgentsIn(t *testing.T, dir string, tune func(*appliance)) (*appliance, string) {
	t.Helper()

	a := deskAppliance(t, dir, func(a *appliance) {
		a.image = &initramfs.Image{ID: "none", HostAgent: gatetest.Packed(t, "the agent")}
		if tune != nil {
			tune(a)
		}
	})

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)

	go func() { ended <- a.answerAgents(ctx, listener) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	return a, "https://" + listener.Addr().String()
}

// An installed machine finds its agent, registers, is approved and reboots for
// vetting, by the agent API and by the console alike; each with its own key.
func TestInstalledMachinesAreAnsweredOnBothListeners(t *testing.T) {
	a, agents := withAgents(t, nil)

	console, err := a.consoleCertificate()
	if err != nil {
		t.Fatal(err)
	}

	for name, door := range map[string]struct {
		base, spki string
		mac        core.MAC
	}{
		"the agent API": {agents, gate.SPKI(a.gate.get().Leaf), coretest.MAC(1)},
		"the console":   {a.ui.URL(), gate.SPKI(console.get().Leaf), coretest.MAC(2)},
	} {
		t.Run(name, func(t *testing.T) {
			code, script := fetch(t, door.base+gate.QuickPath)
			if code != http.StatusOK || !strings.Contains(script, "appliance='"+door.base+"'") || !strings.Contains(script, "pin='"+door.spki+"'") ||
				!strings.Contains(script, "want='"+a.program.Digest()+"'") {
				t.Errorf("the installer, with status %d, lacks address, key or digest:\n%.2000s", code, script)
			}

			if code, program := fetch(t, door.base+gate.AgentPath); code != http.StatusOK || program != "the agent" {
				t.Errorf("the program: status %d, %q", code, program)
			}

			if mac := <-reboots(t, a, door.base, door.spki, door.mac); mac != door.mac {
				t.Errorf("rebooted by %s", mac)
			}
		})
	}
}

// reboots has an installed machine live until the test ends, whose key was
// approved earlier and whose run waits for it.
func reboots(t *testing.T, a *appliance, base, spki string, mac core.MAC) <-chan core.MAC {
	t.Helper()

	key, err := hostmode.LoadKey(t.TempDir(), strings.NewReader(strings.Repeat(string(mac), 4)))
	if err != nil {
		t.Fatal(err)
	}

	told := make(chan core.MAC, 1)
	service := hostmode.Service{
		Config: hostmode.Config{Appliance: base, SPKISHA256: spki}, Key: key, Version: "test", BootID: "boot-1", Hostname: "installed",
		Uptime:    func() time.Duration { return time.Hour },
		Addresses: func(context.Context) (core.MAC, []core.MAC, error) { return mac, nil, nil },
		Busy:      func() string { return "" },
		Reboot: func(ctx context.Context, mac core.MAC) error {
			told <- mac
			<-ctx.Done()

			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	}

	await(t, a, mac, key)

	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())

	go func() { ended <- service.Run(ctx) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	return told
}

// await has a run wait for a host with an approved key.
func await(t *testing.T, a *appliance, mac core.MAC, key ed25519.PrivateKey) {
	t.Helper()

	public, _ := key.Public().(ed25519.PublicKey)

	if _, err := a.engine.RegisterHost(t.Context(), "test", core.Host{MAC: mac, Name: "installed", Power: core.Power{Method: core.PowerAgent}}); err != nil {
		t.Fatal(err)
	}

	_, known, _, err := a.engine.RegisterSelf(t.Context(), core.SelfRegistration{MAC: mac, HostName: "installed", PublicKey: public})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := a.engine.ApproveHostKey(t.Context(), "test", known.ID); err != nil {
		t.Fatal(err)
	}

	if _, err := a.engine.StartRun(t.Context(), mac, core.StartRun{Profile: "quick", Who: "test"}); err != nil {
		t.Fatal(err)
	}
}

func TestTheLinesToPasteTrustTheListenerTheyLeadTo(t *testing.T) {
	a, _ := withAgents(t, nil)

	console, err := a.consoleCertificate()
	if err != nil {
		t.Fatal(err)
	}

	side := a.installed(console)
	pin := func(spki string) string { raw, _ := hex.DecodeString(spki); return string(raw) }

	if lines := side.Lines("127.0.0.1:8443"); len(lines) != 0 {
		t.Errorf("a line to this very machine, without a test NIC: %v", lines)
	}

	lines := side.Lines("vetting.lan:8443")
	if len(lines) != 1 || lines[0].Line != gate.QuickLine("vetting.lan:8443", gate.SPKI(console.get().Leaf), a.program.Digest()) || pin(gate.SPKI(console.get().Leaf)) == "" {
		t.Errorf("%v", lines)
	}

	if lines := side.Lines("x'; reboot; '"); len(lines) != 0 {
		t.Errorf("a line that a shell reads otherwise: %v", lines)
	}

	if a.installed(nil) != nil {
		t.Error("without TLS there is nothing that a machine could trust")
	}
}

func TestTrustInTheNetworkIsWarnedOf(t *testing.T) {
	a, agents := withAgents(t, func(a *appliance) { a.config.HostAPI.TrustLAN = true })

	if w := a.warnings.list(); len(w) != 1 || w[0].Severity != core.Warning || !strings.Contains(w[0].Text, "trust_lan") {
		t.Errorf("%v", w)
	}

	for base, want := range map[string]int{agents: http.StatusCreated, a.ui.URL(): http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/hosts", strings.NewReader(`{"mac": "52:54:00:00:00:09", "hostname": "old"}`))
		if err != nil {
			t.Fatal(err)
		}

		client := http.Client{Transport: insecure()}

		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}

		if answer.StatusCode != want {
			t.Errorf("%s: status %d, want %d", base, answer.StatusCode, want)
		}

		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
