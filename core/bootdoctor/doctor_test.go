package bootdoctor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/problem"
)

// trace writes steps down as they are told: "1s uefi discover", with the rest as detail,
// and a share in percent where one ends in %.
func trace(t *testing.T, lines ...string) (steps []core.BootStep) {
	t.Helper()

	for _, line := range lines {
		words := strings.SplitN(line, " ", 4)

		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatal(err)
		}

		s := core.BootStep{Time: start.Add(after), Kind: words[2]}
		if words[1] != "-" {
			s.Client.Kind = core.ClientKind(words[1])
		}

		if len(words) == 4 {
			s.Detail = words[3]
		}

		switch {
		case strings.HasSuffix(s.Detail, "sent"):
			s.Share = 100
		case strings.HasSuffix(s.Detail, "50 %"):
			s.Share = 50
		case s.Kind == "power":
			s.Op = core.PowerOp(s.Detail)
		}

		steps = append(steps, s)
	}

	return steps
}

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a moment

// Boots of which the rows of the diagnosis table are parts.
func lease(at, kind string) []string {
	return []string{at + " " + kind + " discover", at + " " + kind + " offer", at + " " + kind + " request", at + " " + kind + " ack"}
}

func join(parts ...[]string) (all []string) {
	for _, p := range parts {
		all = append(all, p...)
	}

	return all
}

func healthy() []string {
	return join(
		[]string{"0s - power boot"}, lease("20s", "uefi"), []string{"21s uefi tftp-probe snponly.efi", "22s uefi tftp snponly.efi sent"},
		[]string{"23s uefi tftp-missing autoexec.ipxe"}, lease("25s", "ipxe"), []string{"26s ipxe script 01JD8WVZ6T0000000000000001"},
		[]string{"27s ipxe kernel vmlinuz begun", "28s ipxe kernel vmlinuz sent", "29s ipxe initrd base begun", "30s ipxe initrd base sent"},
		[]string{"30s ipxe initrd modules 50 %", "31s ipxe initrd modules sent", "31s ipxe seed"},
		lease("40s", "agent"), []string{"41s - hello the agent speaks"},
	)
}

// TestEachStandstillHasItsCause goes through the diagnosis table, row by row.
func TestEachStandstillHasItsCause(t *testing.T) {
	t.Parallel()

	uefi := join(lease("0s", "uefi"), []string{"1s uefi tftp snponly.efi sent"})
	ipxe := join(uefi, lease("5s", "ipxe"))
	script := append(ipxe, "6s ipxe script 01JD8WVZ6T0000000000000001")
	image := append(script, "7s ipxe kernel vmlinuz sent", "8s ipxe initrd base sent", "9s ipxe initrd modules sent", "9s ipxe seed")
	asks := func(kind string, n int) (lines []string) {
		for i := range n {
			lines = append(lines, time.Duration(i*4).String()+" "+kind+" discover")
		}

		for i := range lines {
			lines[i] = strings.Replace(lines[i], "ns ", "s ", 1)
		}

		return lines
	}

	for name, c := range map[string]struct {
		lines []string
		after string // how long it is quiet
		code  string
		words string
	}{
		"switched on, and nothing":            {[]string{"0s - power boot"}, "4m", problem.DoctorNothingHeard, "12:00:00"},
		"its own system":                      {[]string{"0s - power boot", "40s other discover", "40s other offer"}, "1s", problem.DoctorOwnSystem, ""},
		"offers that it does not take":        {asks("uefi", 4), "1s", problem.DoctorOffersUnheard, "4 times"},
		"another server":                      {[]string{"0s uefi discover", "0s uefi offer", "1s uefi rogue the machine chose the DHCP server 10.0.0.1 instead of us"}, "1s", problem.DoctorOtherServer, "10.0.0.1"},
		"no address":                          {[]string{"0s bios discover", "0s bios pool-empty no address is free"}, "1s", problem.DoctorNoAddress, ""},
		"an address and no file":              {lease("0s", "uefi"), "16s", problem.DoctorNothingFetched, ""},
		"a question for the size alone":       {join(lease("0s", "uefi"), []string{"1s uefi tftp-probe snponly.efi"}), "16s", problem.DoctorProbeOnly, ""},
		"transfers that break off":            {join(lease("0s", "bios"), []string{"6s bios tftp-failed undionly.kpxe after 5s: no answer to block 1", "12s bios tftp-failed undionly.kpxe after 5s: no answer to block 1"}), "1s", problem.DoctorTransferFails, "block 1"},
		"a transfer that breaks off once":     {join(lease("0s", "uefi"), []string{"1s uefi tftp-probe snponly.efi", "8s uefi tftp-failed snponly.efi after 6s: the client fell silent"}), "16s", problem.DoctorTransferFails, "broke off: 1"},
		"a boot program that freezes":         {uefi, "61s", problem.DoctorLoaderSilent, "snponly.efi"},
		"a boot program that is refused":      {join(uefi, []string{"4s http discover", "4s http offer"}), "1s", problem.DoctorLoaderRefused, "snponly.efi"},
		"a boot program without an address":   {join(uefi, []string{"5s ipxe discover", "6s ipxe discover", "8s ipxe discover", "12s ipxe discover"}), "1s", problem.DoctorLoaderUnheard, "4 times"},
		"a boot program without a script":     {ipxe, "31s", problem.DoctorNoScript, ""},
		"a script and no kernel":              {script, "46s", problem.DoctorImageStalled, "no kernel"},
		"a kernel that stalls":                {append(script, "7s ipxe kernel vmlinuz begun", "8s ipxe kernel vmlinuz 50 %"), "46s", problem.DoctorImageStalled, "kernel came to 50 %"},
		"a part of the image that stalls":     {append(script, "7s ipxe kernel vmlinuz sent", "8s ipxe initrd base sent", "9s ipxe initrd modules 50 %"), "46s", problem.DoctorImageStalled, "initrd came to 50 %"},
		"an image that cannot be loaded":      {append(script, "7s ipxe kernel vmlinuz begun", "60s ipxe boot-failed the boot program gave up"), "1s", problem.DoctorImageFailed, "gave up"},
		"a seed that is refused":              {append(script, "9s ipxe seed-refused this seed is for another machine"), "1s", problem.DoctorSeedRefused, "another machine"},
		"an image without a word":             {image, "181s", problem.DoctorAgentSilent, ""},
		"an agent with an address, no word":   {join(image, lease("20s", "agent")), "181s", problem.DoctorAgentSilent, ""},
		"every way tried":                     {[]string{"0s uefi discover", "0s uefi offer", "70s http discover", "70s http offer"}, "61s", problem.DoctorOrderExhausted, ""},
		"a boot that stalls after a good one": {join(healthy(), []string{"10m - power boot"}), "4m", problem.DoctorNothingHeard, "12:10:00"},
		"asked again after a whole boot":      {join(healthy(), []string{"10m0s uefi discover", "10m1s uefi discover", "10m2s uefi discover", "10m3s uefi discover"}), "1s", problem.DoctorOffersUnheard, "4 times"},
		"an order that did not arrive":        {[]string{"0s - power boot", "1s uefi discover", "1s uefi discover", "1s uefi discover", "1s uefi discover"}, "1s", problem.DoctorOffersUnheard, ""},
	} {
		steps := trace(t, c.lines...)

		quiet, err := time.ParseDuration(c.after)
		if err != nil {
			t.Fatal(err)
		}

		d, ok := bootdoctor.Diagnose(steps, steps[len(steps)-1].Time.Add(quiet))
		if !ok || d.Code != c.code || !strings.Contains(d.Evidence, c.words) || d.Title == "" || d.Next == "" || d.Since.IsZero() || d.Step == "" {
			t.Errorf("%s: %+v, want %s", name, d, c.code)
		}
	}
}

// TestASoundBootHasNoCause at any moment of it: not after each step, and not just before
// the next one.
func TestASoundBootHasNoCause(t *testing.T) {
	t.Parallel()

	home := join(lease("0s", "uefi"), []string{"1s uefi tftp-missing " + core.NoBoot})
	script := join(lease("0s", "bios"), []string{"1s bios tftp undionly.kpxe sent"}, lease("4s", "ipxe"), []string{"5s ipxe script local"})
	slow := []string{"0s - power boot", "100s bios discover", "104s bios discover", "112s bios discover", "112s bios offer", "112s bios request", "112s bios ack", "113s bios tftp undionly.kpxe sent"}

	for name, lines := range map[string][]string{
		"a whole boot": healthy(), "twice": join(healthy(), []string{"5m - power boot", "6m uefi discover"}), "its own disk": home, "its own disk, by a script": script,
		"a link that comes up late": slow, "nothing": nil, "switched off": {"0s - power off"},
	} {
		steps := trace(t, lines...)

		for i, s := range steps {
			next := s.Time.Add(time.Second)
			if i+1 < len(steps) {
				next = steps[i+1].Time
			}

			for _, now := range []time.Time{s.Time, next} {
				if d, ok := bootdoctor.Diagnose(steps[:i+1], now); ok {
					t.Errorf("%s, after step %d (%s): %+v", name, i+1, s.Kind, d)
				}
			}
		}

		if name == "nothing" || name == "twice" {
			continue
		}

		last := time.Duration(0)
		if name != "a link that comes up late" {
			last = 24 * time.Hour
		}

		if d, ok := bootdoctor.Diagnose(steps, steps[len(steps)-1].Time.Add(last)); ok {
			t.Errorf("%s, a day later: %+v", name, d)
		}
	}
}

// TestAMachineThatWaitsItsTurnHasNoCause: it was told to, and asks again every 20 s at most.
func TestAMachineThatWaitsItsTurnHasNoCause(t *testing.T) {
	t.Parallel()

	steps := trace(t, join(lease("0s", "ipxe"), []string{"1s ipxe parked", "21s ipxe parked", "41s ipxe parked", "61s ipxe parked"})...)

	for i := 4; i < len(steps); i++ {
		if d, ok := bootdoctor.Diagnose(steps[:i+1], steps[i].Time.Add(20*time.Second)); ok {
			t.Errorf("after %d steps: %+v", i+1, d)
		}
	}

	if d, ok := bootdoctor.Diagnose(steps, steps[len(steps)-1].Time.Add(31*time.Second)); !ok || d.Code != problem.DoctorNoScript {
		t.Errorf("when it does not come again: %+v", d)
	}
}

// TestRecordedBootsHaveNoCause: traces of virtual hosts that booted to the agent, by BIOS,
// UEFI and HTTP boot.
func TestRecordedBootsHaveNoCause(t *testing.T) {
	t.Parallel()

	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) < 3 {
		t.Fatalf("%d traces, %v", len(names), err)
	}

	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		var boot core.BootTrace
		if err := json.Unmarshal(raw, &boot); err != nil {
			t.Fatal(err)
		}

		for i, s := range boot.Steps {
			now := s.Time.Add(time.Second)
			if i+1 < len(boot.Steps) {
				now = boot.Steps[i+1].Time
			}

			if d, ok := bootdoctor.Diagnose(boot.Steps[:i+1], now); ok {
				t.Errorf("%s, after step %d (%s %s): %+v", name, i+1, s.Kind, s.Detail, d)
			}
		}
	}
}

func FuzzDiagnose(f *testing.F) {
	f.Add([]byte(`{"steps":[{"kind":"discover","client":{"kind":"uefi"}}]}`), int64(1))

	f.Fuzz(func(t *testing.T, raw []byte, now int64) {
		var boot core.BootTrace
		if json.Unmarshal(raw, &boot) != nil {
			return
		}

		if d, ok := bootdoctor.Diagnose(boot.Steps, time.Unix(now, 0)); ok {
			if _, known := problem.Lookup(d.Code); !known {
				t.Errorf("%+v", d)
			}
		}
	})
}

// A machine that the image does not run on is told so from its first question on, whatever
// its firmware does next; x86-64, in all its numbers, is not.
func TestAnotherProcessorIsTold(t *testing.T) {
	t.Parallel()

	for arch, want := range map[int]string{-1: "", 0: "", 7: "", 9: "", 16: "", 20: "", 11: "arm64", 19: "arm64", 10: "32-bit ARM", 27: "RISC-V", 39: "LoongArch", 6: "32-bit x86 under UEFI"} {
		client := core.BootClient{Kind: core.ClientUEFI, Arch: arch}
		steps := []core.BootStep{{Kind: "discover", Client: client}, {Kind: "offer", Client: client, Detail: core.NoBoot}, {Kind: "tftp-missing", Client: client, Detail: core.NoBoot}}
		d, ok := bootdoctor.Diagnose(steps, time.Time{}.Add(time.Second))

		if ok != (want != "") || ok && (d.Code != problem.DoctorOtherProcessor || !strings.Contains(d.Evidence, want)) {
			t.Errorf("architecture %d: %t %+v", arch, ok, d)
		}
	}
}
