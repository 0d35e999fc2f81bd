package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/ladder"
	"vetting/core/profile"
	"vetting/core/report"
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

// sentHome is how a machine is sent to its own disk now, and takes it down.
func (r *rig) sentHome(n int) core.BootDecision {
	d := r.Decide(core.BootClient{MAC: coretest.MAC(n), Kind: core.ClientUEFI, Arch: 7})

	if d.Home == core.HomeMissing {
		r.uefi(n, "offer", core.NoBoot)
		r.uefi(n, "tftp-missing", core.NoBoot)
	} else {
		r.uefi(n, "offer", ladder.File(d.Loader, core.ClientUEFI))
		r.uefi(n, "script", "local")
	}

	return d
}

func TestAHostThatComesBackIsSentHomeByAnotherWay(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for i, want := range []core.Home{core.HomeMissing, core.HomeMissing, core.HomeExit, core.HomeExit, core.HomeDisk} {
			if d := r.sentHome(1); d.Action != core.BootLocal || d.Home != want {
				t.Errorf("at first, and after %d returns: %+v", i, d)
			}

			r.pass(40 * time.Second)
		}

		r.Witness(core.BootStep{Time: r.clock.Now(), MAC: coretest.MAC(1), Kind: "request", Client: core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientOther}})
		r.pass(time.Hour)
		r.sentHome(1)
		synctest.Wait()
		r.pass(time.Second)
		r.restart() // the appliance knows it all the same
		r.pass(time.Hour)

		if d := r.sentHome(1); d.Home != core.HomeDisk {
			t.Errorf("where it gets home: %+v", d)
		}

		synctest.Wait()
		r.pass(time.Second)

		trace := get[core.BootTrace](r, core.TableBoot, string(coretest.MAC(1)))

		var said []string

		for _, s := range trace.Steps {
			if s.Kind == "way-home" {
				said = append(said, s.Detail)
			}
		}

		if len(said) != 2 || !strings.Contains(said[1], "starts its disk is tried now") || trace.Homeward.Worked != core.HomeDisk {
			t.Errorf("the trace says %q, %+v", said, trace.Homeward)
		}
	})
}

func TestOneOfSeveralDisksIsNotStartedUnasked(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		disks := core.Inventory{Disks: []core.Disk{{Name: "sda"}, {Name: "sdb"}}}

		_, err := r.ledger.Update(t.Context(), func(txn core.Txn) error {
			var host core.Host
			if err := txn.Get(core.TableHost, string(coretest.MAC(1)), &host); err != nil {
				return err
			}

			host.LastRun = "01RUN"

			return errors.Join(txn.Put(core.TableHost, string(host.MAC), host), txn.Put(core.TableInventory, "01RUN", disks))
		})
		if err != nil {
			t.Fatal(err)
		}

		for i, want := range []core.Home{core.HomeMissing, core.HomeMissing, core.HomeExit, core.HomeExit, core.HomeMissing} {
			if d := r.sentHome(1); d.Home != want {
				t.Errorf("at first, and after %d returns: %+v", i, d)
			}

			synctest.Wait()
			r.pass(40 * time.Second)
		}
	})
}

func TestAnOperatorChoosesTheWayHome(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		set := func(home core.Home, loader core.Loader) error {
			_, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Home, h.Loader = home, loader })

			return err
		}

		// The image as one program leads nowhere but into the image.
		if err := set(core.HomeExit, core.LoaderUKI); err != nil {
			t.Fatal(err)
		}

		for range 3 {
			if d := r.sentHome(1); d.Home != core.HomeExit || d.Loader != core.LoaderShim {
				t.Errorf("chosen: %+v", d)
			}

			r.pass(30 * time.Second)
		}

		if err := set("by foot", ""); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "missing, exit, disk") {
			t.Errorf("an unknown one: %v", err)
		}

		if err := set("", ""); err != nil || r.sentHome(1).Home != core.HomeMissing {
			t.Errorf("left to what works: %v", err)
		}
	})
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

// What becomes of a machine that has passed: by its profile, its class, itself or the run,
// and by the URL that is set for the machine afterwards.
func TestWhatBecomesOfAMachineIsSaidByItsRun(t *testing.T) {
	const url, other = "http://192.0.2.9/next.ipxe", "tftp://192.0.2.8/x"

	for name, c := range map[string]struct {
		config map[string]string // of the run
		host   string            // boot URL of the host, set later

		reboot bool
		chain  string
		words  string // on the report
	}{
		"nothing is said":       {nil, "", false, "", "It is switched off; its next boot from the network leads to its own disk."},
		"started anew":          {map[string]string{profile.AfterRun: "reboot"}, "", true, "", "It starts anew, and the network sends it to its own disk."},
		"switched off, sent on": {map[string]string{profile.AfterRun: "off", profile.NextBoot: url}, "", false, url, "leads to " + url},
		"sent on at once":       {map[string]string{profile.AfterRun: "reboot", profile.NextBoot: url}, "", true, url, "It starts anew, and the network sends it to " + url},
		"the host says another": {map[string]string{profile.NextBoot: url}, other, false, other, "leads to " + url},
		"the host stays home":   {map[string]string{profile.NextBoot: url}, core.OwnDisk, false, "", "leads to " + url},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				r.host(1)

				run, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Overrides: core.Override{Config: c.config}})
				if err != nil {
					t.Fatal(err)
				}

				synctest.Wait()

				m := r.machine(1)
				m.boot()
				m.finish(core.State(core.InventoryCheck))
				r.wantState(run.ID, core.StateCompleted)

				if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.BootURL = c.host }); err != nil {
					t.Fatal(err)
				}

				if o, err := m.beat(""); err != nil || o.Cmd != core.CmdShutdown || o.Reboot != c.reboot {
					t.Errorf("the agent is told %+v (%v)", o, err)
				}

				if d := r.Decide(core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI}); d.Action != core.BootLocal || d.Chain != c.chain {
					t.Errorf("its firmware is sent %+v", d)
				}

				if rep := get[report.Report](r, core.TableReport, string(run.ID)); !strings.Contains(rep.Run.AfterRun, c.words) {
					t.Errorf("the report says %q", rep.Run.AfterRun)
				}
			})
		})
	}

	for value, fits := range map[string]bool{"reboot": true, "off": true, "stay": false, "": false} {
		if err := profile.CheckOverride(core.Override{Config: map[string]string{profile.AfterRun: value}}); (err == nil) != fits {
			t.Errorf("%s: %q: %v", profile.AfterRun, value, err)
		}
	}

	for value, fits := range map[string]bool{"disk": true, url: true, "home": false, "http://u:p@h/x": false, "http://h/${net0/mac}": false} {
		if err := profile.CheckOverride(core.Override{Config: map[string]string{profile.NextBoot: value}}); (err == nil) != fits {
			t.Errorf("%s: %q: %v", profile.NextBoot, value, err)
		}
	}
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

// What takes a host home in place of the image as one program says nothing of its rung, whoever
// has named it.
func TestWhatTakesAHostHomeIsNotItsRung(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.uefi(1, "offer", "vetting.efi")

		for _, step := range [][2]string{
			{"offer", "shimx64.efi"}, {"tftp", "shimx64.efi sent"}, {"stand", "shimx64.efi"}, {"tftp", "shimx64.efi by the name of snponly.efi sent"}, {"loader", "shimx64.efi sent"},
		} {
			r.uefi(1, step[0], step[1])

			if rung := r.Decide(core.BootClient{MAC: coretest.MAC(1), Kind: core.ClientUEFI, Arch: 7}).Loader; rung != core.LoaderUKI {
				t.Errorf("after %v it is on %q", step, rung)
			}
		}
	})
}
