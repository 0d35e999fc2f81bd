package route_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/route"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestNamesAndPathsAreUniqueAndWellFormed(t *testing.T) {
	t.Parallel()

	names, calls := map[string]bool{}, map[string]bool{}

	for _, r := range route.Table() {
		call := r.Method + " " + r.Path
		if names[r.Name] || calls[call] {
			t.Errorf("%s (%s) stands twice in the table", r.Name, call)
		}

		names[r.Name], calls[call] = true, true

		if r.Summary == "" || r.Tag == "" || r.OK.Status == 0 || r.Scope == "" {
			t.Errorf("%s lacks a summary, tag, scope or good answer", r.Name)
		}

		if !strings.HasPrefix(r.Path, "/") || strings.HasSuffix(r.Path, "/") {
			t.Errorf("%s: path %q", r.Name, r.Path)
		}

		if r.Method != "GET" && r.Scope == route.Read || r.Method == "GET" && r.Scope == route.Operate && r.OK.Status != 101 {
			t.Errorf("%s: %s must not need scope %s", r.Name, r.Method, r.Scope)
		}

		if (r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" || r.Method == "DELETE") && r.Scope == route.None {
			t.Errorf("%s changes things and is open to anybody", r.Name)
		}
	}
}

func TestScopesIncludeTheLesserOnes(t *testing.T) {
	t.Parallel()

	order := []route.Scope{route.None, route.Read, route.Operate, route.Admin}

	for i, have := range order {
		for j, need := range order {
			if got, want := have.Allows(need), i >= j; got != want {
				t.Errorf("%s allows %s: %t, want %t", have, need, got, want)
			}
		}
	}

	if route.Scope("root").Allows(route.Read) || route.Scope("").Allows(route.Read) || route.Admin.Allows("typo") {
		t.Error("an unknown scope allows something")
	}
}

func TestParseScopeRefusesUnknownWords(t *testing.T) {
	t.Parallel()

	for _, word := range []string{"read", "operate", "admin"} {
		if s, err := route.ParseScope(word); err != nil || string(s) != word {
			t.Errorf("ParseScope(%q) = %q, %v", word, s, err)
		}
	}

	for _, word := range []string{"", "none", "Admin", "root"} {
		if _, err := route.ParseScope(word); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("ParseScope(%q) = %v, want ErrInvalid", word, err)
		}
	}
}

func TestPathFillsParametersAndRefusesWrongOnes(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		name   string
		params []string
		want   string
		bad    bool
	}{
		"no parameter":          {name: "hosts.list", want: "/api/v1/hosts"},
		"one parameter":         {name: "runs.get", params: []string{"01JD4X"}, want: "/api/v1/runs/01JD4X"},
		"colons stay":           {name: "hosts.spec", params: []string{"52:54:00:12:34:56"}, want: "/api/v1/hosts/52:54:00:12:34:56/spec"},
		"two parameters":        {name: "runs.artifact", params: []string{"01JD4X", "ab12"}, want: "/api/v1/runs/01JD4X/artifacts/ab12"},
		"slashes are escaped":   {name: "runs.get", params: []string{"../x"}, want: "/api/v1/runs/..%2Fx"},
		"unknown name":          {name: "runs.explode", bad: true},
		"too few parameters":    {name: "runs.get", bad: true},
		"too many parameters":   {name: "hosts.list", params: []string{"x"}, bad: true},
		"an empty one is wrong": {name: "runs.get", params: []string{""}, bad: true},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := route.Path(tt.name, tt.params...)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("Path(%q, %q) = %q, %v; want %q", tt.name, tt.params, got, err, tt.want)
			}
		})
	}
}

func TestOpenAPIIsTheDocumentOfTheTable(t *testing.T) {
	t.Parallel()

	got, err := route.OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}

	file := filepath.Join("testdata", "openapi.json")

	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// document reads back what a tool would read of the OpenAPI text.
type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Parameters  []struct {
			Name, In string
			Required bool
			Schema   map[string]any
		}
		RequestBody *struct {
			Content map[string]struct{ Schema map[string]any }
		} `json:"requestBody"`
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema map[string]any }
		}
		Security []map[string][]string
	}
	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]any `json:"securitySchemes"`
	}
}

func load(t *testing.T) (document, []byte) {
	t.Helper()

	text, err := route.OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}

	var doc document

	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}

	return doc, text
}

func TestOpenAPIHoldsTogether(t *testing.T) {
	t.Parallel()

	doc, text := load(t)

	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" {
		t.Errorf("head of the document: %q %+v", doc.OpenAPI, doc.Info)
	}

	for _, r := range route.Table() {
		op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || op.OperationID != r.Name {
			t.Errorf("%s is not in the document", r.Name)
		}

		var inPath []string

		for _, p := range op.Parameters {
			if p.In == "path" {
				inPath = append(inPath, p.Name)
			}

			if p.In == "path" && !p.Required || p.Schema["type"] == nil {
				t.Errorf("%s: parameter %s lacks required or a type", r.Name, p.Name)
			}
		}

		if !slices.Equal(inPath, r.Params()) {
			t.Errorf("%s: path parameters %v, want %v", r.Name, inPath, r.Params())
		}

		for status, answer := range op.Responses {
			if answer.Description == "" {
				t.Errorf("%s: answer %s has no description", r.Name, status)
			}
		}

		if (len(op.Security) == 0) != (r.Scope == route.None) {
			t.Errorf("%s: security %v for scope %s", r.Name, op.Security, r.Scope)
		}
	}

	for part := range bytes.SplitSeq(text, []byte(`"$ref": "#/components/schemas/`)) {
		name, _, _ := bytes.Cut(part, []byte(`"`))
		if len(name) > 0 && name[0] != '{' && doc.Components.Schemas[string(name)] == nil {
			t.Errorf("schema %s is referred to and missing", name)
		}
	}
}

func TestEveryBodyHasASchema(t *testing.T) {
	t.Parallel()

	doc, _ := load(t)

	for name, schema := range doc.Components.Schemas {
		properties, ok := schema["properties"].(map[string]any)
		if !ok || len(properties) == 0 {
			t.Errorf("%s has no properties", name)
		}

		for key, value := range properties {
			field, ok := value.(map[string]any)
			if free := key == "details" || key == "data"; !ok || len(field) == 0 && !free {
				t.Errorf("%s.%s has no schema", name, key)
			}
		}
	}
}

func TestEveryRequiredFieldIsReallyWritten(t *testing.T) {
	t.Parallel()

	doc, _ := load(t)
	run := core.Run{ID: "01JD4X", Stages: []core.Stage{{Name: core.SMART, Phase: core.Active, Progress: 0.5, ETA: 90 * time.Second}}}

	for name, value := range map[string]any{"Run": route.NewRun(&run, nil), "Profile": route.NewProfile(&core.Profile{}), "Stage": route.NewStages(&run)[0]} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}

		var written map[string]any

		if err := json.Unmarshal(text, &written); err != nil {
			t.Fatal(err)
		}

		required, ok := doc.Components.Schemas[name]["required"].([]any)
		if !ok {
			t.Fatalf("%s has no required fields", name)
		}

		for _, key := range required {
			if v, there := written[key.(string)]; !there || v == nil {
				t.Errorf("%s.%s is required and was written as %v", name, key, v)
			}
		}

		properties, _ := doc.Components.Schemas[name]["properties"].(map[string]any)
		for key := range written {
			if properties[key] == nil {
				t.Errorf("%s.%s is written and not documented", name, key)
			}
		}
	}
}

func TestPositionSaysWhereARunIs(t *testing.T) {
	t.Parallel()

	stages := func(phases ...core.Phase) *core.Run {
		run := &core.Run{}
		for _, p := range phases {
			run.Stages = append(run.Stages, core.Stage{Phase: p, Progress: 0.5})
		}

		return run
	}

	tests := map[string]struct {
		run  *core.Run
		at   int
		done float64
	}{
		"no stages":         {stages(), -1, 0},
		"not begun":         {stages(core.Pending, core.Pending), -1, 0},
		"half of the first": {stages(core.Active, core.Pending), 0, 0.25},
		"between two":       {stages(core.Done, core.Pending), 0, 0.5},
		"in the last":       {stages(core.Done, core.Active), 1, 0.75},
		"over":              {stages(core.Done, core.Done), 1, 1},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if at, done := route.Position(tt.run); at != tt.at || done != tt.done {
				t.Errorf("Position = %d, %v; want %d, %v", at, done, tt.at, tt.done)
			}
		})
	}
}
