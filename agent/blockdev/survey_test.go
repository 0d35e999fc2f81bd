package blockdev_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/core/diskguard"
)

// silent is a bus on which no disk answers.
type silent struct{}

func (silent) SCSI(name string) (disk.SCSI, error) {
	return nil, fmt.Errorf("%s: %w", name, disk.ErrRefused)
}

func (silent) NVMe(name string) (disk.NVMe, error) {
	return nil, fmt.Errorf("%s: %w", name, disk.ErrRefused)
}

const mountinfo = "1 1 0:2 / / rw - rootfs rootfs rw\n22 1 0:21 / /proc rw - proc proc rw\n"

// host is a machine with one virtio disk, which needs nobody to answer.
func host() fstest.MapFS {
	return fstest.MapFS{
		"proc/self/mountinfo": {Data: []byte(mountinfo)}, "proc/swaps": {Data: []byte("Filename\tType\n")},
		"sys/block/vda": {Data: []byte("../devices/pci0000:00/0000:00:05.0/virtio2/block/vda"), Mode: fs.ModeSymlink},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/dev":                      {Data: []byte("254:0\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/ro":                       {Data: []byte("0\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/removable":                {Data: []byte("0\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/size":                     {Data: []byte("2048\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/serial":                   {Data: []byte("V1\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/queue/logical_block_size": {Data: []byte("512\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda1/partition":           {Data: []byte("1\n")},
		"sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda1/dev":                 {Data: []byte("254:1\n")},
	}
}

const vda = "sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/"

func TestWhatASurveySees(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

	for name, c := range map[string]struct {
		files fstest.MapFS
		bad   func(d diskguard.Disk) bool // the sign that it was seen
	}{
		"host-managed zones":   {fstest.MapFS{vda + "queue/zoned": file("host-managed\n")}, func(d diskguard.Disk) bool { return d.Zoned }},
		"mounted":              {fstest.MapFS{"proc/self/mountinfo": file(mountinfo + "30 1 254:0 / /data rw - ext4 /dev/vda rw\n")}, func(d diskguard.Disk) bool { return slices.Equal(d.Mounts, []string{"/data"}) }},
		"a mounted partition":  {fstest.MapFS{"proc/self/mountinfo": file(mountinfo + "30 1 254:1 / /data rw shared:1 - ext4 /dev/vda1 rw\n")}, func(d diskguard.Disk) bool { return slices.Equal(d.Mounts, []string{"/data"}) }},
		"btrfs":                {fstest.MapFS{"proc/self/mountinfo": file(mountinfo + "30 1 0:44 / /data rw - btrfs /dev/vda1 rw\n")}, func(d diskguard.Disk) bool { return slices.Equal(d.Mounts, []string{"/data"}) }},
		"swap":                 {fstest.MapFS{"proc/swaps": file("Filename Type\n/dev/vda1 partition 1 0 -2\n")}, func(d diskguard.Disk) bool { return slices.Equal(d.Swap, []string{"vda1"}) }},
		"an array":             {fstest.MapFS{vda + "holders/md127": file("")}, func(d diskguard.Disk) bool { return slices.Equal(d.Holders, []string{"md127"}) }},
		"a mapped partition":   {fstest.MapFS{vda + "vda1/holders/dm-0": file("")}, func(d diskguard.Disk) bool { return slices.Equal(d.Holders, []string{"dm-0"}) }},
		"how many came before": {fstest.MapFS{vda + "diskseq": file("9\n")}, func(d diskguard.Disk) bool { return d.Attached == "9" }},
		"read-only":            {fstest.MapFS{vda + "ro": file("1\n")}, func(d diskguard.Disk) bool { return d.ReadOnly }},
		"removable":            {fstest.MapFS{vda + "removable": file("1\n")}, func(d diskguard.Disk) bool { return d.Removable }},
		"no word of removable": {fstest.MapFS{vda + "removable": file("")}, func(d diskguard.Disk) bool { return d.Removable }},
		"no word of ro":        {fstest.MapFS{vda + "ro": file("")}, func(d diskguard.Disk) bool { return len(d.Unknown) == 1 }},
		"mounts of a strange form": {fstest.MapFS{"proc/self/mountinfo": file("what\n")}, func(d diskguard.Disk) bool {
			return len(d.Unknown) == 1 && strings.Contains(d.Unknown[0], "mounted")
		}},
	} {
		files := host()
		maps.Copy(files, c.files)

		disks := blockdev.Survey(probe.Machine{Root: files, Bus: silent{}})
		if len(disks) != 1 || !c.bad(disks[0]) {
			t.Errorf("%s: %+v", name, disks)
		}
	}

	disks := blockdev.Survey(probe.Machine{Root: host(), Bus: silent{}})
	if d := disks[0]; len(disks) != 1 || d.Number != "254:0" || d.Serial != "V1" || d.SizeBytes != 1<<20 || d.Block != 512 ||
		len(d.Unknown)+len(d.Holders)+len(d.Mounts)+len(d.Swap)+len(d.Paths) > 0 || d.ReadOnly || d.Removable || d.Network != "" {
		t.Errorf("a plain disk: %+v", disks)
	}
}

// Disks that are reached over a network, or by several ways, are told by where they
// hang in the tree of devices.
func TestDisksOfANetwork(t *testing.T) {
	for name, c := range map[string]struct {
		disk, target, network string
		paths                 int
		files                 map[string]string
	}{
		"local SCSI":     {"sda", "pci0000:00/0000:00:05.0/host2/target2:0:0/2:0:0:0/block/sda", "", 0, nil},
		"iSCSI":          {"sda", "platform/host3/session1/target3:0:0/3:0:0:1/block/sda", "iSCSI", 0, nil},
		"Fibre Channel":  {"sda", "pci0000:00/0000:00:05.0/host2/rport-2:0-1/target2:0:0/2:0:0:0/block/sda", "Fibre Channel or another fabric", 0, nil},
		"NVMe":           {"nvme0n1", "pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", "", 0, map[string]string{"sys/class/nvme/nvme0/transport": "pcie"}},
		"NVMe over TCP":  {"nvme0n1", "virtual/nvme-fabrics/ctl/nvme0/nvme0n1", "nvme/tcp", 0, map[string]string{"sys/class/nvme/nvme0/transport": "tcp"}},
		"NVMe by 1 way":  {"nvme0n1", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "", 0, map[string]string{"sys/class/nvme/nvme3/transport": "pcie", "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme3/x": ""}},
		"NVMe by 2 ways": {"nvme0n1", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "", 2, map[string]string{"sys/class/nvme/nvme3/transport": "pcie", "sys/class/nvme/nvme4/transport": "pcie", "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme3/x": "", "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme4/x": ""}},
	} {
		files := fstest.MapFS{
			"proc/self/mountinfo":               {Data: []byte(mountinfo)},
			"sys/block/" + c.disk:               {Data: []byte("../devices/" + c.target), Mode: fs.ModeSymlink},
			"sys/devices/" + c.target + "/size": {Data: []byte("2048")}, "sys/devices/" + c.target + "/ro": {Data: []byte("0")},
			"sys/devices/" + c.target + "/removable": {Data: []byte("0")},
		}
		for path, text := range c.files {
			files[path] = &fstest.MapFile{Data: []byte(text)}
		}

		disks := blockdev.Survey(probe.Machine{Root: files, Bus: silent{}})
		if len(disks) != 1 || disks[0].Network != c.network || len(disks[0].Paths) != c.paths {
			t.Errorf("%s: %+v", name, disks)
		}

		// Nobody answers here, so that reservations are not known.
		if len(disks) == 1 && len(disks[0].Unknown) == 0 {
			t.Errorf("%s: nothing is unknown of a disk that does not answer", name)
		}
	}
}

func TestLive(t *testing.T) {
	for name, c := range map[string]struct {
		mounts string
		live   bool
	}{
		"the live system":    {mountinfo, true},
		"a system on a disk": {"1 1 8:1 / / rw - ext4 /dev/sda1 rw\n", false},
		"a disk over memory": {mountinfo + "40 1 8:1 / / rw - ext4 /dev/sda1 rw\n", false},
		"a container":        {"1 1 0:44 / / rw - overlay overlay rw\n", false},
		"nothing":            {"", false},
		"something else":     {"rootfs / rootfs rw 0 0\n", false},
	} {
		if got := blockdev.Live(fstest.MapFS{"proc/self/mountinfo": {Data: []byte(c.mounts)}}); got != c.live {
			t.Errorf("%s: %v", name, got)
		}
	}

	if blockdev.Live(fstest.MapFS{}) {
		t.Error("a system that tells nothing is live")
	}
}

// Every disk of the recorded machines is refused: nothing armed them.
func TestNoDiskOfARecordedMachineMayBeWritten(t *testing.T) {
	seen := 0

	for _, name := range machines.Names(t) {
		disks := blockdev.Survey(machines.Open(t, name).Machine())
		for i, d := range disks {
			seen++

			f := diskguard.Facts{Disk: d, Others: slices.Delete(slices.Clone(disks), i, i+1)}
			if decision := diskguard.MayOpen(&f); decision.Allowed() || !decision.Has("storage/not-expected") {
				t.Errorf("%s %s: %s", name, d.Name, decision)
			}
		}
	}

	if seen == 0 {
		t.Error("no machine has a disk")
	}
}

// A survey is made anew unless one of that age is good enough.
func TestASurveyIsSharedWhereItIsFreshEnough(t *testing.T) {
	files := host()
	system := &blockdev.System{Machine: probe.Machine{Root: files, Bus: silent{}}}

	serial := func(age time.Duration) string {
		disks, err := system.Survey(age)
		if err != nil || len(disks) != 1 {
			t.Fatal(disks, err)
		}

		return disks[0].Serial
	}

	if got := serial(time.Hour); got != "V1" {
		t.Errorf("the first: %q", got)
	}

	files[vda+"serial"] = &fstest.MapFile{Data: []byte("V2\n")}

	if got := serial(time.Hour); got != "V1" {
		t.Errorf("one that may be an hour old: %q", got)
	}

	if got := serial(0); got != "V2" {
		t.Errorf("one of now: %q", got)
	}
}
