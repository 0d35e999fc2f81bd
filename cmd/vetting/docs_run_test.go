package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vetting/core/problem"
)

// block is a piece of shell in a page of the documentation.
type block struct {
	page, text string
	line       int
	reason     string // why it is not run; empty: it is
}

// pagesOfDocs lists the pages that people read.
func pagesOfDocs(t *testing.T) []string {
	t.Helper()

	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}

	return append(pages, filepath.Join("..", "..", "README.md"))
}

// blocksOf returns the blocks of a page that are marked as shell. One that is not to be
// run has "<!-- not run: REASON -->" on the line above it.
func blocksOf(t *testing.T, page string) (all []block) {
	t.Helper()

	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}

	reason := regexp.MustCompile(`^<!-- not run: (.+) -->$`)

	var (
		now    *block
		before string
	)

	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case now != nil && line == "```":
			all, now = append(all, *now), nil
		case now != nil:
			now.text += line + "\n"
		case line == "```sh":
			now = &block{page: filepath.Base(page), line: n + 1}
			if why := reason.FindStringSubmatch(before); why != nil {
				now.reason = why[1]
			}
		}

		before = line
	}

	return all
}

// A block with a command is marked as shell, so that it is run or says why it is not.
func TestCommandsAreMarkedAsShell(t *testing.T) {
	t.Parallel()

	call := regexp.MustCompile(`^(sudo )?(vetting|vetting-agent|make|go|ssh|curl|podman|systemctl|dpkg|apt-get) `)

	for _, page := range pagesOfDocs(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}

		kind, inside := "", false

		for n, line := range strings.Split(string(text), "\n") {
			switch fence, ok := strings.CutPrefix(line, "```"); {
			case ok && inside:
				inside = false
			case ok:
				kind, inside = fence, true
			case inside && kind == "" && call.MatchString(line):
				t.Errorf("%s:%d: mark the block of this command with sh, and run it or say why not: %s", filepath.Base(page), n+1, line)
			}
		}
	}
}

// Every command of ours that a page shows is one that there is, with flags that there
// are.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()

	call := regexp.MustCompile(`(?:^|[;&|(=]|sudo |VETTING_[A-Z_]+=\S+ )\s*(?:build/|\./)?vetting ([^;&|>#)]+)`)
	seen := 0

	for _, page := range pagesOfDocs(t) {
		for _, b := range blocksOf(t, page) {
			for line := range strings.SplitSeq(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
				for _, found := range call.FindAllStringSubmatch(line, -1) {
					seen++

					checkCall(t, &b, found[1])
				}
			}
		}
	}

	if seen < 40 {
		t.Errorf("only %d commands were found", seen)
	}
}

func checkCall(t *testing.T, b *block, words string) {
	t.Helper()

	root := newRoot(io.Discard, io.Discard)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()

	cmd, rest, err := root.Find(strings.Fields(words))
	if err != nil || cmd == root && !strings.HasPrefix(words, "-") {
		t.Errorf("%s:%d: vetting %s: no such command (%v)", b.page, b.line, words, err)

		return
	}

	// The arguments are not whole: quotes were cut apart.
	cmd.FParseErrWhitelist = cobra.FParseErrWhitelist{}
	if err := cmd.ParseFlags(rest); err != nil && strings.Contains(err.Error(), "unknown") {
		t.Errorf("%s:%d: vetting %s: %v", b.page, b.line, words, err)
	}
}

// What the pages have people type does what they say. The blocks of a page are one
// script, in a folder of its own, at an appliance with pretend hosts.
func TestDocumentedCommandsRun(t *testing.T) {
	dir, ran := t.TempDir(), 0

	for _, page := range pagesOfDocs(t) {
		script := ""

		for _, b := range blocksOf(t, page) {
			// The examples of cli.md come from the commands, and name hosts of others.
			if b.reason != "" || b.page == "cli.md" {
				continue
			}

			script += b.text
			ran++
		}

		if script == "" {
			continue
		}

		name := "cli-docs-" + strings.TrimSuffix(filepath.Base(page), ".md") + ".txtar"
		text := "exec sh -eux page.sh\n-- page.sh --\nsudo() { \"$@\"; }\n" + script

		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if ran < 5 {
		t.Errorf("only %d blocks are run", ran)
	}

	runScripts(t, dir)
}

// troublePage is docs/troubleshooting.md: what a boot stands still for, in the words
// of the program.
func troublePage() string {
	page := &strings.Builder{}

	page.WriteString("# Troubleshooting\n\nMade from `core/problem`; do not edit.\n\n" +
		"## The appliance does not serve\n\n`vetting doctor`, with the flags and the user of the service, looks at what it needs, and says what fails and why.\n" +
		"`systemctl status vetting` and `journalctl -u vetting` say what the service met. What it refuses has a code, in brackets or as code=;\n" +
		"[reason-codes.md](reason-codes.md) says what each means and what to do.\n\n" +
		"## A host does not come\n\n`vetting host trace HOST`, and the page of the host, show what was heard of its boot, where it stands still, why, and what to do.\n" +
		"These are the causes:\n\n| What is seen | Why | What to do | Code |\n|---|---|---|---|\n")

	for _, e := range problem.Boots() {
		page.WriteString("| " + cell(e.Title) + " | " + cell(e.Why) + " | " + cell(e.Next) + " | `" + e.Code + "` |\n")
	}

	page.WriteString("\n## A host comes, and its run ends in `error`\n\nThen we broke, or lost contact: it says nothing about the hardware. " +
		"The finding names the code; `vetting run logs RUN` has what the agent said.\nRun it again;\nwhere it ends so again, `vetting support FILE` writes a bundle for those who help.\n")

	return page.String()
}
