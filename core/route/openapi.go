package route

import (
	"encoding/json"
	"fmt"
	"reflect" //nolint:depguard // see schema.go
	"strconv"
	"strings"
)

// OpenAPI returns the OpenAPI 3.1 document of the API as indented JSON. version
// is the appliance's.
func OpenAPI(version string) ([]byte, error) {
	components, paths := schemas{}, map[string]any{}

	for _, r := range Table() {
		item, ok := paths[r.Path].(map[string]any)
		if !ok {
			item = map[string]any{}
			paths[r.Path] = item
		}

		item[strings.ToLower(r.Method)] = operation(&r, components)
	}

	document := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "vetting operator API", "version": version,
			"description": "Times are RFC 3339 in UTC. Unknown JSON fields are ignored, unknown words of a closed list are refused. " +
				"Errors carry a stable code and one sentence.",
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"components": map[string]any{
			"schemas": components,
			"securitySchemes": map[string]any{
				"token":   map[string]any{"type": "http", "scheme": "bearer", "description": "API token, vet_…"},
				"session": map[string]any{"type": "apiKey", "in": "cookie", "name": "__Host-vetting", "description": "session of the console"},
			},
		},
	}

	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the OpenAPI document: %w", err)
	}

	return append(text, '\n'), nil
}

func operation(r *Route, components schemas) map[string]any {
	op := map[string]any{
		"operationId": r.Name, "summary": r.Summary, "tags": []string{r.Tag},
		"responses": responses(r, components), "x-scope": r.Scope, "security": security(r.Scope),
	}

	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}

	if r.ReqType != "" {
		op["requestBody"] = map[string]any{"required": true, "content": content(r.ReqType, r.Req, components)}
	}

	return op
}

func security(s Scope) []any {
	if s == None {
		return []any{}
	}

	return []any{map[string]any{"token": []string{}}, map[string]any{"session": []string{}}}
}

func parameters(r *Route) []any {
	var list []any

	for _, name := range r.Params() {
		list = append(list, map[string]any{
			"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"},
		})
	}

	for _, q := range r.Query {
		list = append(list, map[string]any{
			"name": q.Name, "in": "query", "description": q.Summary, "schema": map[string]any{"type": q.Kind},
		})
	}

	if r.Repeatable() {
		list = append(list, map[string]any{
			"name": IdempotencyKey, "in": "header", "schema": map[string]any{"type": "string", "maxLength": 255},
			"description": "chosen by the caller, anew for each order: the order is carried out once and answered alike, however often it is sent within a day, " +
				"also over a restart of the appliance; 422 for another order under the same key, 409 while it is carried out and where its answer is not kept (it holds a secret)",
		})
	}

	if r.Conditional() {
		list = append(list, map[string]any{
			"name": IfMatch, "in": "header", "schema": map[string]any{"type": "string"},
			"description": "the ETag of what was read: 412 when people have changed it since; absent: it is written whatever is there. If-None-Match: * writes only what is not there yet",
		})
	}

	return list
}

func responses(r *Route, components schemas) map[string]any {
	all := map[string]any{}

	for _, a := range r.Answers() {
		one := map[string]any{"description": a.Summary}
		if a.Type != "" {
			one["content"] = content(a.Type, a.Value, components)
		}

		if r.Tagged && a.Status == r.OK.Status {
			one["headers"] = map[string]any{"ETag": map[string]any{
				"schema": map[string]any{"type": "string"}, "description": "the state of what people set, for " + IfMatch + "; runs and signs of life change nothing of it",
			}}
		}

		all[strconv.Itoa(a.Status)] = one
	}

	return all
}

func content(media string, value any, components schemas) map[string]any {
	schema := map[string]any{"type": "string"}
	if value != nil {
		schema = components.of(reflect.TypeOf(value))
	}

	return map[string]any{media: map[string]any{"schema": schema}}
}
