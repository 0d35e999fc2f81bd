package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/firmware/catalogue"
)

// Aliases of what they are part of. The stack overflows where the reader of a value is
// handed its letters: each but the last ends the process without the sieve.
const (
	endlessProfile  = "thresholds:\n- for: &a [*a]\n"
	endlessSpec     = "memory: {total: &a [*a]}\n"
	endlessBaseline = "rules:\n- &a {min: *a}\n"
	endlessHeader   = "vetting: {timeout: &a [*a]}\n"
	endlessSetting  = "&a [*a]"
	endlessMerge    = "thresholds:\n- <<: &a {for: *a}\n"
)

// deep is the longest profile or spec that may be sent, all of it brackets.
func deep() string { return strings.Repeat("[", 64<<10) }

func TestWhatWouldEndTheProcessIsRefusedAtOnce(t *testing.T) {
	readProfile := func(text string) error { _, err := profileTexts{}.Read(text); return err }
	readSpec := func(text string) error { _, err := parseSpec(text); return err }
	readBaseline := func(text string) error { _, err := parseBaseline(text); return err }

	for _, c := range []struct {
		read         func(string) error
		text         string
		line, column int
		says         string
	}{
		{readProfile, endlessProfile, 2, 8, "write the value out"},
		{readProfile, endlessMerge, 2, 3, "write the keys out"},
		{readSpec, endlessSpec, 1, 17, "write the value out"},
		{readBaseline, endlessBaseline, 2, 3, "write the value out"},
		{readProfile, deep(), 1, maxNesting + 1, "write them flatter"},
		{readSpec, deep(), 1, maxNesting + 1, "write them flatter"},
		{readBaseline, deep(), 1, maxNesting + 1, "write them flatter"},
	} {
		began := time.Now()
		err := c.read(c.text)

		var p *core.Problem
		if !errors.As(err, &p) || p.Details["line"] != c.line || p.Details["column"] != c.column || !strings.Contains(p.Message, c.says) {
			t.Errorf("%.20q: %.300v", c.text, err)
		}

		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.20q took %v", c.text, took)
		}
	}

	if _, _, err := readHeader([]byte(endlessHeader)); err == nil || !strings.Contains(err.Error(), "[1:20]") {
		t.Errorf("a header: %v", err)
	}

	set := &source{origin: map[string]string{}, settled: core.Settings{Values: map[string]string{"run.hold": endlessSetting}}}
	if err := set.settle(&Config{}); err == nil || !strings.Contains(err.Error(), "run.hold: [1:1]") {
		t.Errorf("a setting: %v", err)
	}
}

func TestSift(t *testing.T) {
	for text, says := range map[string]string{
		"a: &b 1\n":                                           "[1:4] an &",
		"a: 1\nb: [x, *b]\n":                                  "[2:8] a *",
		"a:\n  <<: {b: 1}\n":                                  "[2:3] <<",
		strings.Repeat("- ", maxNesting+1) + "a":              "[1:65] lists",
		strings.Repeat("? ", maxNesting+1) + "a":              "[1:65] lists",
		strings.Repeat("{a: ", maxNesting+1):                  "[1:129] lists",
		strings.Repeat("[}", maxNesting+1):                    "[1:65] lists",
		"[" + strings.Repeat("- ", maxNesting):                "[1:64] lists",
		stairs(maxNesting + 1):                                "[33:34] lists",
		"a: !b !c d\n":                                        "[1:4] the tag",
		"- !b\n- !b\n":                                        "[1:3] the tag",
		"a: !b\n":                                             "[1:4] the tag",
		"a: 1\n---\nb: 2\n":                                   "[2:1] a second document",
		"---\n---\n":                                          "[2:1] a second document",
		"a: 1\n...\nb: 2\n":                                   "[3:1] a second document",
		"a: |\n b" + strings.Repeat("\n", 60000):              "more than 256 blank lines",
		"a: >\n b" + strings.Repeat(" \r\n", 60000) + "  c\n": "more than 256 blank lines",
	} {
		if fault := sift([]byte(text)); fault == nil || !strings.Contains(fault.message, says) || fault.line == 0 || fault.column == 0 {
			t.Errorf("%.40q: %v, not %s", text, fault, says)
		}
	}

	for _, text := range []string{
		"", "\n", "# &a *b\n", "---\na: 1\n...\n", "%YAML 1.2\n---\na: 1\n", catalogue.Text(),
		"a: 'x & y * z <<'\nb: x & y * z\nc: disk/*/t\nd: \"*\"\ne: |\n  &a *b <<\n  [[[[\n",
		strings.Repeat("- ", maxNesting) + "a", strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting), stairs(maxNesting),
		strings.Repeat("- a:\n  - b\n  - {c: [d, e], f: {}}\n", 100), strings.Repeat("a:\n- b:\n  - c: d\n", 100),
		"a: !!str 2.10\n", "{" + strings.Repeat("a: [b, c], ", 100) + "}", strings.Repeat("a:\r\n  b:\r\n    c: 1\r\n\r\n", 300),
	} {
		if fault := sift([]byte(text)); fault != nil {
			t.Errorf("%.60q: %v", text, fault)
		}
	}
}

// stairs are n groups, each one space further right.
func stairs(n int) string {
	var b strings.Builder

	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}

	return b.String()
}
