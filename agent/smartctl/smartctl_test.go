package smartctl_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/disk"
	"vetting/agent/smartctl"
)

// said is what smartctl wrote, from a file in testdata.
func said(tb testing.TB, name string) []byte {
	tb.Helper()

	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}

	return b
}

func TestReadsWhatSmartctlSays(t *testing.T) {
	ata, err := smartctl.Parse(said(t, "ata"))
	if err != nil {
		t.Fatal(err)
	}

	attributes := len(ata.Attributes)
	reallocated := ata.Attributes[0]
	ata.Attributes = nil

	want := smartctl.Report{
		ATA: true, Model: "ST14000NM001G-2KJ103", Serial: "ZL2MADE4", Bytes: 14000519643136, RPM: 7200, Told: true, Healthy: true,
		Celsius: 31, Hours: 11, Cycles: 5, SelfTests: true, ShortMinutes: 1, LongMinutes: 1197,
		Tests: []disk.SelfTest{{Outcome: disk.TestPassed, Length: disk.ShortTest, Hours: 9}},
	}
	if diff := cmp.Diff(want, ata); diff != "" || attributes != 10 || reallocated.ID != 5 || reallocated.Threshold != 10 || !reallocated.PreFail() {
		t.Errorf("%d attributes, %+v, %s", attributes, reallocated, diff)
	}

	scsi, err := smartctl.Parse(said(t, "scsi"))
	if err != nil {
		t.Fatal(err)
	}

	zero := uint64(0)
	want = smartctl.Report{
		Model: "HGST HUC101860CSS204", Serial: "0BMADE5P", Bytes: 600127266816, RPM: 10520, Told: true, Healthy: true,
		Celsius: 33, Hours: 7, Cycles: 4, Grown: &zero, Uncorrected: &zero, SelfTests: true, LongMinutes: 61,
		Tests: []disk.SelfTest{{Outcome: disk.TestPassed, Length: disk.ShortTest, Hours: 6}},
	}
	if diff := cmp.Diff(want, scsi); diff != "" {
		t.Error(diff)
	}

	for name, out := range map[string]string{
		"no JSON": "smartctl 7.4", "nothing": "", "another format": `{"json_format_version":[2,0]}`,
		"no disk":                          string(said(t, "none")),
		"nobody asked who it is":           string(said(t, "anonymous")),
		"a command that is not understood": strings.Replace(string(said(t, "ata")), `"exit_status": 4`, `"exit_status": 1`, 1),
		"NVMe":                             strings.Replace(string(said(t, "ata")), `"protocol": "ATA"`, `"protocol": "NVMe"`, 1),
		"no serial number":                 strings.Replace(string(said(t, "ata")), "ZL2MADE4", "", 1),
	} {
		if r, err := smartctl.Parse([]byte(out)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAStatusOfTrouble: bits from 2 on are about the disk, and no reason not to read.
func TestAStatusOfTrouble(t *testing.T) {
	for status, read := range map[string]bool{"0": true, "4": true, "8": true, "64": true, "216": true, "1": false, "2": false, "66": false} {
		out := strings.Replace(string(said(t, "ata")), `"exit_status": 4`, `"exit_status": `+status, 1)

		if _, err := smartctl.Parse([]byte(out)); (err == nil) != read {
			t.Errorf("status %s: %v", status, err)
		}
	}
}

// failing is what smartctl says of a place that it cannot open.
func failing(tb testing.TB, words string) []byte {
	tb.Helper()

	return []byte(strings.Replace(string(said(tb, "none")), "INQUIRY failed", words, 1))
}

// The words of smartctl for places that it cannot open: recorded of a Smart Array P420i
// (openmediavault, issue 959) and an Adaptec (zabbix, pull request 78); those of its source.
const (
	smartArrayNone = "INQUIRY [SAT]: No such device or address"
	smartArrayDead = "INQUIRY [SAT]: Input/output error"
	adaptecNone    = "INQUIRY [SAT]: aacraid: Device 0 7 does not exist"
	adaptecMute    = "INQUIRY [SAT]: aacraid: Device 0 7 not responding"
	adaptecDead    = "INQUIRY [SAT]: aacraid result: 0.7 = 0x2a"
	adaptecShort   = "INQUIRY [SAT]: aacraid send_raw_srb: 0.3 = Cannot allocate memory"
)

// empty is what smartctl says of a place in which no disk is.
func empty(tb testing.TB, driver string) []byte {
	tb.Helper()

	switch driver {
	case "hpsa", "smartpqi":
		return failing(tb, smartArrayNone)
	case "aacraid":
		return failing(tb, adaptecNone)
	default:
		return said(tb, "none")
	}
}

// An empty place is told from a disk that is there and does not answer, and a driver that
// cannot for a moment is asked again.
func TestAnEmptyPlaceIsNoDeadDisk(t *testing.T) {
	for name, c := range map[string]struct {
		driver, kind string
		first, then  []byte // what is said of one place
		members      int
		silent       string
	}{
		"Smart Array, empty":             {"hpsa", "cciss,5", failing(t, smartArrayNone), failing(t, smartArrayNone), 0, ""},
		"Smart Array, dead":              {"hpsa", "cciss,5", failing(t, smartArrayDead), failing(t, smartArrayDead), 1, "Input/output error"},
		"newer Smart Array, dead":        {"smartpqi", "cciss,5", failing(t, smartArrayDead), failing(t, smartArrayDead), 1, "Input/output error"},
		"Smart Array, well after all":    {"hpsa", "cciss,5", failing(t, smartArrayDead), said(t, "scsi"), 1, ""},
		"Adaptec, empty":                 {"aacraid", "aacraid,0,0,5", failing(t, adaptecNone), failing(t, adaptecNone), 0, ""},
		"Adaptec, nobody answers":        {"aacraid", "aacraid,0,0,5", failing(t, adaptecMute), failing(t, adaptecMute), 0, ""},
		"Adaptec, dead":                  {"aacraid", "aacraid,0,0,5", failing(t, adaptecDead), failing(t, adaptecDead), 1, "result: 0.7"},
		"Adaptec, short of memory":       {"aacraid", "aacraid,0,0,5", failing(t, adaptecShort), said(t, "scsi"), 1, ""},
		"Adaptec, always short of it":    {"aacraid", "aacraid,0,0,5", failing(t, adaptecShort), failing(t, adaptecShort), 1, "Cannot allocate memory"},
		"MegaRAID has one word for both": {"megaraid_sas", "megaraid,5", said(t, "none"), said(t, "none"), 0, ""},
	} {
		asked := 0
		run := func(_ context.Context, args ...string) ([]byte, error) {
			if !slices.Contains(args, "--device="+c.kind) {
				return empty(t, c.driver), nil
			}

			if asked++; asked > 1 {
				return c.then, nil
			}

			return c.first, nil
		}

		members, _, err := smartctl.Members(t.Context(), run, c.driver, "/dev/sda", 0, "")
		if err != nil || len(members) != c.members {
			t.Errorf("%s: %+v %v", name, members, err)

			continue
		}

		for _, m := range members {
			if (m.Silent != nil) != (c.silent != "") || m.Silent != nil && !strings.Contains(m.Silent.Error(), c.silent) {
				t.Errorf("%s: %v", name, m.Silent)
			}
		}
	}
}

func TestListsTheDisksBehindAController(t *testing.T) {
	for driver, c := range map[string]struct {
		kind, device string
		fails        bool
	}{
		"megaraid_sas": {"megaraid,7", "/dev/sda", false}, "hpsa": {"cciss,7", "/dev/sda", false}, "smartpqi": {"cciss,7", "/dev/sda", false},
		"aacraid": {"aacraid,3,0,7", "/dev/sda", false}, "arcmsr": {"areca,7", "/dev/sg9", false}, "mpt3sas": {"", "", true},
	} {
		var asked []string

		run := func(_ context.Context, args ...string) ([]byte, error) {
			kind, device := strings.TrimPrefix(args[len(args)-2], "--device="), args[len(args)-1]
			asked = append(asked, kind)

			if kind == c.kind && device == c.device {
				return said(t, "ata"), nil
			}

			return empty(t, driver), nil
		}

		members, reports, err := smartctl.Members(t.Context(), run, driver, "/dev/sda", 3, "/dev/sg9")
		if c.fails {
			if err == nil || len(asked) > 0 {
				t.Errorf("%s: %v, %v", driver, members, asked)
			}

			continue
		}

		if err != nil || len(members) != 1 || members[0].Type != c.kind || members[0].Device != c.device || reports[0].Serial != "ZL2MADE4" {
			t.Errorf("%s: %+v, %v", driver, members, err)
		}

		if !slices.Contains(smartctl.Drivers(), driver) || len(asked) < 20 {
			t.Errorf("%s: asked %v", driver, asked)
		}
	}

	if _, _, err := smartctl.Members(t.Context(), nil, "arcmsr", "/dev/sda", 0, ""); err == nil {
		t.Error("an Areca controller without its generic device")
	}

	broken := errors.New("no such program")
	if _, _, err := smartctl.Members(t.Context(), func(context.Context, ...string) ([]byte, error) { return nil, broken }, "hpsa", "/dev/sda", 0, ""); !errors.Is(err, broken) {
		t.Errorf("a smartctl that does not run: %v", err)
	}
}

// TestRunsTheProgram runs a script in place of smartctl.
func TestRunsTheProgram(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}

	if smartctl.Find(fstest.MapFS{"usr/sbin/smartctl": {Mode: 0o644}}) != nil {
		t.Error("a file that is no program")
	}

	if smartctl.Find(fstest.MapFS{}) != nil {
		t.Error("an image without smartctl")
	}

	if smartctl.Find(fstest.MapFS{"usr/sbin/smartctl": {Mode: 0o755}}) == nil {
		t.Error("a tool pack is not found")
	}

	for name, root := range map[string]fstest.MapFS{
		"a static program in an overlay": {"overlay/tools/usr/sbin/smartctl": {Mode: 0o755}},
		"with its own loader": {
			"overlay/a/bin/other": {Mode: 0o755}, "overlay/tools/sbin/smartctl": {Mode: 0o755}, "overlay/tools/lib64/ld-linux-x86-64.so.2": {Mode: 0o755},
		},
	} {
		if smartctl.Find(root) == nil {
			t.Errorf("%s is not found", name)
		}
	}

	command := smartctl.Loading(fstest.MapFS{"overlay/t/lib64/ld-linux-x86-64.so.2": {Mode: 0o755}}, "overlay/t", "/overlay/t/sbin/smartctl")
	if len(command) != 4 || command[0] != "/overlay/t/lib64/ld-linux-x86-64.so.2" || !strings.HasPrefix(command[2], "/overlay/t/lib64:/overlay/t/lib:") ||
		command[3] != "/overlay/t/sbin/smartctl" {
		t.Errorf("%q", command)
	}

	if command := smartctl.Loading(fstest.MapFS{}, "overlay/t", "/overlay/t/sbin/smartctl"); !slices.Equal(command, []string{"/overlay/t/sbin/smartctl"}) {
		t.Errorf("%q", command)
	}

	script := filepath.Join(t.TempDir(), "smartctl")

	for text, ends := range map[string]bool{
		"echo '{}'; exit 216": true, "echo '{}'": true, "exit 4": false, "": true,
	} {
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}

		if _, err := smartctl.Program(script)(t.Context(), "--json"); (err == nil) != ends {
			t.Errorf("%q: %v", text, err)
		}
	}

	if _, err := smartctl.Program(script + ".none")(t.Context()); err == nil {
		t.Error("a program that is not there")
	}
}

// tool plays smartctl for one disk: words that an order begins with, and the answer.
type tool map[string]string

func (a tool) member(t *testing.T) smartctl.Member {
	t.Helper()

	run := func(_ context.Context, args ...string) ([]byte, error) {
		if !slices.Contains(args, "--info") || !slices.Contains(args, "--device=megaraid,4") {
			return said(t, "anonymous"), nil
		}

		return []byte(a[args[0]]), nil
	}

	members, _, err := smartctl.Members(t.Context(), run, "megaraid_sas", "/dev/sda", 0, "")
	if err != nil || len(members) == 0 {
		t.Fatal(err)
	}

	return members[slices.IndexFunc(members, func(m smartctl.Member) bool { return m.Type == "megaraid,4" })]
}

// TestASelfTestThatDoesNotStart: bit 2 of the exit status says that some command failed.
// Whether it was this one, the disk tells. The answers are recorded of QEMU's disks.
func TestASelfTestThatDoesNotStart(t *testing.T) {
	const idle, busy = `"value": 0,
        "string": "completed without error"`, `"value": 249,
        "string": "in progress, 90% remaining"`

	still, started, refused := string(said(t, "capabilities")), string(said(t, "started")), string(said(t, "refused"))
	status := func(text, number string) string {
		return strings.Replace(text, `"exit_status": 0`, `"exit_status": `+number, 1)
	}

	running := strings.Replace(still, idle, busy, 1)
	if running == still {
		t.Fatal("the recording has no status of the self-test")
	}

	for name, c := range map[string]struct {
		tool tool
		long bool
		want string // empty: it is started
		busy bool
	}{
		"it starts":       {tool: tool{"--info": started, "--capabilities": still, "--test=short": started}},
		"a long one":      {tool: tool{"--info": started, "--capabilities": still, "--test=long": started}, long: true},
		"the disk cannot": {tool: tool{"--info": refused, "--capabilities": status(refused, "4"), "--test=short": refused}, want: "unsupported scsi opcode"},
		"a command failed, and nothing began": {
			tool: tool{"--info": started, "--capabilities": still, "--test=short": status(started, "4")}, want: "Use smartctl -X to abort test.",
		},
		"another is under way": {tool: tool{"--info": started, "--capabilities": running, "--test=short": started}, want: "under way", busy: true},
		"the disk is gone":     {tool: tool{"--info": started, "--capabilities": string(said(t, "none")), "--test=short": started}, want: "INQUIRY failed"},
		"not understood":       {tool: tool{"--info": started, "--capabilities": still, "--test=short": status(started, "1")}, want: "does not understand"},
		"nonsense":             {tool: tool{"--info": started, "--capabilities": still, "--test=short": "?"}, want: "invalid character"},
	} {
		length := disk.ShortTest
		if c.long {
			length = disk.ExtendedTest
		}

		err := c.tool.member(t).Start(t.Context(), length)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, disk.ErrBusy) != c.busy {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Some other command failed, and the self-test runs.
	answers, asked := tool{"--info": started, "--capabilities": still, "--test=short": status(started, "4")}, 0
	run := func(_ context.Context, args ...string) ([]byte, error) {
		if args[0] == "--capabilities" {
			if asked++; asked > 1 {
				return []byte(running), nil
			}
		}

		return []byte(answers[args[0]]), nil
	}

	members, _, err := smartctl.Members(t.Context(), run, "hpsa", "/dev/sda", 0, "")
	if err != nil {
		t.Fatal(err)
	}

	if err := members[0].Start(t.Context(), disk.ShortTest); err != nil {
		t.Errorf("a self-test that runs: %v", err)
	}
}

// TestASelfTestThatDoesNotEnd: the same of ending one.
func TestASelfTestThatDoesNotEnd(t *testing.T) {
	started, failed, still := string(said(t, "started")), string(said(t, "unabortable")), string(said(t, "capabilities"))
	running := strings.Replace(still, `"value": 0,
        "string": "completed without error"`, `"value": 249,
        "string": "in progress, 90% remaining"`, 1)

	for name, c := range map[string]struct {
		tool tool
		want string
	}{
		"it ends":                 {tool{"--info": started, "--abort": started}, ""},
		"none was under way":      {tool{"--info": started, "--abort": failed, "--capabilities": still}, ""},
		"it goes on all the same": {tool{"--info": started, "--abort": failed, "--capabilities": running}, "scsi error aborted command"},
		"the disk is gone":        {tool{"--info": started, "--abort": failed, "--capabilities": string(said(t, "none"))}, "INQUIRY failed"},
	} {
		err := c.tool.member(t).Abort(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"ata", "scsi", "none", "started", "refused", "capabilities"} {
		f.Add(said(f, name))
	}

	f.Add([]byte(`{"json_format_version":[1],"device":{"protocol":"SCSI"},"serial_number":"x","scsi_self_test_0":{"result":{"value":-1},"lba_first_failure":"0x1"}}`))

	f.Fuzz(func(t *testing.T, out []byte) {
		if r, err := smartctl.Parse(out); err == nil && (r.Serial == "" || r.Left < 0 || r.Left > 1) {
			t.Errorf("%+v", r)
		}
	})
}
