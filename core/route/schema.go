package route

import (
	"encoding/json"
	"maps"
	"net/netip"
	"reflect" //nolint:depguard // the documented schema must come from the very types the handlers encode
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// schemas collects the component schemas of the document by type name.
type schemas map[string]any

// of returns the JSON schema of the values of t: a $ref for named structs, which
// are added to s.
func (s schemas) of(t reflect.Type) map[string]any {
	if special, ok := specialSchema(t); ok {
		return special
	}

	switch t.Kind() { //nolint:exhaustive // the other kinds do not occur in JSON bodies; TestEveryBodyHasASchema would show one
	case reflect.Pointer:
		return s.nullable(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.ref(t)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	default:
		return map[string]any{}
	}
}

// nullable is the schema of a pointer: its value or null.
func (s schemas) nullable(t reflect.Type) map[string]any {
	schema := s.of(t)

	if kind, plain := schema["type"].(string); plain {
		schema["type"] = []string{kind, "null"}

		return schema
	}

	return map[string]any{"oneOf": []any{schema, map[string]any{"type": "null"}}}
}

func (s schemas) ref(t reflect.Type) map[string]any {
	name := schemaName(t)

	if _, done := s[name]; !done {
		s[name] = nil // a type that holds itself ends here

		properties, required := map[string]any{}, []string{}
		s.fields(t, properties, &required)

		s[name] = map[string]any{"type": "object", "properties": properties, "required": required}
	}

	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// fields adds the fields of struct t as encoding/json would write them.
func (s schemas) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")

		switch {
		case f.Anonymous && tag == "":
			s.fields(f.Type, properties, required)
		case tag != "-" && tag != "":
			properties[tag] = s.of(f.Type)

			if !strings.Contains(options, "omit") {
				*required = append(*required, tag)
			}
		}
	}
}

// schemaName is the type's name, with its package in front when it is not one of
// the plain words of core or of this package.
func schemaName(t reflect.Type) string {
	if strings.HasSuffix(t.PkgPath(), "core/report") {
		return "Report" + strings.TrimPrefix(t.Name(), "Report")
	}

	ours := []string{"Run", "Stage", "Profile", "Rule"} // this package has types of these names too
	if strings.HasSuffix(t.PkgPath(), "/core") && slices.Contains(ours, t.Name()) {
		return "Core" + t.Name()
	}

	return t.Name()
}

// specialSchema is for types whose JSON is not what their Go kind says, and for
// closed lists of words.
func specialSchema(t reflect.Type) (map[string]any, bool) {
	text := func(format string) map[string]any { return map[string]any{"type": "string", "format": format} }

	switch t {
	case reflect.TypeFor[time.Time]():
		return text("date-time"), true
	case reflect.TypeFor[netip.Addr]():
		return map[string]any{"type": "string"}, true
	case reflect.TypeFor[[]byte]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}, true
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]():
		return map[string]any{}, true
	}

	if words, ok := closedLists()[t]; ok {
		return map[string]any{"type": "string", "enum": words}, true
	}

	return nil, false
}

func words[T ~string](list []T) []string {
	out := make([]string, 0, len(list))
	for _, word := range list {
		out = append(out, string(word))
	}

	return out
}

func closedLists() map[reflect.Type][]string {
	stages := []string{}
	for _, st := range core.Pipeline() {
		stages = append(stages, string(st))
	}

	return map[reflect.Type][]string{
		reflect.TypeFor[core.Verdict](): {
			string(core.Pass), string(core.Fail), string(core.Error), string(core.Skip), string(core.Unmeasurable), string(core.Cancelled),
		},
		reflect.TypeFor[core.Severity]():     {string(core.Critical), string(core.Warning), string(core.Info)},
		reflect.TypeFor[core.Phase]():        {string(core.Pending), string(core.Active), string(core.Done)},
		reflect.TypeFor[core.StageName]():    stages,
		reflect.TypeFor[core.PowerMethod]():  words(core.PowerMethods()),
		reflect.TypeFor[core.Op]():           {string(core.OpLT), string(core.OpLTE), string(core.OpGT), string(core.OpGTE), string(core.OpWithinPct)},
		reflect.TypeFor[core.PowerOp]():      words([]core.PowerOp{core.PowerBoot, core.PowerOn, core.PowerOff, core.PowerCycle, core.PowerStatus, core.PowerLocate, core.PowerLocateOff}),
		reflect.TypeFor[core.PowerState]():   words([]core.PowerState{core.PowerIsOn, core.PowerIsOff, core.PowerUnknown}),
		reflect.TypeFor[core.HostKeyState](): words([]core.HostKeyState{core.HostKeyPending, core.HostKeyApproved, core.HostKeyRevoked}),
		reflect.TypeFor[core.Topic]():        words(core.Topics()),
		reflect.TypeFor[Scope]():             {string(Read), string(Operate), string(Admin)},
		reflect.TypeFor[Role]():              {string(Viewer), string(Operator), string(Administrator)},
		reflect.TypeFor[core.ClientKind](): {
			string(core.ClientBIOS), string(core.ClientUEFI), string(core.ClientHTTP), string(core.ClientIPXE), string(core.ClientAgent), string(core.ClientOther),
		},
	}
}

// Fields returns the names of the fields that the body of the call may have, in
// alphabetical order.
func (r *Route) Fields() []string {
	if r.Req == nil {
		return nil
	}

	properties, required := map[string]any{}, []string{}
	schemas{}.fields(reflect.TypeOf(r.Req), properties, &required)

	return slices.Sorted(maps.Keys(properties))
}
