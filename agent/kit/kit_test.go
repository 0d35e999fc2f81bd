package kit_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/kit"
	"vetting/agent/network"
	"vetting/agent/screen"
	"vetting/agent/wire"
	"vetting/core"
)

const id = "c12a7328-f81f-41d2-ba4b-00a0c93ec93b"

func TestAsked(t *testing.T) {
	if got, ok := kit.Asked("console=tty0 vetting.kit=" + id + " quiet"); !ok || got != id {
		t.Error(got, ok)
	}

	if got, ok := kit.Asked("console=tty0 xvetting.kit=1"); ok {
		t.Error(got)
	}
}

// machine has two disks with two partitions each, as in /sys and /dev. The file systems
// on the second ones have the ids.
func machine(t *testing.T, ids ...string) string {
	t.Helper()

	root := t.TempDir()
	put := func(name string, content []byte) {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	for i, id := range ids {
		disk := "sd" + string(rune('a'+i))
		raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil {
			t.Fatal(err)
		}

		super := make([]byte, 4096)
		super[1024+0x38], super[1024+0x39] = 0x53, 0xef
		copy(super[1024+0x68:], raw)

		put("sys/block/"+disk+"/"+disk+"1/partition", []byte("1\n"))
		put("sys/block/"+disk+"/"+disk+"2/partition", []byte("2\n"))
		put("dev/"+disk+"1", make([]byte, 4096))
		put("dev/"+disk+"2", super)
	}

	return root
}

// TestFind: of two sticks the one is found that the machine was booted from, and a disk
// that is no stick of ours never is.
func TestFind(t *testing.T) {
	const other = "00000000-0000-4000-8000-000000000001"

	got, err := kit.Find(t.Context(), os.DirFS(machine(t, other, id)), id)
	if err != nil || got != (kit.Stick{Disk: "sdb", Boot: "sdb1", Data: "sdb2"}) {
		t.Error(got, err)
	}

	// A disk that the image was once copied to must not be taken for the stick.
	if got, err := kit.Find(t.Context(), os.DirFS(machine(t, id, other, id)), id); err == nil || got != (kit.Stick{}) || !strings.Contains(err.Error(), "sda and sdc") {
		t.Error(got, err)
	}

	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()

		if got, err := kit.Find(t.Context(), os.DirFS(machine(t, other)), id); err == nil || time.Since(begin) < time.Minute {
			t.Error(got, err, time.Since(begin))
		}
	})

	if _, err := kit.Find(t.Context(), os.DirFS(machine(t)), "../x"); err == nil {
		t.Error("what is no id finds a stick")
	}
}

func TestAnswers(t *testing.T) {
	for text, want := range map[string]kit.Choice{"1": kit.Serve, "2": kit.Vet, "3": kit.Shell, "4": kit.PowerOff, "": kit.NoChoice, "11": kit.NoChoice} {
		if got := kit.Chosen(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}

	for text, want := range map[string]string{"": "quick", "1": "quick", "2": "deep", "3": "soak", "0": ""} {
		if got, ok := kit.Profile(text); got != want || !ok {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}

	if got, ok := kit.Profile("4"); ok {
		t.Error(got)
	}
}

// TestPorts: the answer is a port that was shown, or back.
func TestPorts(t *testing.T) {
	links := []network.Link{{Name: "eth0", MAC: "52:54:00:00:00:01", Carrier: true}, {Name: "eth1", MAC: "52:54:00:00:00:02"}}

	if got := kit.Ports(links); !strings.Contains(got, "1  eth0         52:54:00:00:00:01  link\n") || !strings.Contains(got, "2  eth1         52:54:00:00:00:02  no link\n") {
		t.Error(got)
	}

	for text, want := range map[string]string{"1": "eth0", "2": "eth1", "0": "", "3": "?", "-1": "?", "": "?", "eth0": "?"} {
		if got, ok := kit.Port(text, links); ok != (want != "?") || ok && got.Name != want {
			t.Errorf("%q: %v %v", text, got, ok)
		}
	}
}

// TestServing: a number is that of a machine which stands on the screen, what a machine
// calls itself stays text, and that hosts reach the console is said.
func TestServing(t *testing.T) {
	s := &wire.KitServing{Network: "10.77.0.1/24", Console: "https://192.0.2.7:8443", Link: "https://192.0.2.7:8443/setup?token=x"}
	for range 20 {
		s.Machines = append(s.Machines, wire.KitMachine{MAC: "52:54:00:00:00:01", Name: "a\x1b[2J", State: "Memory"})
	}

	got := kit.Serving("eth0", s, 25)
	if strings.Contains(got, "\x1b") || !strings.Contains(got, s.Link) || !strings.Contains(got, "and 8 more") || strings.Contains(got, "ATTENTION") {
		t.Error(got)
	}

	for text, want := range map[string]string{"1": "52:54:00:00:00:01", "12": "52:54:00:00:00:01", "13": "", "": "", "x": ""} {
		if mac, stop := kit.Machine(text, s); mac != want || stop {
			t.Errorf("%q: %q %v", text, mac, stop)
		}
	}

	if mac, stop := kit.Machine("0", nil); mac != "" || !stop {
		t.Error(mac, stop)
	}

	if mac, stop := kit.Machine("1", nil); mac != "" || stop {
		t.Error(mac, stop)
	}

	// What needs more rows than the screen has is shown when it is asked for.
	s.QR = []string{"██", "▀▀"}
	if got := kit.Serving("eth0", s, 25); strings.Contains(got, "██") || !strings.Contains(kit.Serving("eth0", s, 50), "██\n▀▀\n") {
		t.Error(got)
	}

	if got := kit.QR("q", s); !strings.Contains(got, "██\n▀▀\n  "+s.Link) || kit.QR("1", s)+kit.QR("q", nil)+kit.QR("q", &wire.KitServing{}) != "" {
		t.Error(got)
	}

	s.Alone = true
	if got := kit.Serving("eth0", s, 25); !strings.Contains(got, "ATTENTION") {
		t.Error(got)
	}
}

// TestResult: nobody reads as passed but who passed, and what a disk calls itself stays
// text.
func TestResult(t *testing.T) {
	pass, fail, broken := screen.Banner("pass"), screen.Banner("fail"), screen.Banner("error")

	for verdict, want := range map[string]string{"pass": pass, "fail": fail, "error": broken, "cancelled": broken, "": broken, "PASS\n": broken} {
		if got := kit.Result(wire.KitVerdict{Verdict: verdict}); !strings.Contains(got, want) || want != pass && strings.Contains(got, pass) {
			t.Errorf("%q:\n%s", verdict, got)
		}
	}

	got := kit.Result(wire.KitVerdict{
		Verdict: "fail", Summary: "bad\x1b[2J", Findings: strings.Split(strings.Repeat("x\x07,", 30), ","), NotTested: []string{"Network"}, Folder: "f", Signer: "SHA256:s",
	})
	if strings.ContainsAny(got, "\x1b\x07") || strings.Count(got, "\n") > 25 || !strings.Contains(got, "NOT tested: Network") ||
		!strings.Contains(got, "and 23 more") || !strings.Contains(got, "reports/f/report.html") || !strings.Contains(got, "SHA256:s") {
		t.Errorf("%q", got)
	}
}

func TestBanner(t *testing.T) {
	want := "" +
		"  ########      ######      ########    ########\n" +
		"  ##      ##  ##      ##  ##          ##\n" +
		"  ########    ##########    ######      ######\n" +
		"  ##          ##      ##          ##          ##\n" +
		"  ##          ##      ##  ########    ########\n"
	if got := screen.Banner("pass"); got != want {
		t.Errorf("\n%s", got)
	}
}

// TestAddress: a machine without a network port is known by the same address at every
// boot, and by another one than its neighbour.
func TestAddress(t *testing.T) {
	one, two := core.Identity{SMBIOSUUID: "a", BoardSerial: "b"}, core.Identity{SMBIOSUUID: "a", BoardSerial: "c"}

	got := kit.Address(nil, one)
	if parsed, err := core.ParseMAC(string(got)); err != nil || parsed != got || !strings.HasPrefix(string(got), "02:") {
		t.Error(got, err)
	}

	if got != kit.Address(nil, one) || got == kit.Address(nil, two) {
		t.Error("the address is not the machine's own")
	}

	if got := kit.Address([]network.Link{{MAC: "52:54:00:00:00:01"}, {MAC: "52:54:00:00:00:02"}}, one); got != "52:54:00:00:00:01" {
		t.Error(got)
	}
}

func TestName(t *testing.T) {
	for serial, want := range map[string]string{"": "kit-host", "/ ..//": "kit-..", "CN7016\x1b[2J": "kit-CN70162J", strings.Repeat("x", 99): "kit-" + strings.Repeat("x", 32)} {
		if got := kit.Name(core.Identity{BoardSerial: serial}); got != want {
			t.Errorf("%q: %q", serial, got)
		}
	}
}

// terminal opens a pseudo terminal: what a person holds, and its name below /dev.
func terminal(t *testing.T) (person *os.File, name string) {
	t.Helper()

	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = person.Close() })

	var unlocked int32
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, person.Fd(), unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlocked))); errno != 0 {
		t.Fatal(errno)
	}

	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}

	return person, "pts/" + strconv.Itoa(n)
}

// TestDesk: whoever answers first is heard, at whichever terminal, and a line without an
// end is nobody's.
func TestDesk(t *testing.T) {
	one, oneName := terminal(t)
	two, twoName := terminal(t)
	desk := kit.OpenDesk([]string{"no-such-terminal", oneName, twoName})

	say := func(at *os.File, text string) {
		if _, err := at.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}

	for i, c := range []struct {
		at   *os.File
		name string
	}{{two, twoName}, {two, twoName}, {one, oneName}} {
		say(c.at, " "+string(rune('1'+i))+" \n")

		line, err := desk.Ask(t.Context())
		if err != nil || line.Terminal != c.name || line.Text != string(rune('1'+i)) {
			t.Errorf("%d: %+v %v", i, line, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if line, err := desk.Ask(ctx); err == nil {
		t.Errorf("%+v", line)
	}

	if err := desk.Shell(t.Context(), oneName); err == nil {
		t.Error("a shell where somebody listens")
	}
}

func TestTheLogHasRoomAlsoWhereTheStickIsNotSeen(t *testing.T) {
	for all, want := range map[int64]int64{0: 256 << 10, 4 << 20: 256 << 10, 64 << 20: 2 << 20, 1 << 40: 4 << 20} {
		if got := kit.LogRoom(all); got != want {
			t.Errorf("of %d bytes: %d, want %d", all, got, want)
		}
	}
}

// However long a stick serves, the appliance's log does not fill it; and a stick that was
// pulled ends nothing.
func TestTheLogOfTheApplianceStaysSmall(t *testing.T) {
	name := filepath.Join(t.TempDir(), "appliance.log")
	if err := os.WriteFile(name, []byte(strings.Repeat("of an earlier start\n", 4)), 0o600); err != nil {
		t.Fatal(err)
	}

	log, err := kit.OpenJournal(name, 100)
	if err != nil {
		t.Fatal(err)
	}

	for i, want := range []int64{90, 100, 10, 20} {
		if n, err := log.Write([]byte("one line.\n")); n != 10 || err != nil {
			t.Fatal(n, err)
		}

		if at, err := os.Stat(name); err != nil || at.Size() != want {
			t.Errorf("after line %d: %d bytes, not %d; %v", i+1, at.Size(), want, err)
		}

	}

	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	if n, err := log.Write([]byte("a stick is gone\n")); n != 16 || err != nil {
		t.Error(n, err)
	}
}
