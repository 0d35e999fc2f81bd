//go:build linux

package lab_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vetting/cmd/vetting-lab/lab"
)

// `ip netns` mounts over the directory of the namespaces where it is no shared mount point
// yet, and so must find one: then there is one mount, however often labs start.
func TestTheDirectoryOfNamespacesIsMountedOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}

	dir := t.TempDir()

	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()

	for range 3 {
		if err := lab.Share(dir); err != nil {
			t.Fatal(err)
		}
	}

	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}

	var found []string

	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, " "+dir+" ") {
			found = append(found, line)
		}
	}

	if len(found) != 1 || !strings.Contains(found[0], " shared:") {
		t.Errorf("mounts: %q", found)
	}
}
