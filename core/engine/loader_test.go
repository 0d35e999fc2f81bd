package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
)

// uefi is a step of a machine's firmware, now.
func (r *rig) uefi(n int, kind, detail string) {
	s := step(n, kind)
	s.Time, s.Detail = r.clock.Now(), detail

	if strings.HasSuffix(detail, "sent") {
		s.Share = 100
	}

	r.Witness(s)
}

// given is what a machine is to load, and what it is taken down to have been offered.
func (r *rig) given(n int) core.Loader {
	rung := r.Decide(core.BootClient{MAC: coretest.MAC(n), Kind: core.ClientUEFI, Arch: 7}).Loader
	file := map[core.Loader]string{core.LoaderSNPOnly: "snponly.efi", core.LoaderIPXE: "ipxe.efi", core.LoaderUKI: "vetting.efi", core.LoaderShim: "shimx64.efi"}[rung]
	r.uefi(n, "offer", file)
	r.uefi(n, "tftp", file+" sent")

	return rung
}

func TestAHostClimbsTheLadderAndStaysWhereItWorks(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if rung := r.given(1); rung != core.LoaderSNPOnly {
			t.Errorf("at first: %q", rung)
		}

		r.pass(89 * time.Second)

		if rung := r.Decide(core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI}).Loader; rung != core.LoaderSNPOnly {
			t.Errorf("after 89 s: %q", rung)
		}

		r.pass(time.Second)

		if rung := r.given(1); rung != core.LoaderIPXE {
			t.Errorf("after 90 s: %q", rung)
		}

		synctest.Wait()
		r.pass(time.Second)
		r.restart() // the appliance knows it all the same

		r.pass(100 * time.Second)

		if rung := r.given(1); rung != core.LoaderUKI {
			t.Errorf("after a restart: %q", rung)
		}

		r.uefi(1, "seed", "")
		r.pass(time.Hour)
		r.restart()

		if rung := r.given(1); rung != core.LoaderUKI {
			t.Errorf("where it works: %q", rung)
		}

		// People can read why.
		synctest.Wait()
		r.pass(time.Second)

		var said []string

		for _, s := range get[core.BootTrace](r, core.TableBoot, string(coretest.MAC(1))).Steps {
			if s.Kind == "rung" {
				said = append(said, s.Detail)
			}
		}

		if len(said) != 2 || !strings.Contains(said[0], "ipxe.efi is tried now") || !strings.Contains(said[1], "vetting.efi is tried now") {
			t.Errorf("the trace says %q", said)
		}
	})
}

func TestAnOperatorChoosesTheBootProgram(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		set := func(loader core.Loader) error {
			_, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Loader = loader })

			return err
		}

		if err := set(core.LoaderShim); err != nil {
			t.Fatal(err)
		}

		for range 3 {
			if rung := r.given(1); rung != core.LoaderShim {
				t.Errorf("chosen: %q", rung)
			}

			r.pass(2 * time.Minute)
		}

		if err := set("lilo"); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "snponly, ipxe, uki, shim") {
			t.Errorf("an unknown one: %v", err)
		}

		if err := set(""); err != nil || r.Decide(core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI}).Loader == "" {
			t.Errorf("left to the ladder: %v", err)
		}
	})
}

// The image as one program has no place for overlays: a run that wants some goes
// another way.
func TestARunWithOverlaysDoesNotBootTheImageAsOneProgram(t *testing.T) {
	inRigWith(t, func(t *testing.T, r *rig) {
		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Loader = core.LoaderUKI }); err != nil {
			t.Fatal(err)
		}

		if rung := r.given(1); rung != core.LoaderUKI {
			t.Errorf("without a run: %q", rung)
		}

		if _, err := r.asking("tools"); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		if rung := r.given(1); rung != core.LoaderShim {
			t.Errorf("with overlays: %q", rung)
		}
	}, core.Overlay{Name: "tools", SHA256: strings.Repeat("a", 64)})
}

func TestADeletedHostsLadderIsForgotten(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.given(1)
		r.pass(2 * time.Minute)
		r.given(1)

		if err := r.DeleteHost(t.Context(), "op", coretest.MAC(1)); err != nil {
			t.Fatal(err)
		}

		r.host(1)

		if rung := r.given(1); rung != core.LoaderSNPOnly {
			t.Errorf("anew: %q", rung)
		}
	})
}

func TestAHostThatHasPassedIsSentOn(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		const url = "http://192.0.2.9/next.ipxe?a=b&c=d"

		set := func(address string) error {
			_, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.BootURL = address })

			return err
		}

		if err := set(url); err != nil {
			t.Fatal(err)
		}

		chain := func() string { return r.Decide(core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI}).Chain }
		if got := chain(); got != "" {
			t.Errorf("before it has passed: %q", got)
		}

		r.start(1)

		m := r.machine(1)
		m.boot()

		if got := chain(); got != "" {
			t.Errorf("while it is vetted: %q", got)
		}

		m.finish(core.State(core.InventoryCheck))

		if host := r.hostOf(1); host.LastVerdict != core.Pass {
			t.Fatalf("the host has %q", host.LastVerdict)
		}

		if got := chain(); got != url {
			t.Errorf("afterwards: %q", got)
		}

		for _, bad := range []string{
			"next.ipxe", "ftp://h/x", "http://", "http://u:p@h/x", "http://h/a b", "http://h/${net0/mac}", "http://h/a&&reboot", "http://h/|x",
			"http://h/\nreboot", "http://h/" + strings.Repeat("x", 600), "javascript:alert(1)",
		} {
			if err := set(bad); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}

		if err := set(""); err != nil || chain() != "" {
			t.Errorf("without it: %v, %q", err, chain())
		}
	})
}
