package ras_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/ras"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
)

// rig is a machine in a folder.
type rig struct {
	t         *testing.T
	dir       string
	config    ras.Config
	collector *ras.Collector
	files     map[string]string
	bmc       *bmc
	policy    string
}

const tracing = "sys/kernel/tracing/instances/vetting/"

func newRig(t *testing.T) *rig {
	t.Helper()

	r := &rig{t: t, dir: t.TempDir(), files: map[string]string{}, bmc: &bmc{}, policy: "new"}

	for name, content := range server() {
		r.write(name, string(content.Data))
	}

	r.write("sys/devices/system/machinecheck/machinecheck0/check_interval", "12c\n")
	r.write("dev/kmsg", "6,1,100,-;Linux version 6.12\n4,2,200,-;ata1: hard resetting link\n")

	for _, event := range []string{"ras/mc_event", "ras/aer_event", "mce/mce_record"} {
		r.write(tracing+"events/"+event+"/enable", "0")
	}

	r.write(tracing+"trace_pipe", "")

	r.config = ras.Config{
		Machine: ras.Machine{Root: os.DirFS(r.dir), DIMMs: dimms(), Statistics: func(string) (map[string]uint64, error) { return nil, nil }},
		Dir:     r.dir, State: t.TempDir(), BootID: "boot-1", ECC: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		OpenBMC: func(context.Context) (ras.BMC, error) { return r.bmc, nil },
	}

	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()

	path := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) says(name, text string) {
	r.t.Helper()

	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}

	if err != nil {
		r.t.Fatal(err)
	}
}

// run makes a collector listen, and returns what ends it.
func (r *rig) run() (stop func()) {
	r.t.Helper()

	collector, err := ras.New(r.config)
	if err != nil {
		r.t.Fatal(err)
	}

	r.collector = collector
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)

	go func() { done <- collector.Run(ctx) }()

	return func() {
		cancel()

		if err := <-done; !errors.Is(err, context.Canceled) {
			r.t.Errorf("Run() = %v", err)
		}
	}
}

// stage lets a stage pass, during which something happens.
func (r *rig) stage(name core.StageName, happens func()) stage.Seen {
	r.t.Helper()

	env := stage.Env{
		Config: map[string]string{ras.PolicySetting: r.policy},
		Keep:   func(name string, content []byte) { r.files[name] = string(content) },
	}
	end := r.collector.Watch(r.t.Context(), name, env, nil)

	happens()

	return end()
}

func codes(seen stage.Seen) (all []string) {
	for _, f := range seen.Findings {
		all = append(all, string(f.Severity)+" "+f.Code+" "+f.Part.Slot)
	}

	slices.Sort(all)

	return slices.Compact(all)
}

func wantCodes(t *testing.T, seen stage.Seen, want ...string) {
	t.Helper()

	if got := codes(seen); !slices.Equal(got, want) {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	for _, f := range seen.Findings {
		if e, ok := problem.Lookup(f.Code); !ok || f.Next == "" {
			t.Errorf("%s is not explained: %+v", f.Code, e)
		}
	}
}

func nothing() {}

func TestAStageIsJudgedByWhatTheMachineReportsMeanwhile(t *testing.T) {
	r := newRig(t)
	defer r.run()()

	wantCodes(t, r.stage(core.InventoryCheck, nothing))
	wantCodes(t, r.stage(core.CPUStress, func() {
		r.says("dev/kmsg", "0,3,300,-;mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 7: be00000000010090\n")
		r.says(tracing+"trace_pipe", "           <...>-1     [001] .....     1.0: mce_record: CPU: 1, MCGc/s: 0/0, MC7: be00000000010090, IPID: 0\n")
		r.write("proc/interrupts", "MCE: 0 1 Machine check exceptions\n")
	}), "critical kernel/machine-check CPU 1", "critical ras/machine-check ", "critical trace/machine-check CPU 1")

	wantCodes(t, r.stage(core.Memory, nothing)) // the stage before has it

	if got := r.files["kernel-log-CPUStress.txt"]; !strings.Contains(got, "<0>[    0.000300] mce: [Hardware Error]: CPU 1") {
		t.Errorf("the kernel's log of the stage is %q", got)
	}

	for _, name := range []string{
		"sys/devices/system/machinecheck/machinecheck0/check_interval", tracing + "events/mce/mce_record/enable",
	} {
		text, _ := os.ReadFile(filepath.Join(r.dir, name))
		if got := strings.TrimSpace(string(text)); got != "10" && got != "1" {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestWhatManyLinesSayIsOneFinding(t *testing.T) {
	r := newRig(t)
	defer r.run()()

	seen := r.stage(core.Storage, func() {
		for i := range 500 {
			r.says("dev/kmsg", fmt.Sprintf("3,%d,1,-;I/O error, dev sdb, sector %d op 0x0:(READ)\n", i+3, i))
		}

		r.says("dev/kmsg", "14,900,1,-;I/O error, dev sdz, sector 1: said by a program\n")
	})

	wantCodes(t, seen, "critical kernel/disk-io sdb")

	if e := seen.Findings[0].Evidence; !strings.Contains(e, "sector 0 ") || !strings.Contains(e, "and 497 more") {
		t.Errorf("evidence %q", e)
	}
}

func TestErrorsAtOneAddressAreNoAccident(t *testing.T) {
	r := newRig(t)
	defer r.run()()

	r.stage(core.InventoryCheck, nothing)

	line := "           <...>-1     [001] .....     1.0: mc_event: 1 Corrected error: memory read error on DIMM_A1 (mc:0 location:0:1:0 address:%s grain:32 syndrome:0x0)\n"

	wantCodes(t, r.stage(core.Memory, func() {
		r.says(tracing+"trace_pipe", fmt.Sprintf(line, "0x00001000")+fmt.Sprintf(line, "0x00002000")+fmt.Sprintf(line, "0x00001000"))
	}), "critical ras/memory-repeated ", "critical trace/memory-error DIMM_A1")
}

func TestBootResidueIsToldOnceAndFailsNothing(t *testing.T) {
	r := newRig(t)
	r.write("dev/kmsg", "6,1,100,-;Linux version 6.12\n0,2,200,-;mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 4: be00000000010090\n"+
		"4,3,300,-;ata1: SATA link down (SStatus 0 SControl 300)\n4,4,400,-;pcieport 0000:00:1c.4: AER: Correctable error message received from 0000:02:00.0\n")
	r.write("sys/devices/system/edac/mc/mc0/dimm0/dimm_ue_count", "2\n")
	r.write("sys/fs/pstore/dmesg-efi-1", "Oops#1\n")

	stop := r.run()
	r.collector.Bring(t.Context(), func(name string, content []byte) { r.files[name] = string(content) })

	seen := r.stage(core.InventoryCheck, nothing)
	wantCodes(t, seen,
		"info ras/boot-residue 0000:02:00.0", "warning ras/boot-residue CPU 0", "warning ras/boot-residue DIMM_A1", "warning ras/crash-record ")

	if i := slices.IndexFunc(seen.SubSteps, func(s core.SubStep) bool { return s.Name == "boot residue" }); i < 0 {
		t.Errorf("no section about it: %+v", seen.SubSteps)
	}

	if r.files["pstore-dmesg-efi-1"] != "Oops#1\n" || !strings.Contains(r.files["kernel-log-boot.txt"], "Bank 4") {
		t.Errorf("files %q", r.files)
	}

	if _, err := os.Stat(filepath.Join(r.dir, "sys/fs/pstore/dmesg-efi-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the crash record is still there: %v", err)
	}

	wantCodes(t, r.stage(core.Firmware, nothing))
	stop()

	defer r.run()() // the agent starts again

	wantCodes(t, r.stage(core.Firmware, nothing))
}

func TestAnAgentThatStartsAgainJudgesFromWhereTheStageBegan(t *testing.T) {
	r := newRig(t)
	stop := r.run()

	r.stage(core.InventoryCheck, nothing)
	r.collector.Watch(t.Context(), core.Memory, stage.Env{}, nil) // and then the process dies

	r.says("dev/kmsg", "3,3,300,-;EDAC MC0: 1 UE memory read error on DIMM_A1 (channel:0)\n")
	r.write("sys/devices/system/edac/mc/mc0/dimm0/dimm_ue_count", "1\n")
	stop()

	defer r.run()()

	wantCodes(t, r.stage(core.Memory, nothing), "critical kernel/edac-uncorrected ", "critical ras/memory-uncorrected DIMM_A1")
}

func TestMemoryWhoseErrorsNobodyCounts(t *testing.T) {
	for name, c := range map[string]struct {
		edac, bmc, ecc, virtual bool
		driver                  bool // is loaded, and found nothing
		want                    []string
		says                    string
	}{
		"nobody":                                  {ecc: true, want: []string{"warning ras/ecc-unobservable "}, says: "no EDAC driver is loaded"},
		"nobody, in a virtual machine":            {ecc: true, virtual: true, want: []string{"info ras/ecc-unobservable "}},
		"the memory controller":                   {ecc: true, edac: true},
		"the BMC alone":                           {ecc: true, bmc: true, want: []string{"warning ras/edac-missing "}, says: "no EDAC driver is loaded"},
		"the BMC, of a virtual machine":           {ecc: true, bmc: true, virtual: true, want: []string{"info ras/edac-missing "}},
		"the BMC, since the driver found nothing": {ecc: true, bmc: true, driver: true, want: []string{"warning ras/edac-missing "}, says: "(skx_edac) none found"},
		"the memory controller and the BMC":       {ecc: true, edac: true, bmc: true},
		"the BMC, and there is no ECC":            {bmc: true},
		"nobody, and there is no ECC":             {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.config.ECC, r.config.Virtual = c.ecc, c.virtual

			if !c.edac {
				if err := os.RemoveAll(filepath.Join(r.dir, "sys/devices/system/edac")); err != nil {
					t.Fatal(err)
				}
			}

			if !c.bmc {
				r.config.OpenBMC = func(context.Context) (ras.BMC, error) { return nil, ras.ErrNoBMC }
			}

			if c.driver {
				r.write("sys/module/skx_edac/refcnt", "0\n")
			}

			defer r.run()()

			r.stage(core.Firmware, nothing)

			seen := r.stage(core.Memory, nothing)
			wantCodes(t, seen, c.want...)

			if c.says != "" && !strings.Contains(seen.Findings[0].Evidence, c.says) {
				t.Errorf("it says %q, want %q", seen.Findings[0].Evidence, c.says)
			}
		})
	}
}

// Few corrected errors are forgiven on a used machine, if they are few over all stages
// of a day; and two at one place are never, whichever stages they came in.
func TestCorrectedErrorsAreAddedUpOverStages(t *testing.T) {
	r := newRig(t)
	r.policy = "used"
	stop := r.run()

	count := func(text string) func() {
		return func() { r.write("sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count", text) }
	}
	hits := func(address string) func() {
		return func() {
			r.says(tracing+"trace_pipe", "           <...>-1     [001] .....     1.0: mc_event: 1 Corrected error: memory read error on DIMM_B1 (mc:0 location:0:1:0 address:"+
				address+" grain:32 syndrome:0x0)\n")
		}
	}

	wantCodes(t, r.stage(core.CPUStress, count("6\n")), "warning ras/memory-corrected DIMM_A1")
	wantCodes(t, r.stage(core.Memory, count("9\n")), "warning ras/memory-corrected DIMM_A1")
	wantCodes(t, r.stage(core.Memory, hits("0x1000")), "warning trace/memory-error DIMM_B1")
	wantCodes(t, r.stage(core.Memory, hits("0x2000")), "warning trace/memory-error DIMM_B1")
	stop()

	defer r.run()() // the agent starts again, and hears the lines once more

	wantCodes(t, r.stage(core.Burn, count("10\n")),
		"critical ras/memory-corrected DIMM_A1", "critical ras/memory-repeated ", "warning trace/memory-error DIMM_B1")
}

// Whoever changes a part while the machine is held makes it say things that no stage
// is to blame for.
func TestWhatIsSaidWhileNobodyTestsFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.run()()

		lost := func(seq int) {
			r.says("dev/kmsg", fmt.Sprintf("3,%d,300,-;I/O error, dev sdb, sector 1 op 0x0:(READ)\n", seq))
		}

		r.stage(core.InventoryCheck, nothing)
		lost(3)
		time.Sleep(10 * time.Second)
		wantCodes(t, r.stage(core.CPUStress, nothing), "critical kernel/disk-io sdb") // stages that follow each other leave no gap

		lost(4)
		time.Sleep(2 * time.Minute)
		wantCodes(t, r.stage(core.Memory, nothing), "info ras/between-stages sdb")
	})
}

// A link that fails for some minutes of a long stage is bad, whatever the mean says.
func TestAStormOfCorrectedErrors(t *testing.T) {
	for name, c := range map[string]struct {
		minutes, errors int
		want            string
	}{
		"for six minutes":                {6, 11, "critical ras/pcie-corrected 0000:01:00.0"},
		"for four":                       {4, 11, "warning ras/pcie-corrected 0000:01:00.0"},
		"a few errors, for many minutes": {20, 10, "warning ras/pcie-corrected 0000:01:00.0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.run()()

				r.stage(core.InventoryCheck, nothing)

				seen := r.stage(core.Burn, func() {
					time.Sleep(30500 * time.Millisecond) // not while the collector looks

					for i := range c.minutes {
						time.Sleep(time.Minute)
						r.write("sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable", fmt.Sprintf("TOTAL_ERR_COR %d\n", (i+1)*c.errors))
					}

					time.Sleep(30 * time.Minute)
				})

				wantCodes(t, seen, c.want)
			})
		})
	}
}

func TestAFloodIsBounded(t *testing.T) {
	r := newRig(t)
	r.config.Log = slog.New(slog.DiscardHandler)

	defer r.run()()

	r.stage(core.InventoryCheck, nothing)

	var lines strings.Builder
	for i := range 10_005 { // each of a length that divides what is read at once: a device would give them singly
		fmt.Fprintf(&lines, "%-63s\n", fmt.Sprintf("3,%d,1,-;I/O error, dev sdb, sector %d op 0x0:(READ)", i+3, i))
	}

	seen := r.stage(core.Burn, func() { r.says("dev/kmsg", lines.String()) })
	wantCodes(t, seen, "critical kernel/disk-io sdb", "warning ras/flood ")

	if at := slices.IndexFunc(seen.Findings, func(f core.Finding) bool { return f.Code == "ras/flood" }); !strings.Contains(seen.Findings[at].Evidence, "5 lines") {
		t.Errorf("%+v", seen.Findings[at])
	}
}

func TestAMachineThatTellsNothing(t *testing.T) {
	r := newRig(t)
	if err := os.Remove(filepath.Join(r.dir, "dev/kmsg")); err != nil {
		t.Fatal(err)
	}

	defer r.run()()

	wantCodes(t, r.stage(core.CPUStress, nothing), "warning ras/kernel-log-unheard ")
}

// bmc is a management controller with a log.
type bmc struct{ records [][]byte }

func (b *bmc) State(context.Context) (int, uint32, error) {
	return len(b.records), uint32(len(b.records)), nil
}

func (b *bmc) Record(_ context.Context, id uint16) ([]byte, uint16, error) {
	for i, raw := range b.records {
		if id != 0 && binary.LittleEndian.Uint16(raw) != id {
			continue
		}

		next := uint16(0xffff)
		if i+1 < len(b.records) {
			next = binary.LittleEndian.Uint16(b.records[i+1])
		}

		return raw, next, nil
	}

	return nil, 0, errors.New("no such record")
}

// record is an event of a sensor.
func record(number uint16, sort, form, offset, module byte) []byte {
	raw := make([]byte, 16)
	binary.LittleEndian.PutUint16(raw, number)
	raw[2] = 2
	binary.LittleEndian.PutUint32(raw[3:], 1_800_000_000)
	raw[9], raw[10], raw[11], raw[12], raw[13], raw[14], raw[15] = 4, sort, 0x87, form, 0xa0|offset, 0xff, module

	return raw
}

// What a test has brought about itself is not judged: not before, not after, and not what
// others tell meanwhile.
func TestWhatATestHasBroughtAbout(t *testing.T) {
	r := newRig(t)
	r.write("dev/kmsg", "6,1,100,-;Linux version 6.12\n")

	defer r.run()()

	adds := func(records ...[]byte) { r.bmc.records = append(r.bmc.records, records...) }
	lost := func(number uint16) []byte { return record(number, 0x08, 0x6f, 3, 0) } // of sensor 87h

	wantCodes(t, r.stage(core.PSU, func() {
		over := r.collector.Expect(t.Context(), []byte{0x87, 0x88})

		adds(lost(1), lost(2))
		over()
	}))

	wantCodes(t, r.stage(core.PSU, func() {
		adds(lost(3))

		over := r.collector.Expect(t.Context(), []byte{0x87})

		over()
	}), "critical sel/power-supply BMC sensor 0x87")

	wantCodes(t, r.stage(core.PSU, func() {
		over := r.collector.Expect(t.Context(), []byte{0x87})

		over()
		adds(lost(4))
	}), "critical sel/power-supply BMC sensor 0x87")

	wantCodes(t, r.stage(core.PSU, func() {
		over := r.collector.Expect(t.Context(), []byte{0x88})

		adds(lost(5))
		over()
	}), "critical sel/power-supply BMC sensor 0x87")

	wantCodes(t, r.stage(core.PSU, nothing))
}

func TestTheBMCsLogIsReadFromWhereTheStageBegan(t *testing.T) {
	r := newRig(t)
	r.bmc.records = [][]byte{record(1, 0x0c, 0x6f, 1, 3), record(7, 0x08, 0x6f, 1, 0)}
	r.write("dev/kmsg", "6,1,100,-;Linux version 6.12\n")

	defer r.run()()

	wantCodes(t, r.stage(core.Memory, nothing))
	wantCodes(t, r.stage(core.Memory, func() { r.bmc.records = append(r.bmc.records, record(9, 0x0c, 0x6f, 0, 5)) }),
		"critical sel/memory-corrected module 5 of BMC sensor 0x87")
	wantCodes(t, r.stage(core.Burn, func() { r.bmc.records = [][]byte{record(1, 0x04, 0x01, 2, 0)} }), // somebody cleared it
		"critical sel/fan BMC sensor 0x87")
	wantCodes(t, r.stage(core.Burn, nothing))
}

func TestWhatTheBMCsRecordsMean(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		used bool
		want string
	}{
		"a corrected error":                {record(1, 0x0c, 0x6f, 0, 1), false, "critical sel/memory-corrected"},
		"a corrected error of a used one":  {record(1, 0x0c, 0x6f, 0, 1), true, "warning sel/memory-corrected"},
		"too many corrected errors":        {record(1, 0x0c, 0x6f, 5, 1), true, "critical sel/memory-corrected"},
		"an error that was not corrected":  {record(1, 0x0c, 0x6f, 1, 1), true, "critical sel/memory-uncorrected"},
		"an internal error of a CPU":       {record(1, 0x07, 0x6f, 0, 0), true, "critical sel/processor"},
		"a CPU is present":                 {record(1, 0x07, 0x6f, 7, 0), false, ""},
		"a CPU was slowed down":            {record(1, 0x07, 0x6f, 10, 0), false, "warning sel/throttled"},
		"a PCI error":                      {record(1, 0x13, 0x6f, 4, 0), false, "critical sel/bus-error"},
		"a corrected bus error":            {record(1, 0x13, 0x6f, 7, 0), false, "warning sel/bus-corrected"},
		"a power supply has failed":        {record(1, 0x08, 0x6f, 1, 0), false, "critical sel/power-supply"},
		"a power supply lost its input":    {record(1, 0x08, 0x6f, 3, 0), false, "critical sel/power-supply"},
		"a power supply is present":        {record(1, 0x08, 0x6f, 0, 0), false, ""},
		"a drive fault":                    {record(1, 0x0d, 0x6f, 1, 0), false, "critical sel/drive"},
		"a temperature that is high":       {record(1, 0x01, 0x01, 7, 0), false, "warning sel/temperature"},
		"a temperature that is critical":   {record(1, 0x01, 0x01, 9, 0), false, "critical sel/temperature"},
		"a voltage that is too low":        {record(1, 0x02, 0x01, 2, 0), false, "critical sel/voltage"},
		"a fan that is slow":               {record(1, 0x04, 0x01, 0, 0), false, "warning sel/fan"},
		"a limit that is kept again":       {record(1, 0x04, 0x81, 2, 0), false, ""},
		"something nobody knows":           {record(1, 0xc0, 0x6f, 0, 0), false, ""},
		"a record of the maker's own sort": {append([]byte{1, 0, 0xe0}, make([]byte, 13)...), false, ""},
		"half a record":                    {record(1, 0x0c, 0x6f, 1, 1)[:9], false, ""},
		"a failed POST":                    {record(1, 0x0f, 0x6f, 0, 0), false, "critical sel/firmware-error"},
	} {
		f, ok := ras.JudgeSEL(c.raw, c.used)
		if got := strings.TrimSpace(string(f.Severity) + " " + f.Code); got != c.want || ok != (c.want != "") {
			t.Errorf("%s means %q, want %q", name, got, c.want)
		}

		if _, known := problem.Lookup(f.Code); ok && !known {
			t.Errorf("%s is not explained", f.Code)
		}
	}
}

func FuzzSEL(f *testing.F) {
	for sort := byte(1); sort < 0x20; sort++ {
		f.Add(record(uint16(sort), sort, 0x6f, sort%12, 1))
		f.Add(record(uint16(sort), sort, 0x01, sort%12, 1))
	}

	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, ok := ras.ParseSEL(raw); ok && e.String() == "" {
			t.Error("nothing printed")
		}

		if got, ok := ras.JudgeSEL(raw, false); ok && got.Code == "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestTheOwnCostIsSmall(t *testing.T) {
	r := newRig(t)
	allocs := testing.AllocsPerRun(5, func() { r.config.Read(time.Time{}) })

	if allocs > 5000 {
		t.Errorf("a look at a small machine makes %v allocations", allocs)
	}
}
