//go:build bench && linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBenchSMARTRead reads the health of disks beside smartctl, by turns, in a virtual host
// of the emulator, since both need the same disk and a machine that builds may have none:
// what SMART asks before and after its self-test, and all that smartctl --xall asks. Of the
// time of smartctl that of starting it is taken off, since ours is a part of the agent.
func TestBenchSMARTRead(t *testing.T) {
	if os.Getpid() == 1 {
		beGuest(t)

		return
	}

	if !strings.Contains("smart/read-vs-smartctl smart/nvme-read-vs-smartctl", os.Getenv("BENCH")) {
		t.Skipf("BENCH=%s does not name it", os.Getenv("BENCH"))
	}

	dir := t.TempDir()
	h := bootHost(t, "bench", "TestBenchSMARTRead", dir, slices.Concat(
		node(t, dir, soundSATA, ""), []string{"-device", "ide-hd,bus=ide.0,drive=" + soundSATA + ",serial=" + soundSATA},
		node(t, dir, nvmeDisk, ""), []string{"-device", "nvme,id=nvme,drive=" + nvmeDisk + ",serial=" + nvmeDisk},
	)...)

	for _, c := range []struct{ step, name string }{{"sata", "smart/read-vs-smartctl"}, {"nvme", "smart/nvme-read-vs-smartctl"}} {
		var took [3]time.Duration // ours, smartctl's, and to start smartctl

		for i, text := range h.await(c.step).Text {
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}

			took[i] = d
		}

		ours, peer := took[0].Seconds()*1000, (took[1]-took[2]).Seconds()*1000
		fmt.Printf("bench %s ours=%.2f peer=%.2f ratio=%.2f unit=ms note=emulated-disk,-smartctl-without-its-start-of-%.0f-ms\n",
			c.name, ours, peer, peer/ours, took[2].Seconds()*1000)

		if peer < ours {
			t.Errorf("%s: reading takes %v, smartctl %v of which %v to start", c.name, took[0], took[1], took[2])
		}
	}

	h.await("end")
}
