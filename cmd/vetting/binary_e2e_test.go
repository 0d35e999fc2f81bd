//go:build e2e && linux

package main_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

// The product is one file that runs on any Linux and is easily carried.
func TestTheProductIsOneSmallStaticFile(t *testing.T) {
	const most = 120 << 20

	for _, name := range []string{"vetting", "vetting-agent"} {
		path := filepath.Join("..", "..", "build", name)

		info, err := os.Stat(path)
		if err != nil {
			t.Fatalf("run make build first: %v", err)
		}

		t.Logf("%s: %.1f MiB", name, float64(info.Size())/(1<<20))

		if info.Size() >= most {
			t.Errorf("%s has %d bytes, not under %d", name, info.Size(), most)
		}

		program, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}

		for _, p := range program.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s has a %s: it is not static", name, p.Type)
			}
		}

		if err := program.Close(); err != nil {
			t.Error(err)
		}
	}
}
