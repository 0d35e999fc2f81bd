//go:build e2e && linux

package main_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// failsByItsOwnReports injects hardware errors into a machine while it is at work:
// a memory error that a bank of CPU 0 has corrected (IA32_MCi_STATUS: valid,
// address and miscellaneous register valid, code of a generic cache error), and an
// answer that a PCIe root port has waited for in vain. Then the stage is tried again,
// and a page of the memory under test is lost. The emulator raises all three as hardware
// would, so that no injector is in any image.
func failsByItsOwnReports(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	const whileChecksArePolled = 0.06 // the kernel looks each 10 s: 18 s of CPUStress

	s := plug(t, rack, machine)
	s.register(core.PowerManual)

	run, err := rack.API.Start(s.ctx, s.MAC, route.RunStart{
		Profile: profile, Scale: whileChecksArePolled,
		// The test goes on until the kernel has looked at its banks and the page is touched.
		Overrides: &core.Override{Config: map[string]string{"Memory.passes": "100"}},
	})
	if err != nil {
		t.Fatal(err)
	}

	s.powerOn()

	at := s.await(run.ID, func(run route.Run) bool { return run.State == core.State(core.CPUStress) })
	if at.State != core.State(core.CPUStress) {
		t.Fatalf("the run is %s", at.State)
	}

	for _, line := range []string{"mce 0 9 0x8c00000000000150 0 0x1234000 0", "pcie_aer_inject_error rootport COMP_TIME"} {
		if err := s.Tell(s.ctx, line); err != nil {
			t.Fatal(err)
		}
	}

	at = s.await(run.ID, never)
	if at.State != core.StateFailedHolding || at.Verdict != core.Fail {
		t.Fatalf("the run is in %s with verdict %s", at.State, at.Verdict)
	}

	i := slices.IndexFunc(at.Stages, func(stage route.Stage) bool { return stage.Name == core.CPUStress })
	if i < 0 || at.Stages[i].Verdict != core.Fail {
		t.Fatalf("stages %+v", at.Stages)
	}

	found := at.Stages[i].Findings
	for code, kind := range map[string]string{"kernel/machine-check": "cpu", "kernel/pcie-uncorrected": "pci"} {
		if !slices.ContainsFunc(found, func(f core.Finding) bool {
			return f.Code == code && f.Part.Kind == kind && f.Part.Slot != "" && f.Next != ""
		}) {
			t.Errorf("no finding %s names the part: %+v", code, found)
		}
	}

	losesAPage(s, run.ID)
}

// losesAPage tries the failed stage again, and takes a page of the memory under test
// away: a bank of CPU 0 tells of data that it found damaged and marked (IA32_MCi_STATUS:
// valid, enabled, address and miscellaneous register valid, deferred, poison; the
// emulator's CPU is an AMD). The kernel gives the page up, the worker dies when it
// touches it, and one finding tells of both.
func losesAPage(s subject, id core.RunID) {
	if err := s.rack.API.Retry(s.ctx, id); err != nil {
		s.t.Fatal(err)
	}

	at := s.await(id, func(run route.Run) bool { return run.State == core.State(core.Memory) })
	if at.State != core.State(core.Memory) {
		s.t.Fatalf("the run is %s", at.State)
	}

	page := pageUnderTest(s)
	if err := s.Tell(s.ctx, fmt.Sprintf("mce 0 9 0x9c00180000000150 0 %#x 0x8c", page)); err != nil {
		s.t.Fatal(err)
	}

	at = s.await(id, never)

	i := slices.IndexFunc(at.Stages, func(stage route.Stage) bool { return stage.Name == core.Memory })
	if at.State != core.StateFailedHolding || i < 0 || at.Stages[i].Verdict != core.Fail {
		s.t.Fatalf("the run is in %s: %+v", at.State, at.Stages)
	}

	found := at.Stages[i].Findings
	story := []string{"SIGBUS, si_code 4", fmt.Sprintf("Memory failure: %#x:", page>>12), "HardwareCorrupted went from 0 to 4"}

	whole := func(f core.Finding) bool {
		return f.Code == "worker/memory-poisoned" && f.Part.Kind == "memory" && !slices.ContainsFunc(story, func(words string) bool {
			return !strings.Contains(f.Evidence, words)
		})
	}
	if !slices.ContainsFunc(found, whole) {
		s.t.Errorf("no finding has all of %q: %+v", story, found)
	}
}

// pageUnderTest finds a page that the test has filled with own addresses, in what the
// emulator shows of the machine's memory. Before the test proper a small plot is filled
// so, too, to prove that a fault would be found. It is given back at once, and its pages
// are soon something else of the worker's: that small no plot under test is.
func pageUnderTest(s subject) (address uint64) {
	const from, size, page, proof = 64 << 20, 448 << 20, 4096, 2 << 20

	for s.ctx.Err() == nil {
		memory, err := s.Memory(s.ctx, from, size)
		if err != nil {
			s.t.Fatal(err)
		}

		filled := 0

		for at := len(memory) - page; at >= 0; at -= page {
			if !ownAddresses(memory[at : at+page]) {
				continue
			}

			if filled += page; filled > 2*proof {
				return from + uint64(at)
			}
		}

		time.Sleep(100 * time.Millisecond) // other steps of the test hold something else
	}

	s.t.Fatal("no page of the memory under test was found")

	return 0
}

// ownAddresses reports whether the words of a page are the addresses that a program has
// them at, all of them XOR the same.
func ownAddresses(page []byte) bool {
	const word = 8

	first := binary.LittleEndian.Uint64(page)

	for at := word; at < len(page); at += word {
		if binary.LittleEndian.Uint64(page[at:])^first != uint64(at) {
			return false
		}
	}

	return true
}
