//go:build e2e

package main_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Building again from nothing but the packages gives the same bytes, also where
// GOFLAGS has -trimpath, by which a program does not know where Go is. It takes about
// a minute and a half, most of it for compiling the busybox.
func TestBuildRepeats(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("the image is made of Debian packages, and this machine has no apt-get")
	}

	cmd := exec.CommandContext(t.Context(), "go", "run", "./initramfs/build", "-check-reproducible")
	cmd.Dir = "../.."
	// The later one of two counts.
	cmd.Env = append(os.Environ(), "GOROOT=", "GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false -trimpath")

	text, err := cmd.CombinedOutput()
	t.Logf("%s", text)

	if err != nil || !strings.Contains(string(text), "both builds are identical") {
		t.Errorf("building twice: %v", err)
	}
}
