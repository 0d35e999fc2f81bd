package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
	"vetting/initramfs/stick"
)

// pretend is a machine with one stick, which is memory.
type pretend struct {
	blockdev.Handle

	disk    diskguard.Disk
	content []byte
	opened  int
	worn    int // a byte that takes nothing; 0: none
	pulled  int // after so many writes, the next one fails; 0: not
}

func newPretend() *pretend {
	const size = 96 << 20

	return &pretend{
		disk:    diskguard.Disk{Name: "sdb", Number: "8:16", Serial: "AA01", Model: "Maker Stick", SizeBytes: size, Block: 512, Transport: "usb"},
		content: make([]byte, size),
	}
}

func (p *pretend) Survey(time.Duration) ([]diskguard.Disk, error) {
	return []diskguard.Disk{p.disk}, nil
}
func (p *pretend) Read(string) (blockdev.ReadHandle, error) { return p, nil }

func (p *pretend) Write(name string, d diskguard.Decision) (blockdev.Handle, error) {
	if !d.Allows(name) {
		return nil, errors.New("without a decision")
	}

	p.opened++

	return p, nil
}

func (p *pretend) Look() (diskguard.Opened, error) {
	return diskguard.Opened{Exclusive: true, Number: p.disk.Number, Serial: p.disk.Serial, SizeBytes: p.disk.SizeBytes, Block: 512}, nil
}

func (p *pretend) WriteAt(b []byte, at int64) (int, error) {
	if p.pulled == 1 {
		return 0, errors.New("no such device")
	}

	p.pulled = max(0, p.pulled-1)
	old := p.content[p.worn]
	n := copy(p.content[at:], b)

	if p.worn > 0 {
		p.content[p.worn] = old
	}

	return n, nil
}

func (p *pretend) ReadAt(b []byte, at int64) (int, error) { return copy(b, p.content[at:]), nil }
func (p *pretend) Flush() error                           { return nil }
func (p *pretend) Close() error                           { return nil }

// small lays out an image of which nothing boots.
func small(size, persist int64, _ []string) (*stick.Disk, func(), error) {
	image, err := stick.Make(stick.Config{
		Content: stick.Content{Loaders: stick.Loaders{Sector: make([]byte, 432), ISOLINUX: bytes.Repeat([]byte{7}, 4096)}, Kernel: bytes.Repeat([]byte("kernel"), 9999), Segments: [][]byte{{1, 2, 3}}},
		Disk:    stick.GUID{1}, Boot: stick.GUID{2}, Data: stick.GUID{3}, Room: max(16<<20, persist), Size: size, Most: persist, Now: time.Unix(1e9, 0),
	})

	return image, func() {}, err
}

// leadTo has every device be that node of that number.
func leadTo(node, number string) func(string) (string, string, error) {
	return func(string) (string, string, error) { return node, number, nil }
}

// write has a stick written to which a link leads.
func (p *pretend) write(t *testing.T, w writing, typed string) (said string, err error) {
	t.Helper()

	w.device = "/dev/disk/by-id/stick"
	w.locate = leadTo("/dev/"+p.disk.Name, p.disk.Number)

	var out, errs bytes.Buffer

	c := &cli{out: &out, errs: &errs}
	err = c.writeStick(t.Context(), p, small, w, strings.NewReader(typed))

	return out.String() + errs.String(), err
}

// TestAStickIsWritten: the whole stick is the image, its data partition fills it, and it
// was read back.
func TestAStickIsWritten(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		w     writing
		typed string
	}{"typed": {writing{}, "AA01\n"}, "named": {writing{serial: "AA01"}, ""}} {
		p := newPretend()

		said, err := p.write(t, c.w, c.typed)
		if err != nil || !strings.Contains(said, "reading back: ") || strings.Contains(said, "/dev/disk/by-id/stick (/dev/sdb): Maker Stick, serial number AA01") != (c.typed != "") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}

		image, _, err := small(int64(len(p.content)), 0, nil)
		if err != nil {
			t.Fatal(err)
		}

		var want bytes.Buffer
		if _, err := image.WriteTo(&want); err != nil || image.Size != int64(len(p.content)) || !bytes.Equal(want.Bytes(), p.content) {
			t.Errorf("%s: the stick is not the image of %d bytes: %v", name, image.Size, err)
		}
	}
}

// TestTheDataPartitionIsAsLargeAsSaid: the rest of the stick is free, and the second table is at
// its end all the same.
func TestTheDataPartitionIsAsLargeAsSaid(t *testing.T) {
	t.Parallel()

	p := newPretend()
	if _, err := p.write(t, writing{serial: "AA01", persist: 40 << 20}, ""); err != nil {
		t.Fatal(err)
	}

	entry := p.content[2*512+128:] // the second of the table (UEFI 5.3.3)
	first, last := binary.LittleEndian.Uint64(entry[32:]), binary.LittleEndian.Uint64(entry[40:])

	if size := (last - first + 1) * 512; size != 40<<20 || !bytes.Equal(p.content[len(p.content)-512:][:8], []byte("EFI PART")) {
		t.Errorf("the data partition has %d MiB, and the stick ends in %q", size>>20, p.content[len(p.content)-512:][:8])
	}

	if blocks := binary.LittleEndian.Uint32(p.content[first*512+1024+4:]); blocks*4096 != 40<<20 { // the superblock's
		t.Errorf("its file system has %d blocks", blocks)
	}
}

// TestADataPartitionThatDoesNotFit: the error says what does, and nothing is asked or written.
func TestADataPartitionThatDoesNotFit(t *testing.T) {
	t.Parallel()

	p := newPretend()

	said, err := p.write(t, writing{serial: "AA01", persist: 200 << 20}, "")

	m := regexp.MustCompile(`--persist 200M is too large for .*: of its 96 MiB .* so that --persist (\d+)M fits at most`).FindStringSubmatch(fmt.Sprint(err))
	if m == nil || p.opened > 0 || said != "" {
		t.Fatalf("%v\n%s", err, said)
	}

	most, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := p.write(t, writing{serial: "AA01", persist: most << 20}, ""); err != nil {
		t.Errorf("what is said to fit: %v", err)
	}

	if _, err := p.write(t, writing{serial: "AA01", persist: (most + 1) << 20}, ""); err == nil {
		t.Error("a MiB more than is said to fit does")
	}

	for text, want := range map[string]int64{"": 0, "35M": 35 << 20, "8G": 8 << 30, "8g": 8 << 30} {
		if got, err := parsePersist(text); got != want || err != nil {
			t.Errorf("%q is %d: %v", text, got, err)
		}
	}

	for text, says := range map[string]string{"34M": "35M at least", "1M": "35M at least", "0": "leave --persist out", "none": "leave --persist out", "0G": "is no size", "-8G": "is no size", "8": "is no size", "99T": "is no size"} {
		if got, err := parsePersist(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %d: %v", text, got, err)
		}
	}
}

// TestAStickIsNotWritten: nobody said that it is meant, or it is none.
func TestAStickIsNotWritten(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		spoil func(*pretend)
		w     writing
		typed string
		says  string
		asks  bool
	}{
		"nobody answers":   {nil, writing{}, "", "nobody answered", true},
		"another is typed": {nil, writing{}, "yes\n", "stick/not-meant", true},
		"another is named": {nil, writing{serial: "AA02"}, "", "stick/not-meant", false},
		"a disk":           {func(p *pretend) { p.disk.Transport = "sata" }, writing{serial: "AA01"}, "", "stick/not-usb", false},
		"another disk":     {func(p *pretend) { p.disk.Transport = "sata" }, writing{fixed: "AA02"}, "", "stick/not-usb", false},
		"mounted":          {func(p *pretend) { p.disk.Mounts = []string{"/"} }, writing{fixed: "AA01"}, "AA01\n", "mounted at /", false},
		"too small":        {func(p *pretend) { p.disk.SizeBytes = 1 << 20 }, writing{serial: "AA01"}, "", "stick/too-small", false},
		"no serial number": {func(p *pretend) { p.disk.Serial = "" }, writing{}, "AA01\n", "stick/not-meant", true},
	} {
		p := newPretend()
		if c.spoil != nil {
			c.spoil(p)
		}

		said, err := p.write(t, c.w, c.typed)
		if err == nil || p.opened > 0 || !strings.Contains(err.Error(), c.says) || strings.Contains(said, "All that is on it will be lost") != c.asks {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// TestAPartitionIsNoStick: what is named must be one of the machine's disks.
func TestAPartitionIsNoStick(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ node, number, says string }{
		"a partition":        {"/dev/sdb1", "8:17", "/dev/sdb1 is no whole disk"},
		"another's number":   {"/dev/sdb", "8:0", "/dev/sdb is block device 8:0, and sdb of this machine is 8:16"},
		"a node of its name": {"/tmp/sdb", "7:0", "/tmp/sdb is block device 7:0, and sdb of this machine is 8:16"},
	} {
		var out bytes.Buffer

		p := newPretend()
		err := (&cli{out: &out, errs: &out}).writeStick(t.Context(), p, small, writing{device: c.node, locate: leadTo(c.node, c.number)}, strings.NewReader("AA01\n"))

		if err == nil || !strings.Contains(err.Error(), c.says) || p.opened > 0 || out.Len() > 0 {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}

// TestOnlyABlockDeviceIsNamed: what a name leads to is what counts, and where it ends in a
// file or a terminal, nothing is written.
func TestOnlyABlockDeviceIsNamed(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	file, link, node := filepath.Join(dir, "sdb"), filepath.Join(dir, "by-id"), filepath.Join(dir, "sdc")

	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	if err := os.Symlink(node, link); err != nil {
		t.Fatal(err)
	}

	for _, device := range []string{file, "/dev/null", dir} {
		var out bytes.Buffer

		p := newPretend()
		err := (&cli{out: &out, errs: &out}).writeStick(t.Context(), p, small, writing{device: device, serial: "AA01", locate: nodeOf}, strings.NewReader(""))

		if err == nil || !strings.Contains(err.Error(), device+" is no block device") || p.opened > 0 {
			t.Errorf("%s: %v", device, err)
		}
	}

	if _, _, err := nodeOf(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}

	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(240, 77))); err != nil { // of no driver, and nobody opens it
		t.Skipf("this test may make no device nodes: %v", err)
	}

	if got, number, err := nodeOf(link); got != node || number != "240:77" || err != nil {
		t.Error(got, number, err)
	}
}

// TestAStickThatIsSwappedIsNotWritten: of two sticks without serial numbers, the one that
// takes the other's place while the question waits is not the one that was shown.
func TestAStickThatIsSwappedIsNotWritten(t *testing.T) {
	t.Parallel()

	for name, swap := range map[string]func(*pretend){
		"a larger one":         func(p *pretend) { p.disk.SizeBytes += 1 << 20 },
		"another number":       func(p *pretend) { p.disk.Number = "8:32" },
		"one of the same size": func(p *pretend) { p.disk.Attached = "10" },
	} {
		p := newPretend()
		p.disk.Serial, p.disk.Attached = "", "9"

		var out bytes.Buffer

		w := writing{device: "/dev/sdb", locate: leadTo("/dev/sdb", p.disk.Number)}
		err := (&cli{out: &out, errs: &out}).writeStick(t.Context(), p, small, w, &slowAnswer{func() { swap(p) }, strings.NewReader("Maker Stick\n")})

		if err == nil || !strings.Contains(err.Error(), "storage/changed") || !strings.Contains(out.String(), "All that is on it will be lost") || p.opened > 0 {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}

// slowAnswer is somebody who does something before they answer.
type slowAnswer struct {
	before func()
	words  *strings.Reader
}

func (s *slowAnswer) Read(b []byte) (int, error) {
	s.before()
	s.before = func() {}

	return s.words.Read(b)
}

// TestAWornStickIsFound: what is read back is what counts.
func TestAWornStickIsFound(t *testing.T) {
	t.Parallel()

	p := newPretend()

	image, _, err := small(int64(len(p.content)), 0, nil)
	if err != nil {
		t.Fatal(err)
	}

	var whole bytes.Buffer
	if _, err := image.WriteTo(&whole); err != nil {
		t.Fatal(err)
	}

	for p.worn = 1 << 20; whole.Bytes()[p.worn] == 0; p.worn++ { // where the image has something
	}

	if _, err := p.write(t, writing{serial: "AA01"}, ""); err == nil || !strings.Contains(err.Error(), "the medium is bad") {
		t.Error(err)
	}
}

// TestAStickThatIsPulledIsNoKit: whenever the plug is pulled, what is on the stick is the
// kit, whole, or nothing that firmware starts; also where a kit was on it before. The next
// writing makes it good.
func TestAStickThatIsPulledIsNoKit(t *testing.T) {
	t.Parallel()

	p := newPretend()

	if _, err := p.write(t, writing{serial: "AA01"}, ""); err != nil {
		t.Fatal(err)
	}

	whole := bytes.Clone(p.content)
	end, behind := len(whole)-512, len(whole)-33*512 // the header of the second table, and where its entries begin

	for at, over := 2, false; !over; at++ {
		p.pulled = at
		_, err := p.write(t, writing{serial: "AA01"}, "")
		over = err == nil

		switch tables := !bytes.Equal(p.content[:1024], make([]byte, 1024)) || !bytes.Equal(p.content[end:], make([]byte, 512)); {
		case at == 2 && over:
			t.Fatal("nothing was pulled")
		case tables && !bytes.Equal(whole[1<<20:behind], p.content[1<<20:behind]):
			t.Fatalf("pulled at write %d: tables, and no kit behind them", at)
		case over && !bytes.Equal(p.content, whole):
			t.Fatal("written anew, it is not what it was")
		}

		// Whatever was behind the tables is not there by chance.
		if !over {
			clear(p.content[1<<20 : behind])
		}
	}
}

// TestADiskThatIsMeantIsWritten: whoever names its serial number for that has a disk
// overwritten that is no stick.
func TestADiskThatIsMeantIsWritten(t *testing.T) {
	t.Parallel()

	p := newPretend()
	p.disk.Transport = "sata"

	if said, err := p.write(t, writing{fixed: "AA01"}, ""); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// A kit with a program that its system cannot start would fail at the rack, after an
// hour of waiting.
func TestOnlyAProgramThatStandsAloneGoesOnAStick(t *testing.T) {
	t.Parallel()

	program := func(machine elf.Machine, parts ...elf.ProgType) string {
		var b bytes.Buffer

		header := elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}, Type: uint16(elf.ET_EXEC),
			Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(parts)), //nolint:gosec // a few
		}
		_ = binary.Write(&b, binary.LittleEndian, header) // into memory

		for _, kind := range parts {
			_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(kind)})
		}

		return b.String()
	}

	for name, c := range map[string]struct{ program, want string }{
		"static":      {program(elf.EM_X86_64, elf.PT_LOAD), ""},
		"with loader": {program(elf.EM_X86_64, elf.PT_INTERP, elf.PT_LOAD), "make build"},
		"for arm64":   {program(elf.EM_AARCH64, elf.PT_LOAD), "for AARCH64"},
		"a script":    {"#!/bin/sh\n", "reading the own program"},
	} {
		err := standsAlone(strings.NewReader(c.program))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
