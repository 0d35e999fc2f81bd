package collect_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/core"
)

// source lets a recording be recorded again.
func source(r *collect.Recording) collect.Source {
	return collect.Source{
		Root: r.Root, Bus: r.Disks, Ports: r.Ports, BMC: r.BMC, Kmsg: func() ([]byte, error) { return r.Kmsg, nil },
	}
}

// unpack opens an archive as a person would who adds a machine.
func unpack(t *testing.T, files collect.Files) *collect.Recording {
	t.Helper()

	var archive bytes.Buffer
	if err := files.WriteArchive(&archive, "a-machine"); err != nil {
		t.Fatal(err)
	}

	plain, err := zstd.NewReader(&archive)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()

	folder := fstest.MapFS{}

	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			t.Fatal(err)
		}

		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}

		if header.Typeflag == tar.TypeReg {
			folder[header.Name] = &fstest.MapFile{Data: content}
		}
	}

	r, err := collect.Open(folder, "a-machine")
	if err != nil {
		t.Fatal(err)
	}

	return r
}

// inventory is what the probes find, however little of it answers.
func inventory(t *testing.T, r *collect.Recording) core.Inventory {
	t.Helper()

	inv, err := r.Machine().Inventory("")
	if err != nil {
		t.Log(err)
	}

	return inv
}

func record(t *testing.T, r *collect.Recording) collect.Files {
	t.Helper()

	files, err := collect.Record(t.Context(), source(r))
	if err != nil {
		t.Fatal(err)
	}

	return files
}

// TestRecord: what was recorded is enough for every probe, and its name is the
// machine's.
func TestRecord(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		files := record(t, r)
		again := unpack(t, files)

		if diff := cmp.Diff(inventory(t, r), inventory(t, again)); diff != "" {
			t.Errorf("the recording of the recording is another machine:\n%s", diff)
		}

		before, _ := r.Machine().Firmware("")
		after, _ := again.Machine().Firmware("")

		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}

		if lost := missing(r.Root, again.Root); len(lost) > 0 {
			t.Errorf("the rules pass over %v", lost)
		}

		if !bytes.Equal(again.Kmsg, r.Kmsg) {
			t.Error("the kernel's log is another")
		}

		if !fs.ValidPath(files.FolderName()) || strings.Contains(files.FolderName(), "/") {
			t.Errorf("its folder is called %q", files.FolderName())
		}

		// A recording of a recording of a recording changes nothing any more.
		if !bytes.Equal(files["tree"], record(t, again)["tree"]) {
			t.Error("recorded twice, the tree is another")
		}
	})
}

// missing lists the files of one tree that another does not have.
func missing(a, b *collect.Tree) (names []string) {
	_ = fs.WalkDir(a, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a folder that cannot be read has no files
		}

		if _, err := b.Lstat(name); err != nil {
			names = append(names, name)
		}

		return nil
	})

	return names
}

// secrets lists what identifies a machine, as its probes tell it.
func secrets(t *testing.T, r *collect.Recording) (list []string) {
	t.Helper()

	inv := inventory(t, r)
	list = append(list, inv.System.UUID, inv.System.Serial, inv.Board.Serial, inv.Chassis.Serial, inv.Chassis.AssetTag)

	for _, d := range inv.DIMMs {
		list = append(list, d.Serial)
	}

	for _, d := range inv.Disks {
		list = append(list, d.Serial, d.WWN)
	}

	for _, c := range inv.CPUs {
		list = append(list, c.Serial, strings.TrimPrefix(c.PPIN, "0x"))
	}

	for _, p := range inv.PSUs {
		list = append(list, p.Serial)
	}

	for _, g := range inv.GPUs {
		list = append(list, strings.TrimPrefix(g.UUID, "GPU-"))
	}

	for _, u := range inv.USB {
		list = append(list, u.Serial)
	}

	for _, n := range inv.NICs {
		if n.Transceiver != nil {
			list = append(list, n.Transceiver.Serial)
		}

		list = append(list, string(n.MAC), strings.ReplaceAll(string(n.MAC), ":", ""), strings.ReplaceAll(string(n.MAC), ":", "-"))
	}

	return slices.DeleteFunc(list, func(s string) bool { return len(s) < 5 })
}

// shape is an inventory without what identifies the machine.
func shape(inv core.Inventory) core.Inventory {
	inv.System.UUID, inv.System.Serial, inv.Board.Serial, inv.Chassis.Serial, inv.Chassis.AssetTag = "", "", "", "", ""

	for i := range inv.CPUs {
		inv.CPUs[i].Serial, inv.CPUs[i].PPIN = "", ""
	}

	for i := range inv.PSUs {
		inv.PSUs[i].Serial = ""
	}

	for i := range inv.GPUs {
		inv.GPUs[i].UUID = ""
	}

	for i := range inv.USB {
		inv.USB[i].Serial = ""
	}

	if inv.BMC != nil {
		inv.BMC.MAC = ""
	}

	for i := range inv.DIMMs {
		inv.DIMMs[i].Serial = ""
	}

	for i := range inv.Disks {
		inv.Disks[i].Serial, inv.Disks[i].WWN = "", ""
	}

	for i := range inv.NICs {
		inv.NICs[i].MAC = ""

		if inv.NICs[i].Transceiver != nil {
			inv.NICs[i].Transceiver.Serial = ""
		}
	}

	return inv
}

// TestScrub: no secret is left, in any way of writing it, and the machine is the
// same in all else.
func TestScrub(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		files := record(t, r)

		clean, err := files.Scrub([]byte("a key"))
		if err != nil {
			t.Fatal(err)
		}

		for name, content := range clean {
			for _, secret := range secrets(t, r) {
				for _, form := range []string{secret, strings.ToUpper(secret), hex.EncodeToString([]byte(secret))} {
					if bytes.Contains(content, []byte(form)) {
						t.Errorf("%s still holds %q", name, form)
					}
				}
			}
		}

		before, after := inventory(t, r), inventory(t, unpack(t, clean))

		for i := range before.NICs {
			if a, b := before.NICs[i].MAC, after.NICs[i].MAC; a != "" && (a == b || a[:8] != b[:8]) {
				t.Errorf("address %s has become %s", a, b)
			}
		}

		for i := range before.Disks {
			if a, b := before.Disks[i], after.Disks[i]; a.Serial != "" && a.Serial == b.Serial || len(a.WWN) != len(b.WWN) || a.WWN != "" && a.WWN == b.WWN {
				t.Errorf("disk %s %s has become %s %s", a.Serial, a.WWN, b.Serial, b.WWN)
			}
		}

		if diff := cmp.Diff(shape(before), shape(after)); diff != "" {
			t.Errorf("scrubbing changed the machine:\n%s", diff)
		}
	})
}

// TestScrubKeepsRelations: what named the same thing in two places still does, and
// another key gives other stand-ins.
func TestScrubKeepsRelations(t *testing.T) {
	files := record(t, machines.Open(t, "supermicro-x11dpi-n-3.3"))
	stand := map[string]string{}

	for _, key := range []string{"one", "two"} {
		clean, err := files.Scrub([]byte(key))
		if err != nil {
			t.Fatal(err)
		}

		r := unpack(t, clean)
		inv := inventory(t, r)

		wwid, err := r.Root.ReadFile("sys/block/sda/device/wwid")
		if err != nil || strings.TrimSpace(string(wwid)) != "naa."+inv.Disks[0].WWN {
			t.Errorf("the disk says %q, its driver %q %v", inv.Disks[0].WWN, wwid, err)
		}

		if cmdline := probe.Cmdline(r.Root); !strings.Contains(cmdline, "BOOTIF=01-"+strings.ReplaceAll(string(inv.NICs[0].MAC), ":", "-")) {
			t.Errorf("%s is not in %s", inv.NICs[0].MAC, cmdline)
		}

		// Checksums hold, or the disks would be said to be broken.
		dev, err := r.Disks.SCSI("sda")
		if err != nil {
			t.Fatal(err)
		}

		if id, err := disk.ReadIdentify(disk.ATAOver(dev)); err != nil || !id.ChecksumValid {
			t.Errorf("identity %+v %v", id, err)
		}

		stand[inv.Disks[0].Serial] = key
	}

	one, err := files.Scrub([]byte("a key"))
	if err != nil {
		t.Fatal(err)
	}

	if two, err := files.Scrub([]byte("a key")); err != nil || !maps.EqualFunc(one, two, bytes.Equal) {
		t.Errorf("the same key gives another recording: %v", err)
	}

	if len(stand) != 2 {
		t.Errorf("two keys give the same stand-ins: %v", stand)
	}
}

// TestScrubText hides what stands in the kernel's log and command line only.
func TestScrubText(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")
	r.Kmsg = []byte("6,1,2,-;neighbour 52:54:00:AB:CD:EF on rack-7-u12 has root=UUID=6ba7b810-9dad-11d1-80b4-00c04fd430c8\n" +
		"6,2,3,-;igb 5.6.0-k at 00:00:00:00:00:00 and ff:ff:ff:ff:ff:ff, rack-7-u12x\n")

	if err := errors.Join(
		r.Root.Put("proc/sys/kernel/hostname", []byte("rack-7-u12\n")),
		r.Root.Put("proc/cmdline", []byte("ip=10.1.2.3::10.1.2.1 vetting.token=abc root=/dev/sda ADMIN_PASSWORD=x\n")),
		r.Root.Put("sys/class/net/enx525400abcdef/mtu", []byte("1500\n")),
	); err != nil {
		t.Fatal(err)
	}

	files := record(t, r)
	if text := string(files["tree"]); strings.Contains(text, "=abc") || strings.Contains(text, "PASSWORD=x") || !strings.Contains(text, "vetting.token=hidden root=/dev/sda") {
		t.Errorf("passwords are in the recording: %s", regexp.MustCompile(`(?m)^cmdline.*`).FindString(text))
	}

	clean, err := files.Scrub([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}

	log := string(clean["kmsg"])
	for _, part := range []string{"5.6.0-k", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "u12x", "neighbour 52:54:00:"} {
		if !strings.Contains(log, part) {
			t.Errorf("%q is gone: %s", part, log)
		}
	}

	all := log + string(clean["tree"])
	for _, part := range []string{"AB:CD:EF", "rack-7-u12 ", "rack-7-u12\n", "6ba7b810", "10.1.2.3", "10.1.2.1", "enx525400abcdef"} {
		if strings.Contains(all, part) {
			t.Errorf("%q is left", part)
		}
	}
}

// The kernel lets a host be called anything.
func TestScrubHostNames(t *testing.T) {
	for host, text := range map[string]string{
		"zürich-ä": "on zürich-ä: up", "räck-7": "räck-7,räck-7", "broken\xf0\xa9name": "6,1,1,-;broken\xf0\xa9name", "a.b.c": "a.b.c\n",
	} {
		r := machines.Open(t, "firecracker-microvm")
		if err := r.Root.Put("proc/sys/kernel/hostname", []byte(host+"\n")); err != nil {
			t.Fatal(err)
		}

		r.Kmsg = []byte(text + " and x" + host + " or " + host + "é")

		clean, err := record(t, r).Scrub([]byte("k"))
		if err != nil {
			t.Fatal(err)
		}

		if log := string(clean["kmsg"]); strings.Count(log, host) != 2 || !strings.HasSuffix(log, " or "+host+"é") {
			t.Errorf("of %q is left: %q", host, log)
		}
	}
}

// TestUnread: what nobody may read, or nobody answers, is named, and all the rest
// is there.
func TestUnread(t *testing.T) {
	r := machines.Open(t, "supermicro-x11dpi-n-3.3")

	if err := errors.Join(r.Root.Fail("sys/firmware/dmi/tables/DMI", "permission denied"), r.Root.Fail("sys/class/net/eno2/speed", "invalid argument")); err != nil {
		t.Fatal(err)
	}

	from := source(r)
	from.Kmsg = func() ([]byte, error) { return nil, fs.ErrPermission }
	from.Bus = deaf{}

	files, err := collect.Record(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}

	unread := strings.Join(files.Unread(), "\n")
	for _, part := range []string{"sys/firmware/dmi/tables/DMI: permission denied", "kernel log: ", "disk sdf: "} {
		if !strings.Contains(unread, part) {
			t.Errorf("%q is not in\n%s", part, unread)
		}
	}

	if strings.Contains(unread, "eno2") {
		t.Errorf("a port without a link is no fault: %s", unread)
	}

	if n := len(unpack(t, files).Machine().NICs("")); n != 2 {
		t.Errorf("%d ports", n)
	}
}

// deaf is a bus whose disks nobody may open.
type deaf struct{}

func (deaf) SCSI(string) (disk.SCSI, error) { return nil, fs.ErrPermission }
func (deaf) NVMe(string) (disk.NVMe, error) { return nil, fs.ErrPermission }

// TestRecordEnds: a recording that is stopped ends.
func TestRecordEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if files, err := collect.Record(ctx, source(machines.Open(t, "supermicro-x11dpi-n-3.3"))); !errors.Is(err, context.Canceled) {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// TestOpenRefuses: a folder that is no recording says which file is at fault.
func TestOpenRefuses(t *testing.T) {
	for name, content := range map[string]string{"tree": "|x", "disks.jsonl": "{", "ports.json": "[]", "bmc.jsonl": "{"} {
		folder := fstest.MapFS{"m/tree": &fstest.MapFile{}, path.Join("m", name): &fstest.MapFile{Data: []byte(content)}}
		if _, err := collect.Open(folder, "m"); err == nil || !strings.Contains(err.Error(), "opening recording m") {
			t.Errorf("%s: %v", name, err)
		}
	}

	if _, err := collect.Open(fstest.MapFS{}, "m"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
