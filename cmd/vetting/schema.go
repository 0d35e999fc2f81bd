package main

import (
	"encoding/json"
	"fmt"
	"reflect" //nolint:depguard // the file is described as it is read, without a second list
	"strings"
)

// shape is a schema of JSON Schema 2020-12, of the words that the configuration needs.
type shape struct {
	Schema      string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        any               `json:"type,omitempty"` // a word or several
	Pattern     string            `json:"pattern,omitempty"`
	Default     any               `json:"default,omitempty"`
	Properties  map[string]*shape `json:"properties,omitempty"`
	More        any               `json:"additionalProperties,omitempty"` // of a group: false, or what each is
	Items       *shape            `json:"items,omitempty"`
	AnyOf       []*shape          `json:"anyOf,omitempty"`
	Least       int               `json:"minProperties,omitempty"`
	Most        int               `json:"maxProperties,omitempty"`
}

// configSchema describes the configuration file to editors, which then complete its keys, tell
// what they mean, and mark what the appliance would refuse by its name.
func configSchema() ([]byte, error) {
	meanings := map[string]string{}
	for _, s := range settings() {
		meanings[s.key] = s.doc
	}

	whole := shapeOf(reflect.ValueOf(Defaults()), "", meanings)
	whole.Schema, whole.Title = "https://json-schema.org/draft/2020-12/schema", "Configuration of vetting"

	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}

	return append(text, '\n'), nil
}

// shapeOf is what may stand at a key; the value is its default.
func shapeOf(v reflect.Value, key string, meanings map[string]string) *shape {
	s := &shape{Description: meanings[key]}

	switch v.Type() {
	case reflect.TypeFor[Duration]():
		s.Type, s.Pattern = "string", `^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+|0)$`
	case reflect.TypeFor[Secret]():
		word := &shape{Type: "string"}
		s.AnyOf = []*shape{word, {Type: "object", Properties: map[string]*shape{"file": word, "env": word}, More: false, Least: 1, Most: 1}}

		return s
	default:
		s.fill(v, key, meanings)
	}

	if scalar := s.Properties == nil && s.Items == nil && s.More == nil; scalar && !v.IsZero() {
		s.Default = v.Interface()
		if d, ok := s.Default.(Duration); ok {
			s.Default = d.String()
		}
	}

	return s
}

// fill is about what Go's own kinds are.
func (s *shape) fill(v reflect.Value, key string, meanings map[string]string) {
	of := v.Type()

	switch of.Kind() {
	case reflect.Struct:
		s.Type, s.More, s.Properties = "object", false, map[string]*shape{}

		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			s.Properties[name] = shapeOf(v.FieldByIndex(field.Index), strings.TrimPrefix(key+"."+name, "."), meanings)
		}
	case reflect.Map:
		each := shapeOf(reflect.Zero(of.Elem()), key+".*", meanings)
		if each.Type == "string" && each.Pattern == "" { // a number is as good
			each.Type = []string{"string", "number", "boolean"}
		}

		s.Type, s.More = "object", each
	case reflect.Slice:
		s.Type, s.Items = "array", shapeOf(reflect.Zero(of.Elem()), key+".*", meanings)
	case reflect.Bool:
		s.Type = "boolean"
	case reflect.Int:
		s.Type = "integer"
	case reflect.Float64:
		s.Type = "number"
	default:
		s.Type = "string"
	}
}
