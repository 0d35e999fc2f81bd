package wipeprobe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vetting/agent/wipeprobe"
)

// formatted is an image that a tool makes of an empty file.
type formatted struct {
	name    string
	size    int64
	command []string // IMAGE is the file, SOURCE a folder with one file, KEY a file of eight bytes
	input   string
	loop    bool // the tool wants a block device
	fails   bool // the tool ends with an error although it wrote
}

func imagesOfTools() []formatted {
	const mib = 1 << 20

	say := func(s string) []string { return strings.Fields(s) }

	return []formatted{
		{name: "ext2", size: 16 * mib, command: say("mkfs.ext2 -q -F -L label2 IMAGE")},
		{name: "ext3", size: 16 * mib, command: say("mkfs.ext3 -q -F -L label3 IMAGE")},
		{name: "ext4", size: 16 * mib, command: say("mkfs.ext4 -q -F -L label4 IMAGE")},
		{name: "ext4 of 4 KiB blocks", size: 256 * mib, command: say("mkfs.ext4 -q -F -b 4096 IMAGE")},
		{name: "external journal", size: 16 * mib, command: say("mke2fs -q -F -O journal_dev IMAGE")},
		{name: "xfs", size: 320 * mib, command: say("mkfs.xfs -q -f -L labelx IMAGE")},
		{name: "btrfs", size: 128 * mib, command: say("mkfs.btrfs -q -f -L labelb IMAGE")},
		{name: "FAT12", size: 4 * mib, command: say("mkfs.vfat -F 12 -n LABELF IMAGE")},
		{name: "FAT16", size: 32 * mib, command: say("mkfs.vfat -F 16 -n LABELF IMAGE")},
		{name: "FAT32", size: 64 * mib, command: say("mkfs.vfat -F 32 -n LABELF IMAGE")},
		{name: "FAT32 without a label", size: 64 * mib, command: say("mkfs.vfat -F 32 IMAGE")},
		{name: "exfat", size: 16 * mib, command: say("mkfs.exfat IMAGE")},
		{name: "ntfs", size: 16 * mib, command: say("mkfs.ntfs -F -q -f IMAGE")},
		{name: "f2fs", size: 64 * mib, command: say("mkfs.f2fs -f -q -l labelf2 IMAGE")},
		{name: "jfs", size: 32 * mib, command: say("mkfs.jfs -q -L labelj IMAGE")},
		{name: "nilfs2", size: 160 * mib, command: say("mkfs.nilfs2 -q -f -L labeln IMAGE")},
		{name: "reiserfs", size: 64 * mib, command: say("mkreiserfs -q -ff -l labelr IMAGE")},
		{name: "udf", size: 16 * mib, command: say("mkudffs IMAGE")},
		{name: "udf of 4 KiB blocks", size: 16 * mib, command: say("mkudffs -b 4096 IMAGE")},
		{name: "minix", size: 4 * mib, command: say("mkfs.minix IMAGE")},
		{name: "minix 2", size: 4 * mib, command: say("mkfs.minix -2 IMAGE")},
		{name: "minix 3", size: 4 * mib, command: say("mkfs.minix -3 IMAGE")},
		{name: "bfs", size: 4 * mib, command: say("mkfs.bfs IMAGE")},
		{name: "cramfs", command: say("mkfs.cramfs -n labelc SOURCE IMAGE")},
		{name: "squashfs", command: say("mksquashfs SOURCE IMAGE -quiet -no-progress -noappend")},
		{name: "erofs", command: say("mkfs.erofs --quiet IMAGE SOURCE")},
		{name: "swap", size: 4 * mib, command: say("mkswap -L labels IMAGE")},
		{name: "swap of 64 KiB pages", size: 4 * mib, command: say("mkswap -p 65536 IMAGE")},
		{name: "bcache backing", size: 16 * mib, command: say("make-bcache -B IMAGE")},
		{name: "bcache cache", size: 64 * mib, command: say("make-bcache -C IMAGE")},
		{name: "LUKS1", size: 16 * mib, command: say("cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 IMAGE KEY")},
		{
			name: "LUKS2", size: 32 * mib,
			command: say("cryptsetup luksFormat -q --type luks2 --label label2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 IMAGE KEY"),
		},
		{name: "verity", size: 4 * mib, command: say("veritysetup format KEY IMAGE"), fails: true},
		{
			name: "LVM2", size: 16 * mib, loop: true,
			command: append(say("pvcreate -q -ff -y --config"), "devices{use_devicesfile=0 scan_lvs=0}", "IMAGE"),
		},
		{name: "GPT", size: 16 * mib, command: say("sgdisk -n 1:0:+1M -n 2:0:0 -t 2:fd00 IMAGE")},
		{name: "GPT by sfdisk", size: 16 * mib, command: say("sfdisk -q IMAGE"), input: "label: gpt\n,2M,L\n,,L\n"},
		{name: "dos", size: 16 * mib, command: say("sfdisk -q IMAGE"), input: "label: dos\n,2M,83\n,4M,5\n,,8e\n"},
		{name: "dos without partitions", size: 16 * mib, command: say("sfdisk -q IMAGE"), input: "label: dos\n"},
		{name: "sun", size: 64 * mib, command: say("sfdisk -q IMAGE"), input: "label: sun\n"},
		{name: "sgi", size: 64 * mib, command: say("sfdisk -q IMAGE"), input: "label: sgi\n"},
	}
}

// TestFindsAllThatBlkidFinds compares on images made by the real tools.
func TestFindsAllThatBlkidFinds(t *testing.T) {
	t.Parallel()

	for _, f := range imagesOfTools() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()

			needs(t, f.command[0])

			image := f.make(t)
			got := probeFile(t, image)
			said := blkid(t, image)

			if len(said) == 0 {
				t.Fatalf("blkid finds nothing on what %s made; the test proves nothing", f.command[0])
			}

			compare(t, got, said, wipefs(t, image))

			if got.NonBlank == 0 {
				t.Errorf("%d samples, all of them blank", got.Samples)
			}
		})
	}
}

// TestFindsWhatIsLeft damages a format's first superblock and finds the rest.
func TestFindsWhatIsLeft(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		of, want string
		from, to int64
	}{
		{"GPT", "gpt", 0, 34 * 512}, // the backup alone, without a protective table, which blkid does not see
		{"ext4", "ext4", 0, 64 << 10},
		{"ext4 of 4 KiB blocks", "ext4", 0, 1 << 20},
		{"btrfs", "btrfs", 0, 1 << 20},
		{"LUKS2", "crypto_LUKS", 0, 4096},
		{"nilfs2", "nilfs2", 0, 1 << 20},
		{"FAT32", "vfat", 0, 512},
		{"ntfs", "ntfs", 0, 4096},
		{"f2fs", "f2fs", 0, 4096},
	} {
		t.Run(c.of, func(t *testing.T) {
			t.Parallel()

			all := imagesOfTools()
			f := all[slices.IndexFunc(all, func(f formatted) bool { return f.name == c.of })]
			needs(t, f.command[0])

			image := f.make(t)

			file, err := os.OpenFile(image, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}

			_, err = file.WriteAt(make([]byte, c.to-c.from), c.from)
			if err = errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}

			if got := probeFile(t, image); !slices.ContainsFunc(got.Signatures, func(s wipeprobe.Signature) bool { return s.Name == c.want }) {
				t.Errorf("with %d to %d zeroed: %+v, want %s", c.from, c.to, got.Signatures, c.want)
			}
		})
	}
}

// needs skips a test without a program.
func needs(t *testing.T, programs ...string) {
	t.Helper()

	for _, p := range append(programs, "blkid", "wipefs") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// make runs the tool.
func (f formatted) make(t *testing.T) string {
	t.Helper()

	folder := t.TempDir()
	image, key, source := filepath.Join(folder, "image"), filepath.Join(folder, "key"), filepath.Join(folder, "source")

	for path, size := range map[string]int64{image: f.size, key: 8192, source: -1} {
		if size < 0 {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}

			path, size = filepath.Join(path, "file"), 10
		}

		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}

	target := image
	if f.loop {
		target = loopDevice(t, image)
	}

	args := slices.Clone(f.command[1:])
	for i, a := range args {
		switch a {
		case "IMAGE":
			args[i] = target
		case "KEY":
			args[i] = key
		case "SOURCE":
			args[i] = source
		}
	}

	run := exec.CommandContext(t.Context(), f.command[0], args...)
	run.Stdin = strings.NewReader(f.input)

	if out, err := run.CombinedOutput(); err != nil && !f.fails {
		t.Fatalf("%s: %v\n%s", strings.Join(run.Args, " "), err, out)
	}

	return image
}

// loopDevice makes a block device of a file.
func loopDevice(t *testing.T, image string) string {
	t.Helper()

	if os.Getuid() != 0 {
		t.Skip("needs root for a loop device")
	}

	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Skipf("no loop devices here: %v", err)
	}

	device := strings.TrimSpace(string(out))

	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("detaching %s: %v %s", device, err, out)
		}
	})

	return device
}

// probeFile probes a file as a disk of 512-byte sectors.
func probeFile(t *testing.T, image string) wipeprobe.Report {
	t.Helper()

	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}

	got, err := wipeprobe.Probe(t.Context(), file, info.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}

	if len(got.Unreadable) > 0 {
		t.Errorf("unreadable regions in a file: %+v", got.Unreadable)
	}

	return got
}

// blkid asks blkid -p, which finds nothing by exit status 2.
func blkid(t *testing.T, image string) map[string]string {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), "blkid", "-p", "-o", "export", image).Output()

	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 2 && exit.ExitCode() != 8) {
		t.Fatalf("blkid: %v", err)
	}

	said := map[string]string{}

	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && key != "DEVNAME" {
			said[key] = strings.ReplaceAll(value, `\ `, " ")
		}
	}

	return said
}

// wiped is what wipefs sees.
type wiped struct {
	Type, Offset, Usage string
}

// wipefs asks wipefs, which goes on after the first find, and erases nothing.
func wipefs(t *testing.T, image string) []wiped {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), "wipefs", "--no-act", "--json", "--output", "TYPE,OFFSET,USAGE", image).Output()
	if err != nil {
		t.Fatalf("wipefs: %v", err)
	}

	var said struct{ Signatures []wiped }
	if err := json.Unmarshal(out, &said); err != nil && len(bytes.TrimSpace(out)) > 0 {
		t.Fatalf("wipefs: %v in %s", err, out)
	}

	return said.Signatures
}

// compare demands that all that was said is in the report.
func compare(t *testing.T, got wipeprobe.Report, blkid map[string]string, wipefs []wiped) {
	t.Helper()

	named := func(name string) (all []wipeprobe.Signature) {
		for _, s := range got.Signatures {
			if s.Name == name {
				all = append(all, s)
			}
		}

		return all
	}

	for _, key := range []string{"TYPE", "PTTYPE"} {
		if name := blkid[key]; name != "" && named(name) == nil {
			t.Errorf("blkid finds %s; found are %+v", name, got.Signatures)
		}
	}

	for _, pair := range []struct{ kind, label, id string }{{"TYPE", "LABEL", "UUID"}, {"PTTYPE", "", "PTUUID"}} {
		for _, s := range named(blkid[pair.kind]) {
			// The volume set of UDF is in a descriptor that nobody needs to know it.
			if id := blkid[pair.id]; s.UUID != id && id != "" && s.Name != "udf" {
				t.Errorf("%s has UUID %q, blkid says %q", s.Name, s.UUID, id)
			}

			if label := blkid[pair.label]; pair.label != "" && s.Label != label && s.Name != "udf" {
				t.Errorf("%s has label %q, blkid says %q", s.Name, s.Label, label)
			}

			if usage := blkid["USAGE"]; pair.kind == "TYPE" && s.Usage != usage {
				t.Errorf("%s is used as %q, blkid says %q", s.Name, s.Usage, usage)
			}
		}
	}

	for _, w := range wipefs {
		at, err := strconv.ParseInt(w.Offset, 0, 64)
		if err != nil {
			t.Fatal(err)
		}

		// What makes a FAT is all over its boot sector, and a label of ZFS has many uberblocks.
		same := func(s wipeprobe.Signature) bool {
			return s.Offset == at || s.Name == "vfat" && s.Offset/512 == at/512 || s.Name == "zfs_member" && s.Offset>>18 == at>>18
		}

		if !slices.ContainsFunc(named(w.Type), same) {
			t.Errorf("wipefs finds %s at %s; found are %+v", w.Type, w.Offset, got.Signatures)
		}
	}
}
