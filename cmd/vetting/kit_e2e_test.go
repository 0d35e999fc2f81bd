//go:build e2e && linux

package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// What the field kit does takes minutes on virtual hosts, so that it is a campaign of
// make endure: the variable says what is to be done. "all" stands for each part once. (No name that begins
// with VETTING_: the appliance would take it for a setting.)
const (
	kitVar     = "ENDURE_KIT"
	kitCutsVar = "ENDURE_KIT_CUTS"
	kitSeedVar = "ENDURE_KIT_SEED" // has the plug pulled at the moments of an earlier campaign, whose log tells it
)

// kitMinutes bounds one boot of a stick up to its verdict.
const kitMinutes = 12 * time.Minute

func needKit(t *testing.T, variable string) string {
	t.Helper()

	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("a campaign: set %s, or run make endure", variable)
	}

	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}

	return value
}

// kitProgram is the built program.
func kitProgram(t *testing.T) string {
	t.Helper()

	binary, err := filepath.Abs("../../build/vetting")
	if err != nil {
		t.Fatal(err)
	}

	return binary
}

func tool(t *testing.T, program string, args ...string) string {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}

	return string(out)
}

// kitStick makes the image of a stick whose runs are short, with room for many.
func kitStick(t *testing.T) (file string) { return leastStick(t, "--size", "640M") }

// leastStick makes one as small as it is where nobody asks for more.
func leastStick(t *testing.T, more ...string) (file string) {
	t.Helper()

	file = filepath.Join(t.TempDir(), "kit.img")
	t.Log(tool(t, kitProgram(t), append([]string{"usb", "image", file, "--kernel-arg", "vetting.scale=0.01"}, more...)...))

	return file
}

// kitGuest is a machine of 1 GiB that boots from a medium.
func kitGuest(firmware lab.Firmware, i byte, medium string) lab.Machine {
	m := lab.Sample(firmware, i)
	m.Medium, m.MiB, m.Screen = medium, 1024, true

	for k := range m.Identity.DIMMs {
		m.Identity.DIMMs[k].MiB *= 2
	}

	for k := range m.Disks {
		m.Disks[k].Bytes = 2 << 30 // a disk is read in samples; a kit has no days
	}

	return m
}

// dataOf is where the data partition of an image begins, in bytes.
func dataOf(t *testing.T, file string) int64 {
	t.Helper()

	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	entry := make([]byte, 128)
	if _, err := f.ReadAt(entry, 2*512+128); err != nil {
		t.Fatal(err)
	}

	return int64(entry[32])<<9 | int64(entry[33])<<17 | int64(entry[34])<<25 | int64(entry[35])<<33
}

// keptOn copies what a stick's data partition has below a folder, as debugfs reads it
// when the journal was gone through, and has e2fsck find nothing else to mend.
func keptOn(t *testing.T, stick, folder string) (dir string) {
	t.Helper()

	dir = t.TempDir()
	part := filepath.Join(dir, "data.img")
	from, err := os.Open(stick)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()

	to, err := os.Create(part)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := io.Copy(to, io.NewSectionReader(from, dataOf(t, stick), 1<<40)); err != nil {
		t.Fatal(err)
	}

	if err := to.Close(); err != nil {
		t.Fatal(err)
	}

	out, err := exec.CommandContext(t.Context(), "e2fsck", "-E", "journal_only", "-y", part).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
		t.Fatalf("going through the journal: %v\n%s", err, out)
	}

	if out, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", part).CombinedOutput(); err != nil {
		t.Errorf("the journal did not put the file system right: %v\n%s", err, out)
	}

	tool(t, "debugfs", "-R", "rdump "+folder+" "+dir, part)

	if err := os.Remove(part); err != nil {
		t.Fatal(err)
	}

	return filepath.Join(dir, filepath.Base(folder))
}

// vetting begins to vet a machine at its menu.
func vetting(t *testing.T, ctx context.Context, p *lab.Process) { //nolint:revive // t first, as everywhere here
	t.Helper()

	answer(t, ctx, p, "Type a number and press Enter", "2\r")
	answer(t, ctx, p, "How thoroughly?", "1\r")
}

// TestAKitVetsTheMachineItIsIn: a stick in a machine of 1 GiB, without a network, from
// the power button to a verdict that another appliance takes over.
func TestAKitVetsTheMachineItIsIn(t *testing.T) {
	which := needKit(t, kitVar)
	if !slices.Contains([]string{"all", "bios", "uefi", "secure", "least"}, which) {
		t.Skip("another part of the campaign was asked for")
	}

	rack := openRack(t)
	stick, least := kitStick(t), leastStick(t)

	for i, c := range []struct {
		name     string
		firmware lab.Firmware
		secure   bool
		stick    string
	}{{"bios", lab.BIOS, false, stick}, {"uefi", lab.UEFI, false, stick}, {"secure", lab.UEFI, true, stick}, {"least", lab.BIOS, false, least}} {
		if which != "all" && which != c.name {
			continue
		}

		t.Run(c.name, func(t *testing.T) {
			own := filepath.Join(t.TempDir(), "stick.img")
			tool(t, "cp", "--sparse=always", c.stick, own)

			machine := kitGuest(c.firmware, byte(0x20+i), own)
			machine.Secure = c.secure

			kitVerdict(t, rack, machine)
		})
	}
}

func kitVerdict(t *testing.T, rack *lab.Rack, machine lab.Machine) {
	ctx, cancel := context.WithTimeout(t.Context(), kitMinutes)
	defer cancel()

	guests, err := rack.Add(machine)
	if err != nil {
		t.Fatal(err)
	}

	guest := guests[0]
	defer guest.PowerOff()

	p, err := guest.PowerOn(context.WithoutCancel(ctx))
	if err != nil {
		t.Fatal(err)
	}

	room, _, err := p.Output.Match(ctx, regexp.MustCompile(`(\d+) of (\d+) MiB free for reports`))
	if err != nil {
		t.Fatal(err)
	}

	t.Log(room[0])
	vetting(t, ctx, p)

	if _, _, err := p.Output.Match(ctx, regexp.MustCompile(`Stage \d+ of \d+`)); err != nil {
		t.Fatalf("what is under way is not on the screen: %v", err)
	}

	isLit(t, pictureOf(t, ctx, guest, machine.Name+"-under-way"))

	said, at, err := p.Output.Match(ctx, regexp.MustCompile(`(?s)(  ##[^\n]*\n.*)The report is on the stick: reports/(\S+)/report.html`))
	if err != nil {
		t.Fatal(err)
	}

	took := at.Sub(p.Started)
	t.Logf("%.0f s from power-on to the verdict:\n%s", took.Seconds(), said[1])

	pass := strings.Contains(said[1], "  ########      ######      ########    ########")
	if !pass || !strings.HasSuffix(said[2], "-pass") {
		t.Errorf("a healthy machine: %s", said[2])
	}

	if strings.Contains(said[1], "LABSTICK") || strings.Contains(said[1], "usb-storage") {
		t.Error("the stick itself is taken for a part of the machine")
	}

	time.Sleep(2 * time.Second) // the screen draws

	isLit(t, pictureOf(t, ctx, guest, machine.Name))
	guest.PowerOff()

	if err := guest.Untouched(); err != nil {
		t.Error(err)
	}

	folder := filepath.Join(keptOn(t, machine.Medium, "/reports"), said[2])
	report := filepath.Join(folder, "report.json")

	t.Log(tool(t, kitProgram(t), "report", "verify", report), tool(t, kitProgram(t), "report", "verify", filepath.Join(folder, "report.html")))

	take := []string{"import", "--data-dir", rack.Appliance.DataDir(), report}
	if out, err := exec.CommandContext(ctx, kitProgram(t), take...).CombinedOutput(); err == nil {
		t.Errorf("a report of a key that nobody trusts was taken over: %s", out)
	}

	first, second := tool(t, kitProgram(t), append(take, "--trust")...), tool(t, kitProgram(t), take...)
	if !strings.Contains(first, "run ") || !strings.Contains(second, "is here already") {
		t.Errorf("taken over: %s then %s", first, second)
	}

	t.Log(first, second)
}

// TestAKitWritesAStick: the program writes another stick on a machine of its own, and
// nothing else that is plugged in there; what it wrote boots, and its data partition
// fills it.
func TestAKitWritesAStick(t *testing.T) {
	if which := needKit(t, kitVar); which != "all" && which != "write" {
		t.Skip("another part of the campaign was asked for")
	}

	segment := kitSegment(t)
	machine := kitGuest(lab.BIOS, 0x28, kitStick(t))
	machine.Disks = append(machine.Disks, lab.Disk{Bus: lab.USB, Serial: "LABUSB", Bytes: 3 << 30, Blank: true})

	guest, err := segment.Guest(machine)
	if err != nil {
		t.Fatal(err)
	}

	defer guest.PowerOff()

	ctx, cancel := context.WithTimeout(t.Context(), kitMinutes)
	defer cancel()

	p, err := guest.PowerOn(context.WithoutCancel(ctx))
	if err != nil {
		t.Fatal(err)
	}

	const program = "/run/vetting/kit/boot/vetting/vetting usb write"

	answer(t, ctx, p, "Type a number and press Enter", "3\r")
	answer(t, ctx, p, "This is a shell", "for d in sda sdb sdc nvme0n1; do echo trying $d; "+program+" --device /dev/$d --yes-serial LABUSB; done; echo over; sync\r")

	said, at, err := p.Output.Match(ctx, regexp.MustCompile(`(?s)trying sda\r?\n.*\nover`))
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("%.0f s after power-on:\n%s", at.Sub(p.Started).Seconds(), said[0])

	if strings.Count(said[0], "is a field kit now; it was read back and is good") != 1 || strings.Count(said[0], "refusing to write to") != 3 ||
		!strings.Contains(said[0], "is mounted at /run/vetting/kit/boot, /run/vetting/kit/data") || !strings.Contains(said[0], "stick/not-usb") {
		t.Error("not exactly the stick that was meant was written")
	}

	guest.PowerOff()

	if err := guest.Untouched("LABUSB"); err != nil {
		t.Error(err)
	}

	written := filepath.Join(t.TempDir(), "written.img")
	tool(t, "cp", "--sparse=always", guest.DiskFile(len(machine.Disks)-1), written)

	again, err := segment.Guest(kitGuest(lab.UEFI, 0x29, written))
	if err != nil {
		t.Fatal(err)
	}

	defer again.PowerOff()

	p, err = again.PowerOn(context.WithoutCancel(ctx))
	if err != nil {
		t.Fatal(err)
	}

	free, _, err := p.Output.Match(ctx, regexp.MustCompile(`(\d+) of (\d+) MiB free for reports`))
	if err != nil {
		t.Fatal(err)
	}

	if all, err := strconv.Atoi(free[2]); err != nil || all < 2700 {
		t.Errorf("a stick of 3 GiB has %s", free[0])
	}
}

func kitSegment(t *testing.T) *lab.Segment {
	t.Helper()

	segment, err := lab.OpenSegment()
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := segment.Close(); err != nil {
			t.Error(err)
		}
	})

	return segment
}

func answer(t *testing.T, ctx context.Context, p *lab.Process, prompt, text string) { //nolint:revive // t first, as everywhere here
	t.Helper()

	at, err := p.Output.Await(ctx, prompt)
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("%.1f s: %s", at.Sub(p.Started).Seconds(), prompt)
	time.Sleep(time.Second) // a person reads

	if err := p.Type(text); err != nil {
		t.Fatal(err)
	}
}

// TestAKitServesANetworkPort: a machine that was started from the stick vets another
// one, of which a person at its screen has chosen the number, and its console is reached
// over its other port.
func TestAKitServesANetworkPort(t *testing.T) {
	if which := needKit(t, kitVar); which != "all" && which != "serve" {
		t.Skip("another part of the campaign was asked for")
	}

	segment := kitSegment(t)
	machine := kitGuest(lab.UEFI, 0x2a, kitStick(t))
	machine.Office, machine.MiB, machine.Disks = true, 2048, nil

	kit, err := segment.Guest(machine)
	if err != nil {
		t.Fatal(err)
	}

	defer kit.PowerOff()

	other, err := segment.Guest(lab.Sample(lab.BIOS, 0x2b))
	if err != nil {
		t.Fatal(err)
	}

	defer other.PowerOff()

	ctx, cancel := context.WithTimeout(t.Context(), 2*kitMinutes)
	defer cancel()

	p, err := kit.PowerOn(context.WithoutCancel(ctx))
	if err != nil {
		t.Fatal(err)
	}

	answer(t, ctx, p, "Type a number and press Enter", "1\r")

	port, _, err := p.Output.Match(ctx, regexp.MustCompile(`(\d+)  \S+ +`+machine.MAC+`  link`))
	if err != nil {
		t.Fatal(err)
	}

	if err := p.Type(port[1] + "\r"); err != nil {
		t.Fatal(err)
	}

	link, at, err := p.Output.Match(ctx, regexp.MustCompile(`(?s)Console: https://10\.0\.2\.\d+:8443.*(https://10\.0\.2\.\d+:8443/setup\?token=\S+)`))
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("%.0f s: it serves; %s", at.Sub(p.Started).Seconds(), link[1])
	time.Sleep(2 * time.Second)

	isLit(t, pictureOf(t, ctx, kit, "serve"))
	setUp(t, kit, link[1])

	if _, err := other.PowerOn(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}

	answer(t, ctx, p, other.MAC+"                       asks for an address", "1\r")

	if _, err := p.Output.Await(ctx, "The run waits for the machine"); err != nil {
		t.Fatal(err)
	}

	other.PowerOff() // it went on to its disk, and is reset

	if _, err := other.PowerOn(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}

	verdict, at, err := p.Output.Match(ctx, regexp.MustCompile(other.MAC+`  kit-\w+ +(pass|fail|error|cancelled)\s`))
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("%.0f s: %s", at.Sub(p.Started).Seconds(), verdict[0])

	if verdict[1] != "pass" {
		t.Error(verdict[0])
	}

	isLit(t, pictureOf(t, ctx, kit, "served"))

	if err := p.Type("0\r"); err != nil { // back to the menu, and a ledger that is closed
		t.Fatal(err)
	}

	if _, _, err := p.Output.Match(ctx, regexp.MustCompile(`(?s)stop serving.*Type a number and press Enter`)); err != nil {
		t.Fatal(err)
	}

	kit.PowerOff()
	keptOn(t, machine.Medium, "/appliance")
}

// setUp opens the one-time link over the other network of a kit, as a browser does.
func setUp(t *testing.T, kit *lab.Guest, link string) {
	t.Helper()

	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return kit.Visit(ctx) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // what it is pinned by stands on the screen
	}}

	resp, err := client.Get(link) //nolint:noctx // bounded above
	if err != nil {
		t.Error(err)

		return
	}

	page, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(page, []byte("password")) {
		t.Errorf("%s: %v\n%.500s", resp.Status, err, page)
	}
}

// TestAKitOnAVirtualCD: a machine starts from the virtual CD of its BMC, with Secure Boot,
// takes the address that it was given, and is vetted by the appliance it was told of,
// whose DHCP it never asks.
func TestAKitOnAVirtualCD(t *testing.T) {
	which := needKit(t, kitVar)
	if !slices.Contains([]string{"all", "iso"}, which) {
		t.Skip("another part of the campaign was asked for")
	}

	signed, plain := lab.Sample(lab.UEFI, 0x2c), lab.Sample(lab.BIOS, 0x2d)
	signed.Secure = true

	rack, err := lab.OpenRack(t.Context(), lab.ApplianceOptions{
		Binary: kitProgram(t), DataDir: filepath.Join(t.TempDir(), "appliance"),
		Config: fmt.Sprintf("netboot:\n  interface: %s\n  subnet: %s\n  reservations:\n    %s: 10.77.0.5\n    %s: 10.77.0.6\n", lab.NIC, lab.Address, signed.MAC, plain.MAC),
	})
	if err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	}()

	for machine, own := range map[*lab.Machine]string{&signed: "10.77.0.5/24", &plain: "10.77.0.6/24"} {
		t.Run(machine.Name, func(t *testing.T) {
			machine.Medium, machine.ROMedium = filepath.Join(t.TempDir(), "vetting.iso"), true
			t.Log(tool(t, kitProgram(t), "usb", "iso", machine.Medium, "--url", "https://10.77.0.1", "--mac", machine.MAC, "--address", own))

			s := plug(t, rack, *machine)
			s.register(core.PowerManual)

			id := s.vetShort("it is how it starts that is tested")
			run := s.await(id, never)

			if run.Verdict != core.Pass || run.Agent.SecureBoot != machine.Secure {
				t.Errorf("the run ended in %s with %q; of its machine the agent says %+v", run.State, run.Verdict, run.Agent)
			}

			trace, err := rack.API.Trace(s.ctx, s.MAC)
			if err != nil {
				t.Fatal(err)
			}

			for _, step := range trace {
				t.Logf("%+v", step)
			}
		})
	}
}

// TestTheKitThroughPowerCuts pulls the plug of a machine that vets itself, at random
// moments, and starts it again: the file system needs nothing but its journal, the run
// is ended with a report that has every stage of which its end was told before the cut,
// and another run begins.
func TestTheKitThroughPowerCuts(t *testing.T) {
	cuts, err := strconv.Atoi(needKit(t, kitCutsVar))
	if err != nil {
		t.Fatal(err)
	}

	guest, err := kitSegment(t).Guest(kitGuest(lab.BIOS, 0x30, kitStick(t)))
	if err != nil {
		t.Fatal(err)
	}

	defer guest.PowerOff()

	before := []string{} // stages that had ended when the plug was pulled
	rng := rand.New(rand.NewPCG(kitSeed(t), 6))

	for cut := range cuts + 1 {
		ctx, cancel := context.WithTimeout(t.Context(), kitMinutes)

		p, err := guest.PowerOn(context.WithoutCancel(ctx))
		if err != nil {
			t.Fatal(err)
		}

		vetting(t, ctx, p)

		if _, err := p.Output.Await(ctx, "stage begins"); err != nil {
			t.Fatal(err)
		}

		if cut > 0 {
			wantStages(t, guest.Medium, cut, before)
		}

		if cut == cuts {
			guest.PowerOff()
			cancel()

			break
		}

		// The first seconds have the most writes; later there is more to lose.
		wait := time.Duration(rng.Int64N(int64(40 * time.Second)))
		select {
		case <-time.After(wait):
		case <-p.Done():
			t.Fatal("the machine ended by itself")
		}

		guest.PowerOff()
		cancel()

		before = nil
		for _, m := range regexp.MustCompile(`stage ends.*stage=(\w+)`).FindAllStringSubmatch(p.Output.String(), -1) {
			before = append(before, m[1])
		}

		t.Logf("cut %d, %.1f s after the first stage began; ended: %v", cut+1, wait.Seconds(), before)
	}
}

// kitSeed is another one for each campaign, so that campaigns one after the other cut at
// different moments.
func kitSeed(t *testing.T) (seed uint64) {
	t.Helper()

	seed = uint64(time.Now().Unix()) //nolint:gosec // after 1970
	if value := os.Getenv(kitSeedVar); value != "" {
		var err error
		if seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}

	t.Logf("%s=%d repeats these moments", kitSeedVar, seed)

	return seed
}

// wantStages looks at the report of the run that was cut short last. The stick is in
// use: what is read is as it would be after another cut.
func wantStages(t *testing.T, stick string, number int, stages []string) {
	t.Helper()

	dir := keptOn(t, stick, "/reports")

	kept, err := filepath.Glob(filepath.Join(dir, "*", "report.json"))
	if err != nil || len(kept) != number {
		t.Fatalf("%d reports after %d cuts: %v", len(kept), number, err)
	}

	last := kept[len(kept)-1] // names begin with the time
	text, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}

	tool(t, kitProgram(t), "report", "verify", last)

	for _, stage := range stages {
		if !regexp.MustCompile(`"name": "` + stage + `"`).Match(text) {
			t.Errorf("cut %d: the stage %s had ended, and %s has nothing of it", number, stage, last)
		}
	}
}

// Images for sticks and virtual drives stay below 200 MB: they are made at a rack, and
// pass through BMCs.
func TestImagesOfMediaAreSmall(t *testing.T) {
	dir := t.TempDir()

	for name, args := range map[string][]string{
		"kit.img": {"usb", "image", filepath.Join(dir, "kit.img")},
		"cd.iso":  {"usb", "iso", filepath.Join(dir, "cd.iso"), "--url", "https://10.77.0.1", "--mac", "52:54:00:12:34:56", "--address", "10.77.0.40/24"},
	} {
		tool(t, kitProgram(t), args...)

		at, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}

		t.Logf("%s: %.1f MB", name, float64(at.Size())/1e6)

		if at.Size() > 200_000_000 {
			t.Errorf("%s has %d bytes", name, at.Size())
		}
	}
}
