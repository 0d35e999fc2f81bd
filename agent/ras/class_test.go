package ras_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode"

	"vetting/agent/machines"
	"vetting/agent/ras"
	"vetting/core"
	"vetting/core/problem"
)

func classes(t *testing.T) []ras.Class {
	t.Helper()

	list, err := ras.Classes()
	if err != nil {
		t.Fatal(err)
	}

	return list
}

// lines reads a table of two columns.
func lines(t *testing.T, file string) (rows [][2]string) {
	t.Helper()

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	for row := range strings.Lines(string(raw)) {
		code, text, ok := strings.Cut(strings.TrimSuffix(row, "\n"), "\t")
		if ok && !strings.HasPrefix(row, "#") {
			rows = append(rows, [2]string{code, text})
		}
	}

	return rows
}

func TestEveryLineMeansWhatItShould(t *testing.T) {
	list := classes(t)
	met := map[string]bool{}

	for _, row := range lines(t, "testdata/line.tsv") {
		e, ok := ras.Classify(list, row[1])

		switch {
		case row[0] == "-" && ok:
			t.Errorf("%q means %s, want nothing", row[1], e.Code)
		case row[0] != "-" && e.Code != row[0]:
			t.Errorf("%q means %q, want %s", row[1], e.Code, row[0])
		}

		for i := range list {
			if list[i].Pattern.MatchString(row[1]) && list[i].Code == e.Code {
				met[list[i].Pattern.String()] = true

				break
			}
		}
	}

	for _, class := range list {
		if !met[class.Pattern.String()] {
			t.Errorf("no line is of the class %s %s", class.Code, class.Pattern)
		}

		if _, known := problem.Lookup(class.Code); !known && class.Code != "-" {
			t.Errorf("the code %s is not explained", class.Code)
		}
	}
}

// Every class has a line that looks like its own and is not.
func TestNearMissesMeanSomethingElse(t *testing.T) {
	list := classes(t)
	near := lines(t, "testdata/near.tsv")

	for _, row := range near {
		if e, _ := ras.Classify(list, row[1]); e.Code == row[0] {
			t.Errorf("%q means %s", row[1], e.Code)
		}
	}

	for _, class := range list {
		if !slices.ContainsFunc(near, func(row [2]string) bool {
			return row[0] == class.Code && !class.Pattern.MatchString(row[1]) && resembles(class.Pattern, row[1])
		}) {
			t.Errorf("no line nearly is of the class %s %s", class.Code, class.Pattern)
		}
	}
}

// resembles reports whether a line has a word that the pattern has, too.
func resembles(pattern *regexp.Regexp, line string) bool {
	const shortest = 3

	parsed, err := syntax.Parse(pattern.String(), syntax.Perl)
	if err != nil {
		return false
	}

	between := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }

	for _, word := range strings.FieldsFunc(strings.Join(literalsOf(parsed), " "), between) {
		if len(word) >= shortest && strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
			return true
		}
	}

	return false
}

func literalsOf(pattern *syntax.Regexp) (all []string) {
	if pattern.Op == syntax.OpLiteral {
		return []string{string(pattern.Rune)}
	}

	for _, sub := range pattern.Sub {
		all = append(all, literalsOf(sub)...)
	}

	return all
}

func TestALineNamesItsPart(t *testing.T) {
	list := classes(t)

	for text, want := range map[string]core.Part{
		"mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 7: be00000000010090":                                 {Kind: "cpu", Slot: "CPU 3"},
		"pcieport 0000:00:03.0: AER: Multiple Uncorrectable (Non-Fatal) error message received from 0000:01:00.0": {Kind: "pci", Slot: "0000:01:00.0"},
		"critical medium error, dev sdb, sector 1000 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2":         {Kind: "disk", Slot: "sdb"},
		"ata3.00: failed command: READ FPDMA QUEUED":                                                              {Kind: "ata", Slot: "ata3"},
		"sd 2:0:0:0: rejecting I/O to offline device":                                                             {Kind: "scsi", Slot: "2:0:0:0"},
		"nvme nvme2: Abort status: 0x0":                                                                           {Kind: "nvme", Slot: "nvme2"},
		"NETDEV WATCHDOG: CPU: 3: eth0 (e1000e): transmit queue 0 timed out 5000 ms":                              {Kind: "nic", Slot: "eth0"},
		"NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.":            {Kind: "pci", Slot: "0000:17:00"},
	} {
		if e, ok := ras.Classify(list, text); !ok || e.Part != want {
			t.Errorf("%q is about %+v, want %+v", text, e.Part, want)
		}
	}
}

// A machine check is told apart by the bit UC of its status.
func TestACorrectedMachineCheckCountsByPolicy(t *testing.T) {
	list := classes(t)

	for status, want := range map[string]core.Severity{"be00000000010090": core.Critical, "8c000040000800c0": "corrected"} {
		e, ok := ras.Classify(list, "mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 7: "+status)
		if !ok || e.Severity != want {
			t.Errorf("status %s is %s, want %s", status, e.Severity, want)
		}
	}
}

// The logs were recorded on machines with nothing wrong, from the first line to
// some minutes after.
func TestHealthyLogsSayNothing(t *testing.T) {
	list := classes(t)

	files, err := os.ReadDir("testdata/healthy")
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs: %v", err)
	}

	for _, file := range files {
		log, err := os.Open("testdata/healthy/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}

		n := 0

		for scan := bufio.NewScanner(log); scan.Scan(); n++ {
			if e, ok := ras.Classify(list, scan.Text()); ok && e.Severity != core.Info && e.When != ras.Later {
				t.Errorf("%s: %q means %s", file.Name(), scan.Text(), e.Code)
			}
		}

		if n < 100 {
			t.Errorf("%s has %d lines only", file.Name(), n)
		}
	}
}

func TestAListOfClassesThatMakesNoSenseIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a column too few": "kernel/x\tcritical\tBUG", "no such severity": "kernel/x\tbad\talways\tBUG",
		"no such moment": "kernel/x\tinfo\tnever\tBUG", "no pattern": "kernel/x\tinfo\talways\t(",
	} {
		if _, err := ras.ParseClasses("# head\n" + text + "\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecord(t *testing.T) {
	for raw, want := range map[string]ras.Record{
		"6,1234,567890,-;mce: hello\n SUBSYSTEM=pci\n DEVICE=+pci:0000\n": {Seq: 1234, Micros: 567890, Level: 6, Kernel: true, Text: "mce: hello"},
		"12,7,1,-;user said so":                {Seq: 7, Micros: 1, Level: 4, Text: "user said so"},
		`3,8,1,c;a\x09b\x1b[31mc\\`:            {Seq: 8, Micros: 1, Level: 3, Kernel: true, Text: `a b [31mc\\`},
		"3,8,1,-;caf\\xc3\\xa9 \\xff \\xz \\x": {Seq: 8, Micros: 1, Level: 3, Kernel: true, Text: `café ? \xz \x`},
	} {
		if got, ok := ras.ParseRecord([]byte(raw)); !ok || got != want {
			t.Errorf("%q is %+v, want %+v", raw, got, want)
		}
	}

	for _, raw := range []string{"", "6,1,2,-", "x,1,2,-;a", "6,x,2,-;a", "6,1,x,-;a", "6,1;a"} {
		if got, ok := ras.ParseRecord([]byte(raw)); ok {
			t.Errorf("%q is %+v", raw, got)
		}
	}

	if got := fmt.Sprint(ras.Record{Level: 3, Micros: 12345678, Text: "x"}); got != "<3>[   12.345678] x" {
		t.Errorf("printed %q", got)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("6,1234,567890,-;mce: \\x1b hello\n SUBSYSTEM=pci\n"))

	for _, name := range machines.Names(f) {
		f.Add(machines.Open(f, name).Kmsg)
	}

	list, err := ras.Classes()
	if err != nil {
		f.Fatal(err)
	}

	f.Fuzz(func(t *testing.T, raw []byte) {
		length := 0

		for _, one := range ras.SplitRecords(raw) {
			length += len(one)

			r, ok := ras.ParseRecord(one)
			if !ok {
				continue
			}

			if strings.ContainsFunc(r.Text, func(c rune) bool { return c == '\n' || c == 0x1b }) {
				t.Errorf("text %q", r.Text)
			}

			ras.Classify(list, r.Text)
		}

		if length > len(raw) {
			t.Errorf("%d bytes of %d", length, len(raw))
		}
	})
}

func FuzzClasses(f *testing.F) {
	text, err := os.ReadFile("class.tsv")
	if err != nil {
		f.Fatal(err)
	}

	f.Add(string(text), "mce: CPU2 BANK9 CMCI storm detected")
	f.Add("kernel/x\tcritical\talways\t(?P<status>.*)", "zz")

	f.Fuzz(func(t *testing.T, text, line string) {
		list, err := ras.ParseClasses(text)
		if err != nil {
			return
		}

		if e, ok := ras.Classify(list, line); ok && (e.Severity == "" || e.Text != line) {
			t.Errorf("%q is %+v", line, e)
		}
	})
}

func FuzzTrace(f *testing.F) {
	// As recorded from trace_pipe of Linux 6.12 in a virtual machine.
	f.Add("           <...>-1187    [001] .....   155.309215: aer_event: 0000:01:00.0 PCIe Bus Error: severity=Corrected, Receiver Error, TLP Header=Not available")
	f.Add("           <...>-1190    [000] d.h1.   160.120003: mce_record: CPU: 1, MCGc/s: 0/0, MC5: 9c00000000010090, IPID: 0000000000000000, ADDR/MISC/SYND: 0000000000001000/0000000000000000/0000000000000000")
	f.Add("          <...>-612     [000] .....    12.345678: mc_event: 1 Corrected error: memory read error on DIMM_A2 (mc:0 location:0:1:0 address:0x1 grain:32 syndrome:0x0)")
	f.Fuzz(func(t *testing.T, line string) {
		if e, ok := ras.ParseTrace(line); ok && e.Code == "" {
			t.Errorf("%q has no code", line)
		}
	})
}

func TestTrace(t *testing.T) {
	const head = "          <...>-612     [000] .....    12.345678: "

	for text, want := range map[string]ras.Event{
		"mc_event: 1 Corrected error: memory read error on DIMM_A2 (mc:0 location:0:1:0 address:0x12345000 grain:32 syndrome:0x00000000)": {
			Code: "trace/memory-error", Severity: "corrected", Part: core.Part{Kind: "dimm", Slot: "DIMM_A2"},
		},
		"mc_event: 1 Uncorrected error: memory read error on DIMM_A2 (mc:0 location:0:1:0 address:0x12345000 grain:32 syndrome:0x00000000)": {
			Code: "trace/memory-error", Severity: core.Critical, Part: core.Part{Kind: "dimm", Slot: "DIMM_A2"},
		},
		"aer_event: 0000:01:00.0 PCIe Bus Error: severity=Corrected, Receiver Error, TLP Header=Not available": {
			Code: "trace/pcie-error", Severity: core.Warning, Part: core.Part{Kind: "pci", Slot: "0000:01:00.0"},
		},
		"aer_event: 0000:01:00.0 PCIe Bus Error: severity=Uncorrected, non-fatal, Completion Timeout, TLP Header=Not available": {
			Code: "trace/pcie-error", Severity: core.Critical, Part: core.Part{Kind: "pci", Slot: "0000:01:00.0"},
		},
		"mce_record: CPU: 1, MCGc/s: 0/0, MC5: 9c00000000010090, IPID: 0000000000000000, ADDR/MISC/SYND: 0000000000001000/0000000000000000/0000000000000000": {
			Code: "trace/machine-check", Severity: "corrected", Part: core.Part{Kind: "cpu", Slot: "CPU 1"},
		},
		"mce_record: CPU: 1, MCGc/s: 0/0, MC5: be00000000010090, IPID: 0, ADDR/MISC/SYND: 0/0/0": {
			Code: "trace/machine-check", Severity: core.Critical, Part: core.Part{Kind: "cpu", Slot: "CPU 1"},
		},
		"memory_failure_event: pfn 0x1b2c3: recovery action for dirty LRU page: Recovered": {
			Code: "trace/memory-failure", Severity: core.Critical, Part: core.Part{Kind: "memory", Slot: "pfn 0x1b2c3"},
		},
		"extlog_mem_event: {1} Corrected error: single-bit ECC FRU: 0 physical addr: 0x1": {
			Code: "trace/memory-error", Severity: "corrected", Part: core.Part{Kind: "memory"},
		},
		"non_standard_event: severity: 2; sec type:0; FRU: 0 ; data len:0; raw data:": {Code: "trace/firmware-record", Severity: core.Warning},
	} {
		want.Text, want.When = text, ras.Always

		if got, ok := ras.ParseTrace(head + text + "\n"); !ok || got != want {
			t.Errorf("%s\nis   %+v\nwant %+v", text, got, want)
		}

		if _, known := problem.Lookup(want.Code); !known {
			t.Errorf("%s is not explained", want.Code)
		}
	}

	for _, line := range []string{"", "CPU:0 [LOST 12 EVENTS]", head + "sched_switch: prev_comm=x"} {
		if got, ok := ras.ParseTrace(line); ok {
			t.Errorf("%q is %+v", line, got)
		}
	}
}
