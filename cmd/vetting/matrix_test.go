package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/initramfs"
)

// machine has the keys to everything that a machine under test ever gets.
type machine struct {
	run           core.RunID
	boot, session string             // tokens of a run
	host          ed25519.PrivateKey // of its installed system, approved
}

// vetted lets a machine come as far as a claimed run and an approved key.
func vetted(t *testing.T, a *appliance) machine {
	t.Helper()

	ctx, mac, addr := t.Context(), coretest.MAC(1), netip.MustParseAddr("10.77.0.9")

	if _, err := a.engine.RegisterHost(ctx, "test", core.Host{MAC: mac, Name: "guest", Power: core.Power{Method: core.PowerManual}}); err != nil {
		t.Fatal(err)
	}

	if _, err := a.engine.StartRun(ctx, mac, core.StartRun{Profile: "quick", Who: "test"}); err != nil {
		t.Fatal(err)
	}

	look := time.NewTicker(time.Millisecond)
	defer look.Stop()

	for a.engine.Decide(core.BootClient{MAC: mac, Kind: core.ClientIPXE, Addr: addr}).Action != core.BootVet {
		<-look.C
	}

	nonce, err := a.engine.Arm(ctx, mac, addr)
	if err != nil {
		t.Fatal(err)
	}

	raw, err := a.engine.Seed(ctx, nonce, addr, false)
	if err != nil {
		t.Fatal(err)
	}

	var seed wire.Seed
	if err := json.Unmarshal(raw, &seed); err != nil {
		t.Fatal(err)
	}

	m := machine{run: core.RunID(seed.Run), boot: seed.BootToken}

	reply, err := a.engine.Claim(ctx, m.run, m.boot, core.Claim{BootID: "boot-1", Identity: core.Identity{BoardSerial: "B1", MACs: []core.MAC{mac}}})
	if err != nil {
		t.Fatal(err)
	}

	m.session = reply.SessionToken

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	m.host = private

	_, key, _, err := a.engine.RegisterSelf(ctx, core.SelfRegistration{MAC: mac, HostName: "guest", PublicKey: public})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := a.engine.ApproveHostKey(ctx, "test", key.ID); err != nil {
		t.Fatal(err)
	}

	return m
}

// What a machine under test holds opens no call of the operator's, on the address
// that serves both.
func TestNoKeyOfAMachineOpensACallOfOperators(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), func(a *appliance) {
		a.image = &initramfs.Image{ID: "none", HostAgent: gatetest.Packed(t, "the agent")}
	})
	m := vetted(t, a)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()

	fill := strings.NewReplacer("{mac}", string(coretest.MAC(1)), "{id}", string(m.run), "{name}", "x", "{sha256}", strings.Repeat("5e", 32))
	body := `{"mac":"52:54:00:00:00:99","name":"x","profile":"quick","op":"off","serials":["S"],"reason":"x","scope":"admin","role":"admin"}`
	calls := 0

	for _, r := range route.Table() {
		if r.Scope == route.None {
			continue
		}

		path := fill.Replace(r.Path)
		signature := wire.Sign(m.host, r.Method, path, time.Now(), []byte(body))

		for name, header := range map[string]http.Header{
			"the boot token":          {"Authorization": {"Bearer " + m.boot}},
			"the session token":       {"Authorization": {"Bearer " + m.session}},
			"the token as a cookie":   {"Cookie": {"__Host-vetting=" + m.session}, "Sec-Fetch-Site": {"same-origin"}},
			"the token as an API one": {"Authorization": {"Bearer vet_" + m.session}},
			"the key of the host": {
				wire.HeaderKey: {signature.Key}, wire.HeaderTime: {signature.Time}, wire.HeaderSignature: {signature.Value},
			},
		} {
			if name == "the key of the host" && r.Name == "hosts.create" {
				continue // registering itself is the one thing of this address that a host may do
			}

			request, err := http.NewRequestWithContext(t.Context(), r.Method, a.ui.URL()+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}

			request.Header = header

			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}

			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}

			_ = answer.Body.Close()

			calls++

			refusals := []int{http.StatusUnauthorized, http.StatusForbidden}
			if name == "the key of the host" {
				refusals = append(refusals, http.StatusNotFound) // handed to the gate, which has no such call
			}

			if !slices.Contains(refusals, answer.StatusCode) {
				t.Errorf("%s with %s: status %d: %.200s", r.Name, name, answer.StatusCode, text)
			}
		}
	}

	if calls < 250 {
		t.Errorf("only %d calls were made", calls)
	}

	// Nothing came of any of them.
	for name, query := range map[string]core.Table{"tokens": core.TableToken, "users": core.TableUser, "classes": core.TableClass} {
		if err := a.store.View(t.Context(), func(r core.Reader) error {
			return r.Scan(query, core.Query{}, func(key string, _ func(any) error) error {
				t.Errorf("%s: %s was made", name, key)

				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
	}

	if !gate.IsHostCall(http.MethodPost, "/api/v1/hosts", "x") {
		t.Error("a signed registration is no longer a host's call; this test looks at the wrong thing")
	}
}
