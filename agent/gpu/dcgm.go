package gpu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
}

// Severities of DCGM's errors (dcgm_errors.h, dcgmErrorSeverity_enum).
const (
	Isolate = 2 // the GPU is broken
	Config  = 5 // the system is set up otherwise than DCGM wants
)

// Works reports whether a test has a GPU work; those of the deployment look at software.
func (r *Result) Works() bool {
	return !strings.EqualFold(r.Category, "Deployment") && !strings.EqualFold(r.Test, "software")
}

const (
	maxResults = 4096
	maxWords   = 600
)

// diagTest is a test in DCGM's JSON. Results have gpu_ids before version 4, and
// entity_group and entity_id from it on.
type diagTest struct {
	Name    string `json:"name"`
	Results []struct {
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
		result.Words, result.Severity = words(append(r.Warnings, r.Info))

		if r.Entity != nil && (r.Group == "" || strings.EqualFold(r.Group, "GPU")) {
			result.GPU = *r.Entity
		} else if n, err := strconv.Atoi(strings.Trim(string(r.GPUs), `"`)); err == nil {
			result.GPU = n
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

// words joins what DCGM says to a result, and finds the gravest severity in it.
func words(said []json.RawMessage) (string, int) {
	var all []string

	severity := Unknown

	for _, raw := range said {
		var (
			plain  string
			list   []string
			object struct {
				Warning string `json:"warning"`
				ID      *int   `json:"error_id"`
				Gravity *int   `json:"error_severity"`
			}
		)

		switch {
		case len(raw) == 0:
		case json.Unmarshal(raw, &plain) == nil:
			all = append(all, plain)
		case json.Unmarshal(raw, &list) == nil:
			all = append(all, list...)
		case json.Unmarshal(raw, &object) == nil && object.Warning != "":
			if object.ID != nil {
				object.Warning += fmt.Sprintf(" (error %d)", *object.ID)
			}

			if object.Gravity != nil && severity != Isolate {
				severity = *object.Gravity
			}

			all = append(all, object.Warning)
		}
	}

	text := strings.Join(strings.Fields(strings.Join(all, "; ")), " ")

	return strings.ToValidUTF8(text[:min(len(text), maxWords)], ""), severity
}
