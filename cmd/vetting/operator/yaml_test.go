package operator

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// What is written as YAML reads as what the JSON said, whatever a host calls itself.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	for _, text := range []string{
		`{"mac":"52:54:00:00:00:01","name":"007","empty":[],"none":{},"null":null,"yes":"no","on":true,"big":18446744073709551615,"small":-1.5e-3}`,
		`[{"a":[1,[2,[3]],{"b":[{"c":"d"},{}]}],"e":{"f":{"g":"h: i # j"}}},"- k","\u007f\u0001\u2028 \"'\\ <tab>\t&* line\nnext","~"]`,
		`{"SMART.self_test":"none","a/b":{"- c":"{d}"},"list":[[],[[]],{},"x"]}`,
		`"alone"`, `7`, `[]`, `{}`,
	} {
		written, err := toYAML([]byte(text))
		if err != nil {
			t.Fatal(err)
		}

		var read, want, got any
		if err := yaml.Unmarshal(written, &read); err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}

		back, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}

		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}

		if err := json.Unmarshal(back, &got); err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", diff, written)
		}
	}

	if _, err := toYAML([]byte(`{"a":`)); err == nil {
		t.Error("half an answer was taken for a whole one")
	}

	// In YAML 1.1 it is the number 2429935145881 otherwise.
	written, err := toYAML([]byte(`{"mac":"52:54:00:00:00:01"}`))
	if err != nil || !strings.Contains(string(written), `mac: "52:54:00:00:00:01"`) {
		t.Errorf("%s %v", written, err)
	}
}
