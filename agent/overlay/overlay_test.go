package overlay_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/overlay"
	"vetting/core"
)

// DCGM takes its diagnostic from no place of an overlay unless it is told.
func TestWhereTheDiagnosticIs(t *testing.T) {
	tools := []core.Overlay{{Name: "acme"}, {Name: "nvidia"}}

	for name, want := range map[string]string{
		"overlay/nvidia/libexec/datacenter-gpu-manager-4/nvvs":        "/overlay/nvidia/libexec/datacenter-gpu-manager-4",
		"overlay/nvidia/usr/libexec/datacenter-gpu-manager-4/nvvs":    "/overlay/nvidia/usr/libexec/datacenter-gpu-manager-4",
		"overlay/nvidia/usr/share/nvidia-validation-suite/nvvs":       "/overlay/nvidia/usr/share/nvidia-validation-suite",
		"overlay/other/libexec/datacenter-gpu-manager-4/nvvs":         "",
		"overlay/nvidia/libexec/datacenter-gpu-manager-4/nvvs/folder": "",
	} {
		root := fstest.MapFS{name: {Mode: 0o755}, "overlay/acme/bin/tool": {Mode: 0o755}}
		environ := overlay.Environ(root, tools)

		told := slices.DeleteFunc(environ, func(s string) bool { return !strings.HasPrefix(s, "NVVS_BIN_PATH=") })
		if want == "" && len(told) > 0 || want != "" && !slices.Equal(told, []string{"NVVS_BIN_PATH=" + want}) {
			t.Errorf("%s: %q, want %q", name, told, want)
		}
	}

	if dir := overlay.Diagnostic(fstest.MapFS{"overlay/nvidia/libexec/x/nvvs": {Mode: 0o644}}, tools); dir != "" {
		t.Errorf("a file that cannot be run is taken: %s", dir)
	}
}
