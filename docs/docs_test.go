package docs_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vetting/docs"
)

var update = flag.Bool("update", false, "copy the pages of other folders anew")

// What the program shows of other folders is what stands there.
func TestPagesOfOtherFoldersAreCopiedWhole(t *testing.T) {
	t.Parallel()

	for topic, at := range docs.Beside() {
		want, err := os.ReadFile(filepath.Join("..", at))
		if err != nil {
			t.Fatal(err)
		}

		kept := filepath.Join("beside", topic+".md")

		if *update {
			if err := os.WriteFile(kept, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}

		if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s as it is now (%v): go test ./docs -update", kept, at, err)
		}
	}
}

// Every page becomes HTML that a strict policy shows, and every link of it to another
// page, and to a heading there, leads somewhere.
func TestPagesBecomeHTML(t *testing.T) {
	t.Parallel()

	all, err := docs.Pages()
	if err != nil || len(all) < 26 {
		t.Fatalf("%d pages, %v", len(all), err)
	}

	written := map[string]string{}

	for i := range all {
		if written[all[i].Topic], err = all[i].HTML("/docs"); err != nil {
			t.Fatal(err)
		}

		if all[i].Title == "" || strings.HasPrefix(all[i].Title, "#") {
			t.Errorf("%s is called %q", all[i].Topic, all[i].Title)
		}
	}

	for _, topic := range []string{"readme", "store", "netboot", "hardware", "quick-start", "api", "agent-protocol"} {
		if written[topic] == "" {
			t.Errorf("there is no page %s", topic)
		}
	}

	banned := regexp.MustCompile(`(?i)<(script|style|img|iframe|form|object|embed)|\s(style|on[a-z]+)="|href="(javascript|data):`)
	link := regexp.MustCompile(`href="([^"]+)"`)
	links := 0

	for topic, text := range written {
		if bad := banned.FindString(text); bad != "" {
			t.Errorf("%s has %s", topic, bad)
		}

		for _, to := range link.FindAllStringSubmatch(text, -1) {
			file, fragment, _ := strings.Cut(to[1], "#")

			switch {
			case strings.HasPrefix(file, "https://"), strings.HasPrefix(file, "http://"):
				continue
			case file == "":
				file = topic
			case strings.HasPrefix(file, "/docs/"):
				file = strings.TrimPrefix(file, "/docs/")
			default:
				t.Errorf("%s links to %s", topic, to[1])
			}

			links++

			if there, ok := written[file]; !ok || fragment != "" && !strings.Contains(there, `id="`+fragment+`"`) {
				t.Errorf("%s links to %s, which is not there", topic, to[1])
			}
		}
	}

	if links < 60 {
		t.Errorf("only %d links", links)
	}
}
