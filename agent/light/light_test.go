package light_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/disk"
	"vetting/agent/light"
	"vetting/agent/probe"
)

// tree is a machine's sysfs with one disk in an enclosure's slot, one in none, and a port.
func tree(t *testing.T) string {
	t.Helper()

	root := t.TempDir()

	for name, text := range map[string]string{
		"sys/devices/pci0/host0/t1/0:0:1:0/block/sda/size": "2048", "sys/devices/pci0/host0/t2/0:0:2:0/block/sdb/size": "2048",
		"sys/devices/pci0/host0/t9/0:0:9:0/enclosure/0:0:9:0/Slot 05/locate": "0", "sys/devices/pci0/net/eth0/device/vendor": "0x8086",
		"sys/devices/pci0/host0/t1/0:0:1:0/serial": "DISK-A", "sys/devices/pci0/host0/t2/0:0:2:0/serial": "DISK-B",
		"sys/devices/virtual/net/lo/mtu": "1",
	} {
		write(t, filepath.Join(root, name), text)
	}

	for name, to := range map[string]string{
		"sys/block/sda": "../devices/pci0/host0/t1/0:0:1:0/block/sda", "sys/block/sdb": "../devices/pci0/host0/t2/0:0:2:0/block/sdb",
		"sys/devices/pci0/host0/t1/0:0:1:0/block/sda/device": "../..", "sys/devices/pci0/host0/t2/0:0:2:0/block/sdb/device": "../..",
		"sys/class/enclosure/0:0:9:0":                                        "../../devices/pci0/host0/t9/0:0:9:0/enclosure/0:0:9:0",
		"sys/devices/pci0/host0/t9/0:0:9:0/enclosure/0:0:9:0/Slot 05/device": "../../../../../t1/0:0:1:0",
		"sys/class/net/eth0":                                                 "../../devices/pci0/net/eth0", "sys/class/net/lo": "../../devices/virtual/net/lo",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o750), os.Symlink(to, filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}

	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()

	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// dumb is a bus on which no disk answers: what sysfs tells of it is known.
type dumb struct{}

func (dumb) SCSI(string) (disk.SCSI, error) { return nil, disk.ErrRefused }
func (dumb) NVMe(string) (disk.NVMe, error) { return nil, disk.ErrRefused }

// lights are those of a tree; it notes what is written, and blinks by sleeping.
type lights struct {
	light.Lights

	mu      sync.Mutex
	written []string
	blinks  int
	refuse  error
}

func over(root string) *lights {
	l := &lights{}
	l.Root = os.DirFS(root)
	l.Disk = probe.Machine{Root: os.DirFS(root), Bus: dumb{}}.LightOf
	l.Write = func(name, text string) error {
		l.mu.Lock()
		defer l.mu.Unlock()

		if l.written = append(l.written, name+"="+text); l.refuse != nil {
			return l.refuse
		}

		return os.WriteFile(filepath.Join(root, name), []byte(text), 0)
	}
	l.Blink = func(_ string, seconds uint32) error {
		l.blinks++

		time.Sleep(time.Duration(seconds) * time.Second)

		return l.refuse
	}

	return l
}

const locate = "sys/devices/pci0/host0/t9/0:0:9:0/enclosure/0:0:9:0/Slot 05/locate"

func TestADiskIsFoundByTheLightOfItsSlotAndNothingElseIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t)
		l, where := over(root), ""

		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()

		err := l.Show(ctx, "disk", "DISK-A", func(at string) {
			where = at

			if text, err := os.ReadFile(filepath.Join(root, locate)); err != nil || string(text) != "1" {
				t.Errorf("while it is on: %q, %v", text, err)
			}
		})
		if err != nil || where != "Slot 05" || !slices.Equal(l.written, []string{locate + "=1", locate + "=0"}) {
			t.Errorf("%v, at %q, written %q", err, where, l.written)
		}
	})
}

// A light whose time is over is put out without being switched on for that.
func TestALightThatIsOverIsOnlyPutOut(t *testing.T) {
	l := over(tree(t))
	ctx, stop := context.WithCancel(t.Context())
	stop()

	err := l.Show(ctx, "disk", "DISK-A", func(string) { t.Error("lit") })
	if err != nil || !slices.Equal(l.written, []string{locate + "=0"}) {
		t.Errorf("%v, written %q", err, l.written)
	}
}

func TestWhatHasNoLightSaysSo(t *testing.T) {
	for name, c := range map[string]struct{ kind, part, want string }{
		"a disk in no enclosure": {"disk", "DISK-B", "no enclosure knows the disk DISK-B"},
		"a disk that is not":     {"disk", "DISK-C", `no disk of this machine has the serial "DISK-C"`},
		"a port that is not":     {"nic", "eth7", "no network port eth7"},
		"the loop":               {"nic", "lo", "no network port lo"},
		"a way out":              {"nic", "../eth0", "is no name of a network port"},
		"what is to come":        {"fan", "1", `no light of a "fan"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := over(tree(t))

			err := l.Show(t.Context(), c.kind, c.part, func(string) { t.Error("lit") })
			if err == nil || !strings.Contains(err.Error(), c.want) || len(l.written) != 0 || l.blinks != 0 {
				t.Errorf("%v, written %q, %d blinks", err, l.written, l.blinks)
			}
		})
	}
}

func TestAnEnclosureOrDriverThatRefusesIsNamed(t *testing.T) {
	for kind, part := range map[string]string{"disk": "DISK-A", "nic": "eth0"} {
		synctest.Test(t, func(t *testing.T) {
			l := over(tree(t))
			l.refuse = errors.New("not supported")

			if err := l.Show(t.Context(), kind, part, func(string) { t.Error("lit") }); err == nil || !strings.Contains(err.Error(), "not supported") {
				t.Errorf("%s: %v", kind, err)
			}
		})
	}
}

func TestAPortBlinksUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lit := over(tree(t)), 0

		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()

		begun := time.Now()
		if err := l.Show(ctx, "nic", "eth0", func(string) { lit++ }); err != nil || lit != 1 {
			t.Errorf("%v, said %d times", err, lit)
		}

		if took := time.Since(begun); l.blinks < 30 || took < time.Minute || took > time.Minute+2*time.Second {
			t.Errorf("%d blinks in %s", l.blinks, took)
		}
	})
}
