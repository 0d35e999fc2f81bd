package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vetting/core/problem"
)

// Every fault that docs/test-suite.md says is planted has a test and a code.
func TestInjectedFaultsArePlanted(t *testing.T) {
	const page = "../../docs/test-suite.md"

	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}

	_, section, _ := strings.Cut(string(text), "## Injected faults\n")
	rows := regexp.MustCompile("(?m)^\\|[^|]+\\| (?:`([a-z/-]+)`|none) \\|[^|]+\\|[^|]+\\| `([a-z/-]+)` `(Test\\w+)` \\|$").FindAllStringSubmatch(section, -1)

	if lines := strings.Count(section, "\n| ") - 1; len(rows) != lines || len(rows) < 12 {
		t.Fatalf("%d of %d rows of %s can be read", len(rows), lines, page)
	}

	for _, row := range rows {
		code, folder, name := row[1], row[2], row[3]

		if _, known := problem.Lookup(code); code != "" && !known {
			t.Errorf("the code %s is not explained", code)
		}

		if !hasTest(t, folder, name) {
			t.Errorf("%s has no %s", folder, name)
		}
	}
}

func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()

	files, err := filepath.Glob("../../" + folder + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}

	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}

		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}

	return false
}
