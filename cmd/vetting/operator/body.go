package operator

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

// field is a flag that becomes a field of the body.
type field struct {
	flag string
	path string // in the body: "power.method"
	kind kind
	doc  string
}

// kind is what the value of a field is.
type kind int

const (
	text   kind = iota
	list        // may be given several times, or with commas
	number      // may have a fraction
	yes         // true where the flag stands
	pairs       // NAME=VALUE, may be given several times
	secret      // the first line of a file, so that nobody sees it among the arguments
	whole       // all of a file
)

// body makes the body of a call out of flags, a file and arguments.
type body struct {
	verb  *verb
	route *route.Route
}

// newBody declares the flags of a body.
func newBody(cmd *cobra.Command, v *verb, found *route.Route) *body {
	flags := cmd.Flags()

	for _, f := range v.flags {
		switch f.kind {
		case list:
			flags.StringSlice(f.flag, nil, f.doc)
		case pairs:
			flags.StringToString(f.flag, nil, f.doc)
		case number:
			flags.Float64(f.flag, 0, f.doc)
		case yes:
			flags.Bool(f.flag, false, f.doc)
		default:
			flags.String(f.flag, "", f.doc)
		}
	}

	if found.Req != nil && len(v.flags) > 0 {
		flags.StringP("file", "f", "", "file with the fields of the call "+found.Name+" as JSON or YAML, - for standard input; flags count over it")
	}

	return &body{verb: v, route: found}
}

// content makes the body; nil: the call has none.
func (b *body) content(s *session, params []string, rest []word, args []string) (any, error) {
	switch {
	case b.route.ReqType == "":
		return nil, nil //nolint:nilnil // nothing is what such a call sends
	case b.route.Req == nil:
		return b.wholeFile(s, args)
	}

	fields, err := b.fromFile(s)
	if err != nil {
		return nil, err
	}

	maps.Copy(fields, b.verb.fixed)

	for i, arg := range args {
		fields[strings.ToLower(rest[i].name)] = arg
	}

	if err := b.keep(s, params, fields); err != nil {
		return nil, err
	}

	for _, f := range b.verb.flags {
		if !s.cmd.Flags().Changed(f.flag) {
			continue
		}

		value, err := f.value(s)
		if err != nil {
			return nil, err
		}

		set(fields, strings.Split(f.path, "."), value)
	}

	if len(fields) == 0 && b.verb.merge != "" {
		return nil, usage("nothing to change; say what with a flag, see: %s --help", s.cmd.CommandPath())
	}

	return fields, nil
}

// wholeFile reads a body that is no JSON.
func (b *body) wholeFile(s *session, args []string) (any, error) {
	if b.verb.fixed != nil {
		return "", nil // an empty one is what this verb sends
	}

	name := "-"
	if len(args) > 0 {
		name = args[0]
	}

	return s.readFile(name)
}

// fromFile reads the fields that a file gives.
func (b *body) fromFile(s *session) (map[string]any, error) {
	fields := map[string]any{}

	name, err := s.cmd.Flags().GetString("file")
	if err != nil || name == "" {
		return fields, nil //nolint:nilerr // this command takes no file
	}

	content, err := s.readFile(name)
	if err != nil {
		return nil, err
	}

	if err := readYAML(content, &fields); err != nil {
		return nil, usage("%s: fields of %s are wanted, as JSON or YAML: %w", name, b.route.Name, err)
	}

	if fields == nil {
		fields = map[string]any{} // the file is empty
	}

	known := b.route.Fields()
	for key := range fields {
		if !slices.Contains(known, key) {
			return nil, usage("%s: %s has no field %q; it takes %s", name, b.route.Name, key, strings.Join(known, ", "))
		}
	}

	return fields, nil
}

// readYAML reads a text; some broken ones make the module panic (go-yaml 1.19.2).
func readYAML(text string, into any) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = errors.New("this is no YAML that can be read")
		}
	}()

	return yaml.Unmarshal([]byte(text), into)
}

// keep fills in what the host has of a field of which only parts are given.
func (b *body) keep(s *session, params []string, fields map[string]any) error {
	if b.verb.merge == "" || fields[b.verb.merge] != nil || len(params) == 0 {
		return nil
	}

	touched := false
	for _, f := range b.verb.flags {
		touched = touched || strings.HasPrefix(f.path, b.verb.merge+".") && s.cmd.Flags().Changed(f.flag)
	}

	if !touched {
		return nil
	}

	var host map[string]any
	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "hosts.get", Params: params}, &host); err != nil {
		return err
	}

	if has, ok := host[b.verb.merge]; ok {
		fields[b.verb.merge] = has
	}

	return nil
}

func (f *field) value(s *session) (any, error) {
	flags := s.cmd.Flags()

	switch f.kind {
	case list:
		return flags.GetStringSlice(f.flag)
	case pairs:
		return flags.GetStringToString(f.flag)
	case number:
		return flags.GetFloat64(f.flag)
	case yes:
		return flags.GetBool(f.flag)
	case text, secret, whole:
	}

	given, err := flags.GetString(f.flag)
	if err != nil || f.kind == text {
		return given, err
	}

	content, err := s.readFile(given)
	if f.kind == secret {
		content, _, _ = strings.Cut(content, "\n")
		content = strings.TrimSuffix(content, "\r")
	}

	return content, err
}

// set puts a value at a path of nested objects.
func set(fields map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		inner, ok := fields[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			fields[key] = inner
		}

		fields = inner
	}

	fields[path[len(path)-1]] = value
}

// maxFile bounds what is sent of a file.
const maxFile = 16 << 20

// readFile reads a file, or standard input for "-".
func (s *session) readFile(name string) (string, error) {
	input := s.cmd.InOrStdin()

	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", usage("reading the file: %w", err)
		}

		defer file.Close()

		input = file
	} else if isTerminal(input) {
		return "", usage("name a file, or give it to standard input; see: %s --help", s.cmd.CommandPath())
	}

	content, err := io.ReadAll(io.LimitReader(input, maxFile+1))

	switch {
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", name, err)
	case len(content) > maxFile:
		return "", usage("%s is larger than %d MiB", name, maxFile>>20)
	default:
		return string(content), nil
	}
}

// isTerminal reports whether a person would have to type the file.
func isTerminal(input io.Reader) bool {
	file, ok := input.(*os.File)
	if !ok {
		return false
	}

	info, err := file.Stat()

	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && file.Name() != os.DevNull
}
