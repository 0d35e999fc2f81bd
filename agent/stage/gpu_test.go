package stage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/profile"
)

// fakeTools answers for the programs of an overlay: outputs by "program first-argument",
// the last of them again and again.
type fakeTools struct {
	programs []string
	mu       sync.Mutex
	answers  map[string][]string // guarded by mu
	errs     map[string]error
	takes    time.Duration // of a diagnostic
	served   int
}

func (f *fakeTools) Prepare([]core.Overlay) error { return nil }

func (f *fakeTools) Find(_ []core.Overlay, program string) string {
	if slices.Contains(f.programs, program) {
		return "/overlay/nvidia/bin/" + program
	}

	return ""
}

func (f *fakeTools) Run(ctx context.Context, _ []core.Overlay, file string, args ...string) ([]byte, error) {
	key := file[strings.LastIndexByte(file, '/')+1:] + " " + args[0]

	if args[0] == "diag" {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(f.takes):
		}
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	list := f.answers[key]
	if len(list) > 1 {
		f.answers[key] = list[1:]
	}

	if len(list) == 0 {
		return nil, f.errs[key]
	}

	return []byte(list[0]), f.errs[key]
}

func (f *fakeTools) Serve([]core.Overlay, string, ...string) (func(), error) {
	f.served++

	return func() { f.served-- }, nil
}

// rackWith is a machine with a graphics card of a vendor below a port of so many lanes,
// and with the console of its BMC.
func rackWith(vendor string, lanes, port int, more map[string]string) fstest.MapFS {
	const (
		up   = "sys/devices/pci0000:00/0000:00:01.0"
		card = up + "/0000:01:00.0"
		bmc  = "sys/devices/pci0000:00/0000:00:02.0"
	)

	root := fstest.MapFS{}
	put := func(name, text string) { root[name] = &fstest.MapFile{Data: []byte(text)} }
	link := func(name, target string) {
		root[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
	}

	for address, dir := range map[string]string{"0000:00:01.0": up, "0000:00:02.0": bmc} {
		link("sys/bus/pci/devices/"+address, "../../../"+strings.TrimPrefix(dir, "sys/"))
	}

	put(up+"/vendor", "0x8086")
	put(up+"/class", "0x060400")
	put(up+"/max_link_width", fmt.Sprint(port))
	put(bmc+"/vendor", "0x1a03")
	put(bmc+"/class", "0x030000")

	if vendor != "" {
		link("sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0")
		put(card+"/vendor", "0x"+vendor)
		put(card+"/class", "0x030200")
		put(card+"/device", "0x20b2")
		put(card+"/current_link_width", fmt.Sprint(lanes))
		put(card+"/max_link_width", "16")
	}

	for name, text := range more {
		put(card+"/"+name, text)
	}

	return root
}

func smi(t *testing.T, replace ...string) string {
	t.Helper()

	text, err := os.ReadFile("../gpu/testdata/a100-sxm4-535.xml")
	if err != nil {
		t.Fatal(err)
	}

	return strings.NewReplacer(replace...).Replace(string(text))
}

// diag is what DCGM says of GPU 0: all tests of level 3 pass, but for one, which is added
// where it is none of them.
func diag(status, category, test, words string) string {
	all := map[string][]string{"Deployment": {"software"}, "Integration": {"pcie"}, "Hardware": {"memory", "diagnostic"}, "Stress": {"memory_bandwidth", "targeted_stress", "targeted_power"}}
	if !slices.Contains(all[category], test) {
		all[category] = append(all[category], test)
	}

	return diagOf(all, func(name string) string {
		if name == test {
			return fmt.Sprintf(`"status":%q%s`, status, words)
		}

		return `"status":"Pass"`
	})
}

func diagOf(all map[string][]string, fields func(test string) string) string {
	var categories []string

	for category, names := range all {
		var tests []string
		for _, name := range names {
			tests = append(tests, fmt.Sprintf(`{"name":%q,"results":[{"entity_group":"GPU","entity_group_id":1,"entity_id":0,%s}]}`, name, fields(name)))
		}

		categories = append(categories, fmt.Sprintf(`{"category":%q,"tests":[%s]}`, category, strings.Join(tests, ",")))
	}

	return `{"DCGM Diagnostic":{"test_categories":[` + strings.Join(categories, ",") + `]}}`
}

// only is what DCGM says when it has run these tests alone, with a pass.
func only(category string, tests ...string) string {
	return diagOf(map[string][]string{category: tests}, func(string) string { return `"status":"Pass"` })
}

// vetGPU runs the stage on a machine. all are the programs that the overlay brings.
func vetGPU(t *testing.T, root fstest.MapFS, tools *fakeTools, config map[string]string) (result core.Result) {
	t.Helper()

	if tools == nil {
		tools = &fakeTools{}
	}

	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{profile.GPUDCGM: "3"})
		for key, value := range config {
			b.Config[key] = value
		}

		b.Overlays = []core.Overlay{{Name: "nvidia"}}
		result = stage.GPU(probe.Machine{Root: root}, tools)(t.Context(), b.Env)
	})

	if tools.served != 0 {
		t.Error("the host engine was left running")
	}

	return result
}

// working is an overlay whose tools say what follows.
func working(before, during, after, diagnosis string) *fakeTools {
	return &fakeTools{
		programs: []string{"nvidia-smi", "dcgmi", "nv-hostengine"}, takes: 15 * time.Second,
		answers: map[string][]string{"nvidia-smi -q": {before, during, after}, "dcgmi diag": {diagnosis}, "dcgmi discovery": {"1 GPU found."}},
		errs:    map[string]error{},
	}
}

func coded(r core.Result) (codes []string) {
	for _, f := range r.Findings {
		codes = append(codes, string(f.Severity)+" "+f.Code)
	}

	slices.Sort(codes)

	return slices.Compact(codes)
}

const (
	busy       = "<power_draw>67.03 W</power_draw>"
	busyNow    = "<power_draw>480.00 W</power_draw>"
	stress     = "Stress"
	nvidia     = "10de"
	volatileCE = "<volatile>\n                <sram_correctable>0<"
)

// Each row of the criteria of GPUs, from what the tools have said of a real card with a
// word changed.
func TestEveryRowOfTheGPUCriteria(t *testing.T) {
	passes := diag("Pass", stress, "targeted_stress", "")

	tests := map[string]struct {
		before, during, after []string // replacements in what a healthy A100 says
		diagnosis             string
		lanes                 int
		verdict               core.Verdict
		codes                 []string
	}{
		"a healthy GPU":               {verdict: core.Pass},
		"an uncorrectable ECC error":  {after: []string{"<dram_uncorrectable>0<", "<dram_uncorrectable>1<"}, verdict: core.Fail, codes: []string{"critical gpu/ecc-uncorrected"}},
		"corrected ECC errors":        {after: []string{volatileCE, strings.Replace(volatileCE, ">0<", ">5<", 1)}, verdict: core.Pass, codes: []string{"warning gpu/ecc-corrected"}},
		"corrected ECC errors before": {before: []string{volatileCE, strings.Replace(volatileCE, ">0<", ">5<", 1)}, after: []string{volatileCE, strings.Replace(volatileCE, ">0<", ">5<", 1)}, verdict: core.Pass},
		"a row that waits": {
			after:   []string{"<remapped_rows>N/A</remapped_rows>", "<remapped_rows><remapped_row_unc>1</remapped_row_unc><remapped_row_pending>Yes</remapped_row_pending></remapped_rows>"},
			verdict: core.Fail, codes: []string{"critical gpu/row-remap"},
		},
		"a row that was replaced": {
			after:   []string{"<remapped_rows>N/A</remapped_rows>", "<remapped_rows><remapped_row_unc>1</remapped_row_unc><remapped_row_pending>No</remapped_row_pending></remapped_rows>"},
			verdict: core.Pass,
		},
		"a row without a spare": {
			after:   []string{"<remapped_rows>N/A</remapped_rows>", "<remapped_rows><remapped_row_failure>Yes</remapped_row_failure></remapped_rows>"},
			verdict: core.Fail, codes: []string{"critical gpu/row-remap"},
		},
		"a page that waits": {after: []string{"<pending_retirement>N/A<", "<pending_retirement>Yes<"}, verdict: core.Fail, codes: []string{"critical gpu/retired-pages"}},
		"eleven retired pages": {
			after:   []string{"<retired_count>N/A<", "<retired_count>6<"},
			verdict: core.Fail, codes: []string{"critical gpu/retired-pages"},
		},
		"ten retired pages":        {after: []string{"<retired_count>N/A<", "<retired_count>5<"}, verdict: core.Pass},
		"packets sent again":       {after: []string{"<replay_counter>0<", "<replay_counter>9<"}, verdict: core.Pass, codes: []string{"warning gpu/link-replays"}},
		"a GPU that must be reset": {after: []string{"<reset_required>No<", "<reset_required>Yes<"}, verdict: core.Fail, codes: []string{"critical gpu/reset-required"}},
		"a slowdown under load": {
			during:  []string{busy, busyNow, "hw_thermal_slowdown>Not Active<", "hw_thermal_slowdown>Active<"},
			verdict: core.Fail, codes: []string{"critical gpu/slowdown"},
		},
		"a power cap under load": {during: []string{busy, busyNow, "sw_power_cap>Not Active<", "sw_power_cap>Active<"}, verdict: core.Pass},
		"nearly too hot":         {during: []string{busy, busyNow, "<gpu_temp>27 C<", "<gpu_temp>85 C<"}, verdict: core.Pass, codes: []string{"warning gpu/hot"}},
		"warm":                   {during: []string{busy, busyNow, "<gpu_temp>27 C<", "<gpu_temp>83 C<"}, verdict: core.Pass},
		"not under load":         {during: []string{}, verdict: core.Pass, codes: []string{"warning gpu/not-stressed"}},
		"a slow link under load": {during: []string{busy, busyNow, "<current_link_gen>4<", "<current_link_gen>1<"}, verdict: core.Pass, codes: []string{"warning gpu/link-speed"}},
		"lanes that go under load": {
			during: []string{busy, busyNow, "<current_link_width>16x<", "<current_link_width>8x<"}, verdict: core.Fail, codes: []string{"critical gpu/link-width"},
		},
		"lanes that are missing": {lanes: 8, verdict: core.Fail, codes: []string{"critical gpu/link-width"}},
		"a failed diagnostic": {
			diagnosis: diag("Fail", stress, "targeted_stress", `,"warnings":[{"error_id":3,"error_severity":2,"warning":"The GPU has an error"}]`),
			verdict:   core.Fail, codes: []string{"critical gpu/diagnostic"},
		},
		"a diagnostic that warns": {diagnosis: diag("Warn", stress, "targeted_stress", `,"warnings":["slow PCIe"]`), verdict: core.Skip, codes: []string{"warning gpu/diagnostic-warning"}},
		"a diagnostic that skips": {diagnosis: diag("Skip", stress, "targeted_stress", `,"info":["not supported on this device"]`), verdict: core.Skip},
		"a GPU that is lost":      {after: []string{"00000000:01:00.0", "00000000:09:00.0"}, verdict: core.Fail, codes: []string{"critical gpu/gone"}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			during := tt.during
			if during == nil {
				during = []string{busy, busyNow}
			}

			if tt.diagnosis == "" {
				tt.diagnosis = passes
			}

			if tt.lanes == 0 {
				tt.lanes = 16
			}

			r := vetGPU(t, rackWith(nvidia, tt.lanes, 16, nil), working(smi(t, tt.before...), smi(t, during...), smi(t, tt.after...), tt.diagnosis), nil)

			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) {
				t.Errorf("%s %q, want %s %q\n%+v", r.Verdict, got, tt.verdict, tt.codes, r)
			}

			for _, f := range r.Findings {
				if f.Part.Kind != "gpu" || f.Part.Slot != "0000:01:00.0" || f.Next == "" {
					t.Errorf("it names no part: %+v", f)
				}
			}
		})
	}
}

// What is not worked is not tested, and says so; it is an error where it is wanted.
func TestWhatIsNotComputed(t *testing.T) {
	a100, passes := smi(t), diag("Pass", stress, "targeted_stress", "")
	require := map[string]string{profile.GPURequire: "yes"}
	broken := &fakeTools{programs: []string{"nvidia-smi"}, errs: map[string]error{"nvidia-smi -q": errors.New("no driver")}, answers: map[string][]string{}}
	alone := working(a100, a100, a100, passes)
	alone.programs = []string{"nvidia-smi"}

	tests := map[string]struct {
		root    fstest.MapFS
		tools   *fakeTools
		config  map[string]string
		verdict core.Verdict
		says    string
		codes   []string
	}{
		"a server without GPUs":         {rackWith("", 0, 16, nil), nil, nil, core.Skip, "no GPU", nil},
		"a GPU that is missing":         {rackWith("", 0, 16, nil), nil, map[string]string{profile.GPUCount: "1"}, core.Fail, "", []string{"critical gpu/missing"}},
		"no GPU and compute is wanted":  {rackWith("", 0, 16, nil), nil, require, core.Error, "", []string{"critical gpu/compute-not-tested"}},
		"no overlay":                    {rackWith(nvidia, 16, 16, nil), nil, nil, core.Skip, "compute NOT tested", nil},
		"no overlay and compute wanted": {rackWith(nvidia, 16, 16, nil), nil, require, core.Error, "", []string{"critical gpu/compute-not-tested"}},
		"nvidia-smi alone":              {rackWith(nvidia, 16, 16, nil), alone, nil, core.Skip, "no DCGM", nil},
		"a tool that does not work":     {rackWith(nvidia, 16, 16, nil), broken, nil, core.Error, "", []string{"critical gpu/tool-failed"}},
		"software that only looks":      {rackWith(nvidia, 16, 16, nil), working(a100, a100, a100, only("Deployment", "software")), nil, core.Skip, "no test of DCGM had it work", nil},
		"a diagnostic that is not whole": {
			rackWith(nvidia, 16, 16, nil), working(a100, smi(t, busy, busyNow), a100, only("Hardware", "memory")), require, core.Error, "", []string{"critical gpu/compute-not-tested"},
		},
		"no diagnostic of DCGM": {
			rackWith(nvidia, 16, 16, nil), working(a100, smi(t, busy, busyNow), a100, "Error: The NVVS binary was not found in the specified location"), require,
			core.Error, "",
			[]string{"critical gpu/compute-not-tested"},
		},
		"an overlay that works":            {rackWith(nvidia, 16, 16, nil), working(a100, smi(t, busy, busyNow), a100, passes), require, core.Pass, "", nil},
		"a slot of eight lanes":            {rackWith(nvidia, 8, 8, nil), nil, nil, core.Skip, "compute NOT tested", nil},
		"a card of AMD with an error":      {rackWith("1002", 16, 16, map[string]string{"ras/umc_err_count": "ue: 1\nce: 0\n"}), nil, nil, core.Fail, "", []string{"critical gpu/ecc-uncorrected"}},
		"a card of AMD with old bad pages": {rackWith("1002", 16, 16, map[string]string{"ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : R\n"}), nil, nil, core.Skip, "compute NOT tested", []string{"warning gpu/bad-pages"}},
		"a card without address space": {
			rackWith("1002", 16, 16, map[string]string{"resource": "0x0 0x0fffffff 0x000000002014220c\n"}), nil, nil, core.Skip, "compute NOT tested", []string{"warning gpu/no-address-space"},
		},
		"a card that reads all ones": {rackWith("1002", 16, 16, map[string]string{"config": "\xff\xff\xff\xff"}), nil, nil, core.Fail, "", []string{"critical gpu/gone"}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := vetGPU(t, tt.root, tt.tools, tt.config)

			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) || !strings.Contains(r.SkipReason, tt.says) {
				t.Errorf("%s %q %q, want %s %q", r.Verdict, r.SkipReason, got, tt.verdict, tt.codes)
			}

			if r.Verdict == core.Skip && r.SkipReason != "no GPU" && !strings.Contains(r.Coverage, "NOT tested") {
				t.Errorf("coverage: %s", r.Coverage)
			}
		})
	}
}

// A GPU passes when all that its level has it compute was run and has passed.
func TestGPUsThatWereNotDiagnosedWhole(t *testing.T) {
	passes := diag("Pass", stress, "targeted_stress", "")
	with := func(fields string) string {
		return strings.Replace(passes, `{"DCGM Diagnostic":{`, `{"DCGM Diagnostic":{`+fields+`,`, 1)
	}

	tests := map[string]struct {
		diagnosis, level string
		verdict          core.Verdict
		says             string
		codes            []string
	}{
		"all of level 3":                {passes, "3", core.Pass, "", nil},
		"the link alone":                {only("Integration", "pcie"), "2", core.Skip, "no test of DCGM had it work", nil},
		"memory at level 2":             {only("Hardware", "memory"), "2", core.Pass, "", nil},
		"memory at level 3":             {only("Hardware", "memory"), "3", core.Skip, "targeted_stress is not in what it tells", nil},
		"a stress that was skipped":     {diag("Skip", stress, "targeted_stress", `,"info":"not allowed on this SKU"`), "3", core.Skip, "targeted_stress was skipped (not allowed on this SKU)", nil},
		"a diagnostic that did not run": {diag("Not Run", "Hardware", "diagnostic", ""), "3", core.Skip, "diagnostic did not run", nil},
		"a link test that was skipped":  {diag("Skip", "Integration", "pcie", ""), "3", core.Skip, "pcie was skipped", nil},
		"a test of another package":     {diag("Skip", "Hardware", "eud", ""), "3", core.Pass, "", nil},
		"software that is not there": {
			diag("Fail", stress, "targeted_stress", `,"warnings":[{"error_id":22,"error_category":4,"error_severity":4,"warning":"Cannot open library libcublas.so.12"}]`), "3",
			core.Error, "",
			[]string{"critical gpu/tool-failed"},
		},
		"a fabric manager that does not run": {
			diag("Fail", "Hardware", "diagnostic", `,"warnings":["Unable to initialize CUDA: system not yet initialized. Check that the Fabric Manager runs."]`), "3",
			core.Error, "",
			[]string{"critical gpu/tool-failed"},
		},
		"software that DCGM does not like": {
			diag("Fail", "Deployment", "software", `,"warnings":[{"error_id":29,"error_category":3,"error_severity":5,"warning":"Persistence mode is disabled"}]`), "3",
			core.Pass, "",
			[]string{"warning gpu/diagnostic-warning"},
		},
		"no diagnostic in the overlay": {
			`{"DCGM Diagnostic":{"runtime_error":"The NVVS binary was not found in the specified location; please install it"}}`, "3", core.Skip, "without its diagnostic (nvvs)", nil,
		},
		"no diagnostic, in words": {
			"Error: Unable to complete diagnostic for group 2147483647. Return: (-52): The NVVS binary was not found in the specified location", "3", core.Skip, "without its diagnostic (nvvs)", nil,
		},
		"another error": {
			`{"DCGM Diagnostic":{"runtime_error":"the diagnostic is paused"}}`, "3", core.Error, "", []string{"critical gpu/tool-failed"},
		},
		"an error beside tests that pass": {with(`"runtime_error":"the diagnostic was killed"`), "3", core.Error, "", []string{"critical gpu/tool-failed"}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a100 := smi(t)
			r := vetGPU(t, rackWith(nvidia, 16, 16, nil), working(a100, smi(t, busy, busyNow), a100, tt.diagnosis), map[string]string{profile.GPUDCGM: tt.level})

			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) || !strings.Contains(r.SkipReason, tt.says) {
				t.Errorf("%s %q %q, want %s %q", r.Verdict, r.SkipReason, got, tt.verdict, tt.codes)
			}

			if whole := tt.verdict == core.Pass; (r.SubSteps[0].Verdict == core.Pass) != whole || strings.Contains(r.Coverage, "NOT tested") == whole {
				t.Errorf("its step is a %s, coverage: %s", r.SubSteps[0].Verdict, r.Coverage)
			}
		})
	}
}

// What the hardware slows down is told of by several polls.
func TestGPUsThatAreSlowedDown(t *testing.T) {
	const slow = "clocks_event_reason_hw_slowdown>"

	calm, bare := smi(t, busy, busyNow), smi(t, busy, busyNow, slow+"Not Active<", slow+"Active<")
	brake := smi(t, busy, busyNow, "hw_power_brake_slowdown>Not Active<", "hw_power_brake_slowdown>Active<")

	for name, tt := range map[string]struct {
		polls   []string
		verdict core.Verdict
		codes   []string
	}{
		"a moment":       {[]string{calm, bare, calm}, core.Pass, []string{"warning gpu/slowdown"}},
		"now and then":   {[]string{bare, calm, bare}, core.Pass, []string{"warning gpu/slowdown"}},
		"on and on":      {[]string{calm, bare, bare}, core.Fail, []string{"critical gpu/slowdown"}},
		"the power once": {[]string{calm, brake, calm}, core.Fail, []string{"critical gpu/slowdown"}},
	} {
		t.Run(name, func(t *testing.T) {
			tools := working(calm, calm, calm, diag("Pass", stress, "targeted_stress", ""))
			tools.takes, tools.answers["nvidia-smi -q"] = 35*time.Second, slices.Concat([]string{calm}, tt.polls, []string{calm})
			r := vetGPU(t, rackWith(nvidia, 16, 16, nil), tools, nil)

			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) {
				t.Errorf("%s %q, want %s %q", r.Verdict, got, tt.verdict, tt.codes)
			}
		})
	}
}

// A first sample that tells no temperature does not end the watch on heat.
func TestGPUsThatTellTheirHeatLate(t *testing.T) {
	calm := smi(t, busy, busyNow)
	tools := working(calm, calm, calm, diag("Pass", stress, "targeted_stress", ""))
	tools.takes, tools.answers["nvidia-smi -q"] = 25*time.Second, []string{
		calm, smi(t, busy, busyNow, "<gpu_temp>27 C<", "<gpu_temp>N/A<"), smi(t, busy, busyNow, "<gpu_temp>27 C<", "<gpu_temp>85 C<"), calm,
	}

	if r := vetGPU(t, rackWith(nvidia, 16, 16, nil), tools, nil); !slices.Equal(coded(r), []string{"warning gpu/hot"}) {
		t.Errorf("%q", coded(r))
	}
}

// nvidia-smi ends with 14 for a corrupted infoROM, and tells all before.
func TestGPUsWhoseToolTellsAndComplains(t *testing.T) {
	const words = "\nWARNING: infoROM is corrupted at gpu 0000:01:00.0\n"

	tools := working(smi(t)+words, smi(t, busy, busyNow)+words, smi(t)+words, diag("Pass", stress, "targeted_stress", ""))
	tools.errs["nvidia-smi -q"] = errors.New("running nvidia-smi: exit status 14; it wrote: </gpu> </nvidia_smi_log>")

	r := vetGPU(t, rackWith(nvidia, 16, 16, nil), tools, nil)
	if r.Verdict != core.Pass || !slices.Equal(coded(r), []string{"warning gpu/tool-complains"}) || len(r.Findings) != 1 {
		t.Fatalf("%s %+v", r.Verdict, r.Findings)
	}

	if said := r.Findings[0].Evidence; !strings.Contains(said, "exit status 14: WARNING: infoROM is corrupted at gpu 0000:01:00.0") || strings.Contains(said, "<") {
		t.Error(said)
	}
}

// withDisplay puts another display controller in place of the BMC's, on bus 0.
func withDisplay(root fstest.MapFS, vendor, class string) fstest.MapFS {
	const dir = "sys/devices/pci0000:00/0000:00:02.0/"

	root[dir+"vendor"], root[dir+"class"] = &fstest.MapFile{Data: []byte("0x" + vendor)}, &fstest.MapFile{Data: []byte("0x" + class)}

	return root
}

// What only shows a picture, or is inside of a CPU, is not asked to compute, and does not
// count as a GPU.
func TestGPUsThatNobodyAsksToCompute(t *testing.T) {
	a100 := smi(t)
	passes := func() *fakeTools {
		return working(a100, smi(t, busy, busyNow), a100, diag("Pass", stress, "targeted_stress", ""))
	}
	elsewhere := smi(t, "00000000:01:00.0", "00000000:09:00.0")
	require := map[string]string{profile.GPURequire: "yes"}

	for name, tt := range map[string]struct {
		root    fstest.MapFS
		tools   *fakeTools
		config  map[string]string
		verdict core.Verdict
		says    string
		codes   []string
	}{
		"Intel's graphics alone":              {withDisplay(rackWith("", 0, 16, nil), "8086", "030000"), nil, nil, core.Skip, "no GPU", nil},
		"Intel's graphics beside an A100":     {withDisplay(rackWith(nvidia, 16, 16, nil), "8086", "030000"), passes(), require, core.Pass, "", nil},
		"Intel's NPU beside an A100":          {withDisplay(rackWith(nvidia, 16, 16, nil), "8086", "120000"), passes(), require, core.Pass, "", nil},
		"a BMC of Huawei beside an A100":      {withDisplay(rackWith(nvidia, 16, 16, nil), "19e5", "030000"), passes(), require, core.Pass, "", nil},
		"Intel's graphics do not count":       {withDisplay(rackWith(nvidia, 16, 16, nil), "8086", "030000"), passes(), map[string]string{profile.GPUCount: "2"}, core.Fail, "", []string{"critical gpu/missing"}},
		"a GPU that nvidia-smi does not list": {rackWith(nvidia, 16, 16, nil), working(elsewhere, elsewhere, elsewhere, passes().answers["dcgmi diag"][0]), nil, core.Skip, "not of this one", nil},
		"the same where compute is wanted": {
			rackWith(nvidia, 16, 16, nil), working(elsewhere, elsewhere, elsewhere, passes().answers["dcgmi diag"][0]), require, core.Error, "", []string{"critical gpu/compute-not-tested"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := vetGPU(t, tt.root, tt.tools, tt.config)

			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) || !strings.Contains(r.SkipReason, tt.says) {
				t.Errorf("%s %q %q, want %s %q", r.Verdict, r.SkipReason, got, tt.verdict, tt.codes)
			}
		})
	}
}

// A status that no test and no word of DCGM explains is an error of its own.
func TestGPUsWhoseDiagnosticEndsWithAStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		diagnosis string
		verdict   core.Verdict
		codes     []string
	}{
		"all pass":     {diag("Pass", stress, "targeted_stress", ""), core.Error, []string{"critical gpu/tool-failed"}},
		"a test fails": {diag("Fail", stress, "targeted_stress", ""), core.Fail, []string{"critical gpu/diagnostic"}},
		"a test that only looks": {
			diag("Fail", "Deployment", "software", `,"warnings":[{"error_severity":5,"warning":"Persistence mode is disabled"}]`), core.Pass, []string{"warning gpu/diagnostic-warning"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a100 := smi(t)
			tools := working(a100, smi(t, busy, busyNow), a100, tt.diagnosis)
			tools.errs["dcgmi diag"] = errors.New("running dcgmi: exit status 226")

			r := vetGPU(t, rackWith(nvidia, 16, 16, nil), tools, nil)
			if got := coded(r); r.Verdict != tt.verdict || !slices.Equal(got, tt.codes) {
				t.Errorf("%s %q, want %s %q", r.Verdict, got, tt.verdict, tt.codes)
			}
		})
	}
}
