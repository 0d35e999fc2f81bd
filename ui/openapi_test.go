package ui_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vetting/core/route"
	"vetting/ui/canned"
)

// described is what the served OpenAPI document says of one call.
type described struct {
	ID        string `json:"operationId"`
	Responses map[string]struct {
		Content map[string]struct{ Schema map[string]any }
	}
}

// document is the OpenAPI document as the console serves it.
type document struct {
	Paths      map[string]map[string]described
	Components struct{ Schemas map[string]map[string]any }
}

// Every call answers what the document that the console serves says: the status,
// the media type, and a body with all it requires and nothing it does not name.
func TestTheHandlersAnswerWhatTheDocumentSays(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("admin")
	b.member("bob", route.Viewer)

	var doc document

	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}

	for _, r := range route.Table() {
		if r.Name == "events" {
			continue // a stream
		}

		call := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if call.ID != r.Name {
			t.Errorf("%s is not in the document", r.Name)

			continue
		}

		got := b.ask(r.Method, filled(r.Path), bodyFor(r.Name), "Authorization", auth)
		if (usedUp(r.Name) == 0 || r.Name == "users.create" || r.Name == "users.delete") && got.status != r.OK.Status {
			t.Errorf("%s: status %d, want %d: %.200s", r.Name, got.status, r.OK.Status, got.body)
		}

		doc.check(t, r.Name, &call, got)

		if r.Scope != route.None {
			doc.check(t, r.Name+" as nobody", &call, b.ask(r.Method, filled(r.Path), bodyFor(r.Name)))
		}

		if r.ReqType == route.JSON {
			doc.check(t, r.Name+" with a broken body", &call, b.ask(r.Method, filled(r.Path), `{"name":`, "Authorization", auth))
		}
	}
}

// check holds one answer against the document.
func (d *document) check(t *testing.T, name string, call *described, got answer) {
	t.Helper()

	said, ok := call.Responses[strconv.Itoa(got.status)]
	if !ok {
		t.Errorf("%s: status %d is not in the document: %.200s", name, got.status, got.body)

		return
	}

	if len(said.Content) == 0 {
		if got.body != "" {
			t.Errorf("%s: a body where the document has none: %.100s", name, got.body)
		}

		return
	}

	for media, content := range said.Content {
		want, _, _ := mime.ParseMediaType(media)

		if is, _, err := mime.ParseMediaType(got.header.Get("Content-Type")); err != nil || is != want {
			t.Errorf("%s: Content-Type %q, want %s", name, got.header.Get("Content-Type"), media)
		}

		if media != route.JSON {
			continue
		}

		var value any

		if err := json.Unmarshal([]byte(got.body), &value); err != nil {
			t.Errorf("%s: %v", name, err)
		}

		for _, fault := range d.faults(content.Schema, value, "") {
			t.Errorf("%s (%d): %s", name, got.status, fault)
		}
	}
}

// faults says where a value is not of a schema.
func (d *document) faults(schema map[string]any, value any, at string) (list []string) {
	if ref, ok := schema["$ref"].(string); ok {
		return d.faults(d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], value, at)
	}

	if choices, either := schema["oneOf"].([]any); either && value != nil {
		one, _ := choices[0].(map[string]any) // the other one is null

		return d.faults(one, value, at)
	}

	if value == nil {
		if !mayBeNull(schema) {
			list = append(list, at+" is null")
		}

		return list
	}

	switch v := value.(type) {
	case map[string]any:
		return d.objectFaults(schema, v, at)
	case []any:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			return []string{at + " is a list"}
		}

		for i, one := range v {
			list = append(list, d.faults(items, one, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		if words, closed := schema["enum"].([]any); closed && v != "" && !slices.Contains(words, any(v)) {
			list = append(list, fmt.Sprintf("%s is %q, not of %v", at, v, words))
		}

		list = append(list, typeFaults(schema, "string", at)...)
	case bool:
		list = append(list, typeFaults(schema, "boolean", at)...)
	case float64:
		if schema["type"] != "integer" || v != float64(int64(v)) {
			list = append(list, typeFaults(schema, "number", at)...)
		}
	}

	return list
}

func (d *document) objectFaults(schema, value map[string]any, at string) (list []string) {
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		for key, one := range value {
			list = append(list, d.faults(more, one, at+"."+key)...)
		}

		return list
	}

	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		if len(schema) == 0 || schema["type"] == "object" {
			return nil // anything
		}

		return []string{at + " is an object"}
	}

	required, _ := schema["required"].([]any)

	for _, key := range required {
		if _, there := value[fmt.Sprint(key)]; !there {
			list = append(list, fmt.Sprintf("%s.%v is required and not there", at, key))
		}
	}

	for key, one := range value {
		property, known := properties[key].(map[string]any)
		if !known {
			list = append(list, at+"."+key+" is not in the document")

			continue
		}

		list = append(list, d.faults(property, one, at+"."+key)...)
	}

	return list
}

func mayBeNull(schema map[string]any) bool {
	types, _ := schema["type"].([]any)
	choices, either := schema["oneOf"].([]any)

	return slices.Contains(types, any("null")) || either && len(choices) > 1 || len(schema) == 0 || schema["type"] == "array"
}

func typeFaults(schema map[string]any, is, at string) []string {
	types, _ := schema["type"].([]any)
	if one, ok := schema["type"].(string); ok {
		types = []any{one}
	}

	if len(types) > 0 && !slices.Contains(types, any(is)) {
		return []string{fmt.Sprintf("%s is a %s, not %v", at, is, types)}
	}

	return nil
}

// No call of the API answers that the document does not know.
func TestEveryCallOfTheAPIIsInTheTable(t *testing.T) {
	t.Parallel()

	known := map[string]bool{}
	for _, r := range route.Table() {
		known[r.Method+" "+strings.NewReplacer("{", ":", "}", "").Replace(r.Path)] = true
	}

	for _, page := range open(t, canned.Empty, nil).Pages() {
		api := strings.HasPrefix(page.Path, "/api/") || page.Path == "/metrics" || page.Path == "/healthz" || page.Path == "/readyz"
		if api && page.Method != http.MethodHead && !known[page.Method+" "+page.Path] {
			t.Errorf("%s %s answers and is not in the table", page.Method, page.Path)
		}
	}
}

// The manual is whole without script and network, and names every call.
func TestTheManualNamesEveryCall(t *testing.T) {
	t.Parallel()

	got := open(t, canned.Empty, nil).ask("GET", "/api/docs", "")

	for _, r := range route.Table() {
		if !strings.Contains(got.body, `id="`+r.Name+`"`) || !strings.Contains(got.body, r.Path) {
			t.Errorf("%s is not in the manual", r.Name)
		}
	}

	if strings.Contains(got.body, "http://") || strings.Contains(got.body, "https://") || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the manual wants something from outside")
	}
}
