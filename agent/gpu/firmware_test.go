package gpu_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"vetting/agent/gpu"
	"vetting/core"
)

// The kernel has one folder for firmware of others: that of all overlays must be in it.
func TestFirmwareOfSeveralOverlays(t *testing.T) {
	root := fstest.MapFS{
		"overlay/nvidia/lib/firmware/nvidia/580.65.06/gsp_ga10x.bin": {Data: []byte("gsp")},
		"overlay/amd/lib/firmware/amdgpu/aldebaran_mec.bin":          {Data: []byte("mec")},
		"overlay/amd/lib/firmware/nvidia/580.65.06/gsp_ga10x.bin":    {Data: []byte("another")},
		"overlay/amd/lib/firmware/rtl_nic":                           {Data: []byte("a file here")},
		"overlay/nics/lib/firmware/rtl_nic/rtl8125b-2.fw":            {Data: []byte("a folder there")},
		"overlay/nics/lib/firmware/bnx2/bnx2-mips-09-6.2.1b.fw":      {Data: []byte("bnx2")},
		"overlay/plain/bin/tool":                                     {Data: []byte("tool"), Mode: 0o755},
	}
	overlays := []core.Overlay{{Name: "plain"}, {Name: "nvidia"}, {Name: "amd"}, {Name: "nics"}}
	into := filepath.Join(t.TempDir(), "firmware")

	for range 2 { // a second time changes nothing
		found, hidden, err := gpu.Shelve(root, overlays, into)
		if want := []string{"/overlay/amd/lib/firmware/nvidia/580.65.06/gsp_ga10x.bin", "/overlay/nics/lib/firmware/rtl_nic"}; err != nil || !found || !slices.Equal(hidden, want) {
			t.Fatalf("%t %q %v", found, hidden, err)
		}

		for name, want := range map[string]string{
			"nvidia/580.65.06/gsp_ga10x.bin": "/overlay/nvidia/lib/firmware/nvidia/580.65.06/gsp_ga10x.bin",
			"amdgpu/aldebaran_mec.bin":       "/overlay/amd/lib/firmware/amdgpu/aldebaran_mec.bin",
			"bnx2/bnx2-mips-09-6.2.1b.fw":    "/overlay/nics/lib/firmware/bnx2/bnx2-mips-09-6.2.1b.fw",
			"rtl_nic":                        "/overlay/amd/lib/firmware/rtl_nic",
		} {
			if target, err := os.Readlink(filepath.Join(into, name)); err != nil || target != want {
				t.Errorf("%s leads to %q, want %q: %v", name, target, want, err)
			}
		}
	}
}

func TestOverlaysWithoutFirmware(t *testing.T) {
	into := filepath.Join(t.TempDir(), "firmware")

	found, hidden, err := gpu.Shelve(fstest.MapFS{"overlay/plain/bin/tool": {Mode: 0o755}}, []core.Overlay{{Name: "plain"}}, into)
	if _, there := os.Lstat(into); found || len(hidden) > 0 || err != nil || there == nil {
		t.Errorf("%t %q %v", found, hidden, err)
	}
}
