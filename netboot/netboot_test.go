package netboot_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"vetting/core"
	"vetting/netboot"
	"vetting/netboot/uki/ukitest"
)

// world is all that a Server talks to besides machines. Safe for concurrent use.
type world struct {
	actions map[core.MAC]core.BootAction
	loader  core.Loader // of all
	chain   string      // likewise
	home    core.Home   // likewise

	mu    sync.Mutex // guards steps
	steps []core.BootStep
}

func (w *world) Decide(c core.BootClient) core.BootDecision {
	action, ok := w.actions[c.MAC]
	if !ok {
		return core.BootDecision{Action: core.BootIgnore}
	}

	return core.BootDecision{Action: action, Host: c.MAC, Name: "bench", Run: "01RUN", Loader: w.loader, Chain: w.chain, Home: w.home}
}

func (w *world) Arm(_ context.Context, mac core.MAC, _ netip.Addr) (string, error) {
	return "nonce" + strings.ReplaceAll(string(mac), ":", ""), nil
}

func (w *world) Seed(_ context.Context, nonce string, _ netip.Addr, _ bool) ([]byte, error) {
	if !strings.HasPrefix(nonce, "nonce") {
		return nil, core.ErrNotFound
	}

	return []byte(`{"token":"secret"}`), nil
}

func (w *world) SeedOf(context.Context, core.MAC, netip.Addr, bool) ([]byte, error) {
	return []byte(`{"token":"secret"}`), nil
}

func (w *world) Leases(context.Context) ([]core.Lease, error)   { return nil, nil }
func (w *world) SaveLeases(context.Context, []core.Lease) error { return nil }

func (w *world) Witness(step core.BootStep) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.steps = append(w.steps, step)
}

// told returns the alarms since the last call: "code detail".
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()

	var all []string

	for _, s := range w.steps {
		if s.Code != "" {
			all = append(all, s.Code+" "+s.Detail)
		}
	}

	w.steps = nil

	return all
}

// server returns a Server of the network 10.77.0.1/24 with made-up files.
func server(t testing.TB, actions map[core.MAC]core.BootAction, tune ...func(*netboot.Config)) (*netboot.Server, *world) {
	t.Helper()

	w := &world{actions: actions}
	files := map[string][]byte{}

	for _, name := range []string{"vmlinuz", "base.cpio.zst", "modules.cpio", "undionly.kpxe", "ipxe.pxe", "snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "ipxe-arm64.efi"} {
		files[name] = bytes.Repeat([]byte(name+" "), 100)
	}

	cfg := netboot.Config{
		Interface: "none", Prefix: netip.MustParsePrefix("10.77.0.1/24"), Files: files, Stub: ukitest.Stub(), ImageID: "feedc0de",
		Booter: w, Leases: w, Witness: w,
	}
	for _, change := range tune {
		change(&cfg)
	}

	s, err := netboot.New(cfg)
	if err != nil {
		t.Fatal(err)
	}

	return s, w
}

// What is offered must be there: without it a boot service would offer what it cannot serve.
func TestAnImageThatLacksABootProgramIsRefused(t *testing.T) {
	full := map[string][]byte{}
	for _, name := range []string{"vmlinuz", "base.cpio.zst", "undionly.kpxe", "ipxe.pxe", "snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "ipxe-arm64.efi"} {
		full[name] = []byte(name)
	}

	for lacking := range full {
		some := maps.Clone(full)
		delete(some, lacking)

		w := &world{}

		_, err := netboot.New(netboot.Config{
			Interface: "none", Prefix: netip.MustParsePrefix("10.77.0.1/24"), Files: some, Stub: ukitest.Stub(), Booter: w, Leases: w, Witness: w,
		})
		if !errors.Is(err, core.ErrNotFound) || !strings.Contains(err.Error(), "the boot image lacks "+lacking) {
			t.Errorf("without %s: %v", lacking, err)
		}
	}
}

// A card that is gone is told from one without a cable: each is mended in another way.
func TestACardThatIsGoneIsToldFromACable(t *testing.T) {
	for name, want := range map[string]string{"none": "netboot/no-card", "lo": "netboot/no-cable"} {
		s, _ := server(t, nil, func(cfg *netboot.Config) { cfg.Interface = name })

		var p *core.Problem
		if err := s.Health(); !errors.As(err, &p) || p.Code != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
