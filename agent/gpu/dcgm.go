package gpu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Diagnosis is what dcgmi diag -j tells.
type Diagnosis struct {
	Version string
	Results []Result
	Errors  []string // why it could not be run, or not for all
}

// Outcome is what came of one test of one GPU.
type Outcome string

// The outcomes. Whatever DCGM writes that is none of the others is NotRun.
const (
	Passed  Outcome = "pass"
	Failed  Outcome = "fail"
	Warned  Outcome = "warn"
	Skipped Outcome = "skip"
	NotRun  Outcome = "not run"
)

// Result is one test of one GPU, or of all of them.
type Result struct {
	Category string // "Deployment", "Hardware", "Integration", "Stress"
	Test     string
	GPU      int // DCGM's number of it; Unknown: all, or something else than a GPU
	Outcome  Outcome
	Words    string // what it says to it
	Severity int    // the gravest error_severity of its warnings; Unknown before DCGM 4
	Software bool   // its warnings are all about software: categories of DCGM 4, words of it before
}

// Severities of DCGM's errors (dcgm_errors.h, dcgmErrorSeverity_enum).
const (
	Monitor  = 1 // it can work, and is to be watched
	Isolate  = 2 // the GPU is broken
	NotKnown = 3 // to DCGM
	Triage   = 4
	Config   = 5 // the system is set up otherwise than DCGM wants
	Reset    = 6 // the GPU is to be reset
)

// gravity ranks severities; they are not in order. A warning without one may mean anything.
func gravity(severity int) int {
	order := []int{Config, Monitor, NotKnown, Unknown, Triage, Reset, Isolate}

	if i := slices.Index(order, severity); i >= 0 {
		return i
	}

	return slices.Index(order, Unknown) - 1
}

// Works reports whether a test has a GPU work; those of the deployment look at software.
func (r *Result) Works() bool {
	return !strings.EqualFold(r.Category, "Deployment") && !strings.EqualFold(r.Test, "software")
}

// Name is a test as DCGM 4 writes it: "GPU Memory" of DCGM 2 and 3 is "memory", "Targeted
// Stress" is "targeted_stress".
func (r *Result) Name() string {
	name := strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll(r.Test, "_", " "))), "_")

	return strings.TrimPrefix(name, "gpu_")
}

// Computes reports whether a test has a GPU compute, and not only move data.
func (r *Result) Computes() bool {
	tests := []string{
		"memory", "diagnostic", "memory_bandwidth", "targeted_stress", "targeted_power", "sm_stress", "memtest", "pulse_test", "context_create",
	}

	return r.Works() && slices.Contains(tests, r.Name())
}

// Extra reports whether a test needs a package beside DCGM, or runs on few models: where it
// is skipped, nothing of DCGM's own was left out.
func (r *Result) Extra() bool {
	return slices.Contains([]string{"eud", "eud_test", "cpu_eud", "nvbandwidth", "nccl_tests"}, r.Name())
}

// Required lists the tests that a level of the diagnostic has every GPU compute with
// (nvvs, NvidiaValidationSuite::FillTestVectors), under DCGM 4's names.
func Required(level int) []string {
	const full = 3

	switch {
	case level < full-1:
		return nil
	case level < full:
		return []string{"memory"}
	default:
		return []string{"memory", "diagnostic", "memory_bandwidth", "targeted_stress", "targeted_power"}
	}
}

const (
	maxResults = 4096
	maxWords   = 600
)

// diagTest is a test in DCGM's JSON. Results have gpu_id or gpu_ids before version 4, and
// entity_group and entity_id from it on.
type diagTest struct {
	Name    string `json:"name"`
	Results []struct {
		GPU      json.RawMessage   `json:"gpu_id"`  // a number, also in a string
		GPUs     json.RawMessage   `json:"gpu_ids"` // a number, or a list in a string
		Group    string            `json:"entity_group"`
		Entity   *int              `json:"entity_id"`
		Status   string            `json:"status"`
		Warnings []json.RawMessage `json:"warnings"` // texts, or objects with one
		Info     json.RawMessage   `json:"info"`
	} `json:"results"`
}

type diagRoot struct {
	Version    string          `json:"version"`
	Runtime    string          `json:"runtime_error"`
	Error      string          `json:"error"`
	Categories json.RawMessage `json:"test_categories"`
	Newer      json.RawMessage `json:"categories"`
}

// ParseDiag reads the output of dcgmi diag -j of DCGM 2 to 4. Lines before the object are
// DCGM's own warnings. The error says that nothing can be told from it.
func ParseDiag(text []byte) (Diagnosis, error) {
	start := bytes.IndexByte(text, '{')
	if start < 0 || len(text) > MaxOutput {
		return Diagnosis{}, fmt.Errorf("reading dcgmi: %d bytes without a JSON object of sensible size; it says: %.200q", len(text), text)
	}

	var outer map[string]json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(text[start:])).Decode(&outer); err != nil {
		return Diagnosis{}, fmt.Errorf("reading dcgmi: %w", err)
	}

	var root diagRoot

	body, found := outer["DCGM Diagnostic"]
	if !found {
		body, found = outer["DCGM GPU Diagnostic"]
	}

	if !found {
		body, _ = json.Marshal(outer) //nolint:errchkjson // it was decoded from JSON
	}

	if err := json.Unmarshal(body, &root); err != nil {
		return Diagnosis{}, fmt.Errorf("reading dcgmi: %w", err)
	}

	d := Diagnosis{Version: word(root.Version)}

	for _, fault := range []string{root.Runtime, root.Error} {
		if fault = word(fault); fault != "" {
			d.Errors = append(d.Errors, fault)
		}
	}

	if err := d.take(root.Categories, root.Newer); err != nil {
		return d, err
	}

	if len(d.Results) == 0 && len(d.Errors) == 0 {
		return d, errors.New("reading dcgmi: it tells of no test")
	}

	return d, nil
}

// Complains reports whether a test failed or warned, or DCGM tells of an error of its own:
// each of them makes dcgmi end with a status.
func (d *Diagnosis) Complains() bool {
	return len(d.Errors) > 0 || slices.ContainsFunc(d.Results, func(r Result) bool { return r.Outcome != Passed && r.Outcome != Skipped })
}

// WithoutDiagnostic reports whether dcgmi says, in what it wrote or by its error, that nvvs
// is missing (DCGM_ST_NVVS_BINARY_NOT_FOUND): the program that does the diagnostic, which
// comes in a package of its own.
func WithoutDiagnostic(text []byte, err error) bool {
	said := string(text[:min(len(text), MaxOutput)])
	if err != nil {
		said += " " + err.Error()
	}

	said = strings.ToLower(said)

	return strings.Contains(said, "nvvs binary was not found") || strings.Contains(said, "nvvs_binary_not_found")
}

func (d *Diagnosis) take(lists ...json.RawMessage) error {
	for _, list := range lists {
		var categories []*struct {
			Category string      `json:"category"`
			Tests    []*diagTest `json:"tests"` // DCGM 3 has nulls between them
		}

		if len(list) == 0 {
			continue
		}

		if err := json.Unmarshal(list, &categories); err != nil {
			return fmt.Errorf("reading dcgmi: %w", err)
		}

		for _, c := range categories {
			if c == nil {
				continue
			}

			for _, t := range c.Tests {
				if t == nil {
					continue
				}

				if d.test(word(c.Category), t); len(d.Results) > maxResults {
					return fmt.Errorf("reading dcgmi: more than %d results", maxResults)
				}
			}
		}
	}

	return nil
}

func (d *Diagnosis) test(category string, t *diagTest) {
	for _, r := range t.Results {
		result := Result{Category: category, Test: word(t.Name), GPU: Unknown, Outcome: outcome(r.Status)}
		result.take(r.Warnings, r.Info)

		if r.Entity != nil && (r.Group == "" || strings.EqualFold(r.Group, "GPU")) {
			result.GPU = *r.Entity
		}

		for _, id := range []json.RawMessage{r.GPU, r.GPUs} {
			if n, err := strconv.Atoi(strings.Trim(string(id), `"`)); err == nil && result.GPU == Unknown {
				result.GPU = n
			}
		}

		d.Results = append(d.Results, result)
	}

	if len(t.Results) == 0 {
		d.Results = append(d.Results, Result{Category: category, Test: word(t.Name), GPU: Unknown, Outcome: NotRun, Severity: Unknown})
	}
}

func outcome(status string) Outcome {
	switch strings.ToLower(strings.TrimSpace(status)) {
	case "pass":
		return Passed
	case "fail":
		return Failed
	case "warn", "warning":
		return Warned
	case "skip", "skipped":
		return Skipped
	default:
		return NotRun
	}
}

// take joins what DCGM says to a result, and sums up its warnings.
func (r *Result) take(warnings []json.RawMessage, info json.RawMessage) {
	var all []string

	r.Severity = Unknown

	for i, raw := range warnings {
		text, severity, category := warning(raw)
		if all = append(all, text); i == 0 || gravity(severity) > gravity(r.Severity) {
			r.Severity = severity
		}

		if software := aboutSoftware(text, severity, category); i == 0 {
			r.Software = software
		} else {
			r.Software = r.Software && software
		}
	}

	if text, _, _ := warning(info); text != "" {
		all = append(all, text)
	}

	text := strings.Join(strings.Fields(strings.Join(all, "; ")), " ")
	r.Words = strings.ToValidUTF8(text[:min(len(text), maxWords)], "")
}

// warning reads a text, a list of texts, or an object with one.
func warning(raw json.RawMessage) (text string, severity, category int) {
	var (
		list   []string
		object struct {
			Warning  string `json:"warning"`
			ID       *int   `json:"error_id"`
			Gravity  *int   `json:"error_severity"`
			Category *int   `json:"error_category"`
		}
	)

	severity, category = Unknown, Unknown

	switch {
	case len(raw) == 0:
	case json.Unmarshal(raw, &text) == nil:
	case json.Unmarshal(raw, &list) == nil:
		text = strings.Join(list, "; ")
	case json.Unmarshal(raw, &object) == nil:
		if text = object.Warning; object.ID != nil {
			text += fmt.Sprintf(" (error %d)", *object.ID)
		}

		if object.Gravity != nil {
			severity = *object.Gravity
		}

		if object.Category != nil {
			category = *object.Category
		}
	}

	return text, severity, category
}

// aboutSoftware tells a fault of software from one of a GPU: by the category of the error
// (dcgm_errors.h, dcgmErrorCategory_enum) or, where there is no severity that says more, by
// its words.
func aboutSoftware(text string, severity, category int) bool {
	const (
		config  = 3
		library = 4
	)

	switch {
	case category == config || category == library:
		return true
	case severity != Unknown && severity != NotKnown:
		return false
	}

	text = strings.ToLower(text)

	return slices.ContainsFunc([]string{
		"fabric manager", "fabricmanager", "initialize cuda", "initializing cuda", "initialise cuda", "cuda initialization", "cuinit",
		"driver version is insufficient", "system not yet initialized", "shared library", "shared object", "cannot open lib", "unable to open lib",
		"libcuda", "libnvidia-ml", "nvml library", "nvvs binary",
	}, func(words string) bool { return strings.Contains(text, words) })
}
