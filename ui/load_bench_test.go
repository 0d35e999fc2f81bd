//go:build bench

package ui_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

// TestBenchFirstLoad counts what a browser that was never here fetches for the dashboard, of a
// rack and of five hundred hosts, beside the sixty kilobytes that it may be (peer).
func TestBenchFirstLoad(t *testing.T) {
	const most = 60.0

	for name, scene := range map[string]canned.Scene{"ui/first-load": canned.Full, "ui/first-load-500": canned.Crowd} {
		if !strings.Contains(name, os.Getenv("BENCH")) {
			continue
		}

		b := open(t, scene, nil)
		base, _ := b.listen()
		sum := 0.0

		for _, file := range loads(t, browser.Open(t, b.token("admin")), base+"/") {
			t.Logf("%6d bytes %s", file.OnWire, strings.TrimPrefix(file.Name, base))
			sum += float64(file.OnWire) / 1000
		}

		fmt.Printf("bench %s ours=%.1f peer=%.1f ratio=%.2f unit=kB note=peer-is-the-limit\n", name, sum, most, most/sum)
	}
}
