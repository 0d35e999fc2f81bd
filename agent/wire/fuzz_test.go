package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect" //nolint:depguard // messages are made by their type
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/wire"
)

// FuzzMessages reads foreign bytes as each message: nothing panics, and what
// Validate accepts is the same after being written and read again.
func FuzzMessages(f *testing.F) {
	names := make([]string, 0)

	for name := range messages() {
		names = append(names, name)
	}

	slices.Sort(names)

	for i, name := range names {
		raw, err := os.ReadFile(filepath.Join("testdata", "v1", name+".json"))
		if err != nil {
			f.Fatal(err)
		}

		f.Add(uint8(i), raw)
	}

	f.Add(uint8(0), []byte(`{"version":1e400}`))
	f.Add(uint8(3), []byte(`[[[[`))
	f.Add(uint8(9), []byte(`{"samples":[{"time":"9999-12-31T23:59:59.999999999-23:59"}]}`))

	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		kind := reflect.TypeOf(messages()[names[int(which)%len(names)]])
		first := reflect.New(kind)

		if err := json.Unmarshal(raw, first.Interface()); err != nil {
			return
		}

		if first.Elem().Interface().(wire.Message).Validate() != nil {
			return
		}

		written, err := json.Marshal(first.Interface())
		if err != nil {
			t.Fatalf("what was accepted cannot be written: %v\n%s", err, raw)
		}

		second := reflect.New(kind)
		if err := json.Unmarshal(written, second.Interface()); err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, written)
		}

		again, err := json.Marshal(second.Interface())
		if err != nil || !bytes.Equal(written, again) {
			t.Errorf("changes each time it is written: %v\n%s", err, cmp.Diff(string(written), string(again)))
		}
	})
}
