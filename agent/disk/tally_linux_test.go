package disk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vetting/agent/disk"
)

// kernel is the kernel's count of what a disk failed.
type kernel struct {
	t    *testing.T
	root string
}

func (k kernel) set(name, file, text string) {
	k.t.Helper()

	path := filepath.Join(k.root, "block", name, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		k.t.Fatal(err)
	}

	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k kernel) counts(name string, n int) {
	k.set(name, "device/ioerr_cnt", fmt.Sprintf("0x%x\n", n))
}

// TestOwnCommandsAreTold: what the kernel counts of our commands is known to all that
// share the folder; what it does not count, and what others bring about, is not taken for
// ours.
func TestOwnCommandsAreTold(t *testing.T) {
	k := kernel{t, t.TempDir()}
	dir := filepath.Join(t.TempDir(), "commands")
	agent, worker := disk.NewTallyOf(dir, k.root), disk.NewTallyOf(dir, k.root)

	k.counts("sda", 4)
	k.counts("sdb", 4)
	k.set("sda", "diskseq", "9\n")

	want := func(when, name string, n uint64) {
		t.Helper()

		for who, tally := range map[string]*disk.Tally{"the agent": agent, "a worker": worker} {
			if got := tally.Own(name); got != n {
				t.Errorf("%s: %s counts %d commands to %s, want %d", when, who, got, name, n)
			}
		}
	}

	want("at the start", "sda", 0)

	agent.Around("sda", func() bool {
		want("while a command is under way", "sda", 1)

		return false
	})
	want("a command that went well", "sda", 0)

	agent.Around("sda", func() bool {
		k.counts("sda", 5)

		return true
	})
	want("a command that the kernel counts", "sda", 1)

	worker.Around("sda", func() bool { return true })
	want("a failed command that the kernel does not count", "sda", 1)

	worker.Around("sda", func() bool {
		k.counts("sda", 6)

		return false
	})
	want("an error of others during a command that went well", "sda", 1)

	worker.Around("sda", func() bool {
		k.counts("sda", 9)

		return true
	})
	want("one of ours, and two errors of others", "sda", 2)
	want("another disk", "sdb", 0)

	worker.Close()

	worker = disk.NewTallyOf(dir, k.root)

	want("after the worker has ended", "sda", 2)

	k.set("sda", "diskseq", "10\n")
	want("another disk with the same name", "sda", 0)
}

// TestATallyThatCannotBeKept: commands are sent all the same, and nothing is taken for
// ours.
func TestATallyThatCannotBeKept(t *testing.T) {
	k := kernel{t, t.TempDir()}
	k.counts("sda", 4)

	var none *disk.Tally

	for name, c := range map[string]struct {
		tally *disk.Tally
		disk  string
	}{
		"none":                         {none, "sda"},
		"its folder cannot be made":    {disk.NewTallyOf(filepath.Join(t.TempDir(), "a", "b"), k.root), "sda"},
		"the kernel counts no failure": {disk.NewTallyOf(t.TempDir(), k.root), "vda"},
	} {
		sent := 0

		c.tally.Around(c.disk, func() bool {
			sent++

			k.counts("sda", 4+sent)

			return true
		})

		if sent != 1 {
			t.Errorf("%s: sent %d times", name, sent)
		}

		if c.tally != nil && c.tally.Own(c.disk) != 0 {
			t.Errorf("%s: %d commands", name, c.tally.Own(c.disk))
		}

		k.counts("sda", 4)
	}
}
