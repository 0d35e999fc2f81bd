package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// fits asks the schema of the configuration about a file.
func fits(t *testing.T, schema *jsonschema.Schema, file string) error {
	t.Helper()

	text, err := yaml.YAMLToJSON([]byte(file))
	if err != nil {
		t.Fatal(err)
	}

	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}

	return schema.Validate(doc) //nolint:wrapcheck // of a test
}

// What the schema lets through the appliance reads, and what it marks is refused: by name and
// by kind. Whether values fit together is the appliance's to say.
func TestTheSchemaOfTheConfigurationSaysWhatTheApplianceReads(t *testing.T) {
	t.Parallel()

	text, err := configSchema()
	if err != nil {
		t.Fatal(err)
	}

	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}

	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("vetting.json", doc); err != nil {
		t.Fatal(err)
	}

	schema, err := compiler.Compile("vetting.json")
	if err != nil {
		t.Fatal(err)
	}

	printed, err := example()
	if err != nil {
		t.Fatal(err)
	}

	for name, file := range map[string]string{
		"the example":            printed,
		"a profile":              "profiles: {receiving: {extends: quick, config: {SMART.policy: used, Burn.minutes: 5}, thresholds: [{stage: SMART, key: a, op: lte, value: 45, for: 30s}]}}",
		"secrets of each kind":   "notifiers: {a: {type: ntfy, url: 'https://ntfy.sh', token: {env: NTFY}, secret: {file: s}}}",
		"durations of each kind": "run: {hold: 30d, patience: 1h30m, boot_deadline: 90s, heartbeat: {interval: 1.5s}}",
	} {
		if err := fits(t, schema, file); err != nil {
			t.Errorf("%s is marked: %v", name, err)
		}

		var config Config
		if err := yaml.UnmarshalWithOptions([]byte(file), &config, yaml.Strict()); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}

	for name, file := range map[string]string{
		"a misspelt key":           "netboot: {interfase: eth1}",
		"a misspelt key of a rule": "profiles: {a: {thresholds: [{sevrity: warning}]}}",
		"a word for a number":      "dispatcher: {max_concurrent_runs: many}",
		"a number for a duration":  "run: {hold: 5}",
		"a duration that is none":  "run: {hold: 5 days}",
		"a secret from two places": "host_api: {enrol_key: {file: a, env: B}}",
		"a secret from somewhere":  "host_api: {enrol_key: {vault: a}}",
		"a text for a list":        "netboot: {kernel_args: quiet}",
	} {
		if fits(t, schema, file) == nil {
			t.Errorf("%s is not marked", name)
		}

		var config Config
		if err := yaml.UnmarshalWithOptions([]byte(file), &config, yaml.Strict()); err == nil {
			t.Errorf("%s is read", name)
		}
	}

	for _, s := range settings() {
		at, _ := doc.(map[string]any)

		for part := range strings.SplitSeq(s.key, ".") {
			properties, _ := at["properties"].(map[string]any)
			at, _ = properties[part].(map[string]any)
		}

		if at["description"] != s.doc {
			t.Errorf("%s is said to mean %v", s.key, at["description"])
		}
	}
}
