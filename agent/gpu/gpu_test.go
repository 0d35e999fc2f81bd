package gpu_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/gpu"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()

	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}

	return text
}

func card(t *testing.T, text []byte) gpu.Card {
	t.Helper()

	cards, err := gpu.ParseSMI(text)
	if err != nil || len(cards) != 1 {
		t.Fatalf("%d cards, %v", len(cards), err)
	}

	return cards[0]
}

func TestRecordedOutputsOfNvidiaSMI(t *testing.T) {
	none := gpu.ECC{Corrected: gpu.Unknown, Uncorrected: gpu.Unknown}

	tests := map[string]struct {
		model, address, serial   string
		ecc                      bool
		aggregate                gpu.ECC
		width, most, gen, maxGen int
		headroom, power, limit   float64
		retired, remapped        int
	}{
		"a100-sxm4-535.xml": {
			model: "NVIDIA A100-SXM4-80GB", address: "0000:01:00.0", serial: "1650000000001", ecc: true, width: 16, most: 16, gen: 4, maxGen: 4,
			headroom: 89 - 27, power: 67.03, limit: 500, retired: gpu.Unknown, remapped: gpu.Unknown,
		},
		"tesla-t4-515.xml": {
			model: "Tesla T4", address: "0000:00:1e.0", serial: "1650000000001", ecc: true, width: 8, most: 16, gen: 3, maxGen: 3, headroom: 53, power: 26.78, limit: 70,
			remapped: gpu.Unknown,
		},
		"rtx-3080-536.xml": {
			model: "NVIDIA GeForce RTX 3080", address: "0000:04:00.0", aggregate: none, width: 16, most: 16, gen: 4, maxGen: 4, headroom: 95 - 31, power: 22.78, limit: 336,
			retired: gpu.Unknown, remapped: gpu.Unknown,
		},
		"rtx-pro-6000-590.xml": {
			model: "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", address: "0000:61:00.0", serial: "0123456789012", aggregate: none,
			width: 16, most: 16, gen: 1, maxGen: 4, headroom: 70, power: 3.99, limit: 300, retired: gpu.Unknown,
		},
	}

	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c := card(t, recorded(t, name))
			t.Logf("%+v", c)

			if c.Model != want.model || c.Address != want.address || c.Serial != want.serial || c.ECC != want.ecc || c.Aggregate != want.aggregate || c.RetiredPages != want.retired || c.RemappedRows != want.remapped {
				t.Errorf("%+v", c)
			}

			if c.Width != want.width || c.MaxWidth != want.most || c.Gen != want.gen || c.MaxGen != want.maxGen || c.Replays != 0 {
				t.Errorf("its link: %+v", c)
			}

			if math.Abs(c.Headroom-want.headroom) > 1e-9 || math.Abs(c.Power-want.power) > 1e-9 || math.Abs(c.PowerLimit-want.limit) > 1e-9 {
				t.Errorf("heat and power: %v %v %v", c.Headroom, c.Power, c.PowerLimit)
			}

			if c.RemapPending || c.RemapFailure || c.RetirePending || c.ResetRequired || c.SRAMThreshold || len(c.Slowdown) > 0 {
				t.Errorf("a healthy card says: %+v", c)
			}
		})
	}
}

func TestOutputsOfNvidiaSMIThatSayNothing(t *testing.T) {
	a100 := string(recorded(t, "a100-sxm4-535.xml"))

	for name, text := range map[string]string{
		"nothing": "", "an error": "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
		"a cut one":            a100[:len(a100)/2],
		"fewer than it counts": strings.Replace(a100, "<attached_gpus>1<", "<attached_gpus>8<", 1),
		"no address":           strings.Replace(a100, `gpu id="00000000:01:00.0"`, `gpu id="../../x"`, 1),
	} {
		if cards, err := gpu.ParseSMI([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, cards)
		}
	}
}

func TestOutputsOfDCGM(t *testing.T) {
	d, err := gpu.ParseDiag(recorded(t, "dcgm-3.1-deployment.json"))
	if err != nil || d.Version != "3.1.0" || len(d.Results) != 17 || slices.ContainsFunc(d.Results, func(r gpu.Result) bool { return r.Outcome != gpu.Passed || r.Works() }) {
		t.Errorf("%+v, %v", d, err)
	}

	d, err = gpu.ParseDiag(recorded(t, "dcgm-4-persistence.json"))
	if err != nil || len(d.Results) != 2 || d.Results[1].GPU != 1 || d.Results[1].Outcome != gpu.Failed || d.Results[1].Severity != gpu.Config ||
		!strings.Contains(d.Results[1].Words, "Persistence mode for GPU 1 is disabled. (error 29)") {
		t.Errorf("%+v, %v", d, err)
	}

	for name, text := range map[string]string{
		"nothing": "", "no JSON": "Error: unable to establish a connection to the specified host", "no test": `{"DCGM Diagnostic":{"version":"4.2.3"}}`,
		"a list": `{"DCGM Diagnostic":{"test_categories":{}}}`, "cut": `{"DCGM Diagnostic":{"test_categories":[`,
	} {
		if d, err := gpu.ParseDiag([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}

	if d, err := gpu.ParseDiag([]byte(`{"DCGM Diagnostic":{"runtime_error":"CUDA is not there"}}`)); err != nil || len(d.Errors) != 1 {
		t.Errorf("a runtime error: %+v, %v", d, err)
	}
}

// told is the only result of an output with those fields.
func told(t *testing.T, fields string) gpu.Result {
	t.Helper()

	d, err := gpu.ParseDiag([]byte(`{"DCGM Diagnostic":{"test_categories":[{"category":"Stress","tests":[{"name":"Targeted Stress","results":[{` + fields + `}]}]}]}}`))
	if err != nil || len(d.Results) != 1 {
		t.Fatalf("%s: %+v, %v", fields, d, err)
	}

	return d.Results[0]
}

func TestOutputsOfDCGMTellTheGravestWarning(t *testing.T) {
	for warnings, want := range map[string]int{
		`{"warning":"a","error_severity":2},{"warning":"b","error_severity":5}`:                                    gpu.Isolate,
		`{"warning":"a","error_severity":6},{"warning":"b","error_severity":5}`:                                    gpu.Reset,
		`{"warning":"a","error_severity":4},{"warning":"b","error_severity":6}`:                                    gpu.Reset,
		`{"warning":"a","error_severity":6},{"warning":"b","error_severity":2},{"warning":"c","error_severity":4}`: gpu.Isolate,
		`{"warning":"a","error_severity":4},{"warning":"b","error_severity":1}`:                                    gpu.Triage,
		`{"warning":"a","error_severity":3},{"warning":"b","error_severity":1}`:                                    gpu.NotKnown,
		`{"warning":"a","error_severity":1},{"warning":"b","error_severity":5}`:                                    gpu.Monitor,
		`{"warning":"a","error_severity":5},{"warning":"b","error_severity":5}`:                                    gpu.Config,
		`{"warning":"a","error_severity":5},{"warning":"b"}`:                                                       gpu.Unknown,
		`"a"`: gpu.Unknown, ``: gpu.Unknown,
	} {
		if r := told(t, `"status":"Fail","info":["more"],"warnings":[`+warnings+`]`); r.Severity != want {
			t.Errorf("%s: %d, want %d", warnings, r.Severity, want)
		}
	}
}

func TestOutputsOfDCGMThatAreAboutSoftware(t *testing.T) {
	for warnings, want := range map[string]bool{
		`{"warning":"a","error_severity":4,"error_category":4}`:                                      true,
		`{"warning":"a","error_severity":4,"error_category":3}`:                                      true,
		`{"warning":"a","error_severity":2,"error_category":10}`:                                     false,
		`{"warning":"a","error_category":4},{"warning":"b","error_severity":2,"error_category":10}`:  false,
		`"Unable to initialize CUDA library: system not yet initialized. Check the fabric manager."`: true,
		`"Detected 3 volatile double-bit ECC error(s) in GPU 0."`:                                    false,
		`{"warning":"the fabric manager saw a broken link","error_severity":2,"error_category":11}`:  false,
		``: false,
	} {
		if r := told(t, `"status":"Fail","warnings":[`+warnings+`]`); r.Software != want {
			t.Errorf("%s: %t, want %t", warnings, r.Software, want)
		}
	}
}

// DCGM 3 names GPUs and tests otherwise than DCGM 4.
func TestOutputsOfDCGM3(t *testing.T) {
	if r := told(t, `"gpu_id":"1","status":"Pass"`); r.GPU != 1 || r.Name() != "targeted_stress" || !r.Computes() {
		t.Errorf("%+v %s", r, r.Name())
	}

	for name, want := range map[string]bool{"GPU Memory": true, "memory": true, "Diagnostic": true, "PCIe": false, "pcie": false, "EUD Test": false, "software": false} {
		if r := (&gpu.Result{Category: "Hardware", Test: name}); r.Computes() != want {
			t.Errorf("%s: %t", name, r.Computes())
		}
	}
}

func TestARecordedOutputOfROCm(t *testing.T) {
	cards, err := gpu.ParseROCm(recorded(t, "mi100-rocm602.json"))
	if err != nil || len(cards) == 0 || cards[0].Address != "0000:83:00.0" || cards[0].VBIOS != "113-D3431401-101" || cards[0].Limit != 290 {
		t.Errorf("%+v, %v", cards, err)
	}

	for _, text := range []string{"", "{}", `{"card0":{}}`, `{"card0":{"PCI Bus":"/dev/sda"}}`} {
		if cards, err := gpu.ParseROCm([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, cards)
		}
	}
}

func FuzzOutputs(f *testing.F) {
	for _, name := range []string{"a100-sxm4-535.xml", "rtx-pro-6000-590.xml", "mi100-rocm602.json", "dcgm-3.1-deployment.json", "dcgm-4-persistence.json"} {
		f.Add(recorded(f, name))
	}

	f.Fuzz(func(t *testing.T, text []byte) {
		if cards, err := gpu.ParseSMI(text); err == nil {
			for _, c := range cards {
				if c.Address == "" || strings.ContainsAny(c.Model, "\n\x00") {
					t.Errorf("%+v", c)
				}
			}
		}

		if d, err := gpu.ParseDiag(text); err == nil && len(d.Results) == 0 && len(d.Errors) == 0 {
			t.Errorf("%q says nothing and is taken", text)
		}

		_, _ = gpu.ParseROCm(text)
	})
}

// Counters and links of a card with a switch of its own: the slot is two hops up.
func TestWhatTheKernelTells(t *testing.T) {
	const dir = "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0"

	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	root := fstest.MapFS{
		"sys/bus/pci/devices/0000:03:00.0": {Data: []byte("../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0"), Mode: 0o777 | os.ModeSymlink},
		"sys/bus/pci/devices/0000:02:00.0": {Data: []byte("../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0"), Mode: 0o777 | os.ModeSymlink},
		"sys/bus/pci/devices/0000:01:00.0": {Data: []byte("../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0"), Mode: 0o777 | os.ModeSymlink},
		"sys/bus/pci/devices/0000:00:01.0": {Data: []byte("../../../devices/pci0000:00/0000:00:01.0"), Mode: 0o777 | os.ModeSymlink},
		dir + "/vendor":                    file("0x1002\n"),
		dir + "/current_link_width":        file("16\n"), dir + "/max_link_width": file("16\n"), dir + "/mem_info_vram_total": file("34342961152\n"),
		dir + "/gpu_busy_percent": file("7\n"), dir + "/pp_dpm_sclk": file("0: 300Mhz\n1: 1502Mhz *\n2: 1725Mhz\n"),
		dir + "/ras/umc_err_count": file("ue: 1\nce: 3\n"), dir + "/ras/gfx_err_count": file("ue: 0\nce: 0\n"),
		dir + "/ras/gpu_vram_bad_pages": file("0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : P\n"),
		dir + "/resource": file("0x0000000000000000 0x000000000fffffff 0x000000002014220c\n0x0000000000000000 0x0000000000000000 0x0000000000000000\n" +
			"0x0000004000000000 0x00000047ffffffff 0x000000000014220c\n0x00000000fb000000 0x00000000fbffffff 0x0000000000040200\n0xzz 0x1 0x0000000000040200\n"),
		"sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/max_link_width": file("16\n"),
		"sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/current_link_width":          file("4\n"),
		"sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/max_link_width":              file("16\n"),
		"sys/devices/pci0000:00/0000:00:01.0/max_link_width":                           file("8\n"),
	}

	p := gpu.ReadPassive(root, "0000:03:00.0")
	if !p.Answers || p.VRAM != 34342961152 || p.Uncorrected["umc"] != 1 || p.Corrected["umc"] != 3 || p.BadPages != 2 || !slices.Equal(p.Unset, []int{0}) || p.Region != 32<<30 || p.Busy != 7 || p.Clock != "1502Mhz" {
		t.Errorf("%+v", p)
	}

	if len(p.Links) != 2 || p.Links[0].Narrow() || !p.Links[1].Narrow() || p.Links[1].Lower != "0000:01:00.0" {
		t.Errorf("%+v", p.Links)
	}

	if gone := gpu.ReadPassive(root, "0000:09:00.0"); gone.Answers || gone.BadPages != gpu.Unknown || gone.Busy != gpu.Unknown || gone.Clock != "" {
		t.Errorf("%+v", gone)
	}
}
