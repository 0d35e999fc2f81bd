//go:build e2e && linux

package main_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/bmc"
	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/route"
)

// Virtual machines, from the power button to the verdict, with the binary that
// make build made. Everything goes through the wire and the public API. The
// machines have 512 MiB, the least that the product asks for.

const (
	profile = "quick"
	scale   = 0.01 // 3 s of CPUStress, 6 s of Burn
)

// perMachine bounds one machine's whole way; alone on two idle processors it takes about
// a minute. LAB_MINUTES gives it more, where processors have other work.
func perMachine() time.Duration {
	if minutes, err := strconv.Atoi(os.Getenv("LAB_MINUTES")); err == nil {
		return time.Duration(minutes) * time.Minute
	}

	return 6 * time.Minute
}

// TestE2E shares one appliance among its parts, on two processors two machines at a time.
func TestE2E(t *testing.T) {
	rack := openRack(t)
	hand := unpack(t, rack)
	twin := lab.Sample(lab.BIOS, 1)
	twin.BMC, twin.Identity.Supplies = bmc.New(bmc.Healthy), []string{"PSU1", "PSU2"}

	t.Run("at once", func(t *testing.T) {
		t.Run("from power-on to Completed by BIOS", func(t *testing.T) {
			t.Parallel()

			run := passes(t, rack, twin, func(s subject) core.RunID {
				s.register(core.PowerManual)
				s.expectItself()

				return s.vet()
			})
			seesItsSupplies(t, run)
		})
		t.Run("from power-on to Completed by UEFI, told to reboot by its installed system", func(t *testing.T) {
			t.Parallel()
			passes(t, rack, lab.Sample(lab.UEFI, 2), vetInstalled)
		})
		bootsInOtherWays(t, rack)
		findsWhatIsBroken(t, rack, hand)
	})

	t.Run("once one has passed", func(t *testing.T) {
		t.Run("nothing good comes of another machine behind its MAC", func(t *testing.T) {
			t.Parallel()
			quarantines(t, rack, twin)
		})
		t.Run("an unregistered machine is not answered", func(t *testing.T) {
			t.Parallel()
			ignores(t, rack, lab.Sample(lab.BIOS, 5))
		})
	})

	t.Run("a registered BIOS machine boots its own disk", func(t *testing.T) {
		bootsOwnDisk(t, rack, lab.Sample(lab.BIOS, 6), 20*time.Second)
	})
	t.Run("a registered UEFI machine boots its own disk", func(t *testing.T) {
		bootsOwnDisk(t, rack, lab.Sample(lab.UEFI, 7), 40*time.Second)
	})

	t.Run("the appliance is killed in the middle of a run", func(t *testing.T) {
		survivesKill(t, rack, hand, lab.Sample(lab.BIOS, 8))
	})

	t.Run("the ledger is damaged", func(t *testing.T) {
		saysWhatIsWrong(t, rack)
	})
}

func bootsInOtherWays(t *testing.T, rack *lab.Rack) {
	t.Run("UEFI HTTP boot", func(t *testing.T) {
		t.Parallel()

		machine := lab.Sample(lab.UEFI, 9)
		machine.HTTPBoot = true
		chainsBy(t, rack, machine, core.LoaderUKI, "offer", "http://10.77.0.1/boot/vetting.efi")
	})
	t.Run("UEFI with Secure Boot", func(t *testing.T) {
		t.Parallel()
		startsSigned(t, rack, lab.Sample(lab.UEFI, 15))
	})
	t.Run("BIOS PXE to undionly", func(t *testing.T) {
		t.Parallel()
		chains(t, rack, lab.Sample(lab.BIOS, 10), "tftp", "undionly.kpxe",
			// The only PXE ROMs that QEMU has are iPXE, which need no second one:
			// have this one load it all the same.
			[2]string{"Press Ctrl-B for the iPXE command line", "\x02"},
			[2]string{"iPXE>", "ifconf --configurator dhcp net0 && chain tftp://${next-server}/undionly.kpxe\r"})
	})
}

func findsWhatIsBroken(t *testing.T, rack *lab.Rack, hand phone) {
	t.Run("a missing DIMM", func(t *testing.T) {
		t.Parallel()
		holdsForMissingDIMM(t, rack, hand, lab.Sample(lab.BIOS, 3))
	})
	t.Run("a power supply that loses its input", func(t *testing.T) {
		t.Parallel()
		losesASupply(t, rack, lab.Sample(lab.BIOS, 14))
	})
	t.Run("a machine check and a broken PCIe link", func(t *testing.T) {
		t.Parallel()

		machine := lab.Sample(lab.BIOS, 4)
		machine.RootPort = true
		failsByItsOwnReports(t, rack, machine)
	})
	t.Run("only armed disks are written", func(t *testing.T) {
		t.Parallel()
		writesWhatIsArmed(t, rack, lab.Sample(lab.BIOS, 11))
	})
}

func openRack(t *testing.T) *lab.Rack {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}

	dataDir := filepath.Join(t.TempDir(), "appliance")

	binary, err := filepath.Abs("../../build/vetting")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("run make build first: %v", err)
	}

	rack, err := lab.OpenRack(t.Context(), lab.ApplianceOptions{Binary: binary, Port: 18443, DataDir: dataDir})
	if err != nil {
		t.Fatal(err)
	}

	addOverlay(t, dataDir)

	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the appliance's last words:\n%s", rack.Appliance.Process().Output.Tail(60))
		}

		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	})

	return rack
}

// subject is a registered machine in the rack, switched off.
type subject struct {
	*lab.Guest

	t    *testing.T
	ctx  context.Context //nolint:containedctx // of one test
	rack *lab.Rack
}

// plug puts a machine into the rack. Its last words are logged when the test
// has failed; its disks, but those that are to be written, must be untouched at the
// end in any case.
func plug(t *testing.T, rack *lab.Rack, machine lab.Machine, written ...string) subject {
	t.Helper()

	guests, err := rack.Add(machine)
	if err != nil {
		t.Fatal(err)
	}

	guest := guests[0]
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), perMachine())

	t.Cleanup(func() {
		cancel()
		guest.PowerOff()

		if err := guest.Untouched(written...); err != nil {
			t.Error(err)
		}

		if process := guest.Process(); t.Failed() && process != nil {
			t.Logf("last words of %s:\n%s", guest.Name, process.Output.Tail(60))
		}

		t.Logf("%s took %.1f s", guest.Name, time.Since(begin).Seconds())
	})

	return subject{Guest: guest, t: t, ctx: ctx, rack: rack}
}

func (s subject) register(power core.PowerMethod) {
	s.t.Helper()

	if _, err := s.rack.API.Register(s.ctx, s.Name, s.MAC, power); err != nil {
		s.t.Fatal(err)
	}
}

// expectItself sets the spec that the machine fulfils.
func (s subject) expectItself() {
	s.t.Helper()

	if err := s.rack.API.SetSpec(s.ctx, s.MAC, s.Spec()); err != nil {
		s.t.Fatal(err)
	}
}

// vet starts a run and presses the power button.
func (s subject) vet() core.RunID {
	s.t.Helper()

	run, err := s.rack.API.Vet(s.ctx, s.MAC, profile, scale)
	if err != nil {
		s.t.Fatal(err)
	}

	s.powerOn()

	return run.ID
}

// vetShort is vet where something else is what is tested: the stages that take time, which
// other machines go through, are left out.
func (s subject) vetShort(why string) core.RunID {
	s.t.Helper()

	skip := map[core.StageName]string{}
	for _, stage := range []core.StageName{core.SMART, core.CPUStress, core.Memory, core.Storage, core.Network, core.Burn, core.PSU} {
		skip[stage] = why
	}

	run, err := s.rack.API.Start(s.ctx, s.MAC, route.RunStart{Profile: profile, Scale: scale, Overrides: &core.Override{Skip: skip}})
	if err != nil {
		s.t.Fatal(err)
	}

	s.powerOn()

	return run.ID
}

func (s subject) powerOn() *lab.Process {
	s.t.Helper()

	process, err := s.PowerOn(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}

	return process
}

// await returns the run once it is where good wants it, or at its end.
func (s subject) await(id core.RunID, good func(route.Run) bool) route.Run {
	s.t.Helper()

	run, err := s.rack.API.Await(s.ctx, id, func(run route.Run) bool {
		return run.Over || run.State == core.StateFailedHolding || good(run)
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return run
}

func never(route.Run) bool { return false }

// mustPass checks that the run is Completed with a pass, that its report says
// so, and that the machine switches itself off.
func (s subject) mustPass(id core.RunID) route.Run {
	s.t.Helper()

	run := s.await(id, never)
	if run.State != core.StateCompleted || run.Verdict != core.Pass {
		s.t.Fatalf("the run ended in %s with verdict %s: %+v", run.State, run.Verdict, run)
	}

	for _, stage := range run.Stages {
		took := time.Duration(0) // of a stage that is skipped
		if !stage.StartedAt.IsZero() {
			took = stage.EndedAt.Sub(stage.StartedAt)
		}

		s.t.Logf("%-14s %-12s %6.1f s  %s", stage.Name, stage.Verdict, took.Seconds(), stage.Coverage)

		// The kernel counts questions of our own among the errors of sound disks.
		if i := slices.IndexFunc(stage.Findings, func(f core.Finding) bool { return f.Code == "ras/disk-io-errors" && f.Severity != core.Info }); i >= 0 {
			s.t.Errorf("%s: a sound disk is said to have failed commands: %+v", stage.Name, stage.Findings[i])
		}
	}

	report, err := s.rack.API.Report(s.ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}

	s.bootedSoundly()

	if report.Verdict.Kind != core.Pass || !strings.Contains(string(report.Page), s.Name) {
		s.t.Errorf("the report says %+v", report.Verdict)
	}

	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()

	if err := s.Process().Wait(ctx); err != nil {
		s.t.Errorf("the machine did not switch itself off: %v", err)
	}

	return run
}

// passes has a machine registered and vetted by vet, to a pass.
func passes(t *testing.T, rack *lab.Rack, machine lab.Machine, vet func(subject) core.RunID) route.Run {
	s := plug(t, rack, machine)
	run := s.mustPass(vet(s))

	if run.Agent.Firmware != string(machine.Firmware) {
		t.Errorf("the machine booted by %q", run.Agent.Firmware)
	}

	s.wasPainted()

	host, err := rack.API.Host(s.ctx, s.MAC)
	if err != nil {
		t.Fatal(err)
	}

	if host.Identity.SMBIOSUUID != machine.Identity.UUID || host.Identity.BoardSerial != machine.Identity.BoardSerial {
		t.Errorf("the identity on record is %+v", host.Identity)
	}

	return run
}

// wasPainted checks that whoever looked at the machine's serial console saw which stage was
// under way and, before the power went, the verdict; and its log lines as lines.
func (s subject) wasPainted() {
	s.t.Helper()

	said := s.Process().Output.String()
	for _, want := range []string{"Stage ", s.Name, "PASS: the run passed", "/runs/", "▀", "vetting: the run is ours ("} {
		if !strings.Contains(said, want) {
			s.t.Errorf("the serial console never showed %q", want)
		}
	}
}

// bootedSoundly asks at each step of the machine's boots what is in their way: nothing is.
// LAB_TRACES names a folder that the trace is kept in.
func (s subject) bootedSoundly() {
	s.t.Helper()

	steps, err := s.rack.API.Trace(s.ctx, s.MAC)
	if err != nil || !slices.ContainsFunc(steps, func(step core.BootStep) bool { return step.Kind == "hello" }) {
		s.t.Errorf("the boot trace: %v, %+v", err, steps)
	}

	for i := range steps {
		now := steps[i].Time
		if i+1 < len(steps) {
			now = steps[i+1].Time
		}

		if d, ok := bootdoctor.Diagnose(steps[:i+1], now); ok {
			s.t.Errorf("after step %d of a sound boot, %s %s: %+v", i+1, steps[i].Kind, steps[i].Detail, d)
		}
	}

	if folder := os.Getenv("LAB_TRACES"); folder != "" {
		raw, err := json.MarshalIndent(core.BootTrace{Steps: steps}, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, s.Name+".json"), raw, 0o600)
		}

		if err != nil {
			s.t.Error(err)
		}
	}
}

// chains boots a machine to a pass, with answers typed on its console, and looks
// for a step of its boot trace.
func chains(t *testing.T, rack *lab.Rack, machine lab.Machine, kind, detail string, typed ...[2]string) {
	t.Helper()
	chainsBy(t, rack, machine, "", kind, detail, typed...)
}

// chainsBy does so with a boot program set for the machine.
func chainsBy(t *testing.T, rack *lab.Rack, machine lab.Machine, loader core.Loader, kind, detail string, typed ...[2]string) {
	t.Helper()

	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	if err := rack.API.SetLoader(s.ctx, s.MAC, loader); err != nil {
		t.Fatal(err)
	}

	id := s.vetShort("the boot is what is tested")

	for _, answer := range typed {
		if _, err := s.Process().Output.Await(s.ctx, answer[0]); err != nil {
			t.Fatal(err)
		}

		if err := s.Process().Type(answer[1]); err != nil {
			t.Fatal(err)
		}
	}

	s.mustPass(id)

	steps, err := rack.API.Trace(s.ctx, s.MAC)
	if err != nil {
		t.Fatal(err)
	}

	for _, step := range steps {
		if step.Kind == kind && strings.Contains(step.Detail, detail) {
			return
		}
	}

	t.Errorf("the boot trace has no %s of %s: %+v", kind, detail, steps)
}

func holdsForMissingDIMM(t *testing.T, rack *lab.Rack, at phone, machine lab.Machine) {
	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	wanted := machine
	wanted.Identity.DIMMs = append([]lab.DIMM(nil), machine.Identity.DIMMs...)
	wanted.Identity.DIMMs[1] = lab.DIMM{Slot: "DIMM_A2", MiB: 256, Part: "LM-256-2666", Serial: "A20003"}

	if err := rack.API.SetSpec(s.ctx, s.MAC, wanted.Spec()); err != nil {
		t.Fatal(err)
	}

	run := s.await(s.vet(), never)
	if run.State != core.StateFailedHolding || run.Verdict != core.Fail {
		t.Fatalf("the run is in %s with verdict %s", run.State, run.Verdict)
	}

	if !names(run, core.SpecValidate, "dimm", "DIMM_A2") {
		t.Errorf("no critical finding of SpecValidate names the part: %+v", run.Stages)
	}

	if !s.On() {
		t.Error("the held machine is off")
	}

	waives(t, at, run)
	looksInside(s, run.ID)
}

// names reports whether a critical finding of a stage names a part.
func names(run route.Run, name core.StageName, kind, slot string) bool {
	for _, stage := range run.Stages {
		if stage.Name != name || stage.Verdict != core.Fail {
			continue
		}

		for _, finding := range stage.Findings {
			if finding.Severity == core.Critical && finding.Part.Kind == kind && finding.Part.Slot == slot && finding.Next != "" {
				return true
			}
		}
	}

	return false
}

// quarantines boots another machine behind the MAC of one that has passed.
func quarantines(t *testing.T, rack *lab.Rack, known lab.Machine) {
	other := known
	other.Name += "-impostor"
	other.BMC = nil
	other.Identity.UUID = "deadbeef-0051-4810-8031-000000000001"

	s := plug(t, rack, other)
	id := s.vet()

	host, err := rack.API.AwaitHost(s.ctx, s.MAC, func(host core.Host) bool { return host.Quarantine != "" })
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("quarantined: %s", host.Quarantine)

	run, err := rack.API.Run(s.ctx, id)
	if err != nil {
		t.Fatal(err)
	}

	if run.State != core.StateBooting {
		t.Errorf("the run is %s", run.State)
	}

	for _, stage := range run.Stages {
		if stage.Phase != core.Pending {
			t.Errorf("stage %s is %s", stage.Name, stage.Phase)
		}
	}

	if err := rack.API.Cancel(s.ctx, id); err != nil {
		t.Error(err)
	}
}

// ignores boots a machine that nobody registered: no lease, but a sighting.
func ignores(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	s := plug(t, rack, machine)

	// The ROM gives the network up and the BIOS goes on to the disk.
	process := s.powerOn()
	if _, err := process.Output.Await(s.ctx, lab.LocalDiskBanner); err != nil {
		t.Fatal(err)
	}

	if said := process.Output.String(); strings.Contains(said, "net0: 10.77.0.") {
		t.Errorf("it has a lease:\n%s", process.Output.Tail(20))
	}

	seen, err := rack.API.Discovered(s.ctx)
	if err != nil {
		t.Fatal(err)
	}

	for _, sighting := range seen {
		if string(sighting.MAC) == machine.MAC && sighting.UUID == machine.Identity.UUID {
			return
		}
	}

	t.Errorf("it is not among the machines seen: %+v", seen)
}

func bootsOwnDisk(t *testing.T, rack *lab.Rack, machine lab.Machine, limit time.Duration) {
	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	process := s.powerOn()

	at, err := process.Output.Await(s.ctx, lab.LocalDiskBanner)
	if err != nil {
		t.Fatal(err)
	}

	took := at.Sub(process.Started)
	t.Logf("power-on to the local disk: %.1f s", took.Seconds())

	if took > limit {
		t.Errorf("it took %.1f s, more than %s", took.Seconds(), limit)
	}
}
