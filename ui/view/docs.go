package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Docs is the page of the OpenAPI document.
type Docs struct {
	Frame   Frame
	Title   string
	Version string
	About   string
	Groups  []docsGroup
	Schemas []docsSchema
}

type docsGroup struct {
	Name  string
	Calls []docsCall
}

type docsCall struct {
	Method, Path, ID, Summary, Scope string
	Fields                           []docsField // of path and query
	Request                          string      // media type and schema; empty: none
	RequestSchema                    string      // name to link to; empty: none
	Answers                          []docsAnswer
}

type docsField struct {
	Name, In, Type, About string
	Required              bool
}

type docsAnswer struct{ Status, About, Type, Schema string }

type docsSchema struct {
	Name   string
	Fields []docsField
}

// openAPI is what the page reads of the document.
type openAPI struct {
	Info struct {
		Title, Version, Description string
	}
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

// operation is one call of the document.
type operation struct {
	ID         string `json:"operationId"`
	Summary    string
	Tags       []string
	Scope      string `json:"x-scope"`
	Parameters []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Format     string
	Enum       []string
	Items      *schema
	OneOf      []schema `json:"oneOf"`
	Additional *schema  `json:"additionalProperties"`
	Properties map[string]schema
	Required   []string
}

// ReadDocs reads an OpenAPI document as route.OpenAPI writes it.
func ReadDocs(document []byte) (*Docs, error) {
	var api openAPI

	if err := json.Unmarshal(document, &api); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}

	d := &Docs{Title: api.Info.Title, Version: api.Info.Version, About: api.Info.Description}
	groups := map[string][]docsCall{}

	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(api.Paths[path])) {
			op := api.Paths[path][method]
			call := op.call()
			call.Method, call.Path = strings.ToUpper(method), path
			tag := strings.Join(op.Tags, ", ")
			groups[tag] = append(groups[tag], call)
		}
	}

	for _, name := range slices.Sorted(maps.Keys(groups)) {
		d.Groups = append(d.Groups, docsGroup{name, groups[name]})
	}

	d.addSchemas(api.Components.Schemas)

	return d, nil
}

// call is the operation as the page shows it, without method and path.
func (op *operation) call() docsCall {
	call := docsCall{ID: op.ID, Summary: op.Summary, Scope: op.Scope}

	for _, p := range op.Parameters {
		call.Fields = append(call.Fields, docsField{p.Name, p.In, p.Schema.words(), p.Description, p.Required})
	}

	for media, body := range op.RequestBody.Content {
		call.Request, call.RequestSchema = media, body.Schema.name()
	}

	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := docsAnswer{Status: status, About: op.Responses[status].Description}
		for media, c := range op.Responses[status].Content {
			answer.Type, answer.Schema = media, c.Schema.name()
		}

		call.Answers = append(call.Answers, answer)
	}

	return call
}

func (d *Docs) addSchemas(all map[string]schema) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		row := docsSchema{Name: name}

		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[key]
			row.Fields = append(row.Fields, docsField{Name: key, Type: p.words(), Required: slices.Contains(s.Required, key)})
		}

		d.Schemas = append(d.Schemas, row)
	}
}

// name is that of the component a schema refers to, of itself or of its items.
func (s schema) name() string {
	if s.Ref == "" && s.Items != nil {
		return s.Items.name()
	}

	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}

// words writes a type for people.
func (s schema) words() string {
	switch {
	case s.Ref != "":
		return s.name()
	case s.Items != nil:
		return "list of " + s.Items.words()
	case s.Additional != nil:
		return "object of " + s.Additional.words()
	case len(s.OneOf) > 0:
		return s.OneOf[0].words() + " or null"
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " | ")
	case s.Format != "":
		return s.Format
	}

	if list, ok := s.Type.([]any); ok {
		words := make([]string, 0, len(list))
		for _, one := range list {
			words = append(words, fmt.Sprint(one))
		}

		return strings.Join(words, " or ")
	}

	if word, ok := s.Type.(string); ok {
		return word
	}

	return "any"
}
